"""Files come to a phone whole or not at all, once, and are gone when asked."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_phones import phone_and_link

from fer_opt.device.adb import Link, open_phone
from fer_opt.device.phone.cleaning import clean
from fer_opt.device.phone.files import (
    FOLDER,
    Pushed,
    checked_name,
    model_name,
    path_on_phone,
    push_changed,
    runner_name,
)
from fer_opt.device.phone.scripts import load_script
from fer_opt.device.phone.settings import hold_settings
from fer_opt.device.virtual import Faults, VirtualPhone, start_virtual_phone
from fer_opt.errors import LinkLostError, MeasurementError, PhoneError
from fer_opt.progress import Advance, Silent

MODEL = bytes(range(256)) * 1200
NAME = "models/0123456789ab.tflite"


@pytest.fixture(scope="module")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def phone(_home: None) -> Iterator[VirtualPhone]:
    with start_virtual_phone() as made:
        yield made


@pytest.fixture
def pair(phone: VirtualPhone) -> Iterator[tuple[VirtualPhone, Link]]:
    """The phone with nothing on it, and a connection to it."""
    phone.faults = Faults()
    shutil.rmtree(phone.folder / "fer-opt", ignore_errors=True)
    with closing(open_phone(phone.address)) as link:
        yield phone, link


def on_phone(phone: VirtualPhone) -> dict[str, bytes]:
    """What lies there, without what is renamed or removed at this moment."""
    folder = phone.folder / "fer-opt"
    found = {}
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


class Counter(Silent):
    """Counts what progress is told."""

    def __init__(self) -> None:
        self.total = self.done = 0

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        self.total += total

        def advance(count: int) -> None:
            self.done += count

        yield advance


def test_files_arrive_and_are_pushed_once(pair: tuple[VirtualPhone, Link], tmp_path: Path) -> None:
    phone, link = pair
    path = tmp_path / "model.tflite"
    path.write_bytes(MODEL)
    files = {NAME: path, "inputs/x.raw": b"", "bin/run": b"#!/bin/sh\necho ran $1\n"}
    size = sum(map(len, (MODEL, files["bin/run"])))
    counter = Counter()
    pushed = push_changed(link, files, counter, executable=["bin/run"])
    assert pushed == Pushed(size, 0, tuple(files))
    assert (counter.total, counter.done) == (size, size)
    assert on_phone(phone) == {NAME: MODEL, "inputs/x.raw": b"", "bin/run": files["bin/run"]}
    assert link.shell([path_on_phone("bin/run"), "well"]).output == "ran well\n"
    assert link.shell(["test", "-x", path_on_phone(NAME)]).status == 1

    sent = phone.counters.pushed_bytes
    assert push_changed(link, files, executable=["bin/run"]) == Pushed(0, size, ())
    assert phone.counters.pushed_bytes == sent


def test_only_what_differs_is_pushed(pair: tuple[VirtualPhone, Link], tmp_path: Path) -> None:
    phone, link = pair
    path = tmp_path / "model.tflite"
    path.write_bytes(MODEL)
    other = {"inputs/a.raw": b"a" * 50}
    push_changed(link, {NAME: path, **other})
    changed = b"!" + MODEL[1:]
    path.write_bytes(changed)
    os.utime(path, ns=(1, 1))
    assert push_changed(link, {NAME: path, **other}) == Pushed(len(MODEL), 50, (NAME,))
    # Somebody spoilt the copy on the phone, its size unchanged.
    (phone.folder / "fer-opt" / NAME).write_bytes(MODEL)
    assert push_changed(link, {NAME: path, **other}).names == (NAME,)
    assert on_phone(phone)[NAME] == changed


def test_both_hashes_that_phones_know(pair: tuple[VirtualPhone, Link]) -> None:
    _, link = pair
    # Android 7 has no sha256sum; the other profile's Android has.
    assert link.script("command -v sha256sum").status != 0
    with phone_and_link("computer") as (modern, other):
        assert other.script("command -v sha256sum").status == 0
        assert push_changed(other, {NAME: MODEL}).names == (NAME,)
        assert push_changed(other, {NAME: MODEL}).names == ()
        assert on_phone(modern) == {NAME: MODEL}


@pytest.mark.usefixtures("_home")
def test_many_files_and_a_phone_that_takes_short_commands() -> None:
    files = {f"inputs/{'x' * 60}{number:03}.raw": bytes([number]) * 9 for number in range(40)}
    with phone_and_link(most_payload=4096, checksums=True) as (phone, link):
        assert push_changed(link, files).pushed_bytes == 360
        assert push_changed(link, files) == Pushed(0, 360, ())
        assert on_phone(phone) == files


def test_too_little_space_is_known_before(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    phone.faults = Faults(free_bytes=8_500_000)
    with pytest.raises(PhoneError, match=r"has 8 MB free and needs 9 MB .* delete something"):
        push_changed(link, {NAME: MODEL * 2})
    assert NAME not in on_phone(phone)


def test_space_that_runs_out_on_the_way_leaves_no_half_file(
    pair: tuple[VirtualPhone, Link],
) -> None:
    phone, link = pair
    phone.faults = Faults(full_after_bytes=100_000)
    with pytest.raises(PhoneError):
        push_changed(link, {NAME: MODEL})
    phone.faults = Faults()
    link.reconnect(within_s=5)
    assert NAME not in on_phone(phone)
    assert push_changed(link, {NAME: MODEL}).names == (NAME,)
    assert on_phone(phone) == {NAME: MODEL}


def test_old_models_make_room_oldest_first(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    old = {f"models/{name}.tflite": MODEL + name.encode() for name in ("c", "b", "a")}
    push_changed(link, old)
    for age, name in enumerate(old):
        os.utime(phone.folder / "fer-opt" / name, (1_000_000 - age, 1_000_000 - age))
    # The oldest and the second must go; the newest can stay.
    phone.faults = Faults(free_bytes=(8 << 20) + 10_000)
    new = {"models/new.tflite": MODEL * 2}
    assert push_changed(link, new).names == ("models/new.tflite",)
    assert set(on_phone(phone)) == {"models/c.tflite", "models/new.tflite"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_cut_at_every_message_leaves_whole_files(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    files = {NAME: MODEL[:90_000], "bin/run": b"#!/bin/sh\n" * 400}
    for message in range(1, 300):
        shutil.rmtree(phone.folder / "fer-opt", ignore_errors=True)
        drops = phone.counters.drops
        phone.faults = Faults(drop_at_message=message)
        try:
            push_changed(link, files)
        except LinkLostError:
            there = {name: data for name, data in on_phone(phone).items() if ".part" not in name}
            assert there.items() <= files.items()
            phone.faults = Faults()
            link.reconnect(within_s=10)
            # A file may still be given its name after the connection was lost.
            assert push_changed(link, files).kept_bytes >= sum(map(len, there.values()))
            assert on_phone(phone) == files
        else:
            phone.faults = Faults()
            if phone.counters.drops == drops:
                break
            # What is cut behind the last answer is only noticed by whoever asks next.
            link.reconnect(within_s=10)
    else:
        pytest.fail("there is no end of messages")
    assert message > 15


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "models/../../x", "a b", "a;b", "a$(id)", "-rf", "models/.x", "a\n",
     "a/b/c/d/e", "x" * 200, "ä"],
)  # fmt: skip
def test_names_that_could_do_harm_are_refused(pair: tuple[VirtualPhone, Link], name: str) -> None:
    phone, link = pair
    messages = phone.counters.messages
    with pytest.raises(PhoneError, match="cannot be a file's name on the phone"):
        push_changed(link, {name: b"x"})
    assert phone.counters.messages == messages


@given(st.text())
def test_a_name_that_passes_needs_no_quotes(name: str) -> None:
    try:
        path = path_on_phone(name)
    except PhoneError:
        return
    assert not set(path) & set(" \t\n\"'`$;&|<>()*?[]{}~#!\\")
    assert os.path.normpath(path) == path
    assert path.startswith(f"{FOLDER}/")


def test_names_by_content() -> None:
    digest = hashlib.sha256(MODEL).hexdigest()
    assert model_name(digest) == f"models/{digest[:12]}.tflite"
    assert digest[:12] in runner_name(digest)
    assert checked_name(runner_name(digest)).startswith("bin/")


def test_files_that_cannot_be_read_here(pair: tuple[VirtualPhone, Link], tmp_path: Path) -> None:
    _, link = pair
    for path, reason in ((tmp_path / "none", "No such file"), (tmp_path, "folder")):
        with pytest.raises(MeasurementError, match=rf"cannot be read \(.*{reason}"):
            push_changed(link, {NAME: path})


def test_cleaning_removes_our_folder_and_nothing_else(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    (phone.folder / "mine.txt").write_text("keep")
    assert clean(link) == 0
    push_changed(link, {NAME: MODEL})
    freed = clean(link)
    assert len(MODEL) <= freed <= len(MODEL) + 100_000
    assert not (phone.folder / "fer-opt").exists()
    assert (phone.folder / "mine.txt").read_text() == "keep"
    assert clean(link) == 0


def test_cleaning_gives_settings_back_first(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    with closing(open_phone(phone.address)) as other, hold_settings(other) as hold:
        assert phone.settings["global"]["stay_on_while_plugged_in"] == "7"
        clean(link)
        assert phone.settings["global"]["stay_on_while_plugged_in"] == "0"
        assert not (phone.folder / "fer-opt").exists()
    # That session finds nothing left to give back, and says so instead of failing.
    assert hold.owed
    assert phone.settings["global"]["stay_on_while_plugged_in"] == "0"


def test_a_link_in_the_place_of_our_folder_is_not_followed(
    pair: tuple[VirtualPhone, Link],
) -> None:
    phone, link = pair
    target = phone.folder / "precious"
    target.mkdir(exist_ok=True)
    (target / "file").write_text("keep")
    link.shell(["ln", "-s", "/data/local/tmp/precious", FOLDER])
    with pytest.raises(PhoneError, match="is a link to /data/local/tmp/precious and was not"):
        clean(link)
    assert (target / "file").read_text() == "keep"
    link.shell(["rm", FOLDER])
    link.shell(["touch", FOLDER])
    with pytest.raises(PhoneError, match="is no folder and was not touched"):
        clean(link)
    link.shell(["rm", FOLDER])


@pytest.fixture
def toybox(tmp_path: Path) -> Path:
    """A folder of commands as Android has them: toybox under mksh."""
    for program in ("toybox", "mksh"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("mkdir", "rm", "stat", "md5sum", "chmod", "df", "mv", "du", "readlink", "cat"):
        (tools / name).symlink_to(str(shutil.which("toybox")))
    return tools


def test_the_scripts_under_mksh_and_toybox(toybox: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fer-opt"

    def run(name: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(shutil.which("mksh")), "-c", load_script(name), name, *arguments],
            env={"PATH": str(toybox)}, capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout

    digest = hashlib.md5(MODEL, usedforsecurity=False).hexdigest()
    asked = (str(folder), NAME, str(len(MODEL)), "755")
    first = run("compare", *asked)
    assert first.startswith("tool md5sum\n:::begin df\nFilesystem")
    (folder / "models").mkdir()
    path = folder / NAME
    path.with_name(f"{path.name}.part").write_bytes(MODEL[:-1])
    words = (str(path), "md5sum", digest, "644")
    assert run("land", *words) == f"differs {len(MODEL) - 1}\n"
    assert not any((folder / "models").iterdir())
    path.with_name(f"{path.name}.part").write_bytes(MODEL)
    assert run("land", *words) == "landed\n"
    assert f"has {digest} {NAME}\n" in run("compare", *asked)
    assert path.stat().st_mode & 0o777 == 0o755
    assert int(run("clean", str(folder)).split()[1]) * 1024 >= len(MODEL)
    assert not folder.exists()


@pytest.mark.usefixtures("_home")
def test_room_is_made_on_a_phone_that_takes_short_commands() -> None:
    with phone_and_link(most_payload=4096, checksums=True) as (phone, link):
        folder = phone.folder / "fer-opt" / "inputs"
        folder.mkdir(parents=True)
        for number in range(200):
            (folder / f"{number:016x}.raw").write_bytes(bytes(3000))
        phone.faults = Faults(free_bytes=8 << 20)
        assert push_changed(link, {NAME: bytes(500_000)}).names == (NAME,)
        assert len(list(folder.iterdir())) == 200 - -(-500_000 // 3000)
