"""``fer-opt gate`` on this computer, with real models: verdicts, exit codes, kill and resume."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gate_models import make_gate_models

from fer_opt.cli import main
from fer_opt.reports.gate.record import read_gate_record, write_gate_record

Run = Callable[..., tuple[int, str, str]]
QUICK = ("--looks", "4,6", "--runs", 2)


@pytest.fixture(scope="session")
def gate_models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    make_gate_models(folder)
    return folder


@pytest.fixture
def fer_opt(monkeypatch, capfd, tmp_path, gate_models) -> Run:
    """Run the command in this process, among the models, in a terminal 80 columns wide."""
    for path in gate_models.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fer-opt", *map(str, words)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as exc:
            code = int(exc.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return run


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.alone
def test_the_same_file_under_two_names_never_fails(fer_opt):
    shutil.copy("light.tflite", "again.tflite")
    code, out, err = fer_opt("gate", "--baseline", "light.tflite", "--candidate", "again.tflite")
    assert code in (0, 3), (out, err)
    record = read_gate_record(Path("runs/gate/record.json"))
    (one,) = record.comparisons
    assert one.verdict.pairs in (8, 12, 16, 24)
    assert len(one.pairs) == one.verdict.pairs
    assert 0.5 < one.verdict.ratio < 2
    assert "a computer's times, not a phone's" in one_line(out)


@pytest.mark.slow
@pytest.mark.alone
def test_a_model_with_several_times_the_work_fails_at_the_first_look(fer_opt):
    words = ("gate", "--baseline", "light.tflite", "--candidate", "heavy.tflite")
    code, out, err = fer_opt(*words)
    assert code == 1, (out, err)
    assert out.startswith("FAIL  Regressed: latency of heavy.")
    assert len(out.splitlines()) <= 23
    assert all(len(line) <= 80 for line in out.splitlines())
    record = read_gate_record(Path("runs/gate/record.json"))
    (one,) = record.comparisons
    assert (one.verdict.pairs, len(one.looks)) == (8, 1)
    assert record.outcome == "fail"
    assert record.device.kind == "host"
    assert one.pairs[0].before.load_1m is not None
    # Half of the pairs of a block begin with the baseline.
    assert [pair.order for pair in one.pairs[:4]].count("AB") == 2

    # The same once more measures nothing; swapped, it is as much faster.
    code, _, err = fer_opt(*words)
    assert (code, "Judging what runs/gate holds" in err) == (1, True)
    assert read_gate_record(Path("runs/gate/record.json")).comparisons == record.comparisons
    code, out, _ = fer_opt(
        "gate", "--baseline", "heavy.tflite", "--candidate", "light.tflite", "--out", "swapped"
    )
    assert code == 0
    assert "faster" in out

    # Held against that record, another day's times tell a trend, and fail only if asked to.
    stored = ("gate", "--against", "runs/gate", "--baseline-name", "light", "--candidate")
    code, out, _ = fer_opt(*stored, "heavy.tflite", "--out", "trend")
    assert code == 3
    assert "only a trend: slower" in one_line(out)
    code, out, _ = fer_opt(*stored, "heavy.tflite", "--out", "trend", "--stored-may-fail")
    assert code == 1
    code, out, _ = fer_opt(
        *stored, "heavy.tflite", "--out", "other", "--stored-may-fail", "--baseline", "heavy.tflite"
    )
    assert code == 3
    assert "is another file" in one_line(out)
    # A gate's record alone is told again.
    assert fer_opt("gate", "--against", "runs/gate")[0] == 1


@pytest.mark.alone
def test_of_several_candidates_each_is_told(fer_opt):
    code, out, _ = fer_opt(
        "gate", "--baseline", "light.tflite", "--candidate", "heavy.tflite", "--candidate",
        "light.tflite", "--budget", "classify=10s", "--percentile", 50, "--json",
    )  # fmt: skip
    assert code == 1
    found = json.loads(out)
    assert [one["candidate"] for one in found["comparisons"]] == ["heavy", "light"]
    outcomes = {(one["subject"], one["what"]): one["outcome"] for one in found["findings"]}
    assert outcomes["heavy", "latency"] == "fail"
    assert outcomes["light", "latency"] != "fail"
    assert outcomes["light", "p50 of classify"] == "pass"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--candidate", "light.tflite", "--max-size", "2MB"), 0, "PASS"),
        (("--candidate", "light.tflite", "--max-size", "2kB"), 1, "file size of light"),
        (("--baseline", "light.tflite"), 2, "give --candidate"),
        (("--candidate", "none.tflite", "--max-size", "2MB"), 2, "none.tflite"),
        (("--candidate", "light.tflite", "--max-size", "big"), 2, "is no budget"),
        (("--candidate", "light.tflite", "--budget", "total=1s"), 2, "--against RECORD"),
        (("--candidate", "light.tflite", "--budget", "detect=1s", "--on", "virtual"), 2, "detect"),
        (("--candidate", "light.tflite", "--max-size", "1MB", "--on", "all"), 2, "several machine"),
        (("--candidate", "light.tflite", "--max-size", "1MB", "--serial", "7"), 2, "--on"),
        (("--candidate", "light.tflite", "--max-size", "1MB", "--looks", "x"), 2, "--looks x"),
        (("--candidate", "light.tflite", "--max-size", "1MB", "--looks", "2"), 2, "2 pairs"),
        (("--candidate", "light.tflite", "--max-size", "1MB", "--machine", "h"), 2, "--against"),
        (
            ("--candidate", "light.tflite", "--max-size", "1MB", "--junit", "no/such.xml"),
            2,
            "no/such.xml cannot be written",
        ),
        (
            ("--candidate", "light.tflite", "--budget", "classify=9s", "--looks", "4", "--runs", 1),
            3,
            "independent times would do",
        ),
        (("--baseline", "fails.tflite", "--candidate", "light.tflite", *QUICK), 4, "NOT VALID"),
        (("--candidate", "fails.tflite", "--budget", "classify=9s", *QUICK), 4, "fails.tflite"),
        (("--baseline", "none.tflite", "--candidate", "light.tflite"), 5, "nothing to compare"),
        (("--candidate", "light.tflite"), 5, "give --baseline"),
        (("--candidate", "light.tflite", "--against", "none.json"), 5, "none.json does not exist"),
    ],
)
def test_every_way_to_end_has_its_exit_code(fer_opt, words, code, says):
    found, out, err = fer_opt("gate", *words)
    assert (found, says in one_line(out + err)) == (code, True), (out, err)
    assert "Traceback" not in err


def test_a_measurement_that_failed_is_an_error_for_ci_and_is_tried_again(fer_opt):
    words = ("gate", "--candidate", "light.tflite", "--baseline", "fails.tflite", *QUICK)
    code, out, _ = fer_opt(*words, "--junit", "gate.xml", "--markdown", "gate.md", "--github")
    assert code == 4
    assert "fails.tflite" in one_line(out)
    assert re.search("^::error title=", out, re.MULTILINE)
    assert "<error" in Path("gate.xml").read_text()
    assert "fails" in Path("gate.md").read_text()
    # A limit that needs no times is judged beside it, and what failed is kept as no result.
    assert fer_opt(*words, "--max-size", "2kB")[0] == 1
    assert read_gate_record(Path("runs/gate/record.json")).outcome is None


def test_an_inconclusive_gate_may_count_as_either(fer_opt):
    words = ("gate", "--candidate", "light.tflite", "--budget", "classify=9s", "--looks", "4")
    words += ("--runs", 1)
    assert fer_opt(*words)[0] == 3
    assert fer_opt(*words, "--inconclusive-is", "pass", "--junit", "gate.xml")[0] == 0
    assert "<skipped" in Path("gate.xml").read_text()
    assert fer_opt(*words, "--inconclusive-is", "fail", "--junit", "gate.xml")[0] == 1
    assert "<failure" in Path("gate.xml").read_text()


def test_a_folder_of_another_gate_is_refused_unless_fresh(fer_opt):
    words = ("gate", "--candidate", "light.tflite", "--max-size", "2MB")
    assert fer_opt(*words)[0] == 0
    other = ("gate", "--candidate", "heavy.tflite", "--max-size", "2MB")
    code, _, err = fer_opt(*other)
    assert (code, "holds a gate of other files" in err) == (2, True)
    assert fer_opt(*other, "--fresh")[0] == 0
    path = Path("runs/gate/record.json")
    moved = ("gate", "--candidate", "light.tflite", "--budget", "classify=9s", *QUICK)
    assert fer_opt(*moved, "--fresh")[0] in (0, 3)
    found = read_gate_record(path)
    elsewhere = dataclasses.replace(found.device, fingerprint="0" * 64, name="Another CPU")
    write_gate_record(dataclasses.replace(found, device=elsewhere), path)
    code, _, err = fer_opt(*moved)
    assert (code, "begun on another machine" in err) == (2, True)
    path.write_text("{")
    code, _, err = fer_opt(*other)
    assert (code, "--fresh" in err) == (2, True)


def test_accuracy_is_held_to_a_drop(fer_opt):
    words = ("gate", "--baseline", "light.tflite", "--candidate", "heavy.tflite", *QUICK)
    words += ("--tolerance", 100000, "--max-accuracy-drop", 99, "--range=0,1")
    code, out, err = fer_opt(*words, "--kind", "synthetic", "--split", "test", "--json")
    assert code == 0, (out, err)
    (one,) = json.loads(out)["comparisons"]
    assert one["accuracy"]["outcome"] == "pass"
    assert one["accuracy"]["answers"]["samples"] > 100
    code, _, err = fer_opt(*words)
    assert (code, "--data" in err) == (2, True)


@pytest.mark.slow
def test_a_killed_gate_goes_on_where_it_was(fer_opt):
    words = ["gate", "--baseline", "light.tflite", "--candidate", "heavy.tflite"]
    words += ["--looks", "24", "--out", "killed"]
    path = Path("killed/record.json")
    process = subprocess.Popen(
        [sys.executable, "-m", "fer_opt", *words],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if path.exists() and len(read_gate_record(path).comparisons[0].pairs) >= 3:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = read_gate_record(path)
    assert before.outcome is None
    assert 3 <= len(before.comparisons[0].pairs) < 24
    code, _, err = fer_opt(*words)
    assert (code, "Going on with the gate in killed" in err) == (1, True)
    (after,) = read_gate_record(path).comparisons
    kept = len(before.comparisons[0].pairs)
    assert after.pairs[:kept] == before.comparisons[0].pairs
    assert [pair.pair_index for pair in after.pairs] == list(range(24))
    assert len({pair.session for pair in after.pairs}) == 2


def test_help_fits_80_columns(fer_opt):
    code, out, _ = fer_opt("gate", "--help")
    assert code == 0
    assert all(len(line) <= 80 for line in out.splitlines())
    for option in ("--baseline", "--max-accuracy-drop", "--inconclusive-is", "--bencher"):
        assert option in out


@pytest.fixture
def run_folder(tmp_path) -> Path:
    """A run's record whose int8 is much faster than its float32, with stages."""
    from sample_record import sample_record
    from sample_stages import sample_stages

    from fer_opt.reports.record import write_record

    folder = tmp_path / "run"
    folder.mkdir()
    record = dataclasses.replace(sample_record(), stages=(sample_stages(),))
    write_record(record, folder / "record.json")
    return folder


def test_models_of_one_record_are_judged_by_its_rounds(fer_opt, run_folder):
    code, out, err = fer_opt("gate", "--against", run_folder, "--candidate", "int8")
    assert code == 0, err
    assert "faster" in out
    assert "8 pairs" in one_line(out)
    swapped = ("--candidate", "float32", "--baseline-name", "int8")
    assert fer_opt("gate", "--against", run_folder, *swapped)[0] == 1
    code, _, err = fer_opt("gate", "--against", run_folder, "--candidate", "int4")
    assert (code, "holds no model named int4" in err) == (5, True)
    code, _, err = fer_opt("gate", "--against", run_folder)
    assert (code, "nothing is asked" in err) == (2, True)
    code, _, err = fer_opt("gate", "--against", run_folder, "--candidate", "float32")
    assert (code, "compared with itself" in err) == (2, True)


def test_stages_of_a_record_are_held_to_budgets(fer_opt, run_folder):
    words = ("gate", "--against", run_folder, "--pipeline", "thesis", "--percentile", 50)
    code, out, err = fer_opt(*words, "--budget", "total=1ms", "--budget", "detect=100s")
    assert code == 1, (out, err)
    assert "Regressed: p50 of total of thesis pipeline." in out
    code, out, _ = fer_opt(*words, "--budget", "total=100s", "--budget", "classify=100s")
    assert code == 0, out
    code, _, err = fer_opt(*words, "--budget", "sleep=1ms")
    assert (code, "classify=1ms" in err) == (2, True)


def test_an_untrusted_phone_s_record_is_no_verdict(fer_opt, tmp_path):
    from sample_phone_run import sample_bench, sample_phone_run

    from fer_opt.device.phone.results import Trust
    from fer_opt.reports.bench_record import write_bench_record

    run = sample_phone_run()
    path = tmp_path / "bench.json"
    names = [model.name for model in run.models]
    words = ("gate", "--against", path, "--candidate", names[1], "--baseline-name", names[0])
    write_bench_record(sample_bench(run), path)
    sound = fer_opt(*words)[0]
    assert sound in (0, 1, 3)
    hot = dataclasses.replace(
        run, trust=Trust(trusted=False, reasons=("The phone was throttled.",))
    )
    write_bench_record(sample_bench(hot), path)
    code, out, _ = fer_opt(*words)
    assert (code, "The phone was throttled." in one_line(out)) == (4, True)
    device = dataclasses.replace(run.device, kind="emulated")
    write_bench_record(sample_bench(dataclasses.replace(run, device=device)), path)
    code, _, err = fer_opt(*words)
    assert (code, "emulator" in err) == (4, True)


def test_in_github_actions_the_summary_and_annotations_come_by_themselves(
    fer_opt, monkeypatch, tmp_path
):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    words = ("gate", "--candidate", "light.tflite", "--max-size", "2kB")
    code, out, _ = fer_opt(*words)
    assert code == 1
    assert re.search(r"^::error title=fer-opt gate%3A file size of light", out, re.MULTILINE)
    assert summary.read_text().startswith("before\n### ❌ fer-opt gate: Regressed")
    assert "::error" not in fer_opt(*words, "--no-github")[1]
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert "::error" not in fer_opt(*words)[1]
    assert "::error" in fer_opt(*words, "--github")[1]


def test_a_hostile_file_name_prints_as_question_marks(fer_opt):
    name = "a\x1b[31m\n::error::\u202e<b>.tflite"
    shutil.copy("light.tflite", name)
    words = ("gate", "--candidate", name, "--max-size", "2kB", "--junit", "j.xml", "--github")
    code, out, err = fer_opt(*words)
    assert code == 1, err
    assert not {"\x1b", "\u202e"} & set(out)
    assert not re.search(r"^::error::", out, re.MULTILINE)
    assert "a?[31m?::error::?&lt;b&gt;" in Path("j.xml").read_text()
    read_gate_record(Path("runs/gate/record.json"))
    # LiteRT opens no file whose name is not UTF-8; that is said, and breaks nothing.
    name = os.fsdecode(b"b\xff.tflite")
    shutil.copy("light.tflite", name)
    words = ("gate", "--candidate", name, "--budget", "classify=9s", *QUICK, "--out", "bytes")
    code, out, err = fer_opt(*words)
    assert (code, "b?.tflite was not timed" in one_line(out)) == (4, True), (out, err)
    read_gate_record(Path("bytes/record.json"))
    assert fer_opt(*words[:3], "--max-size", "2MB", "--out", "size")[0] == 0
