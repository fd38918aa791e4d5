"""Every pass of every photo as a CSV file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fer_opt.device.stage_timing import STAGES, PhotoPass, PipelineTimes
from fer_opt.reports.csv_tables import written
from fer_opt.reports.stages.photos import total_of
from fer_opt.reports.stages.summary import StagesSummary

__all__ = ["stages_csvs"]

Row = dict[str, Any]

COLUMNS = (
    "device", "kind", "pipeline", "model", "photo", "width", "height", "process_index",
    "pass_index", "phase", "order_index", "faces", "label", "confidence",
    *(f"{stage}_ms" for stage in STAGES), "total_ms", "total",
)  # fmt: skip


def stages_csvs(runs: Sequence[StagesSummary]) -> dict[str, str]:
    """``stages.csv``, one line a photo, pipeline and pass; no file without a pass.

    ``total`` says what ``total_ms`` is: of a clock of its own (``clock``), the stages' sum
    (``sum``), or the sum without a stage that was not run (``at least``). A stage that another one
    does, or that a photo did not reach, is empty, and so is every time of an emulated device.
    """
    rows = [row for run in runs for row in _rows(run)]
    return {"stages.csv": written(COLUMNS, rows)} if rows else {}


def _rows(summary: StagesSummary) -> Iterable[Row]:
    for pipeline in summary.run.pipelines:
        for one in pipeline.passes:
            width, height = summary.run.photos.pixels.get(one.photo, ("", ""))
            row: Row = {
                "device": summary.run.device.name,
                "kind": summary.kind,
                "pipeline": pipeline.name,
                "model": pipeline.model,
                "photo": one.photo,
                "width": width,
                "height": height,
                "process_index": one.process_index,
                "pass_index": one.pass_index,
                "phase": "warm" if one.pass_index else "cold",
                "order_index": one.order_index,
                "faces": one.faces,
                "label": one.label,
                "confidence": one.confidence,
            }
            if not summary.emulated:
                row |= {f"{stage}_ms": one.stages_ms.get(stage) for stage in STAGES}
                row |= {"total_ms": total_of(one), "total": _kind_of_total(pipeline, one)}
            yield row


def _kind_of_total(pipeline: PipelineTimes, one: PhotoPass) -> str:
    through = STAGES if one.faces == 1 else STAGES[:2]
    missing = [
        way for way in pipeline.ways
        if way.stage in through and not way.within and way.stage not in one.stages_ms
    ]  # fmt: skip
    if missing:
        return "at least"
    return "sum" if one.total_ms is None else "clock"
