"""Table 8 of a run, beside the thesis's."""

from __future__ import annotations

from dataclasses import replace

from fer_opt.device.stage_timing import StageWay
from fer_opt.reports.formats import milliseconds, significant, times
from fer_opt.reports.names import listed
from fer_opt.reports.published import published_table
from fer_opt.reports.stages.figures import Figures, PhaseSummary, StageRow
from fer_opt.reports.stages.summary import PipelineSummary, StagesSummary
from fer_opt.reports.stages.verdict import Verdict
from fer_opt.reports.stages.words import (
    STAGE_TITLES,
    STAGE_WORDS,
    published_stages,
    share_of,
    spread,
)
from fer_opt.reports.tables import Cell, Column, Table

__all__ = [
    "NOTHING",
    "Row",
    "named_totals",
    "pipeline_heading",
    "quietly",
    "table_8",
    "verdict_cell",
]

Row = tuple[Cell, ...]
NOTHING = Cell("–", tone="muted")
APART = "timed apart"

TOTAL = "Total, photo with one face"
TOTAL_ANY = "Total, any photo"


def table_8(summary: StagesSummary) -> Table | None:
    """Each stage beside the thesis's; None without times."""
    if not summary.timed:
        return None
    target = f"{significant(summary.target_ms)}\u00a0ms"
    columns = (
        Column("Stage"),
        Column("Thesis: mean ± sd", True),
        Column("Here: mean ± sd", True),
        Column("Here / thesis", True),
        Column(f"Share of {target}", True),
        Column("Median", True),
        Column("95th percentile", True),
        Column("Slowest", True),
        Column(f"95 % within {target}?"),
    )
    groups = tuple((pipeline_heading(one), _rows(summary, one.main)) for one in summary.timed)
    return Table(
        f"stages-{summary.number}-table-8",
        f"Like the thesis’s {published_table(8).where}: time of each stage",
        columns,
        groups,
        _notes(summary),
    )


def pipeline_heading(one: PipelineSummary) -> str:
    """What stands over a pipeline's rows: its way, its model, and where only cold passes are."""
    cold = "" if one.warm else ", first pass of each process (cold)"
    return f"{one.heading}, {one.pipeline.model}{cold}"


def _rows(summary: StagesSummary, phase: PhaseSummary) -> tuple[Row, ...]:
    published = published_stages()
    rows = [_stage_row(summary, row, published[row.way.stage]) for row in phase.stages]
    lacks = listed([STAGE_WORDS[stage] for stage in phase.lacks]) if phase.lacks else ""
    for name, figures in named_totals(phase).items():
        printed = published["total"] if name == TOTAL else None
        rows.append(_total_row(summary, name, figures, printed, lacks))
    return tuple(rows)


def named_totals(phase: PhaseSummary) -> dict[str, Figures]:
    """The totals worth a row: of photos with one face, and of any where there are others."""
    found = {} if phase.one_face is None else {TOTAL: phase.one_face}
    if phase.any_photo.photos > phase.total.photos or phase.one_face is None:
        found[TOTAL_ANY] = phase.any_photo
    return found


def _stage_row(summary: StagesSummary, row: StageRow, printed: tuple[float, float]) -> Row:
    way, figures = row.way, row.figures
    name = Cell(STAGE_TITLES[way.stage], _how(way))
    thesis = _thesis_cell(printed)
    if figures is None:
        return (name, thesis, _untimed(way), *(NOTHING,) * 6)
    here, ratio, share, *rest, verdict = _figure_cells(summary, figures, printed)
    if row.apart:
        here, rest = Cell(here.text, APART), [NOTHING] * len(rest)
        verdict = Cell("not by photo", tone="muted")
    return (name, thesis, here, ratio, share, *rest, quietly(verdict))


def quietly(verdict: Cell) -> Cell:
    """A stage's open verdict, said quietly: the total's is the one that counts."""
    return replace(verdict, tone="muted") if verdict.tone == "warn" else verdict


def _how(way: StageWay) -> str:
    if way.not_run:
        return way.not_run
    return f"{way.way}; {way.runner}" if way.runner else way.way


def _untimed(way: StageWay) -> Cell:
    if way.within:
        return Cell(f"in {STAGE_WORDS.get(way.within, way.within)}", tone="muted")
    return Cell("not run" if way.not_run else "no photo got here", tone="muted")


def _total_row(
    summary: StagesSummary,
    name: str,
    figures: Figures,
    printed: tuple[float, float] | None,
    lacks: str,
) -> Row:
    thesis = NOTHING if printed is None else _thesis_cell(printed)
    least = f"at least, without {lacks}" if figures.verdict.at_least else ""
    return (Cell(name, least), thesis, *_figure_cells(summary, figures, printed))


def _thesis_cell(printed: tuple[float, float]) -> Cell:
    mean_ms, sd_ms = printed
    return Cell(f"{mean_ms:,}\u00a0±\u00a0{sd_ms:,}\u00a0ms")


def _figure_cells(
    summary: StagesSummary, figures: Figures, printed: tuple[float, float] | None
) -> Row:
    photos = f"{figures.photos:,} photo{'s' if figures.photos != 1 else ''}"
    least = "≥\u00a0" if figures.verdict.at_least else ""
    ratio = Cell(least + _ratio(figures.mean_ms / printed[0])) if printed else NOTHING
    return (
        Cell(f"{least}{spread(figures.mean_ms, figures.sd_ms)}", photos),
        ratio,
        Cell(least + share_of(figures.mean_ms, summary.target_ms)),
        Cell(least + milliseconds(figures.median_ms)),
        Cell(least + milliseconds(figures.p95_ms), f"90th: {milliseconds(figures.p90_ms)}"),
        Cell(least + milliseconds(figures.max_ms)),
        verdict_cell(figures.verdict, summary.judged),
    )


def _ratio(ratio: float) -> str:
    """As a multiple; far below 1 as a fraction, which is easier to read than its zeros."""
    return f"1/{significant(1 / ratio)}" if 0 < ratio < 0.1 else times(ratio)


def verdict_cell(verdict: Verdict, judged: bool) -> Cell:
    """Pass, fail, or what an answer lacks; no verdict on times of another machine."""
    if not judged:
        return Cell("not judged", "a computer’s time", "muted")
    over = f"{verdict.over:,} of {verdict.photos:,} longer"
    if verdict.outcome == "pass":
        return Cell("✓ pass", over, "good")
    if verdict.outcome == "fail":
        return Cell("✗ fail", over, "bad")
    return Cell(*_open_words(verdict), tone="warn")


def _open_words(verdict: Verdict) -> tuple[str, str]:
    """An open verdict in words: what stands against an answer, and what would give one."""
    over = f"{verdict.over:,} of {verdict.photos:,} longer"
    if verdict.at_least:
        return "cannot pass", f"{over}, a stage is missing"
    if verdict.over > 0.05 * verdict.photos:
        return "not enough photos to say", f"{over}; {verdict.fails_at:,} would fail"
    return "not enough photos to say", f"{over}; {verdict.needed:,} needed"


def _notes(summary: StagesSummary) -> tuple[str, ...]:
    target = f"{significant(summary.target_ms)}\u00a0ms"
    note = published_table(8).notes[-1]
    notes = [
        "The thesis’s column is of its Galaxy J3 in 2018, the others of the device named above: "
        "side by side for orientation, no race between devices.",
        "Of one photo, each process counts by the median of its passes and the photo by the median "
        "of its processes; mean, standard deviation and percentiles are over photos. A stage "
        "counts over the photos that went through it: bitmap and detection over all, the others "
        f"over those with one face. In the thesis’s column, {note[0].lower()}{note[1:]}",
    ]
    apart = {stage: None for one in summary.timed for stage in one.main.apart}
    if apart:
        notes.append(
            f"Timed apart from the photos: {listed([STAGE_WORDS[stage] for stage in apart])}. "
            "benchmark_model gave each process one time of it, which every photo of that process "
            "is given; how it varies from photo to photo is not in the totals."
        )
    if summary.judged:
        notes.append(
            f"Pass: with 95 % confidence, 95 % of photos like these take at most {target}. Fail: "
            "with 95 % confidence, fewer do. The bounds are order statistics (Hahn and Meeker, "
            "Statistical Intervals, 1991, section 5.2) and assume no shape; they need 59 photos to "
            "pass, more if some of them take longer. Few photos can fail but not pass."
        )
    return tuple(notes)
