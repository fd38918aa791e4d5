"""What timing one model gave, wherever it was timed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fer_opt.device.measurement import DeviceFacts
from fer_opt.reports.gate.samples import TimeSamples

__all__ = ["Timed"]


@dataclass(frozen=True, slots=True)
class Timed:
    """A model's times on one device.

    Attributes:
        model: its file's name.
        model_sha256: of the file.
        device: that timed it.
        label: what a person would call the device.
        process_ms: the datum of each fresh process, in the order they ran: its median, in
            milliseconds; with photos, the median photo's.
        raw: everything that was measured, fit for JSON.
        samples: what budgets are held against, by stage; the model alone is ``classify``.
        by_photo: whether photos were taken through all stages, and a sample is a photo's.
        reasons: why the times may not be believed, a sentence each; empty where they may.
    """

    model: str
    model_sha256: str
    device: DeviceFacts
    label: str
    process_ms: tuple[float, ...]
    raw: dict[str, Any]
    samples: Mapping[str, TimeSamples]
    by_photo: bool = False
    reasons: tuple[str, ...] = ()

    @property
    def median_ms(self) -> float:
        """Median over processes."""
        return statistics.median(self.process_ms)

    @property
    def kind(self) -> str:
        """``host``, ``phone``, ``virtual`` or ``emulated``."""
        return self.device.kind

    @property
    def invalid(self) -> str:
        """Why nothing may be judged by these times; empty where something may."""
        if self.kind == "emulated":
            return (
                "Programs of another processor ran under an emulator, whose times are no latencies."
            )
        if self.kind == "phone" and self.reasons:
            return " ".join(self.reasons)
        return ""

    @property
    def on(self) -> str:
        """Where the times are from, so that a computer's are never taken for a phone's."""
        return {
            "host": "on this computer",
            "virtual": "on a virtual phone (this computer's times)",
            "emulated": "under an emulator (no latency)",
        }.get(self.kind, f"on {self.label}")
