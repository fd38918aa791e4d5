"""What a device hands back: one process's inference times, and what was true around them."""

from __future__ import annotations

import statistics
from dataclasses import field

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

__all__ = ["Conditions", "DeviceFacts", "InferenceSummary", "Measurement"]

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, config=STRICT)
class DeviceFacts:
    """Which machine timed the models, as far as it would say.

    Attributes:
        kind: ``host`` (this computer), ``phone``, ``virtual`` (a virtual phone: real processes on
            this computer, so a computer's times) or ``emulated`` (another processor's programs
            under an emulator: latency means nothing).
        name: what a person would call it, e.g. the CPU's model name.
        fingerprint: hash of the facts that must agree before two records may be compared.
        facts: everything read, by name (operating system, cores, memory, runtime version ...).
        unread: what could not be read, and why.
    """

    kind: str
    name: str
    fingerprint: str
    facts: dict[str, str]
    unread: dict[str, str]


@dataclass(frozen=True, slots=True, config=STRICT)
class Conditions:
    """The machine's state just before or just after a process; None where it cannot be read.

    Attributes:
        load_1m: load average over the last minute (runnable tasks).
        cpu_mhz: current clock of the CPUs used, their mean in MHz.
        temperature_c: hottest sensor in degrees Celsius.
        limit_mhz: the clock those CPUs may reach at the moment, the lowest of them in MHz; below
            the hardware's limit where heat or a power mode holds them back.
        battery_percent: charge of the battery.
        battery_c: the battery's temperature in degrees Celsius.
    """

    load_1m: float | None
    cpu_mhz: float | None
    temperature_c: float | None
    limit_mhz: float | None = None
    battery_percent: int | None = None
    battery_c: float | None = None


@dataclass(frozen=True, slots=True, config=STRICT)
class InferenceSummary:
    """What a runner tells of its counted inferences when it does not tell each one.

    ``benchmark_model`` prints whole microseconds, except for the mean (six digits).

    Attributes:
        count: counted inferences.
        mean_ms: their mean.
        min_ms: the fastest.
        max_ms: the slowest.
        sd_ms: their standard deviation, of the population (divided by ``count``).
        median_ms: their median; None where the build is too old to tell.
        p5_ms: 5th percentile; None likewise.
        p95_ms: 95th percentile; None likewise.
    """

    count: int
    mean_ms: float
    min_ms: float
    max_ms: float
    sd_ms: float
    median_ms: float | None
    p5_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True, config=STRICT)
class Measurement:
    """One fresh process that timed one model; its median is the datum.

    Attributes:
        model: the name under which the model was measured (a recipe's string, or a file name).
        model_sha256: of the .tflite file.
        order_index: place in the randomised order, counted from 0 over the whole session.
        round_index: which round of the order it belongs to.
        session: identifies the uninterrupted run of fer-opt that made it.
        started_at: ISO 8601, UTC.
        initialisation_ms: loading the model and allocating its tensors.
        warm_up_ms: times of the inferences before the steady state, in order; empty where the
            runner tells only their mean.
        inference_ms: times of the counted inferences, in order; empty where the runner tells only
            their summary.
        steady: whether warm-up reached a steady state before its limit.
        threads: of the interpreter.
        cpus: the CPUs the process was pinned to; empty where pinning is not possible.
        delegate: what ran the graph, e.g. ``XNNPACK``.
        peak_memory_bytes: high-water mark of the process's resident set; on a phone, by how much
            the model raised it. None where unknown.
        before: conditions before the process started.
        after: conditions after it ended.
        summary: of the counted inferences, where the runner tells no more.
        clock_s: seconds that the CPUs used spent at each clock (MHz, as text) while the process
            ran, summed over those CPUs; empty where it cannot be read.
        attempt: which try of its block this is, counted from 0; blocks are measured anew after
            throttling.
    """

    model: str
    model_sha256: str
    order_index: int
    round_index: int
    session: str
    started_at: str
    initialisation_ms: float
    warm_up_ms: tuple[float, ...]
    inference_ms: tuple[float, ...]
    steady: bool
    threads: int
    cpus: tuple[int, ...]
    delegate: str
    peak_memory_bytes: int | None
    before: Conditions
    after: Conditions
    summary: InferenceSummary | None = None
    clock_s: dict[str, float] = field(default_factory=dict)
    attempt: int = 0

    @property
    def datum_ms(self) -> float:
        """The process's one number: its median; the mean where an old runner tells no median.

        Raises:
            ValueError: it holds no times at all.
        """
        if self.inference_ms:
            return statistics.median(self.inference_ms)
        if self.summary is None:
            raise ValueError(f"{self.model}, round {self.round_index}: no times")
        median_ms = self.summary.median_ms
        return self.summary.mean_ms if median_ms is None else median_ms
