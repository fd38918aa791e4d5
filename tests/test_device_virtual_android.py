"""What a virtual phone answers, without a phone: commands, files of the kernel, paths, profiles."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.device.virtual import Faults, load_profile, profile_names
from fer_opt.device.virtual.commands import Answer, answer_command
from fer_opt.device.virtual.inside.foreign import rule
from fer_opt.device.virtual.inside.paths import Paths
from fer_opt.device.virtual.inside.taskset import phone_mask, real_cpus
from fer_opt.device.virtual.kernel_files import update_kernel_files, write_kernel_files
from fer_opt.device.virtual.layout import Layout, bubblewrap_words
from fer_opt.device.virtual.plain import Teller, rewrite
from fer_opt.device.virtual.profile import read_profile
from fer_opt.device.virtual.shell import ShellRequest, parse_shell
from fer_opt.device.virtual.state import PhoneState, new_state
from fer_opt.device.virtual.wire import Line
from fer_opt.errors import PhoneError

MAPPED = {
    "/data/local/tmp": "/private/fer/tmp",
    "/sys": "/private/fer/sys",
    "/system/bin": "/private/fer/bin",
}


def state_of(profile: str, faults: Faults = Faults()) -> PhoneState:  # noqa: B008 - frozen
    return new_state(load_profile(profile), "serial", Line(faults), "x86_64")


def ask(state: PhoneState, command: str, used_bytes: int = 0) -> Answer:
    return answer_command(state, command.split(), used_bytes=used_bytes)


def test_every_profile_is_whole() -> None:
    assert profile_names() == ("computer", "galaxy-j3")
    for name in profile_names():
        profile = load_profile(name)
        assert profile.cores > 0
        assert profile.abilist
        assert profile.memory_kb > 0
        for cluster in profile.clusters:
            assert list(cluster.clocks_khz) == sorted(cluster.clocks_khz)
            assert cluster.limit_khz in cluster.clocks_khz


@pytest.mark.parametrize("text", ["", "title = 3", "title = ["])
def test_other_files_are_no_profile(text: str) -> None:
    with pytest.raises(PhoneError, match="profile mine cannot be read"):
        read_profile(text, "mine")


def test_properties() -> None:
    state = state_of("galaxy-j3")
    assert ask(state, "getprop ro.build.version.sdk").output == "24\n"
    assert ask(state, "getprop no.such default").output == "default\n"
    assert "[ro.product.device]: [j3y17lte]\n" in ask(state, "getprop").output
    assert ask(state, "setprop ro.product.device x").status == 1
    assert ask(state, "setprop debug.mine x") == Answer()
    assert ask(state, "getprop debug.mine").output == "x\n"


@pytest.mark.parametrize(
    ("command", "value"),
    [("true", "7"), ("usb", "2"), ("ac", "1"), ("wireless", "4"), ("false", "0")],
)
def test_staying_awake(command: str, value: str) -> None:
    state = state_of("galaxy-j3")
    state.screen_on = False
    assert ask(state, f"svc power stayon {command}") == Answer()
    assert state.settings["global"]["stay_on_while_plugged_in"] == value
    assert state.screen_on == (value != "0")
    assert ask(state, "svc power stayon maybe").status == 1


@given(st.sampled_from(["global", "system", "secure"]), st.text(min_size=1), st.text())
def test_settings_keep_what_they_are_given(namespace: str, key: str, value: str) -> None:
    state = state_of("galaxy-j3")

    def settings(*words: str) -> Answer:
        return answer_command(state, ["settings", *words], used_bytes=0)

    before = settings("get", namespace, key).output
    assert settings("put", namespace, key, value) == Answer()
    assert settings("get", namespace, key).output == value + "\n"
    assert settings("delete", namespace, key).output == "Deleted 1 rows\n"
    assert settings("get", namespace, key).output == "null\n"
    assert before.endswith("\n")


def test_bad_commands_are_told_as_such() -> None:
    state = state_of("galaxy-j3")
    assert ask(state, "settings get elsewhere key").error == "Invalid namespace 'elsewhere'\n"
    assert ask(state, "settings get global").status == 255
    assert ask(state, "dumpsys nothing").error == "Can't find service: nothing\n"
    assert ask(state, "cmd nothing").status == 20
    assert answer_command(state, [], used_bytes=0).status == 127
    assert ask(state, "no-such").status == 127


def test_the_battery_may_be_pretended() -> None:
    state = state_of("galaxy-j3")
    assert "UPDATES STOPPED" not in ask(state, "dumpsys battery").output
    ask(state, "dumpsys battery set level 5")
    ask(state, "dumpsys battery unplug")
    told = ask(state, "dumpsys battery").output
    assert "UPDATES STOPPED" in told
    assert "level: 5\n" in told
    assert "USB powered: false" in told
    assert "status: 3\n" in told
    ask(state, "dumpsys battery reset")
    assert "level: 86\n" in ask(state, "dumpsys battery").output


def test_screen_and_power_saving() -> None:
    state = state_of("computer")
    ask(state, "input keyevent KEYCODE_SLEEP")
    ask(state, "settings put global low_power 1")
    told = ask(state, "dumpsys power").output
    assert "mWakefulness=Asleep" in told
    assert "Display Power: state=OFF" in told
    assert "mBatterySaverEnabled=true" in told
    ask(state, "input keyevent 224")
    assert "Display Power: state=ON" in ask(state, "dumpsys power").output


def test_heat_is_told_by_android_10_and_later() -> None:
    assert ask(state_of("galaxy-j3"), "dumpsys thermalservice").output == ""
    hot = state_of("computer", Faults(speed=0.5))
    told = ask(hot, "dumpsys thermalservice").output
    assert "Thermal Status: 3\n" in told
    assert "Temperature{mValue=74.0, mType=0, mName=cpu-thermal, mStatus=3}" in told
    ask(hot, "cmd thermalservice override-status 0")
    assert "Thermal Status: 0\n" in ask(hot, "dumpsys thermalservice").output


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_what_df_tells_and_a_push_may_write(free: int, full_after: int, pushed: int) -> None:
    state = state_of("galaxy-j3", Faults(free_bytes=free, full_after_bytes=full_after))
    state.pushed_since_faults = pushed
    room = state.room_bytes(0)
    told_kb = int(ask(state, "df -k /data").output.splitlines()[1].split()[3])
    assert 0 <= room <= free
    assert room <= max(0, full_after - pushed)
    assert told_kb == (free // 1024 if room else 0)


def test_uname_is_the_phones() -> None:
    state = state_of("galaxy-j3")
    assert ask(state, "uname").output == "Linux\n"
    assert ask(state, "uname -m -r").output == "3.18.14 armv8l\n"


def test_files_of_the_kernel_follow_the_state(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path / "tmp")
    state = state_of("galaxy-j3")
    layout.make()
    write_kernel_files(layout, state)
    clocks = layout.sys / "devices/system/cpu/cpu2/cpufreq"
    assert (clocks / "scaling_cur_freq").read_text() == "1430000\n"
    inode = (layout.proc / "uptime").stat().st_ino
    boot_id = (layout.proc / "sys/kernel/random/boot_id").read_text()
    state.line.faults = Faults(speed=0.5)
    time.sleep(0.05)
    booted = time.monotonic()
    state.boot()
    update_kernel_files(layout, state)
    assert (clocks / "scaling_cur_freq").read_text() == "676000\n"
    assert (clocks / "scaling_max_freq").read_text() == "676000\n"
    assert (clocks / "cpuinfo_max_freq").read_text() == "1430000\n"
    assert (layout.sys / "class/thermal/thermal_zone0/temp").read_text() == "68000\n"
    # A file bound into a sandbox is seen there only while it is the same one.
    assert (layout.proc / "uptime").stat().st_ino == inode
    up_s = float((layout.proc / "uptime").read_text().split()[0])
    assert up_s < time.monotonic() - booted + 0.01
    assert (layout.proc / "sys/kernel/random/boot_id").read_text() != boot_id


@given(st.integers(1, 16), st.integers(1, 16), st.integers(0, 0xFFFF))
def test_every_cpu_of_a_phone_stands_for_one_of_the_computer(
    phone: int, computer: int, mask: int
) -> None:
    allowed = list(range(3, 3 + computer))
    real = real_cpus(mask, phone, allowed)
    assert real <= set(allowed)
    assert bool(real) == bool(mask & ((1 << phone) - 1))
    assert phone_mask(real, phone, allowed) & mask == mask & ((1 << phone) - 1)


def test_rules_for_emulators_name_the_processor() -> None:
    line = rule("arm", "/usr/bin/qemu-arm-static")
    assert line.startswith(b":qemu-arm:M::\\x7f\\x45\\x4c\\x46\\x01\\x01\\x01")
    assert line.endswith(b":/usr/bin/qemu-arm-static:F")
    assert b"\\x02\\x00\\x28\\x00:" in line
    assert len(line) < 1920  # the kernel's limit


def test_a_sandbox_shows_nothing_of_what_a_phone_has_itself(tmp_path: Path) -> None:
    words = bubblewrap_words(Layout(tmp_path, tmp_path / "tmp"), ())
    pairs = list(zip(words, words[1:], words[2:], strict=False))
    assert ("--bind", str(tmp_path / "tmp"), "/data/local/tmp") in pairs
    for hidden in ("/tmp", "/run", "/boot"):
        assert not [pair for pair in pairs if pair[0].endswith("bind-try") and pair[1] == hidden]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ls /data/local/tmp/x", "ls /private/fer/tmp/x"),
        ("run --graph='/data/local/tmp/a b'", "run --graph='/private/fer/tmp/a b'"),
        ("cat /sys/x /system/bin/sh", "cat /private/fer/sys/x /private/fer/bin/sh"),
        ("cat /sysx /mnt/sys a/sys", "cat /sysx /mnt/sys a/sys"),
        ("cd /data/local/tmp;ls", "cd /private/fer/tmp;ls"),
        ("/data/local/tmpfile", "/data/local/tmpfile"),
        ("PATH=/sys:/data/local/tmp", "PATH=/private/fer/sys:/private/fer/tmp"),
    ],
)
def test_paths_in_a_command_line(command: str, expected: str) -> None:
    assert rewrite(command, MAPPED) == expected


PIECES = st.sampled_from(
    [b"/private/fer/tmp", b"/private/fer/", b"/private", b"/sys", b"x", b"\xff", b"\n"]
)


@given(st.lists(PIECES))
def test_output_is_told_alike_however_it_is_cut(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    expected = whole
    for phone, own in MAPPED.items():
        expected = expected.replace(own.encode(), phone.encode())
    one, many = Teller(MAPPED), Teller(MAPPED)
    assert one(whole or b"") + one(b"") == expected
    assert b"".join(many(whole[index : index + 1]) for index in range(len(whole))) + many(b"") == (
        expected
    )


def test_files_without_a_sandbox_lie_in_the_private_folder(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp/out").symlink_to("/etc")
    paths = Paths({"/data/local/tmp": str(tmp_path / "tmp")}, ["/data/local/tmp"], "")
    assert paths.real("/data/local/tmp/x") == str(tmp_path / "tmp/x")
    assert paths.real("//data/local/../local/tmp/x") == str(tmp_path / "tmp/x")
    assert paths.real("/etc/passwd") == "/etc/passwd"
    assert paths.is_writable("/data/local/tmp/deep/x")
    for outside in ("/etc/x", "/data/local/tmp/../x", "/data/local/tmp/out/x", "/data/local/tmpx"):
        assert not paths.is_writable(outside)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shell:echo a:b", ShellRequest("echo a:b", framed=False, terminal=False)),
        ("shell:", ShellRequest("", framed=False, terminal=True)),
        ("shell,v2,raw:ls", ShellRequest("ls", framed=True, terminal=False)),
        ("shell,v2,TERM=xterm,pty:", ShellRequest("", framed=True, terminal=True, kind="xterm")),
        ("exec:cat x", ShellRequest("cat x", framed=False, terminal=False)),
        ("sync:", None),
        ("shell", None),
        ("", None),
    ],
)
def test_names_of_services(name: str, expected: ShellRequest | None) -> None:
    assert parse_shell(name) == expected


@given(st.text(max_size=40))
def test_no_name_of_a_service_is_too_strange(name: str) -> None:
    parse_shell(name)
    parse_shell("shell," + name)
