"""The commands that use phones, end to end on a virtual one."""

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from phone_bench import write_runner
from sample_phone_run import sample_bench, sample_phone_run
from test_device_virtual import arm_file

from fer_opt.cli import main
from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.convert import make_variant
from fer_opt.device.adb.listing import ListedPhone
from fer_opt.device.phone.identity import lock_name, phone_id
from fer_opt.device.phone.locks import hold_phone
from fer_opt.device.virtual import NO_FAULTS, Faults, VirtualPhone, start_virtual_phone
from fer_opt.experiment.phone import PhoneRequest, find_phones, merged
from fer_opt.files import sha256_of
from fer_opt.keras_io import load_model
from fer_opt.recipe import parse_recipe
from fer_opt.reports.bench_record import read_bench_record, write_bench_record
from fer_opt.reports.record import read_record

Run = Callable[..., tuple[int, str, str]]
QUICK = ("--rounds", 1, "--runs", 2, "--outputs", 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a key of its own, so that the user's is left alone."""
    path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(path))
        patch.delenv("ADB_VENDOR_KEYS", raising=False)
        yield path


@pytest.fixture(scope="module")
def phone(home: Path) -> Iterator[VirtualPhone]:
    with start_virtual_phone() as phone:
        yield phone


@pytest.fixture
def sound(phone: VirtualPhone) -> Iterator[VirtualPhone]:
    """The phone, with whatever went wrong put right afterwards."""
    yield phone
    phone.faults = NO_FAULTS


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, keras2_model: Any, images: Any) -> Path:
    """A folder with float32.tflite and int8.tflite."""
    folder = tmp_path_factory.mktemp("models")
    path = folder / "model.keras"
    keras2_model.save(path)
    convention = InputConvention(24, 24, 1, 0.0, 1.0, AFFECTNET_LABELS)
    for text in ("float32", "int8"):
        recipe = parse_recipe(text)
        make_variant(load_model(path), recipe, convention, images, images, folder, f"{text}.tflite")
    return folder


@pytest.fixture
def fer_opt(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
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


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_a_bench_on_a_phone_leaves_a_report_and_pushes_nothing_twice(phone, models, fer_opt):
    files = (models / "float32.tflite", models / "int8.tflite")
    words = ("bench", *files, "--on", phone.address, *QUICK, "--outputs", 2)
    code, out, err = fer_opt(*words)
    assert code == 0, err
    assert "Virtual phone: these are a computer’s times" in one_line(out)
    assert re.search(r"^ *float32 +[\d.]+ +- +1 ", out, re.MULTILINE)
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "The report is runs/bench/report.html" in err
    record = read_bench_record(Path("runs/bench/record.json"))
    (run,) = record.phones
    assert record.complete
    assert run.device.kind == "virtual"
    assert (len(run.measurements), len(run.outputs)) == (2, 2)
    assert run.pushed_bytes > 0
    assert f"--on {phone.address}" in record.command

    # The same once more does nothing; another round does only that, and pushes nothing.
    code, out, _ = fer_opt(*words, "--json")
    assert code == 0
    assert json.loads(out)["complete"]
    assert read_bench_record(Path("runs/bench/record.json")).phones[0].measurements == (
        run.measurements
    )
    code, out, err = fer_opt(*words, "--json", "--rounds", 2)
    assert code == 0
    assert "Going on with the bench in runs/bench" in err
    (told,) = json.loads(out)["phones"]
    assert told["pushed_bytes"] == 0
    assert told["kept_bytes"] > 0
    assert [item["latency"]["processes"] for item in told["models"]] == [2, 2]
    assert {item["against_target"] for item in told["models"]} == {"not judged"}
    more = read_bench_record(Path("runs/bench/record.json")).phones[0]
    assert more.measurements[:2] == run.measurements


@pytest.mark.slow
def test_another_bench_takes_another_folder_and_keeps_the_first(phone, models, fer_opt):
    first = ("bench", models / "int8.tflite", "--on", phone.address, *QUICK)
    assert fer_opt(*first)[0] == 0
    before = Path("runs/bench/record.json").read_bytes()
    code, _, err = fer_opt(*first, "--threads", 2)
    assert code == 0
    assert "The report is runs/bench-2/report.html" in err
    assert Path("runs/bench/record.json").read_bytes() == before
    code, _, err = fer_opt(*first, "--threads", 2, "--out", "runs/bench")
    assert code == 2
    assert "runs/bench holds a bench of other files or settings" in err
    assert Path("runs/bench/record.json").read_bytes() == before


@pytest.mark.slow
def test_fresh_starts_over(phone, models, fer_opt):
    words = ("bench", models / "int8.tflite", "--on", phone.address, *QUICK, "--out", "b")
    assert fer_opt(*words)[0] == 0
    assert fer_opt(*words, "--threads", 2)[0] == 2
    assert fer_opt(*words, "--threads", 2, "--fresh")[0] == 0
    (run,) = read_bench_record(Path("b/record.json")).phones
    assert run.settings.threads == 2


@pytest.mark.slow
def test_real_images_are_told_of(phone, models, fer_opt):
    file = models / "int8.tflite"
    words = ("bench", file, "--on", phone.address, *QUICK, "--kind", "synthetic", "--json")
    code, _, err = fer_opt(*words)
    assert code == 0, err
    (run,) = read_bench_record(Path("runs/bench/record.json")).phones
    assert run.settings.inputs.startswith("32 samples of ")


def test_several_phones_at_the_same_time_one_of_them_gone(phone, models, fer_opt):
    with start_virtual_phone() as other:
        gone = "tcp:127.0.0.1:1"
        words = ["bench", models / "int8.tflite", *QUICK, "--out", "b"]
        words += ["--on", phone.address, "--on", gone, "--on", other.address]
        code, out, err = fer_opt(*words)
    assert code == 2
    assert f"{gone} does not answer" in one_line(err)
    record = read_bench_record(Path("b/record.json"))
    assert [run.complete for run in record.phones] == [True, True]
    assert len({run.phone for run in record.phones}) == 2
    assert not record.complete
    assert out.count("median ms") == 2
    assert f"{other.address}: Timing: done." in err
    assert Path("b/report.html").is_file()


@pytest.mark.slow
def test_a_phone_that_goes_away_costs_one_sentence_and_a_rerun_ends_it(sound, models, fer_opt):
    words = ("bench", models / "int8.tflite", "--on", sound.address, *QUICK, "--out", "b")
    sound.faults = Faults(battery_percent=3)
    code, _, err = fer_opt(*words)
    assert code == 2
    assert re.search(r"fer-opt: virtual Samsung .* has 3 % battery", one_line(err))
    sound.faults = Faults(free_bytes=1000)
    code, _, err = fer_opt("phone", "clean", "--on", sound.address)
    assert code == 0
    code, _, err = fer_opt(*words)
    assert code == 2
    assert "Traceback" not in err
    record = read_bench_record(Path("b/record.json"))
    assert record.phones[0].error in one_line(err)
    sound.faults = NO_FAULTS
    assert fer_opt(*words)[0] == 0
    assert read_bench_record(Path("b/record.json")).complete


@pytest.mark.slow
def test_on_virtual_starts_a_phone_of_its_own(models, fer_opt):
    words = ("bench", models / "int8.tflite", "--on", "virtual", *QUICK, "--json")
    code, out, err = fer_opt(*words)
    assert code == 0, err
    assert "accept" not in err  # it knows this computer
    first = json.loads(out)
    assert [one["kind"] for one in first["phones"]] == ["virtual"]
    code, out, _ = fer_opt(*words)
    assert code == 0
    assert json.loads(out) == first  # the same phone, so there was nothing to do


def test_report_writes_a_bench_again(fer_opt, tmp_path):
    write_bench_record(sample_bench(), tmp_path / "record.json")
    code, _, err = fer_opt("report", tmp_path, "--out", "again")
    assert code == 0
    assert "The report is again/report.html" in err
    assert "within" in Path("again/report.md").read_text()


EXPERIMENT = """
name = "small"
recipes = ["float32", "int8"]
[model]
path = "model.keras"
[input]
range = [0, 1]
[data]
kind = "synthetic"
split = "test"
samples = 32
[calibration]
samples = 16
[latency]
processes = 1
runs = 2
"""


@pytest.mark.slow
def test_a_finished_run_takes_a_phone_in_later(phone, models, fer_opt, tmp_path):
    shutil.copy(models / "model.keras", tmp_path)
    (tmp_path / "small.toml").write_text(EXPERIMENT)
    assert fer_opt("run", "small.toml", "--out", "out")[0] == 0
    record_path = Path("out/record.json")
    before = read_record(record_path)
    (tmp_path / "small.toml").write_text(
        EXPERIMENT + "[phone]\nrounds = 1\nruns = 1\noutputs = 0\n"
    )
    code, out, err = fer_opt("run", "small.toml", "--out", "out", "--on", phone.address)
    assert code == 0, err
    after = read_record(record_path)
    assert after.measurements == before.measurements
    assert after.complete
    (run,) = after.phones
    assert {one.model for one in run.measurements} == {"float32", "int8"}
    assert run.settings.inputs == f"32 samples of {after.dataset.name}"
    assert phone.address in after.experiment
    assert "Virtual phone: these are" in one_line(out)
    html = Path("out/report.html").read_text()
    assert "On the virtual phone" in html
    assert Path("out/phones.csv").is_file()


def test_a_run_reports_all_else_where_a_phone_fails(models, fer_opt, tmp_path):
    shutil.copy(models / "model.keras", tmp_path)
    (tmp_path / "small.toml").write_text(EXPERIMENT + '[phone]\non = "tcp:127.0.0.1:1"\n')
    code, out, err = fer_opt("run", "small.toml", "--out", "out")
    assert code == 2
    assert "tcp:127.0.0.1:1 does not answer" in one_line(err)
    assert "int8" in out
    assert Path("out/report.html").is_file()
    assert not read_record(Path("out/record.json")).complete


DEMO = """
recipes = ["float32"]
[model]
architecture = "baseline"
[input]
size = 16
range = [0, 1]
[data]
kind = "synthetic"
split = "test"
samples = 32
[training]
samples = 64
epochs = 1
[latency]
processes = 1
runs = 2
[phone]
on = ["virtual"]
rounds = 1
runs = 2
"""


@pytest.mark.slow
def test_the_demo_times_on_a_virtual_phone_and_says_so(fer_opt, monkeypatch):
    monkeypatch.setattr("fer_opt.cli.run.DEMO_EXPERIMENT", DEMO)
    code, out, err = fer_opt("demo", "--out", "demo")
    assert code == 0, err
    record = read_record(Path("demo/record.json"))
    assert [run.device.kind for run in record.phones] == ["virtual"]
    assert record.complete
    assert "Virtual phone: these are a computer’s times" in one_line(out)
    assert "On the virtual phone" in Path("demo/report.html").read_text()


@pytest.mark.slow
def test_the_demo_does_without_where_a_virtual_phone_cannot_run(fer_opt, monkeypatch, tmp_path):
    monkeypatch.setattr("fer_opt.cli.run.DEMO_EXPERIMENT", DEMO)
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))  # no key can be made there
    code, out, err = fer_opt("demo", "--out", "demo")
    assert code == 0, err
    assert "Left out: " in err
    assert "float32" in out
    record = read_record(Path("demo/record.json"))
    assert (record.complete, record.phones) == (True, ())


def test_a_phone_can_be_looked_at_listed_and_cleaned(phone, models, fer_opt):
    code, out, _ = fer_opt("phone", "info", "--on", phone.address)
    assert code == 0
    assert "SM-J330F" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    code, out, _ = fer_opt("phone", "info", "--on", phone.address, "--json")
    told = json.loads(out)
    assert (told["kind"], told["profile"]) == ("virtual", "galaxy-j3")
    code, out, _ = fer_opt("phone", "list", "--via", "tcp", "--on", phone.address, "--json")
    assert [(one["state"], one["model"]) for one in json.loads(out)] == [("device", "SM-J330F")]
    assert fer_opt("bench", models / "int8.tflite", "--on", phone.address, *QUICK)[0] == 0
    assert (phone.folder / "fer-opt").is_dir()
    code, out, _ = fer_opt("phone", "clean", "--on", phone.address)
    assert (code, (phone.folder / "fer-opt").exists()) == (0, False)
    code, out, _ = fer_opt("phone", "clean", "--on", phone.address)
    assert (code, "Nothing of fer-opt is on" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bench", "{int8}", "--out", "x"], "--out is for phones"),
        (["bench", "{int8}", "--no-xnnpack"], "--no-xnnpack is for phones"),
        (["bench", "{int8}", "--on", "host", "--on", "phone"], "by itself, not beside phones"),
        (["bench", "{int8}", "--on", "all", "--serial", "X"], "--on phone means"),
        (["bench", "{int8}", "--on", "tcp:127.0.0.1:1"], "does not answer"),
        (["bench", "{int8}", "--on", "tcp:nowhere"], "tcp:HOST:PORT"),
        (["bench", "{int8}", "--on", "a;b"], "is no serial number"),
        (["bench", "{int8}", "--on", "phone", "--serial", "$(x)"], "is no serial number"),
        (["bench", "{int8}", "--on", "phone", "--via", "pigeon"], "--via pigeon is unknown"),
        (["bench", "gone.tflite", "--on", "phone"], "gone.tflite cannot be read"),
        (["bench", "{int8}", "--on", "{phone}", "--runner", "gone"], "gone"),
        (["bench", "{int8}", "--on", "{phone}", "--threads", "99"], "99 threads"),
        (["phone", "info", "--on", "tcp:127.0.0.1:1"], "does not answer"),
        (["phone", "fetch-runner", "--abi", "mips"], "'mips' is no ABI"),
        (["phone", "fetch-runner", "--abi", "x86_64", "--url", "http://x.example/b"], "https"),
        (["phone", "virtual", "--profile", "nokia"], "galaxy-j3"),
        (["phone", "virtual", "--sandbox", "jail"], "--sandbox jail is unknown"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(words, message, phone, models, fer_opt):
    places = {"{int8}": str(models / "int8.tflite"), "{phone}": phone.address}
    code, _, err = fer_opt(*(places.get(word, word) for word in words))
    assert code == 2, err
    assert message in one_line(err)
    assert "Traceback" not in err
    assert not list(Path().rglob("*.tflite"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_phone_virtual_says_how_to_use_it_and_ends_clean(end, home, tmp_path):
    command = [sys.executable, "-m", "fer_opt", "phone", "virtual", "--json"]
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(tmp_path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            text = ""
            while not text.endswith("}\n") and (line := process.stdout.readline()):
                text += line
            told = json.loads(text)
            assert told["address"] == f"tcp:127.0.0.1:{told['port']}"
            process.send_signal(getattr(signal, end))
            process.wait(timeout=30)
        finally:
            process.kill()
        assert (process.returncode, "Traceback" in process.stderr.read()) == (0, False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["phone", "--help"], ["bench", "--help"], ["phone", "list"]])
def test_phone_commands_load_nothing_heavy(words, home):
    code = (
        "import sys; sys.argv = ['fer-opt', *sys.argv[1:]]\n"
        "from fer_opt.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'tf_keras', 'keras', 'pandas', 'altair', 'scipy', 'cv2'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_ctrl_c_gives_the_phone_back_and_a_rerun_goes_on(sound, models, home, tmp_path):
    words = ["bench", str(models / "int8.tflite"), "--on", sound.address, "--rounds", "60"]
    command = [sys.executable, "-m", "fer_opt", *words, "--runs", "3", "--out", "b"]
    settings = sound.settings
    path = tmp_path / "b" / "record.json"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                if path.exists() and read_bench_record(path).phones[0].measurements:
                    break
                time.sleep(0.05)
            assert sound.settings != settings
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert "stopped" in err
    assert "Traceback" not in err
    assert sound.settings == settings
    (run,) = read_bench_record(path).phones
    assert not run.complete
    assert "interrupted" in run.error
    assert run.measurements


def test_a_phones_run_takes_the_place_of_what_was_known_of_it():
    first, second = sample_phone_run(), sample_phone_run(label="another")
    newer = sample_phone_run(rounds=2)
    assert merged((), first) == (first,)
    assert merged((first, second), newer) == (newer, second)


def test_a_phone_in_use_by_another_name_is_neither_cleaned_nor_asked(phone, models, fer_opt):
    there = f"tcp:localhost:{phone.port}"
    assert fer_opt("bench", models / "int8.tflite", "--on", phone.address, *QUICK)[0] == 0
    listing = ("phone", "list", "--via", "tcp", "--on", there, "--json")
    with hold_phone(lock_name(phone_id(phone.serial)), "the phone"):
        code, _, err = fer_opt("phone", "clean", "--on", there)
        assert (code, "is in use by another fer-opt" in one_line(err)) == (2, True)
        assert (phone.folder / "fer-opt" / "bin").is_dir()
        (found,) = json.loads(fer_opt(*listing)[1])
        assert (found["state"], found["model"], found["battery_percent"]) == ("in use", "", None)
        assert "another fer-opt" in found["advice"]
    with hold_phone(there, "the phone"):
        assert json.loads(fer_opt(*listing)[1])[0]["state"] == "in use"
    assert json.loads(fer_opt(*listing)[1])[0]["state"] == "device"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_model_that_cannot_be_timed_costs_exit_code_2(form, phone, models, fer_opt, tmp_path):
    doomed = sha256_of(models / "float32.tflite")[:12]
    runner = write_runner(tmp_path / "runner", f"case $graph in *{doomed}*) exit 1;; esac")
    words = ["bench", models / "float32.tflite", models / "int8.tflite", "--on", phone.address]
    words += ["--runner", runner, *QUICK, "--outputs", 0, *form]
    for _ in range(2):  # and again when there is nothing left to do
        code, out, err = fer_opt(*words)
        assert code == 2
        assert "float32 could not be timed on virtual Samsung" in one_line(err)
        assert "int8 could not" not in one_line(err)
        assert Path("runs/bench/report.html").is_file()
        if form:
            told = json.loads(out)["phones"][0]["models"]
            assert [bool(one["failure"]) for one in told] == [True, False]


@pytest.mark.slow
def test_a_run_whose_model_a_phone_cannot_time_has_the_same_exit_code(
    phone, models, fer_opt, tmp_path
):
    shutil.copy(models / "model.keras", tmp_path)
    write_runner(tmp_path / "runner", 'case $graph in */models/*) [ "$runs" = 1 ] && exit 1;; esac')
    (tmp_path / "small.toml").write_text(
        EXPERIMENT + "[phone]\nrounds = 1\nruns = 1\noutputs = 0\nrunner = 'runner'\n"
    )
    code, _, err = fer_opt("run", "small.toml", "--out", "out", "--on", phone.address)
    assert (code, "could not be timed on virtual Samsung" in one_line(err)) == (2, True)
    assert read_record(Path("out/record.json")).complete
    assert Path("out/report.html").is_file()


def test_every_fault_can_be_asked_for(fer_opt, monkeypatch):
    asked = {
        "drop_at_message": 5, "drop_at_byte": 6, "away_s": 0.5, "freeze_at_message": 7,
        "reboot_at_message": 8, "free_bytes": 9, "full_after_bytes": 10, "unauthorized": True,
        "bytes_per_s": 11.0, "speed": 0.5, "battery_percent": 12, "battery_c": 13.0,
    }  # fmt: skip
    seen = []
    monkeypatch.setattr("fer_opt.device.virtual.serve", lambda *_, **named: seen.append(named))
    words = []
    for name, value in asked.items():
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [value])]
    code, _, err = fer_opt("phone", "virtual", *words)
    assert code == 0, err
    assert seen[0]["faults"] == Faults(**asked)
    # ``frozen`` is for tests: a phone that never answered would be of no use.
    assert {one.name for one in dataclasses.fields(Faults)} - {"frozen"} == set(asked)


def test_a_phone_asked_for_by_two_names_is_timed_once(phone, models, fer_opt):
    words = ["bench", models / "int8.tflite", *QUICK, "--outputs", 0]
    words += ["--on", phone.address, "--on", f"tcp:localhost:{phone.port}"]
    code, _, err = fer_opt(*words)
    assert code == 0, err
    assert "is the same phone as tcp:" in one_line(err)
    record = read_bench_record(Path("runs/bench/record.json"))
    assert (record.complete, len(record.phones), len(record.phones[0].measurements)) == (True, 1, 1)


def test_the_one_phone_is_one_of_all(monkeypatch):
    found = (ListedPhone("SERIAL", "device", "usb"),)
    monkeypatch.setattr("fer_opt.experiment.phone.list_phones", lambda *_, **__: found)
    assert list(find_phones(PhoneRequest(("phone", "all", "SERIAL")), print)) == ["SERIAL"]


def arm_runner(script: str) -> bytes:
    """An ARM program that becomes ``sh SCRIPT`` with the arguments it was given."""
    code = [
        0xE59D3000,  # ldr r3, [sp]: how many arguments
        0xE08D2103,  # add r2, sp, r3, lsl #2
        0xE2822008,  # add r2, r2, #8: the environment
        0xE28F0024,  # add r0, pc, #36: the shell
        0xE58D0000,  # str r0, [sp]: in the place of their number
        0xE28F102C,  # add r1, pc, #44: the script
        0xE58D1004,  # str r1, [sp, #4]: in the place of its own name
        0xE1A0100D,  # mov r1, sp
        0xE3A0700B,  # mov r7, #11: execve
        0xEF000000,  # svc 0
        0xE3A00001,  # mov r0, #1
        0xE3A07001,  # mov r7, #1: exit
        0xEF000000,  # svc 0
        0xE1A00000,  # nop
    ]
    return arm_file(code, b"/system/bin/sh\0\0" + script.encode() + b"\0")


def test_a_bench_through_an_emulator_shows_no_time(models, fer_opt, tmp_path, home):
    with start_virtual_phone() as phone:
        if "arm" not in phone.foreign:
            pytest.skip("no emulator of ARM (qemu-user-static), or a kernel before 6.7")
        write_runner(phone.folder / "runner.sh", "each=98765")
        (tmp_path / "runner").write_bytes(arm_runner("/data/local/tmp/runner.sh"))
        words = ["bench", models / "float32.tflite", models / "int8.tflite", *QUICK]
        words += ["--outputs", 0, "--on", phone.address, "--runner", tmp_path / "runner"]
        code, out, err = fer_opt(*words)
        assert code == 0, err
        told = json.loads(fer_opt(*words, "--json")[1])["phones"][0]
    (run,) = read_bench_record(Path("runs/bench/record.json")).phones
    assert (run.device.kind, run.runner.abi, run.trust.trusted) == (
        "emulated",
        "armeabi-v7a",
        False,
    )
    assert [one.datum_ms for one in run.measurements] == [98.765] * 2  # it really ran
    assert "emulated" in one_line(out)
    assert told["kind"] == "emulated"
    page, text = (Path("runs/bench", name).read_text() for name in ("report.html", "report.md"))
    assert "emulated: no latency" in page
    assert "98.8" not in out + page + text
    assert "98.765" not in out + page + text + json.dumps(told)
