"""``fer-opt classify`` on many photos: memory stays flat, a killed or stopped run goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from photo_folders import brightness_model, portrait

PHOTOS, TORN = 1000, 40


@pytest.fixture(scope="module")
def thousand(tmp_path_factory) -> Path:
    """A folder with ``bright.tflite`` and 1,000 small photos, of which 40 are damaged."""
    folder = tmp_path_factory.mktemp("thousand")
    brightness_model(folder)
    photos = folder / "photos"
    photos.mkdir()
    kinds = []
    for index, brightness in enumerate((0.1, 0.2, 0.3, 0.5, 0.65)):
        for side in (128, 144, 176, 208):
            kinds.append(folder / f"kind{index}-{side}.jpg")
            portrait(brightness, side).save(kinds[-1], quality=90)
    whole = kinds[-1].read_bytes()
    for number in range(PHOTOS):
        path = photos / f"{number:04}.jpg"
        if number % 25 == 7:
            path.write_bytes(whole[: 500 + number])
        else:
            path.hardlink_to(kinds[number % len(kinds)])
    return folder


@contextmanager
def started(folder: Path, out: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command at work on the thousand photos."""
    command = [sys.executable, "-m", "fer_opt", "classify", "photos", "--model", "bright.tflite"]
    command += ["--out", str(out), *words]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_lines(process: subprocess.Popen[str], path: Path, count: int) -> None:
    """Until so many photos are saved; the process is still at work then."""
    deadline = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") <= count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.poll() is None


def saved_photos(path: Path) -> list[str]:
    return [json.loads(line)["photo"] for line in path.read_text().splitlines()[1:]]


@pytest.mark.slow
def test_a_thousand_photos_survive_a_kill_and_nothing_is_done_twice(thousand, tmp_path):
    store = tmp_path / "results.jsonl"
    with started(thousand, tmp_path, "--json") as process:
        wait_for_lines(process, store, 400)
        process.send_signal(signal.SIGKILL)
        out, _ = process.communicate()
        assert out == ""
    kept = store.read_bytes()
    kept = kept[: kept.rindex(b"\n") + 1]
    done = saved_photos(store) if store.read_bytes() == kept else kept.splitlines()[1:]
    assert 400 <= len(done) < PHOTOS
    assert not (tmp_path / "results.json").exists()

    with started(thousand, tmp_path, "--json", "--gallery", str(tmp_path / "g.html")) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert store.read_bytes().startswith(kept)  # what was done before stands as it stood
    names = saved_photos(store)
    assert len(names) == len(set(names)) == PHOTOS
    told = json.loads(out)
    assert told["known_before"] == sum(b"unreadable" not in line for line in kept.splitlines()[1:])
    assert told["labels"]["unreadable"] == TORN
    assert told["photos_total"] == PHOTOS
    assert "40 photos could not be read" in err
    assert "and 35 more" in err
    saved = json.loads((tmp_path / "results.json").read_text())
    assert [one["photo"] for one in saved["photos"]] == sorted(names)
    page = (tmp_path / "g.html").read_text(encoding="utf-8")
    assert page.count('<img class="x') == PHOTOS - TORN
    assert len(page) < 20e6


@pytest.mark.slow
def test_memory_stays_flat_over_a_thousand_photos_and_their_gallery(thousand, tmp_path):
    store = tmp_path / "results.jsonl"
    seen: list[tuple[int, int]] = []
    with started(thousand, tmp_path, "--json", "--gallery", str(tmp_path / "g.html")) as process:
        # The pipe would fill up and stop the process, were it to print before the end.
        watched = psutil.Process(process.pid)
        while not (tmp_path / "g.html").exists() and process.poll() is None:
            lines = store.read_bytes().count(b"\n") if store.exists() else 0
            seen.append((lines, watched.memory_info().rss))
            time.sleep(0.05)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    first = [size for lines, size in seen if 200 < lines <= PHOTOS // 2]
    second = [size for lines, size in seen if lines > PHOTOS // 2]  # writing the files included
    assert len(first) > 5
    assert len(second) > 5
    assert max(second) - max(first) < 12e6


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_done_and_says_how_to_go_on(thousand, tmp_path):
    store = tmp_path / "results.jsonl"
    with started(thousand, tmp_path) as process:
        wait_for_lines(process, store, 60)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert re.search(r"classify\b.*go on from here when called again", " ".join(err.split()))
    done = len(saved_photos(store))
    assert 60 <= done < PHOTOS
    saved = json.loads((tmp_path / "results.json").read_text())
    assert saved["complete"] is False
    assert (saved["photos_done"], saved["photos_total"]) == (len(saved["photos"]), PHOTOS)
    assert done - 1 <= len(saved["photos"]) <= done
    assert (tmp_path / "results.csv").read_text().count("\n") == len(saved["photos"]) + 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".results")] == []


@pytest.mark.slow
def test_two_commands_do_not_work_in_one_folder(thousand, tmp_path):
    with started(thousand, tmp_path) as process:
        wait_for_lines(process, tmp_path / "results.jsonl", 5)
        with started(thousand, tmp_path) as other:
            _, err = other.communicate(timeout=60)
        assert other.returncode == 2
        assert "in use by another fer-opt" in err


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_photo_that_may_not_be_read_is_read_once_it_may(thousand, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    portrait(0.1).save(folder / "a.jpg")
    (folder / "a.jpg").chmod(0)
    words = ["--out", str(tmp_path / "out"), "--json", "--model", str(thousand / "bright.tflite")]
    command = [sys.executable, "-m", "fer_opt", "classify", "photos", *words]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(first.stdout)["labels"] == {"unreadable": 1}
    (folder / "a.jpg").chmod(0o644)
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(second.stdout)["labels"] == {"happy": 1}
