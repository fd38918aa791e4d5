"""A phone's state around a measurement: read in one round trip, and what it means."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_phones import noted_services, phone_and_link

from fer_opt.device.adb import Link
from fer_opt.device.phone.conditions import (
    clock_difference_s,
    parse_state,
    read_clock_residency,
    read_conditions,
    read_state,
)
from fer_opt.device.virtual import Faults, VirtualPhone

STATE = """guard 0f0f
load 1.52 1.40 1.31 2/1203 4711
clock 0 1144000
limit 0 1430000
time 0 449000 120
time 0 1430000 7
clock 3 1430000
limit 3 1144000
time 3 449000 100
time 3 1430000 27
zone 41000 exynos-therm
zone 99 soc
zone 0 ac
:::begin battery
Current Battery Service state:
  level: 64
  scale: 100
  temperature: 312
:::end 0
state complete
"""


@pytest.fixture(scope="module")
def _home(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def pair(_home: None):
    with phone_and_link() as made:
        yield made


def test_a_state_is_taken_apart() -> None:
    state = parse_state(STATE)
    now = state.conditions
    assert now.load_1m == 1.52
    assert now.cpu_mhz == 1287.0
    assert now.limit_mhz == 1144.0
    assert now.temperature_c == 41.0
    assert (now.battery_percent, now.battery_c) == (64, 31.2)
    assert state.clock_times == {0: {449000: 120, 1430000: 7}, 3: {449000: 100, 1430000: 27}}
    assert state.guard == "0f0f"
    assert parse_state(STATE.replace("\n", "\r\n")) == state


def test_what_a_phone_keeps_to_itself_is_none() -> None:
    now = parse_state("guard \nstate complete\n")
    assert now.guard == ""
    assert now.clock_times == {}
    assert all(
        getattr(now.conditions, name) is None
        for name in ("load_1m", "cpu_mhz", "limit_mhz", "temperature_c", "battery_c")
    )


def test_without_sensors_android_is_asked() -> None:
    service = (
        "guard \n:::begin thermalservice\nCached temperatures:\n"
        " Temperature{mValue=33.5, mType=3, mName=SKIN, mStatus=0}\n:::end 0\nstate complete"
    )
    assert parse_state(service).conditions.temperature_c == 33.5


@given(st.text(max_size=300))
def test_any_answer_is_taken(text: str) -> None:
    parse_state(text)
    parse_state(STATE[:150] + text + STATE[150:])


TIMES = st.dictionaries(st.integers(1, 9), st.integers(0, 10**6), min_size=1, max_size=5)


@given(TIMES, TIMES, st.integers(1, 3))
def test_time_spent_adds_up(first: dict[int, int], spent: dict[int, int], cores: int) -> None:
    before = {cpu: {khz * 1000: first.get(khz, 0) for khz in range(1, 10)} for cpu in range(cores)}
    after = {
        cpu: {khz: count + spent.get(khz // 1000, 0) for khz, count in times.items()}
        for cpu, times in before.items()
    }
    seconds = clock_difference_s(before, after)
    assert sum(seconds.values()) == pytest.approx(cores * sum(spent.values()) / 100)
    assert seconds == pytest.approx(
        {str(khz): cores * count / 100 for khz, count in sorted(spent.items()) if count}
    )


def test_times_that_cannot_be_compared_are_left_out() -> None:
    whole = {0: {1000: 5, 2000: 7}, 1: {1000: 5, 2000: 7}}
    assert clock_difference_s(whole, whole) == {}
    assert clock_difference_s({}, {}) == {}
    # A core was switched off meanwhile: it tells nothing, or its counters began anew.
    assert clock_difference_s(whole, {0: {1000: 9, 2000: 7}}) == {}
    assert clock_difference_s(whole, {**whole, 1: {1000: 1, 2000: 9}}) == {}
    assert clock_difference_s({0: {1430000: 5}}, {0: {1430000: 12}}) == {"1430": 0.07}


def test_a_measurement_costs_two_round_trips(pair: tuple[VirtualPhone, Link]) -> None:
    _, link = pair
    begin = time.monotonic()
    with noted_services() as services:
        before = read_state(link, (0, 1))
        assert before.conditions.cpu_mhz == 1430.0
        assert before.conditions.battery_percent == 86
        assert before.conditions.temperature_c is not None
        assert link.shell(["sleep", "0.5"]).status == 0
        after = read_state(link, (0, 1))
    # One command each, told whole: nothing that grows with what is read.
    assert [service.split(b":")[0] for service in services] == [b"shell"] * 3
    spent = clock_difference_s(before.clock_times, after.clock_times)
    assert spent.keys() == {"1430"}
    # Two cores for half a second and a bit.
    assert 1.0 <= spent["1430"] <= 2 * (time.monotonic() - begin) + 0.02


def test_heat_shows(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    cool = read_conditions(link, (0,))
    phone.faults = Faults(speed=0.5, battery_c=44.0, battery_percent=31)
    hot = read_conditions(link, (0,))
    phone.faults = Faults()
    assert hot.limit_mhz is not None
    assert cool.limit_mhz is not None
    assert hot.limit_mhz < cool.limit_mhz
    assert hot.temperature_c is not None
    assert cool.temperature_c is not None
    assert hot.temperature_c > cool.temperature_c
    assert (hot.battery_c, hot.battery_percent) == (44.0, 31)


def test_cores_that_are_not_there_tell_nothing(pair: tuple[VirtualPhone, Link]) -> None:
    _, link = pair
    state = read_state(link, (77,))
    assert state.clock_times == {}
    assert state.conditions.cpu_mhz is None
    assert state.conditions.load_1m is not None
    assert read_clock_residency(link, ()) == {}
