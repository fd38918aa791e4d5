"""``fer-opt classify``: what it prints and saves, what it refuses, and that it goes on."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from photo_folders import SHOWN, brightness_content, brightness_model, portrait, write_photos
from stage_detectors import blazeface_raw, constants, detector_file

from fer_opt.cli import main
from fer_opt.convention import AFFECTNET_LABELS
from fer_opt.device.stage_timing import STAGES

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    """A folder with ``photos/`` and ``bright.tflite``."""
    folder = tmp_path_factory.mktemp("classify")
    write_photos(folder / "photos")
    brightness_model(folder)
    return folder


@pytest.fixture
def fer_opt(monkeypatch, capfd, tmp_path) -> Run:
    """Run the command in this process, in an empty folder, in a terminal 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fer-opt", "classify", *map(str, words)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as exc:
            code = int(exc.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return run


def results(out: Path = Path("runs/classify")) -> dict[str, dict]:
    """What ``results.json`` says of each photo, by name within the folder."""
    saved = json.loads((out / "results.json").read_text())
    return {re.sub(r"^.*photos/", "", item["photo"]): item for item in saved["photos"]}


def label(result: dict) -> str:
    return result["label"] or result["outcome"]


def lines(out: Path = Path("runs/classify")) -> list[dict]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def test_each_photo_is_told_in_order_and_what_could_not_be_read_is_named(material, fer_opt):
    code, out, err = fer_opt(material / "photos", "--model", material / "bright.tflite")
    assert code == 0, err
    found = results()
    assert {name: label(item) for name, item in found.items()} == SHOWN
    assert list(found) == list(SHOWN)
    told = [line for line in out.splitlines() if ".jpg" in line or "deeper" in line]
    assert len(told) == 11  # wall.bmp is the twelfth
    assert re.search(r"😀 happy +\d+% +[\d.]+ ms  .*one0\.jpg$", out, re.M)
    assert re.search(r"👥 several faces +[\d.]+ ms  .*two\.jpg$", out, re.M)
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "12 photos" in out
    words = " ".join(err.split())
    assert "2 photos could not be read" in words
    assert "torn.jpg is a damaged image" in words
    assert "words.jpg is no image" in words
    assert "Left out by their ending: 1 .mov." in words


def test_the_files_hold_every_stage_probability_and_box(material, fer_opt):
    fer_opt(material / "photos", "--model", material / "bright.tflite")
    saved = json.loads(Path("runs/classify/results.json").read_text())
    assert saved["complete"] is True
    assert saved["made_with"]["labels"] == list(AFFECTNET_LABELS)
    assert saved["labels"] == {
        "fear": 4, "happy": 2, "unreadable": 2, "sad": 1, "surprise": 1, "several faces": 1,
        "no face": 1,
    }  # fmt: skip
    assert [stage["stage"] for stage in saved["stages"]] == [*STAGES, "total"]
    one = results()["turned.jpg"]
    assert (one["width"], one["height"]) == (360, 240)  # upright
    ((left, top, width, height),) = one["faces"]
    assert 90 < left + width / 2 < 270
    assert 0 <= top < top + height <= 240
    assert list(one["stages_ms"]) == list(STAGES)
    assert one["total_ms"] == pytest.approx(sum(one["stages_ms"].values()), rel=0.02, abs=0.05)
    assert one["confidence"] == max(one["probabilities"])
    assert sum(one["probabilities"]) == pytest.approx(1, abs=1e-3)
    assert list(results()["wall.bmp"]["stages_ms"]) == ["bitmap", "detect"]

    with Path("runs/classify/results.csv").open(newline="", encoding="utf-8") as handle:
        rows = {row["photo"].split("photos/")[1]: row for row in csv.DictReader(handle)}
    assert list(rows) == list(SHOWN)
    for name, item in results().items():
        row = rows[name]
        assert row["outcome"] == item["outcome"]
        assert row["label"] == item["label"]
        if item["outcome"] == "one face":
            assert float(row["detect_ms"]) == item["stages_ms"]["detect"]
            assert float(row[f"probability[{item['label']}]"]) == item["confidence"]
    assert rows["two.jpg"]["faces"] == "2"
    assert len(rows["two.jpg"]["boxes"].split("; ")) == 2
    assert "no image" in rows["words.jpg"]["reason"]


def test_the_same_command_does_nothing_twice_and_a_changed_photo_again(fer_opt, material):
    folder = Path("photos")
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        portrait(0.1).save(folder / name)
    (folder / "c.jpg").write_text("nothing")
    words = ["photos", "--model", material / "bright.tflite"]
    fer_opt(*words)
    first = lines()
    before = results()
    code, out, err = fer_opt(*words)
    assert code == 0
    assert lines() == first
    assert results() == before
    assert "2 photos had been classified before" in err
    assert "a.jpg" in out

    portrait(0.3).save(folder / "b.jpg")
    os.utime(folder / "b.jpg", ns=(1, 1))
    portrait(0.2).save(folder / "c.jpg")
    fer_opt(*words)
    assert lines()[: len(first)] == first
    assert [item["photo"] for item in lines()[len(first) :]] == ["photos/b.jpg", "photos/c.jpg"]
    assert [label(item) for item in results().values()] == ["happy", "surprise", "sad"]


def test_other_photos_join_the_folder_but_the_tables_are_those_of_the_last_command(
    fer_opt, material
):
    portrait(0.1).save("a.jpg")
    portrait(0.3).save("b.jpg")
    fer_opt("a.jpg", "--model", material / "bright.tflite")
    fer_opt("b.jpg", "--model", material / "bright.tflite")
    assert list(results()) == ["b.jpg"]
    assert [item.get("photo") for item in lines()] == [None, "a.jpg", "b.jpg"]


def test_only_filters_what_is_shown_and_not_what_is_saved(material, fer_opt):
    model = material / "bright.tflite"
    words = [material / "photos", "--model", model]
    code, out, _ = fer_opt(*words, "--only", "Happiness, sad")
    assert code == 0
    assert [line.rsplit("/", 1)[-1] for line in out.splitlines() if ".jpg" in line] == [
        "one0.jpg", "one1.jpg", "one2.jpg",
    ]  # fmt: skip
    assert "3 photos of 12 show happy or sad" in out
    assert len(results()) == 12
    _, out, err = fer_opt(*words, "--only", "several_faces", "--only", "surprise", "--json")
    shown = json.loads(out)
    assert [Path(item["photo"]).name for item in shown["photos"]] == ["one3.jpg", "two.jpg"]
    assert shown["only"] == ["several faces", "surprise"]
    assert shown["photos_total"] == 12
    assert "could not be read" in err
    _, out, _ = fer_opt(*words, "--only", "contempt")
    assert "0 photos of 12 show contempt" in out


def test_json_is_the_only_thing_on_standard_output(material, fer_opt):
    code, out, _ = fer_opt(material / "photos", "--model", material / "bright.tflite", "--json")
    assert code == 0
    told = json.loads(out)
    assert {re.sub(r"^.*photos/", "", one["photo"]): label(one) for one in told["photos"]} == SHOWN
    assert all(Path(path).is_file() for path in told["files"])


def test_unlike_results_are_not_mixed(material, fer_opt, tmp_path):
    portrait(0.1).save("a.jpg")
    other = brightness_model(tmp_path, "other.tflite", classes=7)
    assert fer_opt("a.jpg", "--model", material / "bright.tflite")[0] == 0
    kept = Path("runs/classify/results.jsonl").read_bytes()
    for words, cause in [
        (["--model", other], "another model (bright.tflite"),
        (["--model", material / "bright.tflite", "--way", "faster"], "--way thesis"),
        (["--model", material / "bright.tflite", "--range=-1,1"], "another statement"),
    ]:
        code, _, err = fer_opt("a.jpg", *words)
        assert code == 2
        assert cause in " ".join(err.split())
        assert "--fresh" in err
        assert Path("runs/classify/results.jsonl").read_bytes() == kept
    code, _, err = fer_opt("a.jpg", "--model", other, "--fresh")
    assert code == 0
    assert lines()[0]["model"] == "other.tflite"
    assert len(lines()) == 2


def test_a_torn_last_line_is_done_again_and_a_damaged_one_refused(material, fer_opt):
    for name in ("a.jpg", "b.jpg"):
        portrait(0.1).save(name)
    words = ["a.jpg", "b.jpg", "--model", material / "bright.tflite"]
    fer_opt(*words)
    path = Path("runs/classify/results.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])  # as a full disk or a power cut leaves it
    code, _, err = fer_opt(*words)
    assert code == 0
    assert "1 photo had been classified before" in err
    assert [item["photo"] for item in lines()[1:]] == ["a.jpg", "b.jpg"]
    path.write_bytes(whole[:40])  # the very first line
    assert fer_opt(*words)[0] == 0
    path.write_bytes(whole.replace(b'"one face"', b'"five faces"'))
    code, _, err = fer_opt(*words)
    assert code == 2
    assert "damaged at line 2" in " ".join(err.split())
    path.write_text("somebody's notes")
    code, _, err = fer_opt(*words)
    assert code == 2
    assert path.read_text() == "somebody's notes"


def test_what_a_kill_left_half_written_is_removed(material, fer_opt):
    portrait(0.1).save("a.jpg")
    half = Path("runs/classify/.results.json.x1y2")
    half.parent.mkdir(parents=True)
    half.write_text("{")
    assert fer_opt("a.jpg", "--model", material / "bright.tflite")[0] == 0
    assert {path.name for path in half.parent.iterdir()} == {
        ".lock", "results.csv", "results.json", "results.jsonl",
    }  # fmt: skip


def test_names_of_files_are_only_names(material, fer_opt, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    odd = ["=1+2.jpg", "new\nline.jpg", "\x1b[31mred.jpg", os.fsdecode(b"caf\xe9.jpg"), "日本.jpg"]
    for name in odd:
        portrait(0.1).save(folder / "made.jpg")
        (folder / "made.jpg").rename(folder / name)
    words = ["odd", "--model", material / "bright.tflite", "--gallery", "g.html"]
    for _ in range(2):
        code, out, err = fer_opt(*words)
        assert code == 0, err
        assert "\x1b[31m" not in out
        assert len([line for line in out.splitlines() if line.startswith("😀 happy  ")]) == 5
    assert "5 photos had been classified before" in err
    assert {Path(item["photo"]).name for item in lines()[1:]} == set(odd)
    assert "日本" in Path("g.html").read_text(encoding="utf-8")


def test_a_spreadsheet_takes_no_name_for_a_formula(material, fer_opt):
    portrait(0.1).save("=1+2.jpg")
    assert fer_opt("=1+2.jpg", "--model", material / "bright.tflite")[0] == 0
    assert "\n'=1+2.jpg,one face" in Path("runs/classify/results.csv").read_text()


def test_a_foreign_model_needs_its_range_and_labels_stated(material, fer_opt, tmp_path):
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(brightness_content(8))
    portrait(0.1).save("a.jpg")
    code, _, err = fer_opt("a.jpg", "--model", foreign)
    assert code == 2
    assert "range" in err
    assert "labels" in err
    code, _, err = fer_opt("a.jpg", "--model", foreign, "--range", "0,1")
    assert code == 2
    assert "--labels" in err
    code, _, err = fer_opt(
        "a.jpg", "--model", foreign, "--range", "0,1", "--labels", "k,l,m,n,o,p,q,r"
    )
    assert code == 0, err
    assert [label(item) for item in results().values()] == ["l"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.jpg"], "gone.jpg does not exist"),
        (["{photos}/one0.jpg/x"], "does not exist"),
        (["empty"], "empty holds no photo"),
        (["{photos}/inside/../film"], "does not exist"),
        (["films"], "films holds no photo, only 1 other files (.mov)"),
        (["/dev/null"], "neither a file nor a folder"),
        (["{photos}", "--only", "hapy"], "did you mean happy?"),
        (["{photos}", "--only", "happy,"], "is no label"),
        (["{photos}", "--only", "no face"], "leave --only out"),
        (["{photos}", "--way", "fast"], "did you mean faster?"),
        (["{photos}", "--detector", "har"], "write haar"),
        (["{photos}", "--detector", "{photos}/one0.jpg"], "one0.jpg"),
        (["{photos}", "--threads", "999"], "999 threads"),
        (["{photos}", "--gallery", "{photos}/one0.jpg"], "ends in .html"),
        (["{photos}", "--out", "{photos}/one0.jpg"], "choose a folder"),
        (["{photos}", "--range", "5"], "two numbers"),
        (["{photos}", "--labels", "a,b"], "state one label for each output"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(words, message, material, fer_opt):
    Path("empty").mkdir()
    Path("films").mkdir()
    Path("films/film.mov").write_bytes(b"film")
    filled = [word.replace("{photos}", str(material / "photos")) for word in words]
    before = (material / "photos" / "one0.jpg").read_bytes()
    code, _, err = fer_opt(*filled, "--model", material / "bright.tflite")
    assert code == 2, err
    assert message in " ".join(err.split())
    assert "Traceback" not in err
    assert not Path("runs").exists()
    assert (material / "photos" / "one0.jpg").read_bytes() == before


def test_a_model_that_is_none_is_refused(material, fer_opt):
    Path("no.tflite").write_text("no")
    for model in ("gone.tflite", "no.tflite"):
        code, _, err = fer_opt(material / "photos", "--model", model)
        assert code == 2
        assert model in err
        assert not Path("runs").exists()


def test_it_starts_without_tensorflow(material, tmp_path):
    code = f"""
import sys
sys.argv = ["fer-opt", "classify", {str(material / "photos" / "one0.jpg")!r},
            "--model", {str(material / "bright.tflite")!r}, "--gallery", "g.html"]
from fer_opt.cli import main
try:
    main()
except SystemExit:
    pass
heavy = ("tensorflow", "tf_keras", "keras", "scipy.stats", "sklearn", "altair")
print([name for name in heavy if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"
    assert (tmp_path / "g.html").is_file()


COMMAND = (sys.executable, "-m", "fer_opt", "classify")


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_once_there_is_room(material, tmp_path):
    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, resource.RLIM_INFINITY))

    words = [*COMMAND, str(material / "photos"), "--model", str(material / "bright.tflite")]
    full = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, preexec_fn=little_room
    )
    assert full.returncode == 2
    assert "results.jsonl cannot be written" in full.stderr
    assert "Traceback" not in full.stderr
    kept = (tmp_path / "runs/classify/results.jsonl").read_bytes()
    kept = kept[: kept.rindex(b"\n") + 1]
    assert kept.count(b"\n") > 1
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"{kept.count(bytes([10])) - 1} photos had been classified before" in done.stderr
    assert (tmp_path / "runs/classify/results.jsonl").read_bytes().startswith(kept)
    assert len(results(tmp_path / "runs/classify")) == len(SHOWN)


def test_a_terminal_without_emoji_gets_question_marks(material, tmp_path):
    words = [*COMMAND, str(material / "photos"), "--model", str(material / "bright.tflite")]
    plain = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, env=plain, check=True)
    out = done.stdout.decode("latin-1")
    assert re.search(r"^\? happy +\d+% .*one0\.jpg$", out, re.M)
    assert "several faces" in out


def test_results_go_to_the_file_they_are_sent_to_while_bars_are_drawn(material, tmp_path):
    terminal, end = pty.openpty()
    words = [*COMMAND, str(material / "photos"), "--model", str(material / "bright.tflite")]
    with (tmp_path / "told.txt").open("wb") as told:
        process = subprocess.Popen(words, cwd=tmp_path, stdout=told, stderr=end)
    os.close(end)
    drawn = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal nobody has open so
        while piece := os.read(terminal, 4096):
            drawn += piece
    os.close(terminal)
    assert process.wait(60) == 0
    assert b"Classifying" in drawn
    assert b"one0.jpg" not in drawn
    lines = (tmp_path / "told.txt").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if re.search(r"\d ms  .", line)]) == 10


def test_a_detector_of_the_user_s_takes_the_cascade_s_place(material, fer_opt, tmp_path):
    # Its one face is in the middle of whatever it sees.
    raw = blazeface_raw(896, {2 * (8 * 16 + 8): (-4.0, -4.0, 64.0, 64.0, 3.0)})
    face = detector_file(tmp_path / "face.tflite", 128, constants(*raw))
    words = [material / "photos", "--model", material / "bright.tflite", "--detector", face]
    code, _, err = fer_opt(*words)
    assert code == 0, err
    found = results()
    assert {label(found[name]) for name in ("torn.jpg", "words.jpg")} == {"unreadable"}
    assert all(len(item["faces"]) == 1 for item in found.values() if not item["reason"])
    assert found["wall.bmp"]["label"]
    saved = json.loads(Path("runs/classify/results.json").read_text())
    assert saved["made_with"]["detector"] == "face.tflite"
    code, _, err = fer_opt(*words[:-2])
    assert code == 2
    assert "--detector face.tflite" in err
