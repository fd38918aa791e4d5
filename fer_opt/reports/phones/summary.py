"""A run on a phone seen the way a reader asks: per model how long it takes, and whether to believe.

What an emulator timed is dropped here, so that no rendering can show it by mistake.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fer_opt.device.measurement import Measurement
from fer_opt.device.phone.results import (
    ModelFailure,
    OperatorTime,
    OutputComparison,
    PhoneRun,
    TimedModel,
)
from fer_opt.errors import MeasurementError
from fer_opt.reports.names import short_names
from fer_opt.reports.statistics import (
    LatencySummary,
    PairedRatio,
    paired_ratios,
    summarise_latency,
)
from fer_opt.reports.summary import Budget, budget_of

__all__ = ["PhoneModel", "PhoneSummary", "summarise_phone", "summarise_phones"]


@dataclass(frozen=True, slots=True)
class PhoneModel:
    """Everything one phone told of one model.

    Attributes:
        model: the file.
        short: what charts and sentences call it: its name, or a number if that is long.
        latency: None while not timed, and where an emulator timed it.
        ratio: its time over the reference's; None for the reference itself or without pairs.
        budget: where the interval of its time lies against the target; ``untimed`` also where the
            time is not a phone's.
        measurements: its processes, in the order they ran; none of an emulator's.
        operators: its profile, the slowest first; none of an emulator's.
        outputs: compared with this computer's; None where they were not.
        failure: why it could not be timed; None where it could.
    """

    model: TimedModel
    short: str
    latency: LatencySummary | None
    ratio: PairedRatio | None
    budget: Budget
    measurements: tuple[Measurement, ...]
    operators: tuple[OperatorTime, ...]
    outputs: OutputComparison | None
    failure: ModelFailure | None

    @property
    def recipe(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def key(self) -> str:
        """Its short name where that is not its name, else empty."""
        return "" if self.short == self.recipe else self.short

    @property
    def flagged(self) -> bool:
        """Nothing flags a model on a phone; its failure has a place of its own."""
        return False


@dataclass(frozen=True, slots=True)
class PhoneSummary:
    """One phone's run, joined by model.

    Attributes:
        run: it.
        number: of the phone in its record, counted from 1.
        target_ms: the budget for one image.
        rows: its models, in the order they were named.
        reference: name of the model the others are compared with; empty where there is none.
        problem: why its times cannot be summarised, a sentence; empty where they can.
    """

    run: PhoneRun
    number: int
    target_ms: float
    rows: tuple[PhoneModel, ...]
    reference: str
    problem: str

    @property
    def kind(self) -> str:
        """``phone``, ``virtual`` or ``emulated``."""
        return self.run.device.kind

    @property
    def real(self) -> bool:
        """Whether its times are a phone's."""
        return self.kind == "phone"

    @property
    def emulated(self) -> bool:
        """Whether its times mean nothing at all."""
        return self.kind == "emulated"

    @property
    def timed(self) -> tuple[PhoneModel, ...]:
        """The models that have times, the fastest first."""
        found = [(row.latency.median_ms, row) for row in self.rows if row.latency is not None]
        return tuple(row for _, row in sorted(found, key=lambda pair: pair[0]))

    @property
    def short_reference(self) -> str:
        """The reference's short name; empty where there is none."""
        return next((row.short for row in self.rows if row.recipe == self.reference), "")


def summarise_phones(runs: Iterable[PhoneRun], target_ms: float) -> tuple[PhoneSummary, ...]:
    """Summarise each phone's run, see :func:`summarise_phone`."""
    return tuple(summarise_phone(run, target_ms, index + 1) for index, run in enumerate(runs))


def summarise_phone(run: PhoneRun, target_ms: float, number: int = 1) -> PhoneSummary:
    """Join a run's parts by model.

    The reference is the model named ``float32``, else the first. Where measurements of one model
    are unlike and cannot be pooled, no time is given, and ``problem`` says why: one phone's trouble
    must not cost the report of all else.
    """
    hidden, problem = run.device.kind == "emulated", ""
    made = () if hidden else run.measurements
    try:
        latencies = {latency.model: latency for latency in summarise_latency(made)}
    except MeasurementError as exc:
        made, latencies, problem = (), {}, str(exc)
    names = [model.name for model in run.models]
    reference = "float32" if "float32" in names else next(iter(names), "")
    ratios = (
        {ratio.model: ratio for ratio in paired_ratios(made, reference)}
        if reference in latencies
        else {}
    )
    outputs = {one.model: one for one in run.outputs}
    failures = {one.model: one for one in run.failures}
    short = short_names(names)

    def joined(model: TimedModel) -> PhoneModel:
        latency = latencies.get(model.name)
        profile = () if hidden else (one for one in run.operators if one.model == model.name)
        return PhoneModel(
            model=model,
            short=short[model.name],
            latency=latency,
            ratio=ratios.get(model.name),
            budget=budget_of(latency, target_ms) if run.device.kind == "phone" else "untimed",
            measurements=tuple(one for one in made if one.model == model.name),
            operators=tuple(sorted(profile, key=lambda one: -one.mean_ms)),
            outputs=outputs.get(model.name),
            failure=failures.get(model.name),
        )

    rows = tuple(joined(model) for model in run.models)
    return PhoneSummary(run, number, target_ms, rows, reference, problem)
