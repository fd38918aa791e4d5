"""What CI reads of a gate: every format against its own rules, and hostile names in all of them."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.cli.gated import HEIGHT, _screen
from fer_opt.device.measurement import Conditions, DeviceFacts
from fer_opt.device.pair_measurement import PairMeasurement, PairSide
from fer_opt.device.phone.results import TimedModel
from fer_opt.errors import RecordError
from fer_opt.reports.bench_record import read_any_record
from fer_opt.reports.gate.budgets import LatencyBudget, SizeBudget
from fer_opt.reports.gate.decision import GateSettings, plan_pairs
from fer_opt.reports.gate.judging import is_decided, judged, looked
from fer_opt.reports.gate.outputs.annotations import github_annotations
from fer_opt.reports.gate.outputs.bencher import bencher_json
from fer_opt.reports.gate.outputs.benchmark_action import benchmark_action_json
from fer_opt.reports.gate.outputs.junit import junit_xml
from fer_opt.reports.gate.outputs.markdown import gate_markdown
from fer_opt.reports.gate.outputs.pytest_benchmark import benchmark_stats, pytest_benchmark_json
from fer_opt.reports.gate.plain import plain
from fer_opt.reports.gate.record import (
    GATE_KIND,
    GATE_SCHEMA_VERSION,
    Comparison,
    GateRecord,
    gate_json_schema,
    read_gate_record,
    write_gate_record,
)
from fer_opt.reports.gate.story import tell_gate
from fer_opt.reports.record import LatencySettings

HERE = Path(__file__).parent
HOST = DeviceFacts("host", "Some CPU", "f" * 8, {"os": "Linux"}, {})
SETTINGS = GateSettings()
MARK = "a computer's times, not a phone's"


def pair(index: int, ratio: float, candidate: str, ms: float = 5.0) -> PairMeasurement:
    calm = Conditions(0.5, 2000.0, 50.0)

    def side(model: str, sha256: str, factor: float) -> PairSide:
        times = tuple(ms * factor * (1 + 0.01 * ((7 * index + k) % 5)) for k in range(10))
        return PairSide(model, sha256, 1.0, (ms,), True, times, (), "XNNPACK")

    return PairMeasurement(
        pair_index=index, order=plan_pairs(SETTINGS)[index], session="s", started_at="2026-01-01",
        clock="wall clock", threads=1, cpus=(0,), baseline=side("base", "b" * 64, 1.0),
        candidate=side(candidate, "c" * 64, ratio * (1 + 0.002 * (index % 3))),
        peak_memory_bytes=1, before=calm, after=calm,
    )  # fmt: skip


def record_of(
    *ratios: float, names: tuple[str, ...] = (), device: DeviceFacts = HOST
) -> GateRecord:
    names = names or tuple(f"model{index}" for index in range(len(ratios)))
    comparisons = tuple(
        Comparison(
            TimedModel(name, f"{name}.tflite", "c" * 64, 12345),
            tuple(pair(index, ratio, name) for index in range(8)),
        )
        for name, ratio in zip(names, ratios, strict=True)
    )
    record = GateRecord(
        schema_version=GATE_SCHEMA_VERSION, kind=GATE_KIND,
        created_at="2026-01-01T00:00:00+00:00", fer_opt_version="0.1.0", command="fer-opt gate",
        fingerprint="0" * 64, on="host", settings=SETTINGS,
        latency=LatencySettings(24, 10, 1, (), 0, "random"), device=device,
        baseline=TimedModel("base", "base.tflite", "b" * 64, 12000), comparisons=comparisons,
    )  # fmt: skip
    return judged(record, [SizeBudget(20000), LatencyBudget("classify", 50.0, 50.0)])


def formats(record: GateRecord) -> dict[str, str]:
    return {
        "junit": junit_xml(record),
        "markdown": gate_markdown(record),
        "annotations": "\n".join(github_annotations(record)),
        "pytest-benchmark": pytest_benchmark_json(record),
        "benchmark-action": benchmark_action_json(record),
        "bencher": bencher_json(record),
        "screen": "\n".join(_screen(tell_gate(record), Path("record.json"))),
    }


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = record_of(1.0, 1.5)
    write_gate_record(record, tmp_path / "record.json")
    assert read_gate_record(tmp_path / "record.json") == record
    found = json.loads((tmp_path / "record.json").read_text())
    jsonschema.validate(found, gate_json_schema())


def test_infinite_bounds_survive_the_record(tmp_path):
    record = record_of(1.0)
    verdict = dataclasses.replace(record.comparisons[0].verdict, high=float("inf"))
    one = dataclasses.replace(record.comparisons[0], verdict=verdict)
    record = dataclasses.replace(record, comparisons=(one,))
    write_gate_record(record, tmp_path / "record.json")
    assert read_gate_record(tmp_path / "record.json") == record
    for text in formats(record).values():
        assert "Infinity" not in text


def test_the_published_schema_is_the_record_s():
    published = json.loads((HERE.parent / "docs/gate-record.schema.json").read_text())
    assert published == gate_json_schema()


def test_several_candidates_are_held_to_holm_s_levels():
    record = record_of(1.5, 1.0, 1.0)
    alone = looked(record.comparisons[0], "base", HOST, SETTINGS).looks[-1]
    assert record.comparisons[0].verdict.fail_p == pytest.approx(3 * alone.fail_p)
    assert [one.verdict.outcome for one in record.comparisons] == ["fail", "pass", "pass"]
    assert record.outcome == "fail"
    # One that fails barely stops a gate of one model and not a gate of three.
    barely = dataclasses.replace(alone, fail_p=0.009)
    assert is_decided([barely], SETTINGS, 1)
    assert not is_decided([barely], SETTINGS, 3)


def test_times_that_are_not_valid_are_no_verdict():
    record = record_of(1.0)
    one = dataclasses.replace(record.comparisons[0], invalid=("The phone was throttled.",))
    record = judged(dataclasses.replace(record, comparisons=(one,)), [SizeBudget(20000)])
    assert record.outcome == "invalid"
    assert record.comparisons[0].verdict is None
    assert "<error" in junit_xml(record)
    assert json.loads(bencher_json(record)) == {}
    assert json.loads(benchmark_action_json(record)) == []
    assert json.loads(pytest_benchmark_json(record))["benchmarks"] == []
    # What needs no stopwatch still fails.
    assert judged(record, [SizeBudget(10)]).outcome == "fail"


def test_equal_ratios_are_not_valid():
    record = record_of(1.0)
    same = tuple(
        dataclasses.replace(
            one, candidate=dataclasses.replace(one.candidate, wall_ms=one.baseline.wall_ms)
        )
        for one in record.comparisons[0].pairs
    )
    one = dataclasses.replace(record.comparisons[0], pairs=same)
    record = judged(dataclasses.replace(record, comparisons=(one,)), [])
    assert record.outcome == "invalid"
    assert "the same ratio" in record.comparisons[0].invalid[0]


@pytest.mark.parametrize("ratio", [1.0, 1.03, 1.5])
@pytest.mark.parametrize("undecided", ["pass", "fail", "inconclusive"])
def test_junit_keeps_to_the_schema(ratio, undecided):
    text = junit_xml(record_of(ratio, 1.0), undecided)
    xmlschema.XMLSchema(HERE / "junit.xsd").validate(text)
    suite = ElementTree.fromstring(text).find("testsuite")
    for name, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(name)) == len(suite.findall(f"testcase/{element}"))
    cases = [(one.get("classname"), one.get("name")) for one in suite.findall("testcase")]
    assert len(cases) == len(set(cases)) == int(suite.get("tests")) == 6


def test_a_computer_s_times_are_marked_in_every_format():
    for name, text in formats(record_of(1.0)).items():
        plain_text = re.sub(r"\s+", " ", text.replace("\\", ""))
        assert MARK in plain_text, name
    phone = dataclasses.replace(HOST, kind="phone", name="Samsung")
    for name, text in formats(record_of(1.0, device=phone)).items():
        assert MARK not in text.replace("\\", ""), name
    virtual = dataclasses.replace(HOST, kind="virtual")
    for name, text in formats(record_of(1.0, device=virtual)).items():
        assert "virtual phone" in re.sub(r"\s+", " ", text), name


HOSTILE = "a|<b>&\"'`*[x](http://e.vil)@you::error::%0A\n::warning::\x1b[31m\u202e\x00\ud800]]>--"


def test_hostile_names_mean_nothing_anywhere():
    # What a file's name becomes before anything is measured.
    record = record_of(1.5, names=(plain(HOSTILE),))
    for name, text in formats(record).items():
        text.encode("utf-8")
        assert not set(text) & {"\x1b", "\u202e", "\x00"}, name
    suite = ElementTree.fromstring(junit_xml(record)).find("testsuite")
    assert "<b>&\"'" in suite.find("testcase").get("classname")
    lines = github_annotations(record)
    assert all(line.startswith("::error title=") and "\n" not in line for line in lines)
    assert all(line.count("::") >= 2 for line in lines)
    title = lines[0].removeprefix("::error title=").split("::")[0]
    assert not set(title) & {",", "\n"}
    assert ":" not in title
    markdown = gate_markdown(record)
    assert "<b>" not in markdown
    assert "[x](" not in markdown
    assert "@you" not in markdown
    rows = [line for line in markdown.splitlines() if "latency" in line and line.startswith("| ")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 5
    for text in (pytest_benchmark_json(record), benchmark_action_json(record)):
        json.loads(text)
    assert json.loads(bencher_json(record))


@given(st.text(max_size=60))
def test_no_name_breaks_out_of_a_format(name):
    record = record_of(1.5, names=(plain(name) or "x",))
    ElementTree.fromstring(junit_xml(record))
    assert all(len(line.splitlines()) <= 1 for line in github_annotations(record))
    for line in gate_markdown(record).splitlines():
        assert not re.search(r"(?<!\\)<(?!/?(details|summary|sub)>)", line)
    json.loads(bencher_json(record))


def test_pytest_benchmark_compares_what_the_gate_wrote(tmp_path):
    (tmp_path / "0001_a.json").write_text(pytest_benchmark_json(record_of(1.0)))
    (tmp_path / "0002_b.json").write_text(pytest_benchmark_json(record_of(1.5)))
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest_benchmark", "compare",
            str(tmp_path / "0001_a.json"), str(tmp_path / "0002_b.json"),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    shown = done.stdout + done.stderr
    assert "model0 (a computer's times" in shown
    assert "2 tests" in shown or "4 tests" in shown
    assert "Traceback" not in shown


@given(st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=40))
def test_the_statistics_are_pytest_benchmark_s_own(times):
    from pytest_benchmark.stats import Stats

    stats = Stats()
    for one in times:
        stats.update(one)
    found = benchmark_stats(times)
    theirs = stats.as_dict()
    assert theirs.keys() <= found.keys()
    for name in ("min", "max", "mean", "stddev", "median", "q1", "q3", "iqr", "ops", "total"):
        assert found[name] == pytest.approx(theirs[name], rel=1e-6, abs=1e-9), name
    assert found["rounds"] == theirs["rounds"]


def test_bencher_s_metrics_have_true_bounds_in_nanoseconds():
    found = json.loads(bencher_json(record_of(1.5)))
    metric = {
        "type": "object",
        "properties": {
            name: {"type": "number"} for name in ("value", "lower_value", "upper_value")
        },
        "required": ["value"],
        "additionalProperties": False,
    }
    measure = {"type": "object", "patternProperties": {".+": metric}}
    jsonschema.validate(found, {"type": "object", "patternProperties": {".+": measure}})
    for measures in found.values():
        for one in measures.values():
            assert one.get("lower_value", 0) <= one["value"] <= one.get("upper_value", 1e12)
    base = next(value for name, value in found.items() if name.startswith("base"))
    assert 5e6 <= base["latency"]["value"] <= 5.3e6
    candidate = next(value for name, value in found.items() if name.startswith("model0"))
    assert candidate["latency-ratio"]["value"] == pytest.approx(1.5, rel=0.01)


def test_benchmark_action_s_entries_have_names_units_and_values():
    found = json.loads(benchmark_action_json(record_of(1.0)))
    assert len({one["name"] for one in found}) == len(found) == 4
    assert {one["unit"] for one in found} == {"ms", "bytes"}
    assert all(isinstance(one["value"], (int, float)) for one in found)


def test_many_findings_still_fit_one_screen():
    lines = _screen(tell_gate(record_of(*[1.5] * 9)), Path("runs/gate/record.json"))
    assert len(lines) <= HEIGHT
    assert all(len(line) <= 79 for line in lines)
    assert any("more in the record" in line for line in lines)
    assert lines[-1].endswith("runs/gate/record.json")


def test_every_verdict_says_how_sure_it_is_and_what_it_could_have_found():
    for ratio, word in ((1.0, "at most"), (1.5, "at least")):
        found = tell_gate(record_of(ratio)).findings[0].said
        assert word in found
        assert "confidence" in found
        assert "would have shown a slowdown of" in found


def test_a_gate_s_record_is_taken_for_no_other(tmp_path):
    path = tmp_path / "record.json"
    write_gate_record(record_of(1.0), path)
    with pytest.raises(RecordError, match="record of a gate, not of a run"):
        read_any_record(path)
    path.write_text('{"kind": "bench"}')
    with pytest.raises(RecordError, match="not the record of a gate"):
        read_gate_record(path)
    path.write_text('{"kind": "gate", "schema_version": 99}')
    with pytest.raises(RecordError, match="schema version 99"):
        read_gate_record(path)
