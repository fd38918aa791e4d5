"""A run's smaller tables: its cold passes, its slowest photos, and whether pipelines agree."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from fer_opt.device.stage_timing import PipelineAgreement
from fer_opt.reports.formats import count, milliseconds, percent, significant, times
from fer_opt.reports.stages.figures import Figures, PhaseSummary
from fer_opt.reports.stages.summary import PipelineSummary, StagesSummary
from fer_opt.reports.stages.table_8 import (
    NOTHING,
    Row,
    named_totals,
    pipeline_heading,
    quietly,
    verdict_cell,
)
from fer_opt.reports.stages.tail import TailPhoto, tail_of
from fer_opt.reports.stages.words import STAGE_TITLES, STAGE_WORDS, megapixels, spread
from fer_opt.reports.tables import Cell, Column, Table

__all__ = ["agreement_table", "cold_table", "slowest_table"]


def cold_table(summary: StagesSummary) -> Table | None:
    """The first pass of fresh processes, and what they take to start; None without one apart."""
    shown = [(one, one.cold) for one in summary.timed if one.cold is not None and one.warm]
    if not shown:
        return None
    columns = (
        Column("Stage"),
        Column("Cold: mean ± sd", True),
        Column("Median", True),
        Column("95th percentile", True),
        Column("Slowest", True),
        Column("Median, cold / warm", True),
        Column(f"95 % within {significant(summary.target_ms)}\u00a0ms?"),
    )
    groups = tuple(
        (pipeline_heading(one), _cold_rows(one, cold, summary.judged)) for one, cold in shown
    )
    notes = (
        "Cold: the first time a fresh process sees a photo. The times above are warm ones.",
        "To start: loading the detector and the classifier, once for each process, not part of a "
        "photo’s total.",
    )
    return Table(f"stages-{summary.number}-cold", "The first pass, cold", columns, groups, notes)


def _cold_rows(one: PipelineSummary, cold: PhaseSummary, judged: bool) -> tuple[Row, ...]:
    warm = one.warm
    assert warm is not None
    rows = [
        _cold_row(
            STAGE_TITLES[row.way.stage],
            row.figures,
            beside.figures,
            quietly(verdict_cell(row.figures.verdict, judged)),
        )
        for row, beside in zip(cold.stages, warm.stages, strict=True)
        if row.figures is not None and not row.apart
    ]
    beside_totals = named_totals(warm)
    for name, total in named_totals(cold).items():
        verdict = verdict_cell(total.verdict, judged)
        rows.append(_cold_row(name, total, beside_totals.get(name), verdict))
    start = one.pipeline.start_ms
    if start:
        told = f"{len(start):,} process{'es' if len(start) != 1 else ''}"
        rows.append(
            (Cell("To start", told), NOTHING, Cell(milliseconds(statistics.median(start))), NOTHING,
             Cell(milliseconds(max(start))), NOTHING, NOTHING)
        )  # fmt: skip
    return tuple(rows)


def _cold_row(name: str, cold: Figures, warm: Figures | None, verdict: Cell) -> Row:
    ratio = times(cold.median_ms / warm.median_ms) if warm and warm.median_ms else "–"
    return (
        Cell(name),
        Cell(spread(cold.mean_ms, cold.sd_ms), f"{cold.photos:,} photos"),
        Cell(milliseconds(cold.median_ms)),
        Cell(milliseconds(cold.p95_ms), f"90th: {milliseconds(cold.p90_ms)}"),
        Cell(milliseconds(cold.max_ms)),
        Cell(ratio),
        verdict,
    )


def slowest_table(summary: StagesSummary, most: int = 10) -> Table | None:
    """The photos beyond the 90th percentile of each pipeline; None without any."""
    groups = []
    for one in summary.timed:
        found = tail_of(one.main).slowest
        if found:
            cut = f", the {most} slowest of {len(found):,}" if len(found) > most else ""
            groups.append((f"{pipeline_heading(one)}{cut}", tuple(map(_slow_row, found[:most]))))
    if not groups:
        return None
    columns = (
        Column("Photo"),
        Column("Size", True),
        Column("Faces", True),
        Column("Total", True),
        Column("Total / median", True),
        Column("Exceeds most in"),
        Column("Slow in processes", True),
    )
    notes = (
        "Photos beyond the 90th percentile of all totals. Slow in processes: in how many of the "
        "processes the photo took longer than that; where it is all of them, it is the photo, "
        "not the machine’s mood.",
    )
    return Table(
        f"stages-{summary.number}-slowest", "The slowest photos", columns, tuple(groups), notes
    )


def _slow_row(one: TailPhoto) -> Row:
    photo = one.times
    size = f"{photo.pixels[0]:,}\u00a0×\u00a0{photo.pixels[1]:,}" if photo.pixels else "–"
    stage = STAGE_WORDS[one.stage] if one.stage else "no stage"
    more = f"+{milliseconds(one.excess_ms)} against its median" if one.stage else ""
    return (
        Cell(photo.photo),
        Cell(size, megapixels(photo.megapixels)),
        Cell(count(photo.faces)),
        Cell(milliseconds(photo.total_ms)),
        Cell(times(one.ratio)),
        Cell(stage, more),
        Cell(f"{one.again:,} of {one.processes:,}"),
    )


def agreement_table(
    summary: StagesSummary, agreements: Sequence[PipelineAgreement]
) -> Table | None:
    """Whether faster ways find the same faces and say the same; None where nobody compared."""
    if not agreements:
        return None
    titles = {one.name: one.title for one in summary.pipelines}
    columns = (
        Column("Compared"),
        Column("Same faces", True),
        Column("Overlap of faces (IoU)", True),
        Column("Same label", True),
        Column("Largest difference", True),
    )
    body = tuple(
        (
            Cell(
                f"{titles.get(one.candidate, one.candidate)} with "
                f"{titles.get(one.reference, one.reference)}"
            ),
            _of(one.same_faces, one.photos, "photos"),
            _overlap(one),
            _of(one.same_label, one.one_face, "one-face photos"),
            Cell("–" if one.largest_difference is None else f"{one.largest_difference:.2g}"),
        )
        for one in agreements
    )
    notes = (
        "Same faces: as many, each overlapping its match by half or more (intersection over "
        "union, IoU). Same label: of photos in which both find exactly one face. Largest "
        "difference: of any label’s probability on those.",
    )
    return Table(
        f"stages-{summary.number}-agreement",
        "Do they find the same?",
        columns,
        (("", body),),
        notes,
    )


def _of(right: int, whole: int, what: str) -> Cell:
    if not whole:
        return Cell(f"no {what}", tone="muted")
    share = percent(right / whole, 0 if right == whole else 1)
    return Cell(share, f"{right:,} of {whole:,} {what}", "" if right == whole else "warn")


def _overlap(one: PipelineAgreement) -> Cell:
    if one.median_iou is None:
        return NOTHING
    least = "" if one.least_iou is None else f"least {one.least_iou:.2f}"
    return Cell(f"{one.median_iou:.2f}", f"median; {least}" if least else "median")
