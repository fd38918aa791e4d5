"""Every model of a gate with its times, as formats of benchmarks want them."""

from __future__ import annotations

from dataclasses import dataclass

from fer_opt.device.measurement import Measurement
from fer_opt.device.phone.results import TimedModel
from fer_opt.reports.gate.decision import Verdict
from fer_opt.reports.gate.measured import baseline_processes, candidate_processes
from fer_opt.reports.gate.record import GateRecord
from fer_opt.reports.gate.story import mark_of
from fer_opt.reports.statistics import LatencySummary, summarise_latency

__all__ = ["TimedOutput", "timed_outputs"]


@dataclass(frozen=True, slots=True)
class TimedOutput:
    """One model.

    Attributes:
        model: its file.
        title: its name, and what it says where the times are no phone's.
        candidate: whether it is one.
        processes: that timed it, by the wall clock.
        summary: of them; the datum is a process's median.
        verdict: of a candidate, where there is one.
    """

    model: TimedModel
    title: str
    candidate: bool
    processes: tuple[Measurement, ...]
    summary: LatencySummary
    verdict: Verdict | None


def timed_outputs(record: GateRecord) -> tuple[TimedOutput, ...]:
    """Every model that was timed: each candidate, and the baseline as it ran beside the first.

    Times that are not valid are left out: they would bend a trend.
    """
    found: list[TimedOutput | None] = []
    sound = [one for one in record.comparisons if not one.invalid]
    for place, one in enumerate(sound):
        if record.baseline is not None and place == 0:
            found.append(_output(record, record.baseline, baseline_processes(one), None, False))
        processes = candidate_processes(one)
        found.append(_output(record, one.candidate, processes, one.verdict, True))
    return tuple(one for one in found if one is not None)


def _output(
    record: GateRecord,
    model: TimedModel,
    processes: tuple[Measurement, ...],
    verdict: Verdict | None,
    candidate: bool,
) -> TimedOutput | None:
    if not processes:
        return None
    mark = mark_of(record.device)
    title = f"{model.name} ({mark})" if mark else model.name
    (summary,) = summarise_latency(processes)
    return TimedOutput(model, title, candidate, processes, summary, verdict)
