"""What can be made to go wrong with a virtual phone, one fault after the other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from adb_shell.adb_device import AdbDeviceTcp
from adb_shell.exceptions import AdbTimeoutError, DeviceAuthError, TcpTimeoutException
from virtual_hosts import appears, connected, disappears, new_seconds, pull, push, run, within

from fer_opt.device.adb import open_phone
from fer_opt.device.virtual import NO_FAULTS, Faults, VirtualPhone, start_virtual_phone
from fer_opt.errors import LinkLostError, PhoneError

TMP = "/data/local/tmp"
# What adb-shell lets out when a link breaks; fer-opt's own transport does better.
BROKEN = (OSError, AdbTimeoutError, TcpTimeoutException)


@pytest.fixture(scope="module")
def shared() -> Iterator[VirtualPhone]:
    with start_virtual_phone() as phone:
        yield phone


@pytest.fixture
def phone(shared: VirtualPhone) -> Iterator[VirtualPhone]:
    yield shared
    shared.faults = NO_FAULTS


def short(device: AdbDeviceTcp, command: str) -> str:
    """A command whose link may break: adb-shell would wait long for the rest."""
    return str(device.shell(command, read_timeout_s=0.3, transport_timeout_s=0.5))


def echo(phone: VirtualPhone) -> str:
    with connected(phone) as device:
        return str(device.shell("echo whole", read_timeout_s=5))


def test_a_push_that_breaks_leaves_no_part_of_a_file(phone: VirtualPhone) -> None:
    phone.faults = Faults(drop_at_byte=500_000)
    drops = phone.counters.drops
    with connected(phone) as device, pytest.raises(BROKEN):
        push(device, bytes(2_000_000), f"{TMP}/part", within_s=2)
    assert phone.counters.drops == drops + 1
    with connected(phone) as device:
        assert within(15, lambda: device.stat(f"{TMP}/part") == (0, 0, 0))


def test_programs_end_when_the_link_breaks(phone: VirtualPhone) -> None:
    seconds = new_seconds()
    with connected(phone) as device:
        device._open(f"shell:sleep {seconds}".encode(), 5, 5, None)
        assert appears(seconds)
        phone.faults = Faults(drop_at_message=1)
        with pytest.raises(BROKEN):
            short(device, "echo")
    assert disappears(seconds)


def test_a_phone_may_be_away_for_a_while(phone: VirtualPhone) -> None:
    phone.faults = Faults(drop_at_message=6, away_s=0.8)
    begin = time.monotonic()
    with connected(phone) as device, pytest.raises(BROKEN):
        short(device, "echo whole")
    tries = 0
    while True:
        try:
            assert echo(phone) == "whole\n"
            break
        except BROKEN:
            tries += 1
            time.sleep(0.05)
    assert tries > 0
    assert time.monotonic() - begin > 0.8


def test_a_frozen_phone_says_nothing_and_comes_back(phone: VirtualPhone) -> None:
    with connected(phone) as device:
        phone.faults = Faults(frozen=True)
        begin = time.monotonic()
        with pytest.raises(BROKEN):
            device.shell("echo", read_timeout_s=0.5, transport_timeout_s=0.5)
        assert time.monotonic() - begin > 0.4
    phone.faults = NO_FAULTS
    assert echo(phone) == "whole\n"
    phone.faults = Faults(freeze_at_message=5)
    with connected(phone) as device, pytest.raises(BROKEN):
        short(device, "echo whole")
    assert phone.counters.messages_since_faults == 5


def test_a_phone_can_be_closed_while_frozen() -> None:
    with start_virtual_phone() as phone, connected(phone):
        phone.faults = Faults(frozen=True)
        begin = time.monotonic()
        phone.close()
        assert time.monotonic() - begin < 5


def refuses(phone: VirtualPhone, data: bytes, path: str) -> None:
    """A push is refused for want of space. By our own link: adb-shell may take it for silence."""
    with (
        closing(open_phone(phone.address)) as link,
        pytest.raises(PhoneError, match="No space left on device"),
    ):
        link.push(data, path)


@pytest.fixture
def _own_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.usefixtures("_own_keys")
def test_no_space_left(phone: VirtualPhone) -> None:
    def free_kb(device: AdbDeviceTcp) -> int:
        return int(run(device, f"df -k {TMP}").splitlines()[1].split()[3])

    with connected(phone) as device:
        phone.faults = Faults(free_bytes=1_000_000)
        push(device, bytes(600_000), f"{TMP}/first")
        assert free_kb(device) == 400_000 // 1024
    refuses(phone, bytes(600_000), f"{TMP}/second")
    with connected(phone) as device:
        assert device.stat(f"{TMP}/second") == (0, 0, 0)
        run(device, f"rm {TMP}/first")
        push(device, bytes(900_000), f"{TMP}/third")
        run(device, f"rm {TMP}/third")


@pytest.mark.usefixtures("_own_keys")
def test_space_that_was_promised_and_is_not_there(phone: VirtualPhone) -> None:
    phone.faults = Faults(full_after_bytes=300_000)
    with connected(phone) as device:
        assert "6291456" in run(device, f"df -k {TMP}")
    refuses(phone, bytes(400_000), f"{TMP}/full")
    with connected(phone) as device:
        push(device, b"small", f"{TMP}/small")
        assert pull(device, f"{TMP}/small") == b"small"


def test_no_key_is_accepted(phone: VirtualPhone) -> None:
    phone.faults = Faults(unauthorized=True)
    with (
        pytest.raises((DeviceAuthError, TcpTimeoutException)),
        connected(phone, within_s=0.4),
    ):
        pass
    phone.faults = NO_FAULTS
    assert echo(phone) == "whole\n"


def test_a_slow_link_takes_its_time_both_ways(phone: VirtualPhone) -> None:
    data = bytes(200_000)
    with connected(phone) as device:
        phone.faults = Faults(bytes_per_s=400_000)
        begin = time.monotonic()
        push(device, data, f"{TMP}/slow")
        middle = time.monotonic()
        assert pull(device, f"{TMP}/slow") == data
        end = time.monotonic()
    assert middle - begin >= 0.5
    assert end - middle >= 0.5


@pytest.mark.alone
def test_throttling_shows_and_slows(phone: VirtualPhone) -> None:
    clock = "cat /sys/devices/system/cpu/cpu2/cpufreq/scaling_cur_freq"
    heat = "cat /sys/class/thermal/thermal_zone0/temp"
    spin = (
        "import time; end = time.monotonic() + .4; count = 0\n"
        "while time.monotonic() < end: count += 1\n"
        "print(count)"
    )
    counts: dict[float, list[int]] = {1.0: [], 0.1: []}
    with connected(phone) as device:
        for _ in range(3):
            for speed, found in counts.items():
                phone.faults = Faults(speed=speed)
                found.append(int(run(device, f"python3 -S -c '{spin}'")))
        assert run(device, f"{clock}; {heat}") == "449000\n68000\n"
        phone.faults = NO_FAULTS
        assert run(device, f"{clock}; {heat}") == "1430000\n38000\n"
    # A busy computer shares its CPUs as it likes; a phone at full speed is still far faster.
    assert statistics.median(counts[0.1]) < 0.7 * statistics.median(counts[1.0])


def test_time_at_each_clock_tells_of_throttling(phone: VirtualPhone) -> None:
    ask = "cat /sys/devices/system/cpu/cpu0/cpufreq/stats/time_in_state"

    def times(device: AdbDeviceTcp) -> dict[int, int]:
        return {
            int(clock): int(ticks)
            for clock, ticks in (line.split() for line in run(device, ask).splitlines())
        }

    with connected(phone) as device:
        phone.faults = Faults(speed=0.6)
        begin = time.monotonic()
        before = times(device)
        run(device, "sleep 0.5")
        after = times(device)
        spent_s = time.monotonic() - begin
    grown = {clock: after[clock] - before[clock] for clock in after}
    assert max(grown, key=lambda clock: grown[clock]) == 845000
    assert 40 <= grown[845000] <= 100 * spent_s + 1  # hundredths of a second


def test_the_battery_is_as_asked(phone: VirtualPhone) -> None:
    phone.faults = Faults(battery_percent=11, battery_c=45.5)
    with connected(phone) as device:
        told = run(device, "dumpsys battery; dumpsys power")
    assert "level: 11\n" in told
    assert "temperature: 455\n" in told
    assert "mBatteryLevel=11\n" in told


def test_a_phone_that_reboots_by_itself_is_another_boot(phone: VirtualPhone) -> None:
    boot = ["cat", "/proc/sys/kernel/random/boot_id"]
    reboots = phone.counters.reboots
    with closing(open_phone(phone.address)) as link:
        before = link.shell(boot).output
        phone.faults = Faults(reboot_at_message=3)
        with pytest.raises(LinkLostError):
            link.shell(["sleep", "4722"])
        assert disappears("sleep 4722")
        link.reconnect(within_s=30)
        assert link.shell(boot).output != before
        assert link.shell(["echo", "whole"]).output == "whole\n"  # and it stays up
    assert phone.counters.reboots == reboots + 1
