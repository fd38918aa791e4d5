"""What a phone tells of itself, on transcripts of three Androids and on the virtual phone."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phone_transcripts import J3, PIE, UPSIDE_DOWN, clocks, transcript
from virtual_phones import noted_services, phone_and_link

from fer_opt.device.phone.android_dumps import (
    parse_battery,
    parse_df,
    parse_screen,
    zone_temperatures,
)
from fer_opt.device.phone.cpus import choose_cpus, cpu_mask
from fer_opt.device.phone.fact_parsing import number_list
from fer_opt.device.phone.facts import (
    PhoneFacts,
    device_facts,
    fact_rows,
    parse_facts,
    read_facts,
)
from fer_opt.device.phone.phone_facts import Core, clusters, fingerprint
from fer_opt.device.phone.readiness import readiness
from fer_opt.device.phone.results import PhoneSettings
from fer_opt.device.phone.scripts import load_script
from fer_opt.device.phone.sections import split_sections
from fer_opt.device.virtual import Faults
from fer_opt.errors import MeasurementError, PhoneError

SERIAL = "52000a1b2c3de91c"


def facts_of(sections: dict[str, tuple[str, int]], serial: str = SERIAL) -> PhoneFacts:
    return parse_facts(transcript(sections), serial)


def test_a_galaxy_j3_with_android_7() -> None:
    facts = facts_of(J3, "tcp:10.0.0.7:5555")
    assert (facts.model, facts.brand, facts.device) == ("SM-J330F", "samsung", "j3y17lte")
    assert (facts.soc, facts.platform, facts.hardware) == (
        "exynos7570", "exynos5", "samsungexynos7570"
    )  # fmt: skip
    assert (facts.android, facts.sdk) == ("7.0", 24)
    assert facts.abis == ("armeabi-v7a", "armeabi")
    assert facts.core_designs == ("Cortex-A53",)
    assert facts.instruction_sets == ("neon",)
    assert clusters(facts) == ((1430000, (0, 1, 2, 3)),)
    assert facts.cores[2] == Core(2, True, 1430000, 449000, 1430000, 449000, "interactive")
    assert facts.memory_bytes == 1903644 * 1024
    assert facts.free_bytes == 6640544 * 1024
    assert facts.battery.percent == 85
    assert facts.battery.plugged == ("USB",)
    assert facts.battery.temperature_c == 28.9
    assert facts.screen_on is True
    assert facts.low_power is False
    assert facts.stay_awake == 0
    assert facts.uptime_s == 86423.17
    assert facts.kernel == "Linux 3.18.14-11104523"
    assert facts.label == "Samsung SM-J330F (…e91c)"
    assert facts.unread == {
        "boot_id": "/proc/sys/kernel/random/boot_id: Permission denied",
        "thermal_c": "/sys/class/thermal: Permission denied",
        "thermal_status": "dumpsys thermalservice needs Android 10",
    }


def test_a_phone_with_cores_switched_off_and_held_back() -> None:
    facts = facts_of(PIE)
    assert [core.number for core in facts.cores if not core.online] == [4, 5]
    assert clusters(facts) == (
        (2704000, (6, 7)), (1794000, (0, 1, 2, 3)), (None, (4, 5))
    )  # fmt: skip
    assert facts.unread["max_khz"] == "of CPU 4, 5: No such file or directory"
    # Tenths and thousandths are told apart; a charge and a dead sensor are no temperatures.
    assert facts.thermal_c == {"BIG": 41.0, "LITTLE": 39.0, "battery": 31.2}
    assert (facts.screen_on, facts.low_power) == (False, True)
    cautions = " ".join(readiness(facts, PhoneSettings()))
    for words in ("Battery saver", "screen is off", "CPU 6, 7 may not", "CPU 4, 5 is switched off"):
        assert words in cautions


def test_a_phone_with_android_14() -> None:
    facts = facts_of(UPSIDE_DOWN, "37281FDJH00ABC")
    assert facts.soc == "Tensor G3"
    assert facts.label == "Google Pixel 8 (…0ABC)"
    assert facts.core_designs == ("Cortex-A510", "Cortex-A715", "Cortex-X3")
    assert "asimddp" in facts.instruction_sets
    assert facts.thermal_c == {"BIG": 36.5, "VIRTUAL-SKIN": 35.25}
    assert facts.thermal_status == 1
    assert facts.screen_on is False
    assert facts.battery.pretended
    assert facts.battery.plugged == ("dock",)
    assert facts.unread["stay_awake"] == "cmd: Can't find service: settings"
    assert facts.unread["uptime_s"] == "/proc/uptime: Permission denied"
    assert "frozen by dumpsys" in " ".join(readiness(facts, PhoneSettings()))


@pytest.mark.parametrize("sections", [J3, PIE, UPSIDE_DOWN], ids=["7", "9", "14"])
def test_line_ends_of_a_terminal_change_nothing(sections: dict[str, tuple[str, int]]) -> None:
    text = transcript(sections)
    assert parse_facts(text.replace("\n", "\r\n"), SERIAL) == parse_facts(text, SERIAL)


def test_the_serial_stays_here() -> None:
    facts = facts_of(J3)
    told = repr(facts) + json.dumps(dataclasses.asdict(device_facts(facts)))
    assert SERIAL not in told
    assert SERIAL[:-4] not in told
    # The same phone by cable and by Wi-Fi is one phone.
    assert facts.phone == facts_of(J3, "tcp:10.0.0.7:5555").phone
    assert len(facts.phone) == 12


def test_what_the_record_keeps() -> None:
    kept = device_facts(facts_of(J3))
    assert kept.kind == "phone"
    assert kept.name == "Samsung SM-J330F (exynos7570)"
    assert kept.facts["clusters"] == "4 × 449-1430 MHz"
    assert kept.facts["clock_limits"] == "449-1430 MHz"
    assert kept.facts["stay_awake"] == "no"
    assert kept.unread["thermal_c"].endswith("Permission denied")
    pie = device_facts(facts_of(PIE))
    assert pie.facts["clusters"] == "2 × 650-2704 MHz, 4 × 455-1794 MHz"
    assert pie.facts["cores_offline"] == "4 5"
    assert "cpu6 650-1794 MHz" in pie.facts["clock_limits"]


def test_a_virtual_phone_is_called_so() -> None:
    getprop = J3["getprop"][0] + "[ro.fer_opt.virtual]: [x86_64]\n"
    facts = facts_of({**J3, "getprop": (getprop, 0)})
    assert facts.label == "virtual Samsung SM-J330F (…e91c)"
    kept = device_facts(facts)
    assert kept.kind == "virtual"
    assert kept.fingerprint != device_facts(facts_of(J3)).fingerprint


def test_the_fingerprint_is_of_the_phone_not_of_the_moment() -> None:
    base = fingerprint(facts_of(J3))
    later = {
        **J3,
        "single": (J3["single"][0].replace("online = 0-3", "online = 0"), 0),
        "clocks": (clocks(0, 1430000, 449000, 728000, "interactive"), 0),
        "battery": (J3["battery"][0].replace("85", "40"), 0),
        "getprop": (J3["getprop"][0].replace(SERIAL, "another"), 0),
    }
    assert fingerprint(facts_of(later)) == base
    for old, new in (("exynos7570]", "exynos7870]"), ("NRD90M", "R16NW"), (",armeabi]", "]")):
        getprop = J3["getprop"][0].replace(old, new)
        assert fingerprint(facts_of({**J3, "getprop": (getprop, 0)})) != base
    for old, new in (("= 1430000", "= 1586000"), ("interactive", "performance")):
        assert (
            fingerprint(facts_of({**J3, "clocks": (J3["clocks"][0].replace(old, new), 0)})) != base
        )


@pytest.mark.parametrize("sections", [{}, J3, PIE, UPSIDE_DOWN], ids=["none", "7", "9", "14"])
def test_every_gap_has_its_reason(sections: dict[str, tuple[str, int]]) -> None:
    kept = device_facts(facts_of(sections))
    assert not set(kept.facts) & set(kept.unread)
    assert all(kept.facts.values())
    assert all(kept.unread.values())
    assert "the phone does not tell" not in kept.unread.values()
    rows = fact_rows(facts_of(sections))
    shown = [row for row in rows if row.known]
    assert all(row.value for row in rows)
    assert len({row.name for row in rows}) == len(rows)
    assert bool(shown) == bool(sections)


def test_rows_have_units_and_reasons() -> None:
    rows = {row.name: row for row in fact_rows(facts_of(J3))}
    assert rows["memory"].value == "1.82 GiB"
    assert rows["battery temperature"].value == "28.9 °C"
    assert rows["sensors"].value == "unknown: /sys/class/thermal: Permission denied"
    assert not rows["sensors"].known
    assert next(iter(rows)) == "model"


@given(st.integers(0, 8000), st.sampled_from([J3, PIE, UPSIDE_DOWN]))
def test_a_cut_answer_never_invents(length: int, sections: dict[str, tuple[str, int]]) -> None:
    whole = device_facts(facts_of(sections))
    cut = device_facts(parse_facts(transcript(sections)[:length], SERIAL))
    # Sensors come from two sections, and either alone is right.
    told = {name: text for name, text in cut.facts.items() if name != "thermal_c"}
    whole.facts["serial_end"] = cut.facts["serial_end"]
    assert told.items() <= whole.facts.items()
    assert set(cut.facts.get("thermal_c", "").split(", ")) <= {
        "", *whole.facts.get("thermal_c", "").split(", ")
    }  # fmt: skip


@given(st.text(max_size=400))
def test_any_answer_is_taken(text: str) -> None:
    for answer in (text, f":::begin getprop\n{text}\n:::end 0\n:::begin battery\n{text}"):
        device_facts(parse_facts(answer, SERIAL))


@given(
    st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), st.text("ab\n :"), max_size=4)
)
def test_sections_come_back(texts: dict[str, str]) -> None:
    sections = split_sections(transcript({name: (text, 3) for name, text in texts.items()}))
    assert {name: one.text for name, one in sections.items()} == {
        name: text.strip().strip("\n") for name, text in texts.items()
    }
    assert all(one.status == 3 for one in sections.values())


TOYBOX = "Filesystem     1K-blocks    Used Available Use% Mounted on\n"
TOOLBOX = "Filesystem               Size     Used     Free   Blksize\n"


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        (TOYBOX + "/dev/x 100 60 40 60% /data", 40960),
        (TOYBOX + "/dev/block/platform/by-name/userdata\n   100 60 40 60% /data", 40960),
        (TOOLBOX + "/data                    4.0G     1.5G     2.5G   4096", 2684354560),
        (TOYBOX.replace("1K", "1024") + "/dev/x 9 9 0 100% /", 0),
        ("df: /data/local/tmp: No such file or directory", None),
        (TOYBOX, None),
        ("", None),
    ],
)
def test_free_space_in_every_form(text: str, bytes_: int | None) -> None:
    assert parse_df(text) == bytes_


def test_batteries_in_other_forms() -> None:
    assert parse_battery("level: 255\nscale: 510\ntemperature: -53").percent == 50
    assert parse_battery("temperature: -53").temperature_c == -5.3
    assert parse_battery("temperature: 99999").temperature_c is None
    assert parse_battery("Can't find service: battery").percent is None
    assert parse_screen("nothing") is None


def test_sensors_are_read_once_each() -> None:
    zones = {"zone0": ("cpu", "45"), "zone1": ("cpu", "46000"), "zone2": ("", "451")}
    assert zone_temperatures(zones) == {"cpu": 45.0, "cpu zone1": 46.0, "zone2": 45.1}
    assert zone_temperatures({"zone0": ("cpu", "x"), "zone1": ("cpu", "-40000000")}) == {}


def test_lists_of_numbers() -> None:
    assert number_list("0-3,6") == (0, 1, 2, 3, 6)
    assert number_list("0") == (0,)
    assert number_list("") == number_list("0-") == number_list("a") == ()


def test_the_fastest_cores_are_chosen() -> None:
    j3, pixel = facts_of(J3), facts_of(UPSIDE_DOWN)
    assert choose_cpus(j3, 1) == choose_cpus(j3, 4) == (0, 1, 2, 3)
    assert choose_cpus(pixel, 1) == (8,)
    assert choose_cpus(pixel, 4) == (4, 5, 6, 7, 8)
    assert choose_cpus(pixel, 9) == tuple(range(9))
    assert choose_cpus(j3, 2, (3, 1)) == (1, 3)
    # A J3 at rest has one core awake; the others are of its kind.
    resting = {**J3, "clocks": (clocks(0, 1430000, 449000, 1430000, "interactive"), 0)}
    assert choose_cpus(facts_of(resting), 1) == (0, 1, 2, 3)
    assert choose_cpus(PhoneFacts("", ""), 2) == ()


def test_cores_that_are_not_there_are_refused() -> None:
    j3 = facts_of(J3)
    with pytest.raises(MeasurementError, match=r"has no CPU 4, 7; choose among 0, 1, 2, 3"):
        choose_cpus(j3, 1, (0, 4, 7))
    with pytest.raises(MeasurementError, match="5 threads on 4 CPU"):
        choose_cpus(j3, 5)
    with pytest.raises(MeasurementError, match="2 threads on 1 CPU"):
        choose_cpus(j3, 2, (0,))


@given(st.sets(st.integers(0, 31)))
def test_masks_mean_their_cores(cpus: set[int]) -> None:
    mask = int(cpu_mask(cpus), 16)
    assert {cpu for cpu in range(40) if mask >> cpu & 1} == cpus


def test_a_low_battery_is_refused() -> None:
    low = facts_of({**J3, "battery": (J3["battery"][0].replace("level: 85", "level: 24"), 0)})
    with pytest.raises(PhoneError, match="24 % battery, and below 25 %"):
        readiness(low, PhoneSettings())
    assert readiness(low, PhoneSettings(least_battery_percent=10)) == ()
    assert readiness(facts_of(J3), PhoneSettings()) == ()


def test_cautions_about_the_battery() -> None:
    def cautions(old: str, new: str) -> str:
        battery = J3["battery"][0].replace(old, new)
        return " ".join(readiness(facts_of({**J3, "battery": (battery, 0)}), PhoneSettings()))

    assert "hot (42.1 °C)" in cautions("289", "421")
    assert "not plugged in" in cautions("USB powered: true", "USB powered: false")
    assert "yet discharges" in cautions("status: 2", "status: 3")
    assert "charge is unknown" in cautions("level: 85", "level: ?")


@pytest.fixture(scope="module")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.mark.usefixtures("_home")
@pytest.mark.parametrize("profile", ["galaxy-j3", "computer"])
def test_a_virtual_phone_tells_everything_at_once(profile: str) -> None:
    with phone_and_link(profile, most_payload=4096) as (phone, link):
        with noted_services() as services:
            facts = read_facts(link)
        # One command, although this old phone takes and tells little at a time.
        assert [service.split(b":")[0] for service in services] == [b"shell"]
        restarted = read_facts(link).boot_id
        phone.reboot()
        link.reconnect(within_s=20)
        assert read_facts(link).boot_id != restarted
    assert facts.virtual
    assert facts.serial_end == phone.serial[-4:]
    assert set(facts.unread) <= {"thermal_status", "core_designs", "instruction_sets"}
    assert facts.battery.plugged == ("USB",)
    assert facts.thermal_c
    assert facts.free_bytes
    kept = device_facts(facts)
    assert kept.kind == "virtual"
    assert phone.serial not in repr(facts)


@pytest.mark.usefixtures("_home")
def test_the_moment_shows_in_the_facts() -> None:
    with phone_and_link() as (phone, link):
        before = read_facts(link)
        phone.faults = Faults(speed=0.5, battery_percent=12, battery_c=46.0)
        link.shell(["settings", "put", "global", "low_power", "1"])
        after = read_facts(link)
    assert fingerprint(before) == fingerprint(after)
    assert after.low_power is True
    with pytest.raises(PhoneError, match="12 % battery"):
        readiness(after, PhoneSettings())
    cautions = " ".join(readiness(after, PhoneSettings(least_battery_percent=5)))
    for words in ("Battery saver", "hot (46.0 °C)", "CPU 0, 1, 2, 3 may not reach"):
        assert words in cautions


@pytest.mark.parametrize("shell", ["dash", "mksh", "bash"])
def test_the_script_in_every_shell(shell: str, tmp_path: Path) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [found, "-c", load_script("facts"), "facts", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    facts = parse_facts(done.stdout, "x")
    if sys.platform == "linux":
        assert facts.kernel.startswith("Linux ")
        assert facts.memory_bytes
        assert facts.free_bytes
        assert len(facts.cores) >= 1
    # No Android here: its tools are missing, and that is the reason told.
    assert "getprop" in facts.unread["model"]
    assert "not found" in facts.unread["model"]
