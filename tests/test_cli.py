from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from fer_opt.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fer_opt(monkeypatch, capfd, tmp_path) -> Run:
    """Run the command in this process, in an empty folder, in a terminal 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

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


@pytest.fixture(scope="module")
def tflite(tmp_path_factory, keras2_model) -> Path:
    """A folder with float32.tflite and int8.tflite, converted by the command line."""
    folder = tmp_path_factory.mktemp("tflite")
    keras2_model.save(folder / "model.keras")
    command = [sys.executable, "-m", "fer_opt", "convert", "model.keras", "--kind", "synthetic"]
    command += ["-r", "float32", "-r", "int8", "--range=0,1", "--out", "lite"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "lite"


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["bench", "--help"],
        ["classify", "--help"],
        ["gate", "--help"],
        ["report", "--help"],
        ["run", "--help"],
        ["models"],
    ],
)
def test_start_up_takes_less_than_a_second_and_no_tensorflow(words):
    """The CPU time of the best of three: other processes may hold the machine up meanwhile."""
    command = [sys.executable, "-X", "importtime", "-m", "fer_opt", *words]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    modules = {line.rsplit("|", 1)[-1].strip() for line in shown.splitlines()}
    assert not modules & {"tensorflow", "keras", "tf_keras", "pandas", "altair", "scipy.stats"}
    times = []
    for _ in range(3):
        before = os.times()
        subprocess.run([*command[:1], *command[3:]], capture_output=True, check=True)
        after = os.times()
        times.append(
            after.children_user + after.children_system
            - before.children_user - before.children_system
        )  # fmt: skip
    assert 0 < min(times) < 1.0


def test_bench_and_report_never_load_tensorflow():
    code = """
import sys, fer_opt.cli
import fer_opt.device.host, fer_opt.device.schedule, fer_opt.reports.write
import fer_opt.reports.html, fer_opt.reports.statistics
print(any(name in sys.modules for name in ("tensorflow", "tf_keras", "keras")))
"""
    assert python(code).strip() == "False"


def test_tensorflow_s_noise_never_reaches_the_user(tflite, fer_opt):
    code, out, err = fer_opt("evaluate", tflite / "int8.tflite", "--kind", "synthetic", "--json")
    assert code == 0
    json.loads(out)
    assert not any(word in err for word in ("XNNPACK", "cuda", "oneDNN", "WARNING:", "absl"))


def test_convert_says_what_it_made(tflite):
    assert {path.name for path in tflite.iterdir()} == {"float32.tflite", "int8.tflite"}


def test_convert_without_data_makes_the_float_formats(tflite, fer_opt):
    code, out, err = fer_opt("convert", tflite.parent / "model.keras", "--out", "made", "--json")
    assert code == 0
    made = json.loads(out)
    assert [item["recipe"] for item in made["variants"]] == ["float32", "float16", "dynamic"]
    assert "leaving out int8, int16x8" in err
    assert made["convention"]["guessed"] == ["labels", "range"]
    code, _, err = fer_opt("convert", tflite.parent / "model.keras", "-r", "int8", "--out", "none")
    assert code == 2
    assert "--data" in err
    assert not list(Path("none").glob("*.tflite"))


def test_evaluate_reads_the_convention_from_the_file(tflite, fer_opt):
    code, out, err = fer_opt(
        "evaluate", tflite / "float32.tflite", tflite / "int8.tflite", "--kind", "synthetic"
    )
    assert code == 0
    assert "Nobody stated" not in err
    assert "contempt" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_bench_times_several_files(tflite, fer_opt):
    code, out, _ = fer_opt(
        "bench", tflite / "float32.tflite", tflite / "int8.tflite", "--processes", 2, "--runs", 3
    )
    assert code == 0
    assert "a phone's differ" in " ".join(out.split())
    assert all(len(line) <= 80 for line in out.splitlines())


def test_bench_json_holds_every_inference(tflite, fer_opt):
    code, out, _ = fer_opt(
        "bench", tflite / "int8.tflite", "--kind", "synthetic", "--processes", 2, "--runs", 3,
        "--json",
    )  # fmt: skip
    assert code == 0
    found = json.loads(out)
    assert [len(item["inference_ms"]) for item in found["measurements"]] == [3, 3]
    assert found["inputs"] == "real"
    assert found["summaries"][0]["processes"] == 2


def test_ctrl_c_says_so_and_leaves_no_worker(tflite):
    command = [sys.executable, "-m", "fer_opt", "bench", "int8.tflite", "--processes", "9999"]
    with subprocess.Popen(command, cwd=tflite, stderr=subprocess.PIPE, text=True) as process:
        try:
            parent = psutil.Process(process.pid)
            deadline = time.monotonic() + 60
            while not (workers := parent.children()) and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "stopped" in err
    assert "Traceback" not in err
    assert psutil.wait_procs(workers, timeout=10)[1] == []


@pytest.mark.slow
def test_train_stops_and_goes_on(fer_opt):
    words = ["train", "baseline", "--kind", "synthetic", "--samples", 64, "--size", 16]
    words += ["--epochs", 1, "--out", "t", "--export", "json", "--export", "frozen", "--json"]
    code, out, err = fer_opt(*words)
    assert code == 0, err
    made = json.loads(out)
    assert [epoch["epoch"] for epoch in made["history"]] == [1]
    assert {Path(path).name for path in made["files"]} >= {
        "model.keras",
        "model.json",
        "weights.h5",
    }
    assert all(Path(path).exists() for path in made["files"])
    code, again, _ = fer_opt(*words)
    assert json.loads(again)["history"] == made["history"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bench", "gone.tflite"], "gone.tflite cannot be read"),
        (["bench", "{model}"], "no TFLite model"),
        (["bench", "{int8}", "--threads", "999"], "threads"),
        (["bench", "{int8}", "--cpus", "a"], "write numbers"),
        (["evaluate", "{int8}"], "--data"),
        (["evaluate", "{int8}", "--data", "gone"], "gone does not exist"),
        (["evaluate", "{int8}", "--kind", "synthetic", "--range", "5"], "two numbers"),
        (["evaluate", "{int8}", "--kind", "synthetic", "--size", "9"], "takes 24x24"),
        (["evaluate", "{int8}", "--kind", "sythetic"], "--kind synthetic"),
        (["convert", "gone.h5"], "gone.h5 cannot be read"),
        (["convert", "{int8}"], "already a TFLite model"),
        (["convert", "{model}", "-r", "int7"], "did you mean int8"),
        (["convert", "{model}", "--out", "{model}/x"], "choose a folder"),
        (["run", "gone.toml"], "gone.toml cannot be read"),
        (["report", "gone.json"], "gone.json cannot be read"),
        (["report", "{model}"], "not a record"),
        (["train", "xcoa", "--kind", "synthetic"], "did you mean 'xcao'"),
        (["train", "xcao"], "--kind synthetic"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(words, message, tflite, fer_opt):
    places = {"{int8}": tflite / "int8.tflite", "{model}": tflite.parent / "model.keras"}
    filled = []
    for word in words:
        for name, path in places.items():
            word = word.replace(name, str(path))
        filled.append(word)
    code, _, err = fer_opt(*filled)
    assert code == 2, err
    assert message in " ".join(err.split())
    assert "Traceback" not in err
    assert not [path for path in Path().rglob("*") if path.is_file()]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_named(tflite, fer_opt, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    code, _, err = fer_opt("convert", tflite.parent / "model.keras", "--out", locked / "x")
    assert code == 2
    assert "locked" in err
