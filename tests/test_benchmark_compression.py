"""The tables of benchmarks/compression.py are what was asked for; broken promises are named."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from sample_record import sample_record

from fer_opt.device.measurement import Measurement
from fer_opt.device.protocol import TimingJob
from fer_opt.recipe import parse_recipe

FAST = tuple(str(parse_recipe(name)) for name in ("patient", "light"))
SAMPLE = sample_record().measurements[0]


def timed(model: str, turn: int, time_ms: float) -> Measurement:
    return dataclasses.replace(
        SAMPLE,
        model=model,
        model_sha256="0" * 64,
        round_index=turn,
        inference_ms=(time_ms,) * 30,
    )


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """benchmarks/compression.py, imported; what it imports is beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
        import compression

        yield compression
        for name in [name for name in sys.modules if name.split("_")[0] == "compression"]:
            del sys.modules[name]


def row(bench: ModuleType, name: str = "int8", **changes: Any) -> Any:
    known = bench.Row(name, "x.tflite", 1000, 900, 1.0, 0, (), (True,) * 100)
    return dataclasses.replace(known, **changes)


def matrix(bench: ModuleType, **changed: Any) -> dict[str, dict[str, Any]]:
    rows = {title: row(bench) for title in bench.MATRIX}
    return {"xcao": {**rows, **{title.replace("_", " "): one for title, one in changed.items()}}}


def test_a_matrix_that_keeps_its_promises_breaks_none(bench):
    unsteady = row(bench, agreement=0.9)
    rows = matrix(bench, PCQAT=unsteady, int16x8=row(bench, float_operators=3))
    assert bench.broken_in_matrix(rows) == []


def test_rows_of_the_matrix_that_break_a_promise_are_named(bench):
    rows = matrix(
        bench,
        int8_PTQ=row(bench, agreement=0.979),
        int8_QAT="not this one.",
        PCQAT=row(bench, float_operators=2),
    )
    first, second, third = bench.broken_in_matrix(rows)
    assert first == "xcao, int8 PTQ: agrees on 97.9% of labels"
    assert "int8 QAT: refused: not this one" in second
    assert "PCQAT: 2 operators work on floats" in third


@pytest.mark.parametrize("better", [0, 1])
@pytest.mark.parametrize(
    ("time_ms", "size_bytes", "wrong", "message"),
    [
        (2.0, 1000, 0, None),
        (3.0, 1000, 0, "0.30 of float32's time"),
        (2.0, 2000, 0, "5.0 times smaller"),
        (2.0, 1000, 9, "may have lost"),
    ],
)
def test_a_headline_that_breaks_its_promise_is_named(
    time_ms, size_bytes, wrong, message, better, bench
):
    right = (False,) * wrong + (True,) * (100 - wrong)
    slow = row(bench, FAST[1 - better])
    rows = [
        row(bench, "float32", size_bytes=10_000),
        slow,
        row(bench, FAST[better], size_bytes=size_bytes, right=right),
    ]
    times = {"float32": 10.0, slow.name: 9.0, FAST[better]: time_ms}
    measurements = [timed(name, turn, time) for turn in range(8) for name, time in times.items()]
    broken = bench.broken_in_headline(rows, measurements)
    # One that keeps it is enough.
    assert len(broken) == (0 if message is None else 2)
    if message is not None:
        assert message in broken[better]
        assert "0.90 of float32's time" in broken[1 - better]


def test_broken_promises_are_the_exit_code(bench, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench, "matrix", lambda *_: ["xcao, int8 PTQ: agrees on 9.0% of labels"])
    assert bench.main(["--part", "matrix", "--out", str(tmp_path)]) == 1
    assert "xcao, int8 PTQ" in capsys.readouterr().err
    monkeypatch.setattr(bench, "matrix", lambda *_: [])
    assert bench.main(["--part", "matrix", "--out", str(tmp_path)]) == 0


def test_times_of_other_rounds_or_files_are_not_taken_for_those_asked_for(bench, tmp_path):
    job = TimingJob("int8", tmp_path / "x.tflite", "0" * 64)
    found = [timed("int8", turn, 1.0) for turn in range(3)]
    assert bench.RUNS == 30
    assert bench.timed_like(found, [job], 3)
    assert not bench.timed_like(found, [job], 4)
    assert not bench.timed_like(found, [job], 2)
    assert not bench.timed_like(found, [dataclasses.replace(job, sha256="1" * 64)], 3)
    assert not bench.timed_like(found, [dataclasses.replace(job, model="other")], 3)


def test_kept_rows_are_of_the_network_at_hand(bench, tmp_path):
    rows = sys.modules["compression_rows"]
    network, kept = tmp_path / "model.keras", tmp_path / "int8.tflite.json"
    network.touch()
    at_hand = SimpleNamespace(keras_path=network, made_from="a")
    kept.write_bytes(rows.ROW.dump_json(row(bench)))
    without = json.loads(kept.read_bytes())
    del without["made_from"]
    assert rows.ROW.validate_json(json.dumps(without)) == row(bench), "as kept by earlier versions"
    assert rows.is_of(at_hand, kept, "a")
    assert not rows.is_of(at_hand, kept, "b")
    os.utime(kept, (2e9, 2e9))
    assert rows.is_of(at_hand, kept, "")
    os.utime(network, (3e9, 3e9))
    assert not rows.is_of(at_hand, kept, "")


def test_a_network_trained_otherwise_is_refused(bench, tmp_path):
    rows = sys.modules["compression_rows"]
    kept = tmp_path / "training.json"
    rows.refuse_other_training(kept, {"epochs": 8})
    kept.write_text('{"epochs": 8, "layers": "x"}')
    rows.refuse_other_training(kept, {"epochs": 8})
    with pytest.raises(SystemExit, match=r"trained otherwise \(epochs 8\)"):
        rows.refuse_other_training(kept, {"epochs": 9})
