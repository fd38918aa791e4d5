"""What stage_bench prints is read whole or not at all; what it is asked is checked first."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fer_opt.device.stage_bench as package
from fer_opt.device.stage_bench import (
    PhotoFailure,
    PhotoRequest,
    StageBenchRequest,
    build_words,
    in_parts,
    parse_stages,
)
from fer_opt.errors import FerOptError, MeasurementError, RunnerError

HEAD = {
    "stage_bench": 1, "libjpeg_turbo": "2.1.5", "simd": "NEON", "abi": "armeabi-v7a", "photos": 3,
    "warm_up": 1, "runs": 1, "width": 224, "height": 224, "channels": 1,
}  # fmt: skip


def rows_of(order: int, index: int, stages: int) -> list[dict[str, Any]]:
    common = {"photo": f"{order}.jpg", "pass": index, "order": order, "warm_up": index == 0}
    size = {"width": 640, "height": 427}
    rows = [
        {"stage": "bitmap", "ms": 23.5 + index, **size, "full_width": 640, "full_height": 427,
         "orientation": 1, "scale": 1, "file_bytes": 99745, "warnings": 0},
        {"stage": "resize", "ms": 1.25, "width": 224, "height": 224, "crop": [1, 2, 30, 40]},
        {"stage": "grey", "ms": 0.125, "width": 224, "height": 224, "channels": 1},
    ]  # fmt: skip
    return [common | row for row in rows[:stages]]


def sample() -> list[dict[str, Any]]:
    """Three photos in two passes: whole, bitmap alone, and one that cannot be read."""
    missing = {"photo": "2.jpg", "pass": 0, "order": 2, "warm_up": True, "error": "is missing"}
    return [
        HEAD, *rows_of(0, 0, 3), *rows_of(1, 0, 1), missing, *rows_of(0, 1, 3), *rows_of(1, 1, 1),
        {"end": 5},
    ]  # fmt: skip


def text_of(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_the_names_are_sorted_and_there() -> None:
    assert package.__all__ == sorted(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)


def test_all_of_an_output() -> None:
    log = parse_stages(text_of(sample()), 1)
    assert (log.program.simd, log.program.abi, log.program.libjpeg_turbo) == (
        "NEON", "armeabi-v7a", "2.1.5"
    )  # fmt: skip
    assert [(one.photo, one.pass_index, one.warm_up) for one in log.passes] == [
        ("0.jpg", 0, True), ("1.jpg", 0, True), ("0.jpg", 1, False), ("1.jpg", 1, False)
    ]  # fmt: skip
    assert log.passes[2].stages_ms == {"bitmap": 24.5, "resize": 1.25, "grey": 0.125}
    assert log.passes[3].stages_ms == {"bitmap": 24.5}
    assert [one.crop for one in log.passes] == [(1, 2, 30, 40), None] * 2
    assert log.failures == (PhotoFailure("2.jpg", 2, "is missing"),)


def test_a_terminals_line_ends_change_nothing() -> None:
    text = text_of(sample())
    assert parse_stages(text.replace("\n", "\r\n"), 1) == parse_stages(text, 1)


def without(at: int) -> list[dict[str, Any]]:
    rows = sample()
    del rows[at]
    return rows


def changed(at: int, **values: Any) -> list[dict[str, Any]]:
    rows = sample()
    rows[at] = rows[at] | values
    return rows


@pytest.mark.parametrize(
    "rows",
    [
        *(without(at) for at in range(len(sample()))),
        changed(0, photos=2),
        changed(0, photos=4),
        changed(0, runs=2),
        changed(0, warm_up=0),
        changed(1, ms=-1.0),
        changed(1, ms=None),
        changed(1, ms="23.5"),
        changed(1, ms=float("nan")),
        changed(1, ms=float("inf")),
        changed(1, ms=True),
        changed(1, stage="detect"),
        changed(1, more=1),
        changed(2, photo="other.jpg"),
        changed(2, **{"pass": 1}),
        changed(6, warm_up=True),
        changed(6, order=1),
        changed(10, end=4),
        [*sample(), sample()[-1]],
        [*sample()[:4], *sample()[1:]],
        [{"error": "--runs cannot be 0; see --help."}],
        [],
    ],
)
def test_what_is_not_whole_is_an_error(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(MeasurementError, match="did not time the photos") as caught:
        parse_stages(text_of(rows), 1)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize(
    ("status", "reason"), [(0, "status 0"), (2, "status 2"), (137, "signal 9 ended it")]
)
def test_the_exit_status_must_agree(status: int, reason: str) -> None:
    with pytest.raises(MeasurementError, match=reason):
        parse_stages(text_of(sample()), status)


def test_the_last_lines_tell_what_went_wrong() -> None:
    with pytest.raises(MeasurementError, match="last lines: sh: stage_bench: not executable"):
        parse_stages("sh: stage_bench: not executable: 64-bit ELF file\n", 126)


def test_another_format_is_refused_with_the_way_out() -> None:
    with pytest.raises(RunnerError, match=r"format 2, and fer-opt reads 1; build it anew"):
        parse_stages(text_of(changed(0, stage_bench=2)), 1)


def numbers(text: str) -> set[float]:
    return {float(one) for one in re.findall(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", text)}


def read(text: str, status: int) -> None:
    """It fails in one sentence, or gives no time that is not in the text."""
    try:
        log = parse_stages(text, status)
    except FerOptError as exc:
        said = str(exc)
        log = None
    else:
        said = ""
    assert "\n" not in said
    if log is not None:
        times = {ms for one in log.passes for ms in one.stages_ms.values()}
        assert times <= numbers(text)
        assert len(log.passes) <= text.count('"bitmap"')


@given(st.text(), st.integers(0, 255))
def test_any_text_is_read_or_refused(text: str, status: int) -> None:
    read(text, status)


@given(st.data())
def test_any_damage_is_refused_or_invents_nothing(data: st.DataObject) -> None:
    text = text_of(sample())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 40))
        put = data.draw(
            st.sampled_from(["", "9", "e9", "\n", "{", "}", '"', "[" * 3000, text[:90]])
        )
        text = text[:at] + put + text[at + length :]
    read(text, data.draw(st.sampled_from([0, 1, 2, 137])))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.integers(0, len(sample()) - 1), st.data())
def test_any_value_in_any_field_is_refused_or_invents_nothing(at: int, data: st.DataObject) -> None:
    rows = sample()
    name = data.draw(st.sampled_from(sorted(rows[at])))
    rows[at] = rows[at] | {name: data.draw(JSON | st.just(10**400))}
    read(text_of(rows), 1)


def test_words_say_what_holds_for_each_photo() -> None:
    request = StageBenchRequest(
        (
            PhotoRequest("a.jpg", (1, 2, 3, 4)),
            PhotoRequest("b.jpg", (1, 2, 3, 4), 8),
            PhotoRequest("c.jpg", None, 8),
            PhotoRequest("d.jpg", (0, 0, 9, 9)),
        ),
        "/data/x", runs=3, warm_up=0, width=48, height=40, channels=3, low=-1.0, high=0.1,
    )  # fmt: skip
    assert shlex.join(build_words("/bin/s", request)) == (
        "/bin/s --runs 3 --warm_up 0 --size 48x40 --channels 3 --range -1.0,0.1 --memory_mb 512 "
        "--in /data/x --crop 1,2,3,4 a.jpg --scale 8 b.jpg --crop none c.jpg --scale 1 "
        "--crop 0,0,9,9 d.jpg"
    )


ONE = (PhotoRequest("a.jpg"),)


@pytest.mark.parametrize(
    "options",
    [
        {"photos": ()},
        {"photos": (PhotoRequest("a.jpg", scale=3),)},
        {"photos": (PhotoRequest("a.jpg", (0, 0, 0, 1)),)},
        {"photos": (PhotoRequest("a.jpg", (-1, 0, 1, 1)),)},
        {"photos": (PhotoRequest("a.jpg", (0, 0, 1, 10**9)),)},
        {"photos": (PhotoRequest("--help"),)},
        {"photos": (PhotoRequest(""),)},
        {"runs": 0},
        {"warm_up": -1},
        {"width": 0},
        {"height": 9000},
        {"channels": 2},
        {"low": 1.0},
        {"high": float("nan")},
        {"high": float("inf")},
        {"memory_mb": 0},
    ],
)
def test_what_it_would_not_take_is_refused_here(options: dict[str, Any]) -> None:
    with pytest.raises(MeasurementError):
        StageBenchRequest(**({"photos": ONE, "folder": "/x"} | options))


@given(st.lists(st.booleans(), max_size=90), st.integers(60, 400))
def test_parts_hold_every_photo_once_and_fit(cropped: list[bool], most_bytes: int) -> None:
    photos = [
        PhotoRequest(f"{at:012}.jpg", (at, at, 99, 99) if crop else None, 2)
        for at, crop in enumerate(cropped)
    ]
    parts = list(in_parts(photos, most_bytes))
    assert [photo for part in parts for photo in part] == photos
    base = len(shlex.join(build_words("s", StageBenchRequest(ONE, "/x")))) - len("a.jpg")
    for part in parts:
        line = shlex.join(build_words("s", StageBenchRequest(part, "/x")))
        assert len(part) == 1 or len(line) - base <= most_bytes + len(" --crop none")
