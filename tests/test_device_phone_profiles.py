"""Known phones, and phones that are not what they claim."""

from __future__ import annotations

import dataclasses

import pytest
from phone_transcripts import J3, UPSIDE_DOWN, transcript
from virtual_phones import phone_and_link

from fer_opt.device.phone.facts import parse_facts, read_facts
from fer_opt.device.phone.profiles import (
    known_profiles,
    load_profile,
    match_profile,
    parse_profile,
    profile_warnings,
)
from fer_opt.errors import PhoneError

FACTS = parse_facts(transcript(J3), "52000a1b2c3de91c")
PROFILE = load_profile("galaxy-j3")


def test_every_known_phone_can_be_loaded() -> None:
    assert "galaxy-j3" in known_profiles()
    for name in known_profiles():
        profile = load_profile(name)
        assert profile.name == name
        assert profile.models or profile.devices
        for low, high in (profile.max_mhz, profile.memory_mib, profile.memory_gb_per_s):
            assert 0 < low <= high


def test_the_phone_of_the_thesis_is_recognised() -> None:
    assert match_profile(FACTS) == PROFILE
    assert profile_warnings(FACTS, PROFILE) == ()
    for model, device in (("SM-J330FN", ""), ("custom", "j3y17lteser"), ("sm-j330g", "")):
        assert match_profile(dataclasses.replace(FACTS, model=model, device=device)) == PROFILE


@pytest.mark.parametrize(("model", "device"), [("", ""), ("SM-J320F", "j3xnlte"), ("J330", "j3")])
def test_others_are_not_taken_for_it(model: str, device: str) -> None:
    assert match_profile(dataclasses.replace(FACTS, model=model, device=device)) is None


def test_a_phone_that_is_not_what_it_claims() -> None:
    other = parse_facts(transcript(UPSIDE_DOWN), "x")
    impostor = dataclasses.replace(other, model="SM-J330F", memory_bytes=1 << 30)
    warnings = profile_warnings(impostor, PROFILE)
    assert len(warnings) == 7
    for words in (
        "the processor Exynos 7570; this phone has Tensor G3, zuma, shiba",
        "the ABIs armeabi-v7a, armeabi; this phone has arm64-v8a",
        "cores: 4; this phone has 9",
        "Cortex-A53; this phone has Cortex-A510",
        "1350-1480 MHz; this phone has 2914 MHz",
        "1500-2048 MiB; this phone has 1024 MiB",
        "Android 7 or 8 or 9; this phone has 14",
    ):
        assert any(words in warning for warning in warnings), words
    assert all(warning.startswith("A Samsung Galaxy J3") for warning in warnings)


def test_what_a_phone_does_not_tell_is_no_warning() -> None:
    silent = parse_facts("", "x")
    assert profile_warnings(silent, PROFILE) == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("title = ", "Invalid value"), ("title = 'x'", "models"), ("cores = 'many'", "cores")],
)
def test_a_broken_profile_is_one_sentence(text: str, reason: str) -> None:
    with pytest.raises(PhoneError, match=rf"profile broken cannot be read \(.*{reason}.*\n?.*"):
        parse_profile("broken", text)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        PhoneError, match=r"no phone named 'nokia' is known; choose among galaxy-j3"
    ):
        load_profile("nokia")


def test_the_virtual_phone_plays_its_part(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    with phone_and_link("galaxy-j3") as (phone, link):
        facts = read_facts(link)
        assert facts.virtual
        assert facts.serial_end == phone.serial[-4:]
        assert match_profile(facts) == PROFILE
        assert profile_warnings(facts, PROFILE) == ()
