"""Tables of the five stages, each pipeline a column, and what they promise."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable

from fer_opt.device.stage_timing import STAGES, PhotoPass, PipelineTimes, StagesRun
from fer_opt.reports.statistics import MedianInterval, median_interval

TIMES_FASTER, SAME_LABELS = 10.0, 0.95
"""The promise: least median ratio of the total per photo, least share of one-face photos."""

Value = Callable[[PhotoPass], float | None]


def stages_tables(run: StagesRun) -> str:
    """Time of each stage, how much faster each pipeline is, and whether it says the same."""
    return "\n\n".join((_facts(run), _stage_table(run), _ratio_table(run), *_differences(run)))


def broken_promises(run: StagesRun) -> list[str]:
    """A sentence for each promise that the last pipeline breaks against the first."""
    reference, candidate = run.pipelines[0], run.pipelines[-1]
    ratio = times_faster(reference, candidate).median
    same, photos = same_labels(run, candidate.name)
    told = {
        f"{candidate.name} is {ratio:.1f} times faster": ratio < TIMES_FASTER,
        f"{candidate.name} gives the same label to {same} of {photos} photos with one face": (
            not photos or same / photos < SAME_LABELS
        ),
    }
    return [sentence for sentence, is_broken in told.items() if is_broken]


def times_faster(reference: PipelineTimes, candidate: PipelineTimes) -> MedianInterval:
    """How many times faster, of the median photo; one datum per pair of adjacent processes.

    A photo's time in a process is the median of its warm passes, its ratio the reference's over
    the candidate's, and the datum the median ratio over photos.
    """
    theirs, ours = (_process_medians(one, _total) for one in (reference, candidate))
    data = [
        statistics.median(theirs[process][photo] / time for photo, time in photos.items())
        for process, photos in ours.items()
    ]
    return median_interval(data)


def same_labels(run: StagesRun, candidate: str) -> tuple[int, int]:
    """Photos given the same label, and those in which the reference finds one face."""
    agreement = next(one for one in run.agreements if one.candidate == candidate)
    one_face = {one.photo for one in run.pipelines[0].passes if one.faces == 1}
    return agreement.same_label, len(one_face)


def _facts(run: StagesRun) -> str:
    reference = run.pipelines[0]
    processes = len(reference.start_ms)
    passes = 1 + max(one.pass_index for one in reference.passes)
    return (
        f"{run.photos.count} photos ({run.photos.source}) on {run.device.name}, a computer: "
        f"{processes} processes for each pipeline, {passes - 1} warm passes in each, "
        f"{run.threads} thread{'s' if run.threads > 1 else ''}. Milliseconds, warm: the median "
        "photo's (its median over passes and processes), and the 95th percentile over photos."
    )


def _stage_table(run: StagesRun) -> str:
    lines = [
        "| stage | " + " | ".join(f"{one.name} | ms | p95" for one in run.pipelines) + " |",
        "|---|" + "---|---|---|" * len(run.pipelines),
    ]
    for place, stage in enumerate(STAGES):
        cells = []
        for one in run.pipelines:
            way = one.ways[place]
            within = f"in {way.within}"
            median, high = (within, "") if way.within else _spread(one, _stage(stage))
            cells.append(f"{way.way} | {median} | {high}")
        lines.append(f"| {stage} | " + " | ".join(cells) + " |")
    totals = (" | ".join(("", *_spread(one, _total))) for one in run.pipelines)
    lines.append("| **total** | " + " | ".join(totals) + " |")
    cold = (" | ".join(("", *_spread(one, _total, cold=True))) for one in run.pipelines)
    lines.append("| total, cold | " + " | ".join(cold) + " |")
    starts = (f" | {statistics.median(one.start_ms):.3g} | " for one in run.pipelines)
    lines.append("| loading detector and classifier | " + " | ".join(starts) + " |")
    return "\n".join(lines)


def _ratio_table(run: StagesRun) -> str:
    reference = run.pipelines[0]
    lines = [
        f"| against {reference.name} | times faster (median photo) | same faces | least overlap | "
        "same label | largest difference of a probability |",
        "|---|---|---|---|---|---|",
    ]
    for one, agreement in zip(run.pipelines[1:], run.agreements, strict=True):
        ratio = times_faster(reference, one)
        same, photos = same_labels(run, one.name)
        lines.append(
            f"| {one.name} | {ratio.median:.1f} ({ratio.low:.1f} to {ratio.high:.1f}, "
            f"{ratio.confidence:.0%}) | {agreement.same_faces} of {agreement.photos} | "
            f"{_shown(agreement.least_iou)} | {same} of {photos} | "
            f"{_shown(agreement.largest_difference)} |"
        )
    return "\n".join(lines)


def _differences(run: StagesRun) -> list[str]:
    told = [f"- {sentence}" for one in run.agreements for sentence in one.differences]
    return ["Photos on which they differ:\n\n" + "\n".join(told)] if told else []


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _stage(name: str) -> Value:
    return lambda one: one.stages_ms.get(name)


def _total(one: PhotoPass) -> float | None:
    return one.total_ms


def _spread(times: PipelineTimes, value: Value, *, cold: bool = False) -> tuple[str, str]:
    """Median and 95th percentile over photos of each photo's median."""
    by_photo = _medians((one.photo, value(one)) for one in _passes(times, cold=cold))
    if not by_photo:
        return "", ""
    values = sorted(by_photo.values())
    high = values[0] if len(values) == 1 else statistics.quantiles(values, n=20)[-1]
    return f"{statistics.median(values):.3g}", f"{min(high, values[-1]):.3g}"


def _process_medians(times: PipelineTimes, value: Value) -> dict[int, dict[str, float]]:
    processes = sorted({one.process_index for one in times.passes})
    return {
        process: _medians(
            (one.photo, value(one))
            for one in _passes(times, cold=False)
            if one.process_index == process
        )
        for process in processes
    }


def _passes(times: PipelineTimes, *, cold: bool) -> Iterable[PhotoPass]:
    return (one for one in times.passes if (one.pass_index == 0) == cold)


def _medians(pairs: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    by_name: dict[str, list[float]] = {}
    for name, value in pairs:
        if value is not None:
            by_name.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in by_name.items()}
