"""What every device can do: name its facts, and time one model in one fresh process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.errors import MeasurementError

__all__ = ["Device", "TimingJob", "TimingSettings"]


@dataclass(frozen=True, slots=True)
class TimingJob:
    """One model to be timed.

    Attributes:
        model: the name its measurements carry (a recipe's string, or a file name).
        path: of the .tflite file.
        sha256: the file must have; a file that changed since is refused, not timed.
        inputs: .npy file of shape (n, height, width, channels): float32 in the range the float
            model expects (integer models quantize it themselves), or uint8, as which they are fed
            to a model that takes pixels; None feeds random values.
    """

    model: str
    path: Path
    sha256: str
    inputs: Path | None = None


@dataclass(frozen=True, slots=True)
class TimingSettings:
    """How a process times its model; the same for every model of a session.

    Warm-up ends when the medians of its last two runs of ``warm_up_window`` inferences differ by
    at most ``warm_up_tolerance`` of the earlier one, and is given up (the measurement then says
    ``steady=False``) at ``warm_up_max_runs`` inferences or ``warm_up_max_ms``, whichever comes
    first, though never before two windows are full.

    Attributes:
        runs: counted inferences in each process.
        threads: of the interpreter.
        cpus: to pin to; empty means as many as threads, chosen by the device and recorded.
        warm_up_window: inferences in a window; a median of 3 survives one outlier.
        warm_up_tolerance: relative difference that counts as steady.
        warm_up_max_runs: limit of the warm-up in inferences.
        warm_up_max_ms: limit of the warm-up in milliseconds.
        random_low: smallest random input value, where a job brings no inputs.
        random_high: largest random input value.
        random_seed: of the random inputs.
        timeout_s: after which a process is stopped and its measurement failed.

    Raises:
        MeasurementError: a setting that nothing can be timed with.
    """

    runs: int = 10
    threads: int = 1
    cpus: tuple[int, ...] = ()
    warm_up_window: int = 3
    warm_up_tolerance: float = 0.05
    warm_up_max_runs: int = 50
    warm_up_max_ms: float = 5000.0
    random_low: float = 0.0
    random_high: float = 1.0
    random_seed: int = 0
    timeout_s: float = 600.0

    def __post_init__(self) -> None:
        for name, least in (("runs", 1), ("threads", 1), ("warm_up_window", 1), ("random_seed", 0)):
            if getattr(self, name) < least:
                raise MeasurementError(
                    f"{name} = {getattr(self, name)} cannot be timed with; give {least} or more."
                )
        if self.warm_up_max_runs < 2 * self.warm_up_window:
            raise MeasurementError(
                f"a warm-up of at most {self.warm_up_max_runs} inferences never fills two windows "
                f"of {self.warm_up_window}; give {2 * self.warm_up_window} or more."
            )
        for name in ("warm_up_tolerance", "warm_up_max_ms", "timeout_s"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise MeasurementError(f"{name} = {value:g} is not a positive number.")
        # An infinite bound, or their difference overflowing, would make every input inf or NaN.
        if not (
            self.random_low < self.random_high and math.isfinite(self.random_high - self.random_low)
        ):
            raise MeasurementError(
                f"random inputs from {self.random_low:g} to {self.random_high:g} are no range; "
                "give the smaller bound first."
            )
        if any(cpu < 0 for cpu in self.cpus) or len(set(self.cpus)) != len(self.cpus):
            raise MeasurementError(
                f"the CPUs {', '.join(map(str, self.cpus))} are not distinct numbers from 0."
            )
        if self.cpus and len(self.cpus) < self.threads:
            raise MeasurementError(
                f"{self.threads} threads on {len(self.cpus)} CPU(s) would wait for each other; "
                "name as many CPUs as threads, or none."
            )

    @property
    def random_inputs(self) -> str:
        """What is fed to a job without inputs, in words for the record."""
        return (
            f"uniform random values from {self.random_low:g} to {self.random_high:g}, "
            f"seed {self.random_seed}"
        )


@runtime_checkable
class Device(Protocol):
    """Anything that can time a model: this computer, a phone, a virtual phone; one record."""

    def facts(self) -> DeviceFacts:
        """Which machine this is, as far as it will say.

        Raises:
            MeasurementError: the device cannot be reached.
        """
        ...

    def measure(
        self, job: TimingJob, *, order_index: int, round_index: int, session: str
    ) -> Measurement:
        """Time ``job`` in a fresh process, alone.

        Args:
            job: the model.
            order_index: place in the plan, counted from 0.
            round_index: round of the plan, counted from 0; also says which inputs come first.
            session: identifies the uninterrupted run of fer-opt.

        Raises:
            MeasurementError: the model was not timed; never half a measurement.
        """
        ...
