from __future__ import annotations

import dataclasses
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_benchmark_model import Era, Sample, help_text, write_log

from fer_opt.device.benchmark_model import (
    BenchmarkRequest,
    InputFile,
    build_words,
    check_echo,
    left_out,
    parse_help,
    parse_log,
    read_outputs,
    real_values,
)
from fer_opt.errors import MeasurementError, RunnerError
from fer_opt.flatbuffer import TensorFacts

NEEDED = {"graph", "num_threads", "num_runs", "min_secs", "warmup_runs", "warmup_min_secs"}
ALL = NEEDED | {
    "max_secs", "use_xnnpack", "input_layer", "input_layer_shape", "input_layer_value_files",
    "output_filepath", "enable_op_profiling", "op_profiling_output_mode",
    "report_peak_memory_footprint", "help", "verbose",
}  # fmt: skip
PLAIN = BenchmarkRequest(graph="m.tflite", runs=10, warm_up_runs=3, threads=2)
FACES = InputFile("serving_default_input_1:0", (1, 48, 48, 1), "/data/local/tmp/x/in 0.bin")

KINDS = st.sampled_from(["int32", "int64", "float", "bool", "string"])
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,30}", fullmatch=True)
FLAGS = st.dictionaries(
    NAMES, st.tuples(st.text("abc019=.-/ :", max_size=12), KINDS), max_size=20
).map(lambda found: [(name, *rest) for name, rest in (found | {"graph": ("", "string")}).items()])


@given(FLAGS, st.sampled_from(get_args(Era)), st.booleans())
def test_help_lists_every_flag_and_nothing_else(flags: Any, era: Era, carriage: bool) -> None:
    text = help_text(flags, era)
    text = text.replace("\n", "\r\n") if carriage else text
    assert parse_help(text) == {name for name, _, _ in flags}


def test_flags_within_descriptions_are_not_listed() -> None:
    text = (
        "INFO: STARTING!\nERROR: usage: ./b <flags>\nFlags:\n"
        "\t--graph=\tstring\toptional\tgraph file name\n"
        "\t--interval=50\tint32\toptional\tonly used when\n"
        "  --watch is set to true\n --of=1 the same\n\n\nERROR: Benchmarking failed.\n"
    )
    assert parse_help(text) == {"graph", "interval"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it printed nothing"),
        ("usage: taskset [-a] MASK\n\t--all=1\tbool\tx\n", "it is none"),
        ("/system/bin/sh: ./b: not executable: 64-bit ELF file\n", "built for another processor"),
        ("sh: ./b: inaccessible or not found\n", "is not there"),
    ],
)
def test_what_is_no_runner_is_refused(text: str, said: str) -> None:
    with pytest.raises(RunnerError, match=said) as caught:
        parse_help(text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=300))
def test_no_help_crashes(text: str) -> None:
    with pytest.raises(RunnerError):
        parse_help(text)


def flags_of(words: list[str]) -> dict[str, str]:
    """As the runner reads them: ``--name=value`` only."""
    assert all(word.startswith("--") and "=" in word for word in words)
    return dict(word.removeprefix("--").split("=", 1) for word in words)


def test_the_plain_command() -> None:
    words = build_words("./benchmark_model", PLAIN, ALL)
    assert words[0] == "./benchmark_model"
    assert flags_of(words[1:]) == {
        "graph": "m.tflite", "num_threads": "2", "num_runs": "10", "min_secs": "0",
        "warmup_runs": "3", "warmup_min_secs": "0", "max_secs": "150",
    }  # fmt: skip


def test_everything_that_can_be_asked() -> None:
    request = dataclasses.replace(
        PLAIN, max_s=0.5, xnnpack=False, inputs=(FACES,), output_path="out.bin",
        operator_profile=True, peak_memory=True,
    )  # fmt: skip
    told = flags_of(build_words("./b", request, ALL)[1:])
    assert set(told) == ALL - {"help", "verbose"}
    assert told["max_secs"] == "0.5"
    assert told["use_xnnpack"] == "false"
    assert told["input_layer"] == "serving_default_input_1:0"
    assert told["input_layer_shape"] == "1,48,48,1"
    assert told["input_layer_value_files"] == (
        "serving_default_input_1::0:/data/local/tmp/x/in 0.bin"
    )
    assert told["op_profiling_output_mode"] == "csv"
    assert left_out(request, ALL) == ()
    assert (
        flags_of(build_words("./b", dataclasses.replace(request, xnnpack=True), ALL)[1:])[
            "use_xnnpack"
        ]
        == "true"
    )


def split_like_the_runner(item: str) -> tuple[str, str]:
    """Name and path of one item of --input_layer_value_files, as newer builds part it."""
    place, at = 0, -1
    while place < len(item) - 1:
        if item[place] == ":":
            if item[place + 1] == ":":
                place += 1
            else:
                assert at == -1, "contains more than one delimiter"
                at = place
        place += 1
    assert at != -1, "doesn't contain any delimiter"
    return item[:at].replace("::", ":"), item[at + 1 :].replace("::", ":")


WORDS = st.text("ab:;/ 0é", min_size=1, max_size=12).filter(lambda words: words[0] != ":")


@given(st.lists(st.tuples(WORDS, WORDS, st.lists(st.integers(1, 999), min_size=1)), min_size=1))
def test_inputs_reach_the_runner(inputs: list[tuple[str, str, list[int]]]) -> None:
    files = tuple(InputFile(name, tuple(shape), path) for name, path, shape in inputs)
    told = flags_of(build_words("b", dataclasses.replace(PLAIN, inputs=files), ALL)[1:])
    assert told["input_layer"].split(",") == [one.name for one in files]
    shapes = [tuple(map(int, one.split(","))) for one in told["input_layer_shape"].split(":")]
    assert shapes == [one.shape for one in files]
    items = told["input_layer_value_files"].split(",")
    assert [split_like_the_runner(item) for item in items] == [
        (one.name, one.path) for one in files
    ]


def test_what_a_build_lacks_is_left_out_or_refused() -> None:
    request = dataclasses.replace(PLAIN, output_path="o", peak_memory=True, operator_profile=True)
    flags = NEEDED | {"enable_op_profiling"}
    missing = ("max_secs", "output_filepath", "op_profiling_output_mode")
    assert set(left_out(request, flags)) == {*missing, "report_peak_memory_footprint"}
    told = flags_of(build_words("b", request, flags)[1:])
    assert set(told) == flags
    for name in flags:
        with pytest.raises(RunnerError, match=f"does not know --{name}, without which"):
            build_words("b", request, flags - {name})
    with pytest.raises(RunnerError, match="--use_xnnpack and --input_layer and"):
        build_words("b", dataclasses.replace(PLAIN, xnnpack=True, inputs=(FACES,)), NEEDED)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runs": 0}, "runs = 0"),
        ({"warm_up_runs": -1}, "warm_up_runs = -1"),
        ({"threads": 0}, "threads = 0"),
        ({"max_s": 0.0}, "max_s = 0"),
        ({"max_s": float("nan")}, "max_s = nan"),
        ({"graph": ""}, "No model is named"),
        ({"inputs": (InputFile("a,b", (1,), "f"),)}, 'name "a,b" cannot be told'),
        ({"inputs": (InputFile("a", (1,), "f,g"),)}, 'file "f,g" cannot be told'),
        ({"inputs": (InputFile("a", (1,), ":f"),)}, 'file ":f" cannot be told'),
        ({"inputs": (InputFile("", (1,), "f"),)}, 'name "" cannot be told'),
        ({"inputs": (InputFile("a", (1, -1), "f"),)}, "cannot be fed in the shape"),
        ({"inputs": (InputFile("a", (), "f"),)}, "cannot be fed in the shape"),
    ],
)
def test_requests_nothing_can_be_timed_with(change: dict[str, Any], said: str) -> None:
    with pytest.raises(MeasurementError, match=said):
        dataclasses.replace(PLAIN, **change)


def test_a_runner_that_misread_a_flag_is_noticed() -> None:
    output, _ = write_log(Sample(graph="m.tflite"), 2025)
    log = parse_log("\n".join([*output, ""]), 0)
    right = BenchmarkRequest(graph="m.tflite", runs=5, warm_up_runs=3, threads=1)
    check_echo(log, right)
    for change in ({"graph": "n.tflite"}, {"runs": 6}, {"warm_up_runs": 2}, {"threads": 2}):
        with pytest.raises(MeasurementError, match=r"The runner took .* instead of"):
            check_echo(log, dataclasses.replace(right, **change))


TYPES = st.sampled_from(["float16", "float32", "int8", "uint8", "int16", "int32", "int64", "bool"])
SHAPES = st.lists(st.integers(1, 4), max_size=3).map(tuple)


@given(
    st.lists(st.tuples(TYPES, SHAPES), min_size=1, max_size=4), st.randoms(use_true_random=False)
)
def test_outputs_come_back_as_they_were_stored(tensors: Any, chance: Any) -> None:
    facts = [TensorFacts(dtype, shape) for dtype, shape in tensors]
    arrays = [
        np.array([chance.randrange(2) for _ in range(int(np.prod(shape)))], dtype).reshape(shape)
        for dtype, shape in tensors
    ]
    raw = b"".join(array.tobytes() for array in arrays)
    found = read_outputs(raw, facts)
    for array, expected in zip(found, arrays, strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected, strict=True)
    for wrong in (raw[:-1], raw + b"\0"):
        with pytest.raises(MeasurementError, match=f"holds {len(wrong)} bytes instead of"):
            read_outputs(wrong, facts)


def test_quantized_outputs_mean_what_they_say() -> None:
    facts = TensorFacts("int8", (1, 3), scale=1 / 256, zero_point=-128)
    (stored,) = read_outputs(bytes([0x80, 0x00, 0x7F]), [facts])
    np.testing.assert_allclose(real_values(stored, facts), [[0.0, 0.5, 255 / 256]])
    plain = TensorFacts("float32", (2,))
    (stored,) = read_outputs(np.array([1.5, -2.0], "<f4").tobytes(), [plain])
    np.testing.assert_array_equal(real_values(stored, plain), [1.5, -2.0])


def test_outputs_without_a_fixed_length_are_refused() -> None:
    with pytest.raises(MeasurementError, match="Outputs of type string"):
        read_outputs(b"", [TensorFacts("string", (1,))])
