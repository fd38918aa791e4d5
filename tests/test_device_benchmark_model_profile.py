from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_benchmark_model import (
    Node,
    Sample,
    csv_profile,
    interleaved,
    text_profile,
    write_log,
)

from fer_opt.device.benchmark_model import (
    OperatorProfile,
    ProfileRow,
    parse_log,
    parse_operator_profile,
    parse_profile,
)
from fer_opt.errors import MeasurementError

INITIALISATION = "INFO: Profiling Info for Benchmark Initialization:"
REGULAR = "INFO: Operator-wise Profiling Info for Regular Benchmark Runs:"

SETUP = (Node("ModifyGraphWithDelegate", "ModifyGraphWithDelegate/0", 8064, 8064.0),)
NODES = (
    Node("Convolution (NHWC, F32) IGEMM", "Delegate/Convolution (NHWC, F32) IGEMM:0", 568, 768.25),
    Node("Static Reshape (NC)", "Delegate/Static Reshape (NC):1", 0, 0.0125),
    Node("Convolution (NHWC, F32) IGEMM", "Delegate/Convolution (NHWC, F32) IGEMM:2", 3347, 3484.5),
    Node("SOFTMAX", "[StatefulPartitionedCall:0]:19", 5, 4.81739),
)

# Neither a tab nor the other stream's line ends occur in types and names.
WORDS = st.text("AZaz09 (),_:;/[]=%.-é", min_size=1, max_size=30).map(str.strip).filter(bool)
LISTS = st.lists(
    st.builds(
        Node,
        kind=WORDS,
        name=WORDS,
        first_us=st.integers(0, 10**7),
        mean_us=st.integers(0, 10**8).map(lambda value: value / 10),
    ),
    min_size=1,
    max_size=15,
)


def profile_text(nodes: Any = NODES, form: Any = text_profile, *, start: bool = False) -> str:
    lines = [INITIALISATION, *form(SETUP, start=start), REGULAR, *form(nodes, start=start)]
    return "".join(f"{line}\n" for line in lines)


def test_the_form_for_reading() -> None:
    profile = parse_profile(profile_text())
    assert profile.regular.rows[0] == ProfileRow(
        kind="Convolution (NHWC, F32) IGEMM",
        name="Delegate/Convolution (NHWC, F32) IGEMM:0",
        first_ms=0.568,
        mean_ms=0.768,
        share=0.18044,
        memory_kb=0.0,
        calls=1,
    )
    assert [row.name for row in profile.regular.rows] == [node.name for node in NODES]
    assert profile.regular.top[0] == profile.regular.rows[2]
    assert [(kind.kind, kind.count) for kind in profile.regular.kinds] == [
        ("Convolution (NHWC, F32) IGEMM", 2), ("Static Reshape (NC)", 1), ("SOFTMAX", 1)
    ]  # fmt: skip
    assert profile.regular.timings is not None
    assert profile.regular.timings.mean_ms == 9.05
    assert profile.initialisation is not None
    assert profile.initialisation.rows[0].mean_ms == 8.064
    assert parse_operator_profile(profile_text()) == profile.regular.rows


def test_the_csv_has_more_digits_and_no_quoting() -> None:
    text = profile_text(form=csv_profile)
    assert "Delegate/Convolution (NHWC\t F32) IGEMM:0" in text
    assert "1.25e-05" in text
    rows = parse_operator_profile(text)
    assert [(row.kind, row.name) for row in rows] == [(node.kind, node.name) for node in NODES]
    assert [row.mean_ms for row in rows] == [0.76825, 1.25e-05, 3.4845, 0.00481739]
    assert rows[2].share == pytest.approx(0.8185, abs=1e-4)


@pytest.mark.parametrize("form", [text_profile, csv_profile])
def test_shares_of_nothing_are_unknown(form: Any) -> None:
    text = profile_text((Node("Softmax (NC, F32)", "Delegate/Softmax (NC, F32):0", 0, 0.0),), form)
    assert "-nan%" in text
    (row,) = parse_operator_profile(text)
    assert row.share is None
    assert row.mean_ms == 0


@given(LISTS, st.sampled_from([text_profile, csv_profile]), st.booleans(), st.integers(0, 99))
def test_profiles_come_back(nodes: list[Node], form: Any, start: bool, seed: int) -> None:
    lines = profile_text(nodes, form, start=start).splitlines()
    other = ["INFO: Created TensorFlow Lite XNNPACK delegate for CPU.", "", "a, 1, 2"]
    text = interleaved(lines, other, seed, ending="\r\n")
    rows = parse_operator_profile(text)
    assert [row.kind for row in rows] == [node.kind for node in nodes]
    assert [row.name for row in rows] == [node.name for node in nodes]
    for row, node in zip(rows, nodes, strict=True):
        exact = {"rel": 1e-5} if form is csv_profile else {"abs": 0.00051}
        assert row.mean_ms == pytest.approx(node.mean_us / 1000, **exact)
        assert row.first_ms == pytest.approx(node.first_us / 1000, **exact)
        assert row.share is None or 0 <= row.share <= 1


@given(LISTS, st.sampled_from([text_profile, csv_profile]), st.data())
def test_a_profile_cut_anywhere_is_whole_or_refused(nodes: Any, form: Any, data: Any) -> None:
    text = profile_text(nodes, form)
    whole = parse_operator_profile(text)
    try:
        rows = parse_operator_profile(text[: data.draw(st.integers(0, len(text)))])
    except MeasurementError:
        return
    assert rows == whole


def test_builds_of_2019_print_one_section_without_a_heading() -> None:
    output, errors = write_log(Sample(), 2019)
    lines = [*output, *text_profile(NODES, start=True)]
    profile = parse_profile("\n".join(lines))
    assert profile.initialisation is None
    assert len(profile.regular.rows) == len(NODES)
    # Those of early 2019 print the closing summary after it.
    lines = [*output[:-1], *text_profile(NODES, start=True), output[-1], *errors, ""]
    assert len(parse_operator_profile("\n".join(lines))) == len(NODES)
    assert parse_log("\n".join(lines), 0).counted.count == 5


@pytest.mark.parametrize("form", [text_profile, csv_profile])
def test_a_log_with_a_profile_has_the_same_times(form: Any) -> None:
    output, errors = write_log(Sample(), 2025)
    log = "".join(f"{line}\n" for line in [*errors, *output])
    assert parse_log(log + profile_text(form=form), 0) == parse_log(log, 0)
    assert len(parse_operator_profile(log + profile_text(form=form))) == len(NODES)


def test_only_the_main_graph_of_several_is_told() -> None:
    inner = text_profile((Node("ADD", "[inner]:0", 1, 1.0),))
    text = profile_text() + "\n".join(["Subgraph (index: 1, name: body):", *inner])
    assert parse_operator_profile(text) == parse_operator_profile(profile_text())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "there is none"),
        ("INFO: STARTING!\n", "there is none"),
        (profile_text().partition(REGULAR)[0], "there is none"),
        (profile_text() * 2, "more than one run"),
        (profile_text().replace("    0.005", "    0.0x5"), "it lists 3 of 4 nodes"),
        (profile_text().partition("Number of nodes executed: 4")[0], "it breaks off"),
        (profile_text().rpartition(" Summary by")[0], "its summary by type breaks off"),
    ],
)
def test_what_is_no_whole_profile_is_refused(text: str, reason: str) -> None:
    with pytest.raises(MeasurementError, match=reason) as caught:
        parse_operator_profile(text)
    assert "--enable_op_profiling=true" in str(caught.value)
    assert "\n" not in str(caught.value)


PIECES = st.sampled_from(
    [*profile_text().splitlines(keepends=True), *profile_text(form=csv_profile).splitlines(True),
     "\t", ", ", "%", "nan", "\r", "[node type]", "node type, "]
)  # fmt: skip


@given(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=200))
@settings(max_examples=300)
def test_no_text_crashes(text: str) -> None:
    try:
        profile = parse_profile(text)
    except MeasurementError as exc:
        sentence = str(exc)
    else:
        sentence = ""
        assert isinstance(profile, OperatorProfile)
    assert sentence.isprintable()


@pytest.mark.parametrize(
    "repeated", ["a, ", ", 1", ", 1, 1%", "\t1", "\t", " ", "=", "= ", "1%, ", "\t1%", "\r"]
)
@pytest.mark.parametrize("form", [text_profile, csv_profile])
@pytest.mark.timeout(20)
def test_long_lines_take_no_time(repeated: str, form: Any) -> None:
    text = profile_text(form=form).replace("SOFTMAX", "SOFTMAX" + repeated * 30_000, 1)
    try:
        parse_operator_profile(text + repeated * 30_000)
    except MeasurementError:
        return
