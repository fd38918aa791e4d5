"""A virtual phone in use: commands, files, who may come in, and nothing left behind."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from adb_shell import constants
from adb_shell.adb_device import AdbDeviceTcp
from adb_shell.adb_message import AdbMessage
from adb_shell.exceptions import DeviceAuthError, TcpTimeoutException
from virtual_hosts import (
    appears,
    connected,
    disappears,
    new_seconds,
    public_key,
    pull,
    push,
    run,
    set_apart,
    sleepers,
    until_there,
    within,
)

from fer_opt.device.virtual import SandboxWanted, VirtualPhone, start_virtual_phone
from fer_opt.errors import PhoneError

TMP = "/data/local/tmp"
NEEDS_BWRAP = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is missing")


@pytest.fixture(scope="module", params=[pytest.param("bubblewrap", marks=NEEDS_BWRAP), "plain"])
def phone(request: pytest.FixtureRequest) -> Iterator[VirtualPhone]:
    wanted: SandboxWanted = request.param
    with start_virtual_phone(sandbox=wanted) as phone:
        yield phone


@pytest.fixture
def adb(phone: VirtualPhone) -> Iterator[AdbDeviceTcp]:
    with connected(phone) as device:
        yield device


def test_it_answers_as_its_profile(phone: VirtualPhone, adb: AdbDeviceTcp) -> None:
    names = ("ro.product.model", "ro.product.cpu.abilist", "nothing", "ro.serialno")
    told = run(adb, "; ".join(f"getprop {name}" for name in (*names, "ro.fer_opt.virtual")))
    assert told.splitlines() == [
        "SM-J330F", "armeabi-v7a,armeabi", "", phone.serial, os.uname().machine
    ]  # fmt: skip
    clocks = "/sys/devices/system/cpu/cpu3/cpufreq"
    assert run(adb, f"cat {clocks}/scaling_max_freq {clocks}/scaling_governor") == (
        "1430000\ninteractive\n"
    )
    assert run(adb, "cat /sys/devices/system/cpu/possible") == "0-3\n"
    assert "temperature: 294" in run(adb, "dumpsys battery")
    assert "MemTotal:        1916480 kB" in run(adb, "cat /proc/meminfo")


def test_tools_are_those_of_its_android(adb: AdbDeviceTcp) -> None:
    ask = "for tool in md5sum sha256sum awk nproc; do command -v $tool; done"
    assert run(adb, ask) == "/system/bin/md5sum\n"
    assert "Can't find service" in run(adb, "dumpsys thermalservice")
    with start_virtual_phone("computer") as newer, connected(newer) as device:
        assert len(run(device, ask).split()) == 4
        assert "Thermal Status: 0" in run(device, "dumpsys thermalservice")
        assert run(device, "getprop ro.product.cpu.abilist") != "armeabi-v7a,armeabi\n"


def test_settings_are_kept_and_can_be_looked_into(phone: VirtualPhone, adb: AdbDeviceTcp) -> None:
    assert run(adb, "settings get global stay_on_while_plugged_in") == "0\n"
    run(adb, "svc power stayon true; settings put system 'a key' 'a value'")
    assert phone.settings["global"]["stay_on_while_plugged_in"] == "7"
    assert phone.settings["system"]["a key"] == "a value"
    run(adb, "svc power stayon false; settings delete system 'a key'")
    assert run(adb, "settings get system 'a key'") == "null\n"
    assert phone.settings["global"]["stay_on_while_plugged_in"] == "0"


def test_masks_name_the_phones_cpus(adb: AdbDeviceTcp) -> None:
    for mask in ("1", "8", "f"):
        assert run(adb, f"taskset {mask} echo ran") == "ran\n"
    assert re.search(r"mask: f\n", run(adb, "taskset -p $$"))
    assert "Invalid argument" in run(adb, "taskset 100 echo ran")
    assert run(adb, "taskset 1 /no/such; echo $?").endswith("\n127\n")


def test_pushed_scripts_run_with_this_interpreter(adb: AdbDeviceTcp) -> None:
    script = (
        "#!/usr/bin/env python3\nimport ai_edge_litert, os, sys\n"
        "print(sys.version_info[:2], os.environ['OPENBLAS_NUM_THREADS'], sys.argv[1])\n"
    )
    push(adb, script.encode(), f"{TMP}/own/script", mode=0o755)
    told = run(adb, f"{TMP}/own/script --graph={TMP}/own/model")
    assert told == f"{sys.version_info[:2]} 1 --graph={TMP}/own/model\n"


def test_files_arrive_whole_with_time_and_mode(adb: AdbDeviceTcp) -> None:
    data = os.urandom(3_000_000)
    path = f"{TMP}/deep/er/file"
    push(adb, data, path, mode=0o755, time_s=1_500_000_000)
    assert adb.stat(path) == (0o100777, len(data), 1_500_000_000)
    assert run(adb, f"md5sum {path}") == f"{hashlib.md5(data).hexdigest()}  {path}\n"
    assert pull(adb, path) == data
    assert {bytes(entry.filename) for entry in adb.list(f"{TMP}/deep")} == {b".", b"..", b"er"}
    assert adb.stat(f"{TMP}/nothing") == (0, 0, 0)
    push(adb, b"short", path)  # a push replaces what is there
    assert run(adb, f"cat {path}") == "short"


def test_nothing_can_be_written_elsewhere(phone: VirtualPhone, adb: AdbDeviceTcp) -> None:
    with pytest.raises(Exception, match="Read-only file system"):
        push(adb, b"x", "/etc/fer-opt-was-here")
    assert not Path("/etc/fer-opt-was-here").exists()
    if phone.sandbox == "bubblewrap":
        assert "Read-only" in run(adb, "echo x >/fer-opt-was-here")
        assert "Read-only" in run(adb, f"echo x >{Path(__file__).parent}/fer-opt-was-here")
    run(adb, f"ln -s /etc {TMP}/etc")
    with connected(phone) as again, pytest.raises(Exception, match="Read-only file system"):
        push(again, b"x", f"{TMP}/etc/fer-opt-was-here")
    assert not Path("/etc/fer-opt-was-here").exists()


def test_links_mean_what_they_say_inside(adb: AdbDeviceTcp, phone: VirtualPhone) -> None:
    run(adb, f"cd {TMP}; echo data >original; ln -s original link; ln -s /nowhere broken")
    assert pull(adb, f"{TMP}/link") == b"data\n"
    assert adb.stat(f"{TMP}/broken")[0] & 0o170000 == 0o120000
    push(adb, b"new", f"{TMP}/link")  # replaces the link, not what it points to
    assert run(adb, f"cd {TMP}; cat original link") == "data\nnew"


def test_the_program_of_a_lost_shell_is_hung_up_on(phone: VirtualPhone) -> None:
    for rest in ("", "; true"):
        seconds = new_seconds()
        with connected(phone) as device:
            stream = device._open(f"shell:sleep {seconds}{rest}".encode(), 5, 5, None)
            assert stream is not None
            assert appears(seconds)
        assert disappears(seconds)


def test_what_was_set_apart_outlives_the_connection(phone: VirtualPhone) -> None:
    seconds = new_seconds()
    with connected(phone) as device:
        run(device, set_apart(seconds))
        assert appears(seconds)
    time.sleep(0.3)
    assert sleepers(seconds)
    with connected(phone) as device:
        run(device, f"pkill -f 'sleep {seconds[:-1]}[{seconds[-1]}]'")
    assert disappears(seconds)


def test_a_host_that_goes_while_a_program_does_not_read(phone: VirtualPhone) -> None:
    seconds = new_seconds()
    with connected(phone) as device:
        stream = device._open(f"shell:sleep {seconds}".encode(), 5, 5, None)
        for _ in range(3):
            write = AdbMessage(constants.WRTE, stream.local_id, stream.remote_id, bytes(50_000))
            device._io_manager.send(write, stream)
        assert appears(seconds)
    assert disappears(seconds)


def test_reboot_is_a_new_boot_and_keeps_files_and_settings(phone: VirtualPhone) -> None:
    boot = "cat /proc/sys/kernel/random/boot_id; cut -d. -f1 /proc/uptime"
    seconds = new_seconds()
    with connected(phone) as device:
        run(device, f"echo kept >{TMP}/kept; settings put global kept yes")
        run(device, set_apart(seconds))
        before = run(device, boot)
        reboots = phone.counters.reboots
        asked = time.monotonic()
        device._open(b"shell:reboot", 5, 5, None)
        assert within(15, lambda: phone.counters.reboots == reboots + 1)
    assert disappears(seconds)
    told: list[str] = []

    def is_back() -> bool:  # it is away for a second
        with contextlib.suppress(Exception), connected(phone) as device:
            told[:] = [
                run(device, boot), run(device, f"cat {TMP}/kept; settings get global kept")
            ]  # fmt: skip
        return bool(told)

    assert within(60, is_back)
    after, kept = told
    assert kept == "kept\nyes\n"
    assert before.split()[0] != after.split()[0]
    assert int(after.split()[1]) <= time.monotonic() - asked


def test_many_hosts_and_streams_at_once(phone: VirtualPhone) -> None:
    data = {f"{TMP}/{number}": os.urandom(200_000) for number in range(6)}

    def use(path: str) -> bool:
        with connected(phone) as device:
            push(device, data[path], path)
            told = run(device, f"md5sum <{path}; sleep 0.2")
            return told.startswith(hashlib.md5(data[path]).hexdigest()) and (
                pull(device, path) == data[path]
            )

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert all(pool.map(use, data))


def test_two_phones_know_nothing_of_each_other() -> None:
    with start_virtual_phone() as first, start_virtual_phone("computer") as second:
        with connected(first) as one, connected(second) as other:
            run(one, f"echo mine >{TMP}/mine; settings put global mine 1")
            assert run(other, f"ls {TMP}; settings get global mine") == "null\n"
        assert first.serial != second.serial
        assert "mine" not in second.settings["global"]


def test_keys_are_really_checked() -> None:
    with (
        start_virtual_phone(authorise="known") as phone,
        pytest.raises((DeviceAuthError, TcpTimeoutException)),
        connected(phone, within_s=0.5),
    ):
        pass
    with (
        start_virtual_phone(authorise="known", known_keys=[public_key()]) as phone,
        connected(phone) as device,
    ):
        assert run(device, "echo in") == "in\n"


def test_an_owner_takes_time_to_accept_and_then_remembers() -> None:
    with start_virtual_phone(authorise_after_s=3) as phone:
        begin = time.monotonic()
        with connected(phone, within_s=30):
            assert time.monotonic() - begin > 3
        begin = time.monotonic()
        with connected(phone, within_s=30):
            assert time.monotonic() - begin < 3


@pytest.mark.parametrize("sandbox", [pytest.param("bubblewrap", marks=NEEDS_BWRAP), "plain"])
def test_nothing_is_left_behind(sandbox: SandboxWanted, tmp_path: Path) -> None:
    threads = threading.active_count()
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    fds = psutil.Process().num_fds()
    apart, deaf = new_seconds(), new_seconds()
    with start_virtual_phone(sandbox=sandbox) as phone:
        base = phone.folder.parent
        with connected(phone) as device:
            run(device, set_apart(apart))
            run(
                device,
                f"(trap '' HUP TERM INT; echo >{TMP}/deaf; sleep {deaf}; echo) "
                f"</dev/null >&0 2>&0 & {until_there(f'{TMP}/deaf')}",
            )
            assert appears(apart)
            assert appears(deaf)
            phone.close()
    assert disappears(apart)
    assert disappears(deaf)
    assert not base.exists()
    assert threading.active_count() == threads
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= children
    assert psutil.Process().num_fds() <= fds


def test_a_given_folder_is_kept(tmp_path: Path) -> None:
    with start_virtual_phone(folder=tmp_path / "phone") as phone:
        assert phone.folder == tmp_path / "phone"
        with connected(phone) as device:
            push(device, b"data", f"{TMP}/file")
    assert (tmp_path / "phone/file").read_bytes() == b"data"
    with start_virtual_phone(folder=tmp_path / "phone") as phone, connected(phone) as device:
        assert run(device, f"cat {TMP}/file") == "data"


def test_what_cannot_be_had_is_said() -> None:
    with pytest.raises(PhoneError, match="no virtual phone 'nokia'; choose one of computer, gal"):
        start_virtual_phone("nokia")
    with (
        start_virtual_phone() as phone,
        pytest.raises(PhoneError, match=r"cannot start .*choose another port"),
    ):
        start_virtual_phone(port=phone.port)


def test_without_bubblewrap_it_says_so_and_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_opt.device.virtual.kinds.find_bubblewrap", lambda: None)
    with start_virtual_phone() as phone, connected(phone) as device:
        assert phone.sandbox == "plain"
        assert "without a sandbox (bubblewrap (bwrap) is not installed)" in phone.said[0]
        assert run(device, f"echo 1 >{TMP}/x; cat {TMP}/x; pwd") == "1\n/\n"
    with pytest.raises(PhoneError, match="no sandbox can be made"):
        start_virtual_phone(sandbox="bubblewrap")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_phone_dies_with_its_process(number: signal.Signals) -> None:
    code = (
        "import sys; from fer_opt.device.virtual import serve; "
        "serve(started=lambda phone: print(phone.port, phone.folder.parent, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    base, seconds = "", new_seconds()
    try:
        port, base = process.stdout.readline().split()
        with connected(int(port)) as device:
            run(device, set_apart(seconds))
        assert appears(seconds)
        process.send_signal(number)
        assert process.wait(30) == (-9 if number == signal.SIGKILL else 0)
        assert disappears(seconds)
        assert Path(base).exists() == (number == signal.SIGKILL)  # nobody was left to tidy up
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        shutil.rmtree(base, ignore_errors=True)


def arm_program(message: bytes, status: int) -> bytes:
    """A static 32-bit ARM program, put together by hand: writes ``message``, exits."""
    code = [
        0xE3A00001,  # mov r0, #1
        0xE28F1014,  # add r1, pc, #20: the message
        0xE3A02000 | len(message),  # mov r2, #length
        0xE3A07004,  # mov r7, #4: write
        0xEF000000,  # svc 0
        0xE3A00000 | status,  # mov r0, #status
        0xE3A07001,  # mov r7, #1: exit
        0xEF000000,  # svc 0
    ]
    return arm_file(code, message)


def arm_file(code: list[int], data: bytes) -> bytes:
    """The program of these instructions, with ``data`` behind them."""
    body = struct.pack(f"<{len(code)}I", *code) + data
    begin, header = 0x10000, 84
    elf = b"\x7fELF\x01\x01\x01" + bytes(9)
    elf += struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, begin + header, 52, 0, 0x05000200, 52, 32, 1,
                       0, 0, 0)  # fmt: skip
    size = header + len(body)
    return elf + struct.pack("<8I", 1, 0, begin, begin, size, size, 5, 0x1000) + body


def test_arm_programs_run_where_the_machine_allows() -> None:
    with start_virtual_phone() as phone:
        if "arm" not in phone.foreign:
            pytest.skip("no emulator of ARM (qemu-user-static), or a kernel before 6.7")
        with connected(phone) as device:
            push(device, arm_program(b"from ARM\n", 7), f"{TMP}/program", mode=0o755)
            assert run(device, f"{TMP}/program; echo $?") == "from ARM\n7\n"
