"""Photos timed on virtual phones by the real program, pushed, run and read as on a real one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from PIL import Image
from stage_bench_builds import BUILDS, NATIVE, PHOTOS, built
from virtual_phones import eventually, noted_services

from fer_opt.device.adb import open_phone
from fer_opt.device.phone.photo_jobs import (
    PhotoJob,
    PhotoSettings,
    TimedPhotos,
    UntimedPhoto,
    check_jobs,
)
from fer_opt.device.phone.photo_session import time_photos
from fer_opt.device.virtual import NO_FAULTS, Faults, VirtualPhone, start_virtual_phone
from fer_opt.errors import MeasurementError, PhoneError, RunnerError
from fer_opt.progress import Silent

SHORT = PhotoSettings(rounds=2, passes=2, width=48, height=48)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualPhone]:
    built(NATIVE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        with start_virtual_phone(reboot_s=0.2) as phone:
            yield phone


@pytest.fixture
def phone(started: VirtualPhone) -> Iterator[VirtualPhone]:
    """A phone nothing is wrong with; afterwards it must be as it was."""
    started.faults = NO_FAULTS
    yield started
    started.faults = NO_FAULTS
    assert started.settings["global"]["stay_on_while_plugged_in"] == "0"
    assert not (started.folder / "fer-opt" / "guard" / "before").exists()


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[PhotoJob]:
    """One face, none, and the same file under another name."""
    folder = tmp_path_factory.mktemp("photos")
    small = folder / "small.jpg"
    with Image.open(PHOTOS[1]) as file:
        file.resize((200, 133)).save(small)
    return [
        PhotoJob("china", PHOTOS[0], (20, 30, 96, 97)),
        PhotoJob("small", small),
        PhotoJob("small again", small, (0, 0, 200, 133), scale=2),
    ]


def timed(
    phone: VirtualPhone, jobs: list[PhotoJob], settings: PhotoSettings = SHORT, **options: object
) -> TimedPhotos:
    options = {"stage_bench": BUILDS} | options
    return time_photos(partial(open_phone, phone.address), jobs, settings, **options)  # type: ignore[arg-type]


class Heard(Silent):
    def __init__(self, said: list[str]) -> None:
        self.said = said

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def test_every_photo_is_timed_in_every_pass(phone: VirtualPhone, jobs: list[PhotoJob]) -> None:
    run = timed(phone, jobs)
    assert sorted((one.photo, one.process_index, one.pass_index) for one in run.times) == sorted(
        (job.name, process, index) for job in jobs for process in range(2) for index in range(2)
    )
    for one in run.times:
        whole = ["bitmap"] if one.photo == "small" else ["bitmap", "resize", "grey"]
        assert list(one.stages_ms) == whole
        assert all(0 < ms < 10_000 for ms in one.stages_ms.values())
    sizes = {one.photo: (one.width, one.height) for one in run.times}
    assert sizes == {"china": (640, 427), "small": (200, 133), "small again": (100, 67)}
    assert run.untimed == ()
    assert run.device.kind == "virtual"
    assert run.program.abi == NATIVE
    assert len(run.conditions) == 2
    assert run.conditions[0][0].cpu_mhz is not None


def test_the_order_is_random_and_the_same_again(phone: VirtualPhone, jobs: list[PhotoJob]) -> None:
    settings = PhotoSettings(rounds=6, passes=1, width=48, height=48)

    def orders() -> list[str]:
        return [one.photo for one in timed(phone, jobs[::-1], settings).times]

    first = orders()
    assert len({tuple(first[at : at + 3]) for at in range(0, 18, 3)}) > 1
    assert orders() == first


def test_a_second_run_pushes_nothing(phone: VirtualPhone, jobs: list[PhotoJob]) -> None:
    timed(phone, jobs)
    folder = phone.folder / "fer-opt"
    before = {path: path.stat().st_ino for path in folder.rglob("*") if path.suffix == ".jpg"}
    assert len(before) >= 2  # one for each content, whatever the jobs are called
    with noted_services() as services:
        timed(phone, jobs)
    assert not [service for service in services if service.startswith(b"sync:")]
    assert before == {path: path.stat().st_ino for path in before}


def test_no_name_of_a_photo_reaches_the_phone(phone: VirtualPhone, tmp_path: Path) -> None:
    names = ["$(touch pwned).jpg", "'; touch pwned; '.jpg", "--help", "a\nb.jpg", "üß.jpg"]
    jobs = []
    for at, name in enumerate(names):
        path = Path(shutil.copy(PHOTOS[0], tmp_path / name))
        with path.open("ab") as file:
            file.write(bytes(at))  # behind the picture: another content, the same pixels
        jobs.append(PhotoJob(name, path, (0, 0, 50, 50)))
    with noted_services() as services:
        run = timed(phone, jobs, PhotoSettings(rounds=1, passes=1, width=48, height=48))
    assert {one.photo for one in run.times} == set(names)
    assert run.untimed == ()
    assert services
    assert not [one for one in services if b"pwned" in one or "üß".encode() in one]
    assert not list(phone.folder.rglob("*pwned*"))


def test_what_cannot_be_read_on_the_phone_is_named_and_the_rest_is_timed(
    phone: VirtualPhone, jobs: list[PhotoJob], tmp_path: Path
) -> None:
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(PHOTOS[0].read_bytes()[:5000])
    text = tmp_path / "text.jpg"
    text.write_text("no photo")
    run = timed(phone, [PhotoJob("cut", cut), jobs[0], PhotoJob("text", text)])
    assert set(run.untimed) == {
        UntimedPhoto("cut", "is cut short"), UntimedPhoto("text", "is no JPEG")
    }  # fmt: skip
    assert [one.photo for one in run.times] == ["china"] * 4


@pytest.mark.slow
def test_more_photos_than_fit_in_a_command_are_shared_among_processes(
    phone: VirtualPhone, tmp_path: Path
) -> None:
    content = Image.new("RGB", (30, 20))
    jobs = []
    for number in range(90):
        path = tmp_path / f"{number}.jpg"
        content.putpixel((0, 0), (number * 2, 0, 0))
        content.save(path, quality=100, comment=str(number))
        jobs.append(PhotoJob(f"{number}", path, (0, 0, 20 + number % 3, 20)))
    run = timed(phone, jobs, PhotoSettings(rounds=1, passes=1, width=48, height=48))
    assert len({one.process_index for one in run.times}) == len(run.conditions) > 1
    assert sorted(int(one.photo) for one in run.times) == list(range(90))


def running() -> list[str]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any("bin/stage_bench-" in word for word in words):
            found.append(" ".join(words))
    return found


@pytest.mark.slow
def test_a_pulled_cable_is_survived(phone: VirtualPhone, jobs: list[PhotoJob]) -> None:
    whole = timed(phone, jobs)
    for message in (30, 60):
        phone.faults = Faults(drop_at_message=message)
        said: list[str] = []

        run = timed(phone, jobs, progress=Heard(said))
        assert any("reconnecting" in sentence for sentence in said)
        assert [(one.photo, one.process_index, one.pass_index) for one in run.times] == [
            (one.photo, one.process_index, one.pass_index) for one in whole.times
        ]
    assert eventually(lambda: not running())


def test_an_emulated_build_says_so(phone: VirtualPhone, jobs: list[PhotoJob]) -> None:
    if "arm" not in phone.foreign:
        pytest.skip("no emulator of ARM (qemu-user-static), or a kernel before 6.7")
    built("armeabi-v7a")
    run = timed(phone, jobs, stage_bench=BUILDS / "armeabi-v7a" / "stage_bench")
    assert run.device.kind == "emulated"
    assert (run.program.abi, run.program.simd) == ("armeabi-v7a", "NEON")


def test_the_wrong_build_or_a_low_battery_stops_before_anything_is_pushed(
    phone: VirtualPhone, jobs: list[PhotoJob], tmp_path: Path
) -> None:
    with noted_services() as services:
        with pytest.raises(RunnerError, match="has no stage_bench for this phone"):
            timed(phone, jobs, stage_bench=tmp_path)
        phone.faults = Faults(battery_percent=12)
        with pytest.raises(PhoneError, match="12 % battery"):
            timed(phone, jobs)
    assert not [service for service in services if service.startswith(b"sync:")]


def test_what_cannot_be_timed_is_refused_before_a_phone_is_touched(jobs: list[PhotoJob]) -> None:
    def never() -> None:
        raise AssertionError("a phone was touched")

    for photos, settings in (
        ([], SHORT),
        ([jobs[0], jobs[0]], SHORT),
        (jobs, PhotoSettings(rounds=0)),
        (jobs, PhotoSettings(passes=0)),
        (jobs, PhotoSettings(width=0)),
        ([PhotoJob("x", PHOTOS[0], (0, 0, 0, 0))], SHORT),
        ([PhotoJob("x", PHOTOS[0], scale=5)], SHORT),
    ):
        with pytest.raises(MeasurementError):
            check_jobs(photos, settings)
        with pytest.raises(MeasurementError):
            time_photos(never, photos, settings)  # type: ignore[arg-type]


def test_a_photo_that_is_gone_is_named(phone: VirtualPhone) -> None:
    gone = Path(os.devnull).parent / "gone.jpg"
    with pytest.raises(MeasurementError, match=r"gone\.jpg cannot be read"):
        timed(phone, [PhotoJob("gone", gone)])
