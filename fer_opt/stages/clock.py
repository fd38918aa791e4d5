"""One clock for a photo's stages and its total."""

from __future__ import annotations

import time

__all__ = ["Laps"]


class Laps:
    """Runs from when it is made; each stage lasts from the end of the one before.

    Attributes:
        stages_ms: time of each stage ended so far, by name.
    """

    __slots__ = ("_begin", "_mark", "stages_ms")

    def __init__(self) -> None:
        self.stages_ms: dict[str, float] = {}
        self._begin = self._mark = time.perf_counter_ns()

    def lap(self, stage: str) -> None:
        """``stage`` ends now."""
        now = time.perf_counter_ns()
        self.stages_ms[stage] = (now - self._mark) / 1e6
        self._mark = now

    @property
    def total_ms(self) -> float:
        """Since it was made, whatever stages say."""
        return (time.perf_counter_ns() - self._begin) / 1e6
