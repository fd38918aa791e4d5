"""Phones that fer-opt knows: what they should be, so that one that is not gets noticed."""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from fer_opt.device.phone.phone_facts import PhoneFacts, clusters
from fer_opt.errors import PhoneError

__all__ = [
    "Profile",
    "known_profiles",
    "load_profile",
    "match_profile",
    "parse_profile",
    "profile_warnings",
]

Range = Annotated[tuple[float, float], Field(description="lowest and highest")]


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Profile:
    """What a known phone should be.

    Attributes:
        name: of its file, e.g. ``galaxy-j3``.
        title: what people call it.
        models: patterns of ``ro.product.model``; as in a shell, case does not matter.
        devices: patterns of ``ro.product.device``.
        soc: patterns one of the processor's names must match.
        soc_title: what people call the processor.
        abis: it runs, best first.
        cores: how many.
        core_design: e.g. ``Cortex-A53``.
        max_mhz: lowest and highest plausible top clock of its fastest cores.
        memory_mib: lowest and highest plausible memory that Android sees.
        memory_gb_per_s: of its memory, in theory; lowest and highest.
        android: beginnings of the releases it shipped with.
        gpu: its graphics processor.
    """

    name: str
    title: str
    models: tuple[str, ...]
    devices: tuple[str, ...]
    soc: tuple[str, ...]
    soc_title: str
    abis: tuple[str, ...]
    cores: int
    core_design: str
    max_mhz: Range
    memory_mib: Range
    memory_gb_per_s: Range
    android: tuple[str, ...]
    gpu: str


def known_profiles() -> tuple[str, ...]:
    """Names of the phones that are known, sorted."""
    return tuple(sorted(_texts()))


def load_profile(name: str) -> Profile:
    """A known phone by its name.

    Raises:
        PhoneError: no phone of this name is known.
    """
    if name not in _texts():
        raise PhoneError(
            f"no phone named {name!r} is known; choose among {', '.join(known_profiles())}."
        )
    return parse_profile(name, _texts()[name])


def parse_profile(name: str, text: str) -> Profile:
    """A profile from its TOML.

    Raises:
        PhoneError: it is no TOML, or lacks something.
    """
    try:
        return TypeAdapter(Profile).validate_python({"name": name, **tomllib.loads(text)})
    except (tomllib.TOMLDecodeError, ValidationError) as exc:
        reason = " ".join(str(exc).split())
        raise PhoneError(f"the profile {name} cannot be read ({reason}); correct it.") from exc


def match_profile(facts: PhoneFacts) -> Profile | None:
    """The known phone that this one claims to be, by its model or code name."""
    for name in known_profiles():
        profile = load_profile(name)
        if _matches(facts.model, profile.models) or _matches(facts.device, profile.devices):
            return profile
    return None


def profile_warnings(facts: PhoneFacts, profile: Profile) -> tuple[str, ...]:
    """How a phone differs from what it claims to be, a sentence each; unknown facts are no news."""
    found = []

    def expect(fits: bool, name: str, value: object, expected: object) -> None:
        if not fits:
            found.append(f"A {profile.title} has {name} {expected}; this phone has {value}.")

    names = [name for name in (facts.soc, facts.platform, facts.hardware) if name]
    if names:
        fits = any(_matches(name, profile.soc) for name in names)
        expect(fits, "the processor", ", ".join(dict.fromkeys(names)), profile.soc_title)
    if facts.abis:
        expect(facts.abis == profile.abis, "the ABIs", ", ".join(facts.abis), _list(profile.abis))
    if facts.cores:
        expect(len(facts.cores) == profile.cores, "cores:", len(facts.cores), profile.cores)
    if facts.core_designs:
        fits = facts.core_designs == (profile.core_design,)
        expect(fits, "cores of the design", _list(facts.core_designs), profile.core_design)
    fastest_khz = clusters(facts)[0][0] if facts.cores else None
    if fastest_khz is not None:
        low, high = profile.max_mhz
        mhz = fastest_khz / 1000
        expect(low <= mhz <= high, "a top clock of", f"{mhz:.0f} MHz", f"{low:.0f}-{high:.0f} MHz")
    if facts.memory_bytes is not None:
        low, high = profile.memory_mib
        mib = facts.memory_bytes / (1 << 20)
        expect(low <= mib <= high, "memory of", f"{mib:.0f} MiB", f"{low:.0f}-{high:.0f} MiB")
    if facts.android:
        release = facts.android.split(".")[0]
        expect(release in profile.android, "Android", facts.android, " or ".join(profile.android))
    return tuple(found)


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(words)


def _matches(value: str, patterns: tuple[str, ...]) -> bool:
    return bool(value) and any(fnmatchcase(value.lower(), pattern.lower()) for pattern in patterns)


@functools.cache
def _texts() -> dict[str, str]:
    folder = importlib.resources.files("fer_opt.device.phone") / "profiles"
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
