"""What comes of timing two models in one process: a pair, the gate's datum."""

from __future__ import annotations

import statistics
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fer_opt.device.measurement import Conditions

__all__ = ["Clock", "PairMeasurement", "PairOrder", "PairSide"]

STRICT = ConfigDict(extra="forbid")

PairOrder = Literal["AB", "BA"]
Clock = Literal["thread CPU time", "wall clock"]


@dataclass(frozen=True, slots=True, config=STRICT)
class PairSide:
    """One model of a pair.

    Attributes:
        model: its name.
        model_sha256: of its file.
        initialisation_ms: loading the model and allocating its tensors.
        warm_up_ms: wall times of the inferences before the steady state, in order.
        steady: whether warm-up reached a steady state before its limit.
        wall_ms: wall-clock times of the counted inferences, in order.
        cpu_ms: CPU times of the same inferences; empty where several threads share the work.
        delegate: what ran the graph, e.g. ``XNNPACK``.
    """

    model: str
    model_sha256: str
    initialisation_ms: float
    warm_up_ms: tuple[float, ...]
    steady: bool
    wall_ms: tuple[float, ...]
    cpu_ms: tuple[float, ...]
    delegate: str


@dataclass(frozen=True, slots=True, config=STRICT)
class PairMeasurement:
    """One fresh process that timed baseline and candidate in turns.

    Attributes:
        pair_index: counted from 0.
        order: which was loaded and warmed up first, ``AB`` the baseline.
        session: identifies the uninterrupted run of fer-opt that made it.
        started_at: ISO 8601, UTC.
        clock: whose times are the datum.
        threads: of each interpreter.
        cpus: the CPUs the process was pinned to; empty where pinning is not possible.
        baseline: what was found of it.
        candidate: what was found of it.
        peak_memory_bytes: high-water mark of the process, which held both; None where unknown.
        before: conditions before the process started.
        after: conditions after it ended.
    """

    pair_index: int
    order: PairOrder
    session: str
    started_at: str
    clock: Clock
    threads: int
    cpus: tuple[int, ...]
    baseline: PairSide
    candidate: PairSide
    peak_memory_bytes: int | None
    before: Conditions
    after: Conditions

    @property
    def baseline_ms(self) -> float:
        """Median of the baseline's counted inferences."""
        return self._median_ms(self.baseline)

    @property
    def candidate_ms(self) -> float:
        """Median of the candidate's counted inferences."""
        return self._median_ms(self.candidate)

    def _median_ms(self, side: PairSide) -> float:
        return statistics.median(side.wall_ms if self.clock == "wall clock" else side.cpu_ms)
