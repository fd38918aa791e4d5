"""What a device hands back: one process's inference times, and what was true around them."""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

__all__ = ["Conditions", "DeviceFacts", "Measurement"]

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, config=STRICT)
class DeviceFacts:
    """Which machine timed the models, as far as it would say.

    Attributes:
        kind: ``host`` (this computer), ``phone`` or ``virtual`` (emulated; latency means nothing).
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
    """

    load_1m: float | None
    cpu_mhz: float | None
    temperature_c: float | None


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
        warm_up_ms: times of the inferences before the steady state, in order.
        inference_ms: times of the counted inferences, in order.
        steady: whether warm-up reached a steady state before its limit.
        threads: of the interpreter.
        cpus: the CPUs the process was pinned to; empty where pinning is not possible.
        delegate: what ran the graph, e.g. ``XNNPACK``.
        peak_memory_bytes: high-water mark of the process's resident set; None where unknown.
        before: conditions before the process started.
        after: conditions after it ended.
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
