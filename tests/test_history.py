"""``fer-opt history``: many records in, lines and possible steps out, never a verdict."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import NEEDS_CHROMIUM, open_page
from hypothesis import given
from hypothesis import strategies as st
from sample_phone_run import sample_bench, sample_phone_run
from sample_record import sample_record

from fer_opt.device.measurement import Measurement
from fer_opt.errors import RecordError
from fer_opt.reports.bench_record import write_bench_record
from fer_opt.reports.history import Machine, Point, gather, trends_of, write_history
from fer_opt.reports.history.changes import FEWEST, find_changes
from fer_opt.reports.record import RunRecord, write_record

MACHINE = Machine("host", "a CPU", "f" * 64, "", "", 1, 1, "XNNPACK")


def moved(one: Measurement, day: int, factor: float = 1.0) -> Measurement:
    """The measurement of another day, at another speed."""
    return replace(
        one,
        session=f"day {day}",
        started_at=f"2026-04-{day:02d}{one.started_at[10:]}",
        inference_ms=tuple(ms * factor for ms in one.inference_ms),
    )


def run_of(day: int, factor: float = 1.0, **changes: object) -> RunRecord:
    record = sample_record(variants=2, processes=6, runs=5, training=False, samples=40, seed=day)
    timed = tuple(moved(one, day, factor) for one in record.measurements)
    return replace(record, measurements=timed, **changes)  # type: ignore[arg-type]


def save(folder: Path, record: RunRecord) -> Path:
    folder.mkdir(parents=True)
    write_record(record, folder / "record.json")
    return folder


def points(medians: list[float]) -> list[Point]:
    return [
        Point("int8", MACHINE, f"2026-04-01T{index:04d}", f"s{index}", ms, ms, ms, 8, "a", "r")
        for index, ms in enumerate(medians)
    ]


def command(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fer_opt", "history", *map(str, words)],
        capture_output=True, text=True, cwd=cwd, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve runs, all slower by a fifth from the ninth on, and three benches on phones."""
    root = tmp_path_factory.mktemp("history")
    noise = np.random.default_rng(5).normal(0, 0.01, 13)
    for day in range(1, 13):
        factor = math.exp(noise[day]) * (1.2 if day >= 9 else 1)
        save(root / f"run-{day}", run_of(day, factor))
    for day, kind in enumerate(("phone", "virtual", "emulated"), start=20):
        run = sample_phone_run(kind=kind, seed=day, trusted=False)
        run = replace(run, measurements=tuple(moved(one, day) for one in run.measurements))
        (root / f"bench-{kind}").mkdir()
        write_bench_record(sample_bench(run), root / f"bench-{kind}" / "record.json")
    return root


def test_a_step_of_a_fifth_is_shown_where_it_was(folder: Path):
    trends = trends_of(gather([folder]).points)
    mine = {trend.model: trend for trend in trends if trend.machine.kind == "host"}
    assert set(mine) == {"xcao 224x224x1 float32", "xcao 224x224x1 float16"}
    for trend in mine.values():
        assert len(trend.points) == 12
        (change,) = trend.changes
        assert change.after.started_at.startswith("2026-04-09")
        assert change.ratio == pytest.approx(1.2, abs=0.04)
        assert not change.file_changed


def test_a_phone_a_virtual_one_and_a_computer_are_lines_of_their_own(folder: Path):
    gathered = gather([folder])
    kinds = [trend.machine.kind for trend in trends_of(gathered.points)]
    assert kinds[:2] == ["phone", "phone"], "phones come first"
    assert sorted(set(kinds)) == ["host", "phone", "virtual"]
    assert any("is emulated" in sentence for sentence in gathered.left_out)


@pytest.mark.parametrize(
    "other",
    [
        {"fingerprint": "another"},
        {"kind": "virtual"},
        {"threads": 4},
        {"cpus": 4},
        {"delegate": "none"},
        {"phone": "another"},
        {"runner": "another"},
    ],
)
def test_unlike_machines_are_never_pooled(other: dict[str, object]):
    machine = replace(MACHINE, **other)  # type: ignore[arg-type]
    mixed = [
        replace(point, machine=machine if index % 2 else MACHINE)
        for index, point in enumerate(points([5.0] * 10))
    ]
    assert [len(trend.points) for trend in trends_of(mixed)] == [5, 5]


def test_every_point_is_in_one_line_in_order_of_time(folder: Path):
    found = gather([folder]).points
    trends = trends_of(found)
    assert sum(len(trend.points) for trend in trends) == len(found)
    assert {point for trend in trends for point in trend.points} == set(found)
    for trend in trends:
        starts = [point.started_at for point in trend.points]
        assert starts == sorted(starts)


def test_a_copy_of_a_record_counts_once(tmp_path: Path):
    save(tmp_path / "run", run_of(1))
    save(tmp_path / "copy", run_of(1))
    gathered = gather([tmp_path, tmp_path / "run"])
    assert gathered.records == 2
    assert len(gathered.points) == 2
    assert "they count once" in gathered.left_out[0]


def test_another_input_size_is_another_model(tmp_path: Path):
    save(tmp_path / "large", run_of(1))
    small = run_of(2)
    facts = replace(small.model, input_shape=(48, 48, 1))
    save(tmp_path / "small", replace(small, model=facts))
    assert len(trends_of(gather([tmp_path]).points)) == 4


def test_a_changed_file_is_named_as_a_cause():
    line = points([5.0, 5.1, 5.0, 4.9, 5.0, 5.1, 6.1, 6.0, 6.1, 5.9, 6.0, 6.1])
    line[6:] = [replace(point, sha256="b") for point in line[6:]]
    (change,) = find_changes(line)
    assert change.after == line[6]
    assert change.file_changed


def test_no_step_is_sought_in_few_points_and_none_made_of_one_odd_record():
    assert not find_changes(points([5.0] * 4 + [9.0] * 3))
    odd = [5.0, 5.1, 4.9, 5.0, 5.1, 9.0, 5.0, 4.9, 5.1, 5.0, 5.1]
    assert not find_changes(points(odd))
    assert not find_changes(points([5.0] * 20))


def test_steady_lines_have_no_steps():
    noise = np.random.default_rng(3)
    lines = [points(list(np.exp(noise.normal(1, 0.03, 20)))) for _ in range(60)]
    assert sum(bool(find_changes(line)) for line in lines) <= 3


@given(
    st.lists(st.floats(0.01, 1e5), min_size=FEWEST, max_size=24),
    st.floats(0.5, 2.0),
)
def test_steps_do_not_depend_on_the_unit(medians: list[float], unit: float):
    steps = find_changes(points(medians))
    other = find_changes(points([ms * unit for ms in medians]))
    assert len(steps) <= len(medians) // 3
    for step in steps:
        assert step.before_ms > 0
        assert step.after_ms > 0
    # A cost that ties exactly may tip either way; the number of steps may not.
    assert len(steps) == len(other)


def test_times_in_doubt_are_kept_but_judged_by_nothing(folder: Path):
    trends = trends_of(gather([folder / "bench-phone"]).points)
    assert all(point.doubts for trend in trends for point in trend.points)
    doubted = [replace(point, doubts=("hot",)) for point in points([5.0] * 6 + [9.0] * 6)]
    (trend,) = trends_of(doubted)
    assert len(trend.points) == 12
    assert not trend.changes


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere cannot be read"),
        (["empty"], "empty holds no record.json"),
        (["broken/record.json"], "broken/record.json is not a record"),
        (["untimed"], "none of the 1 records holds a time"),
    ],
)
def test_what_is_no_history_is_refused_in_a_sentence(tmp_path, words, sentence):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "record.json").write_text("{")
    save(tmp_path / "untimed", replace(run_of(1), measurements=()))
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_gates_record_in_a_folder_is_left_out_and_told(tmp_path: Path):
    save(tmp_path / "run", run_of(1))
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "record.json").write_text('{"kind": "gate"}')
    gathered = gather([tmp_path])
    assert gathered.records == 1
    assert "is of a gate" in gathered.left_out[0]


def test_a_broken_record_in_a_folder_is_left_out_and_told(tmp_path: Path):
    save(tmp_path / "good", run_of(1))
    save(tmp_path / "bad", run_of(2))
    (tmp_path / "bad" / "record.json").write_text("[]")
    gathered = gather([tmp_path])
    assert gathered.records == 1
    assert "is not a record" in gathered.left_out[0]
    with pytest.raises(RecordError):
        gather([tmp_path / "bad" / "record.json"])


def test_the_command_prints_tables_and_writes_page_and_csv(folder: Path, tmp_path: Path):
    done = command(folder, "--out", "trend", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert "xcao 224x224x1" in shown
    assert "(a computer)" in shown
    assert "Possible step: xcao 224x224x1 float32" in shown
    assert "never a verdict" in shown
    with (tmp_path / "trend" / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(gather([folder]).points)
    assert {row["kind"] for row in rows} == {"host", "phone", "virtual"}


def test_the_command_prints_json(folder: Path, tmp_path: Path):
    done = command(folder, "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["verdict"] is None
    assert "never a verdict" in found["note"]
    steps = [step for trend in found["trends"] for step in trend["possible_steps"]]
    assert len(steps) == 2
    assert (tmp_path / "runs" / "history" / "history.html").is_file()


def test_hostile_names_stay_text(tmp_path: Path):
    payload = "<script>alert(1)</script>"
    record = run_of(1)
    model = replace(record.model, name=f"={payload}")
    assert record.device is not None
    device = dataclasses.replace(record.device, name=payload)
    save(tmp_path / "run", replace(record, model=model, device=device))
    gathered = gather([tmp_path])
    page, table = write_history(trends_of(gathered.points), gathered, tmp_path / "out")
    assert payload not in page.read_text()
    with table.open(newline="") as file:
        assert all(row["model"].startswith("'=") for row in csv.DictReader(file))


@NEEDS_CHROMIUM
def test_the_page_draws_a_chart_for_each_machine_and_loads_nothing(folder: Path, tmp_path: Path):
    gathered = gather([folder])
    page, _ = write_history(trends_of(gathered.points), gathered, tmp_path)
    with open_page(tmp_path / "profile") as tab:
        tab.open(page)
        assert tab.run("document.querySelectorAll('.plot svg').length") == 3
        assert tab.requests == [page.as_uri()]
        assert tab.console == []
