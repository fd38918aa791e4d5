"""The tables of benchmarks/stages.py; broken promises are named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.stage_timing import (
    PhotoPass,
    PhotoSet,
    PipelineAgreement,
    PipelineTimes,
    StagesRun,
    StageWay,
)

SEPARATE = (("bitmap", ""), ("detect", ""), ("resize", ""), ("grey", ""), ("classify", ""))
FUSED = (*SEPARATE[:2], ("resize", "classify"), ("grey", "classify"), SEPARATE[4])


@pytest.fixture(scope="module")
def tables() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
        import stages_tables

        yield stages_tables
    sys.modules.pop("stages_tables", None)


def passes(scale: float, stages: tuple[str, ...]) -> tuple[PhotoPass, ...]:
    made = []
    for process in range(6):
        for turn in range(3):
            for place, photo in enumerate(("a.jpg", "b.jpg", "none.jpg")):
                through = stages if photo != "none.jpg" else stages[:2]
                # A cold pass takes ten times as long, so that none may leak into warm figures.
                time = scale * (1 + place) * (10 if turn == 0 else 1) * (1 + process / 100)
                made.append(
                    PhotoPass(
                        photo, process, turn, place, dict.fromkeys(through, time),
                        time * len(through), int(photo != "none.jpg"),
                    )
                )  # fmt: skip
    return tuple(made)


def run_of(*, slower: float, same_label: int = 2) -> StagesRun:
    def times(name: str, scale: float, ways: tuple[tuple[str, str], ...]) -> PipelineTimes:
        own = tuple(stage for stage, within in ways if not within)
        return PipelineTimes(
            name,
            tuple(StageWay(stage, f"{name} {stage}", "Python", within) for stage, within in ways),
            passes(scale, own),
            name,
            "0" * 64,
            (5.0,) * 6,
        )

    return StagesRun(
        DeviceFacts("host", "a computer's CPU", "f", {}, {}),
        PhotoSet("three photos", 3, "f"),
        (times("thesis", slower, SEPARATE), times("faster", 1.0, FUSED)),
        (
            PipelineAgreement(
                "thesis", "faster", 3, 3, 0.8, 0.9, 2, same_label, 0.125, ("b.jpg: differs.",)
            ),
        ),
    )


def test_each_pipeline_has_its_column_of_warm_times(tables: ModuleType) -> None:
    lines = tables.stages_tables(run_of(slower=20.0)).splitlines()
    rows = {line.split(" | ")[0].strip("| "): line for line in lines if line.startswith("| ")}
    # Warm, the median of photos 20, 40 and 60 times 1.025, the middle of six processes.
    assert "| thesis bitmap | 41 |" in rows["bitmap"]
    assert "| faster bitmap | 2.05 |" in rows["bitmap"]
    assert "| faster resize | in classify |" in rows["resize"]
    assert "| 123 |" in rows["**total**"]
    assert "| 1.23e+03 |" in rows["total, cold"]
    assert "| 5 |" in rows["loading detector and classifier"]
    assert any("a computer's CPU, a computer" in line for line in lines)
    assert "- b.jpg: differs." in lines


def test_the_ratio_is_of_the_median_photo_over_pairs_of_processes(tables: ModuleType) -> None:
    run = run_of(slower=20.0)
    found = tables.times_faster(*run.pipelines)
    # Five stages against three on photos with a face, two against two on the third.
    assert found.median == pytest.approx(20 * 5 / 3)
    assert found.low == pytest.approx(20 * 5 / 3)
    assert found.size == 6


def test_broken_promises_are_named(tables: ModuleType) -> None:
    assert tables.broken_promises(run_of(slower=20.0)) == []
    assert tables.broken_promises(run_of(slower=3.0)) == ["faster is 5.0 times faster"]
    assert tables.broken_promises(run_of(slower=20.0, same_label=1)) == [
        "faster gives the same label to 1 of 2 photos with one face"
    ]


def test_the_page_has_the_markers_the_tables_go_between() -> None:
    page = (Path(__file__).parents[1] / "docs" / "stages.md").read_text("utf-8")
    assert page.index("<!-- stages -->") < page.index("<!-- end of stages -->")
