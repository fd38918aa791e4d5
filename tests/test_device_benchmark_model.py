from __future__ import annotations

import dataclasses
import math
import re
import statistics
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_benchmark_model import Era, Sample, count_line, interleaved, write_log

import fer_opt.device.benchmark_model as package
from fer_opt.device.benchmark_model import BenchmarkFailedError, BenchmarkLog, Cause, parse_log
from fer_opt.device.measurement import InferenceSummary
from fer_opt.errors import FerOptError, MeasurementError

TIMES = st.lists(st.integers(1, 5_000_000), max_size=40).map(tuple)
COUNTED = st.lists(st.integers(1, 5_000_000), min_size=1, max_size=40).map(tuple)
SAMPLES = st.builds(
    Sample,
    warm_up_us=TIMES,
    counted_us=COUNTED,
    initialisation_us=st.integers(1, 10_000_000),
    threads=st.integers(1, 8),
    peak=st.booleans(),
)
ERAS = st.sampled_from(get_args(Era))
ENDINGS = st.sampled_from(["\n", "\r\n", "\r\r\n"])


def log_text(sample: Sample | None = None, era: Era = 2025) -> str:
    output, errors = write_log(sample or Sample(), era)
    return "".join(f"{line}\n" for line in [*errors, *output])


def failure_of(text: str, status: int) -> BenchmarkFailedError:
    with pytest.raises(BenchmarkFailedError) as caught:
        parse_log(text, status)
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_names_are_sorted_and_there() -> None:
    assert package.__all__ == sorted(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)


def test_all_of_a_log() -> None:
    log = parse_log(log_text(Sample(peak=True)), 0)
    assert log.initialisation_ms == 14.912
    assert log.first_inference_ms == 15.0
    assert log.warm_up is not None
    assert log.warm_up.count == 3
    assert log.counted == InferenceSummary(
        count=5, mean_ms=12.3, min_ms=12.0, max_ms=12.9, sd_ms=0.316, median_ms=12.2,
        p5_ms=12.0, p95_ms=12.9,
    )  # fmt: skip
    assert (log.asked.runs, log.asked.min_s, log.asked.max_s) == (5, 0.0, 150.0)
    assert log.asked_warm_up.runs == 3
    assert log.threads == 1
    assert log.parameters["Graph"] == "/data/local/tmp/x/faces.tflite"
    assert log.model_bytes == 6_822_560
    assert log.memory == package.Memory(
        initialisation_bytes=round(25.1562 * 2**20),
        overall_bytes=round(25.7812 * 2**20),
        peak_bytes=round(30.8242 * 2**20),
        resident_bytes=30 << 20,
        anonymous_bytes=16 << 20,
        file_bytes=14 << 20,
    )
    assert log.delegate.words == "XNNPACK (extent unknown)"
    assert log.warnings == ()


@given(SAMPLES, ERAS, st.integers(0, 999), ENDINGS)
def test_every_format_in_any_order_says_the_same(
    sample: Sample, era: Era, seed: int, ending: str
) -> None:
    output, errors = write_log(sample, era)
    log = parse_log(interleaved(output, errors, seed, ending=ending), 0)
    times = sample.counted_us
    assert log.counted.count == log.asked.runs == len(times)
    assert log.counted.mean_ms == pytest.approx(statistics.fmean(times) / 1000, rel=1e-5)
    assert log.counted.min_ms == min(times) / 1000
    assert log.counted.max_ms == max(times) / 1000
    assert log.counted.sd_ms == pytest.approx(statistics.pstdev(times) / 1000, abs=0.001001)
    if era >= 2025:
        assert log.counted.median_ms == statistics.median_high(times) / 1000
    else:
        assert log.counted.median_ms is log.counted.p5_ms is log.counted.p95_ms is None
    assert log.initialisation_ms == sample.initialisation_us / 1000
    warm_up = sample.warm_up_us
    assert (0 if log.warm_up is None else log.warm_up.count) == len(warm_up)
    assert log.first_inference_ms == (warm_up[0] / 1000 if warm_up else None)
    assert log.threads == sample.threads
    assert (log.memory.overall_bytes is None) == (era <= 2019)
    assert (log.memory.peak_bytes is None) == (era <= 2019 or not sample.peak)


def test_averages_of_a_second_and_more_are_scientific() -> None:
    text = log_text(Sample(warm_up_us=(1723687,), counted_us=(1252268, 1297670, 1218232)))
    assert "avg=1.25606e+06" in text
    assert parse_log(text, 0).counted.mean_ms == 1256.06


@pytest.mark.parametrize(
    ("line", "delegate", "words"),
    [
        (
            "Explicitly applied XNNPACK delegate, and the model graph will be completely executed "
            "by the delegate.",
            package.Delegate("XNNPACK", "complete"),
            "XNNPACK",
        ),
        (
            "Applied GPU delegate, and the model graph will be completely executed w/ the "
            "delegate.",
            package.Delegate("GPU", "complete"),
            "GPU",
        ),
        (
            "Explicitly applied XNNPACK delegate, and the model graph will be partially executed "
            "by the delegate w/ 22 delegate kernels.",
            package.Delegate("XNNPACK", "partial", 22),
            "XNNPACK (part of the graph)",
        ),
        (
            "Though NNAPI delegate is explicitly applied, the model graph will not be executed by "
            "the delegate.",
            package.Delegate("NNAPI", "none"),
            "none",
        ),
        (
            "INFO: Created TensorFlow Lite delegate for NNAPI.",
            package.Delegate("NNAPI", "unknown"),
            "NNAPI (extent unknown)",
        ),
        ("Use xnnpack: [0]", package.Delegate("", "none"), "none"),
        ("Use xnnpack: [1]", package.Delegate("", "unknown"), "unknown"),
    ],
)
def test_delegates(line: str, delegate: package.Delegate, words: str) -> None:
    output, _ = write_log(Sample(), 2021)
    log = parse_log("\n".join([line, *output, ""]), 0)
    assert log.delegate == delegate
    assert log.delegate.words == words


def test_warnings_are_kept_and_coarse_times_are_one() -> None:
    text = "WARN: Tensor # 0 is named a:0 but flags call it b\n" + log_text(
        Sample(warm_up_us=(9,), counted_us=(4, 5, 6))
    )
    assert parse_log(text, 0).warnings == (
        "Tensor # 0 is named a:0 but flags call it b",
        "Its times are whole microseconds, so a time of 0.005 ms is known to 20 % at best.",
    )


def test_a_delegate_that_declines_is_no_failure() -> None:
    notice = "Attempting to use a delegate that only supports static-sized tensors"
    assert parse_log(f"ERROR: {notice}\n{log_text()}", 0).warnings == (notice,)


FAILING = [
    ("ERROR: Could not open 'x.tflite'.\nERROR: Failed to load model x", 1, Cause.MODEL_MISSING),
    ("ERROR: mmap of size 0 requested.\nERROR: Failed to load model x", 1, Cause.MODEL_EMPTY),
    ("ERROR: Mmap of '3' at offset '0' failed with error '19'.", 1, Cause.MODEL_UNREADABLE),
    ("ERROR: The model is not a valid Flatbuffer buffer", 1, Cause.MODEL_DAMAGED),
    ("Failed to mmap model x.tflite\nBenchmarking failed.", 0, Cause.MODEL_DAMAGED),
    ("ERROR: Encountered unresolved custom op: MyOp.", 1, Cause.CUSTOM_OPERATOR),
    ("ERROR: Select TensorFlow op(s), included in the given model", 1, Cause.FLEX_OPERATOR),
    ("ERROR: Encountered unresolved custom op: FlexErf.", 1, Cause.FLEX_OPERATOR),
    ("ERROR: Didn't find op for builtin opcode 'MUL' version '5'.", 1, Cause.NEWER_OPERATOR),
    ("ERROR: Op builtin_code out of range: 250. Are you", 1, Cause.UNKNOWN_OPERATOR),
    ("ERROR: Node number 3 (CONV_2D) failed to prepare.", 1, Cause.OPERATOR_REFUSED),
    ("ERROR: Node number 3 (CONV_2D) failed to invoke.", 1, Cause.INFERENCE_FAILED),
    ("ERROR: Signature not specified or incorrect. Pass one", 1, Cause.SIGNATURE),
    ("ERROR: a:0:b.bin contains more than one delimiter.", 1, Cause.INPUT_LAYERS),
    ("FATAL: Cannot find the corresponding input_layer name(a) in", 134, Cause.INPUT_LAYERS),
    ("ERROR: Input tensor #0 should have 4 dimensions!", 1, Cause.INPUT_SHAPE),
    ("ERROR: XNNPack delegate failed to reshape runtime", 1, Cause.INPUT_SHAPE),
    ("FATAL: Failed to read the input_layer_value_file:a.bin", 134, Cause.INPUT_FILE_MISSING),
    ("FATAL: The size of a.bin is 12 bytes. It should be 40 bytes.", 134, Cause.INPUT_FILE_SIZE),
    ("FATAL: Don't know how to populate tensor a of type 9", 134, Cause.INPUT_TYPE),
    ("ERROR: Failed to parse flag 'num_runs' against argv '--num_runs=x'", 1, Cause.FLAG_VALUE),
    ("ERROR: num_threads should be >= 0 or just -1", 1, Cause.FLAG_VALUE),
    ("usage: ./benchmark_model <flags>\nFlags:\nBenchmarking failed.", 1, Cause.FLAG_VALUE),
    ("ERROR: Please specify the name of your TF Lite input file with --graph", 1, Cause.NO_GRAPH),
    ("WARN: Unconsumed cmdline flags: --a=1 --b", 0, Cause.UNKNOWN_FLAGS),
    ("Unconsumed cmdline flags: -use-gpu=true", 0, Cause.UNKNOWN_FLAGS),
    ("ERROR: Failed to apply XNNPACK delegate.", 1, Cause.DELEGATE),
    ("ERROR: Disallowed CPU fallback detected.", 1, Cause.DELEGATE),
    ("terminating with uncaught exception of type std::bad_alloc: x", 134, Cause.OUT_OF_MEMORY),
    ("INFO: STARTING!", 137, Cause.OUT_OF_MEMORY),
    ("STARTING!\nKilled", 0, Cause.OUT_OF_MEMORY),
    ("INFO: STARTING!", 134, Cause.CRASH),
    ("INFO: STARTING!", 135, Cause.CRASH),
    ("INFO: STARTING!", 139, Cause.CRASH),
    ("STARTING!\nSegmentation fault", 0, Cause.CRASH),
    ("INFO: STARTING!", 132, Cause.WRONG_PROCESSOR),
    ("STARTING!\nIllegal instruction", 0, Cause.WRONG_PROCESSOR),
    ("/system/bin/sh: ./b: not executable: 64-bit ELF file", 126, Cause.WRONG_PROCESSOR),
    ('CANNOT LINK EXECUTABLE "./b": library "x.so" not found', 1, Cause.RUNNER_UNUSABLE),
    ("sh: ./benchmark_model: inaccessible or not found", 127, Cause.RUNNER_UNUSABLE),
    ("sh: ./benchmark_model: can't execute: Permission denied", 126, Cause.RUNNER_UNUSABLE),
    ("INFO: STARTING!", 124, Cause.TIMEOUT),
    ("STARTING!\nKilled", 124, Cause.TIMEOUT),
    ("INFO: STARTING!", 143, Cause.STOPPED),
    ("INFO: STARTING!", 129, Cause.STOPPED),
    ("", 0, Cause.NO_LOG),
    ("  \r\n \n", 0, Cause.NO_LOG),
    ("", 1, Cause.NO_LOG),
    ("INFO: STARTING!", 0, Cause.CUT_OFF),
    ("ERROR: something nobody has seen\nERROR: Benchmarking failed.", 1, Cause.OTHER),
    ("INFO: STARTING!", 1, Cause.OTHER),
]  # fmt: skip


@pytest.mark.parametrize(("text", "status", "cause"), FAILING)
def test_causes_are_told_apart(text: str, status: int, cause: Cause) -> None:
    error = failure_of(
        f"INFO: Graph: [/data/x/faces.tflite]\n{text}\n" if text.strip() else text, status
    )
    assert error.failure.cause is cause
    assert error.failure.what in str(error)
    assert error.failure.way_out in str(error)
    if text.strip():
        assert str(error).startswith("faces.tflite was not timed: ")
        assert text.rstrip().splitlines()[-1].split(": ", 1)[-1][:60] in str(error)


def test_every_cause_is_tested_and_has_a_way_out() -> None:
    elsewhere = {
        Cause.TOO_FEW_RUNS, Cause.NO_RUNS, Cause.TOO_FAST, Cause.CONTRADICTION, Cause.RESULT_FILE
    }  # fmt: skip
    assert {cause for _, _, cause in FAILING} | elsewhere == set(Cause)
    for cause in Cause:
        failure = package.Failure(cause, "it failed")
        assert failure.way_out
        assert failure.blame in get_args(package.Blame)


def test_what_the_cause_is_about_is_named() -> None:
    def said(text: str, status: int = 1) -> str:
        return failure_of(f"INFO: Graph: [a/faces.tflite]\n{text}\n", status).failure.what

    assert "MyOp" in said("ERROR: Encountered unresolved custom op: MyOp.")
    assert said(
        "ERROR: Select TensorFlow op(s), included\nERROR: Node number 19 (FlexErf) failed to run."
    ).endswith("lacks: FlexErf (node 19)")
    assert "version 5 of the operator MUL" in said(
        "ERROR: Didn't find op for builtin opcode 'MUL' version '5'. An older version"
    )
    assert said(
        "ERROR: Signature not specified or incorrect.\nERROR:  #> Signature key: a\n"
        "ERROR:  #> Signature key: b"
    ).endswith(": a, b")
    assert "a.bin holds 12 bytes instead of 40" in said(
        "FATAL: The size of a.bin is 12 bytes. It should be 40 bytes.", 134
    )
    assert said(
        "ERROR: k.cc:1 a != b (1 != 2)\nERROR: Node number 3 (CONV_2D) failed to prepare."
    ).endswith(": CONV_2D (node 3) (k.cc:1 a != b (1 != 2))")


def test_a_complete_log_does_not_excuse_a_failed_end() -> None:
    assert failure_of(log_text(), 139).failure.cause is Cause.CRASH
    assert failure_of(log_text() + "ERROR: Benchmarking failed.\n", 0).failure.cause is Cause.OTHER
    text = log_text() + "WARN: Unconsumed cmdline flags: --enable_op_profiling\n"
    assert failure_of(text, 0).failure.cause is Cause.UNKNOWN_FLAGS


def test_a_result_that_could_not_be_written() -> None:
    text = log_text() + "ERROR: Failed to open output file /data/x/out.bin\n"
    assert failure_of(text, 0).failure.cause is Cause.RESULT_FILE


def test_a_count_of_ten_digits_is_read_like_any_other() -> None:
    error = failure_of(log_text(Sample(asked_runs=2_000_000_000)), 0)
    assert error.failure.cause is Cause.TOO_FEW_RUNS


def test_fewer_runs_than_asked_are_refused() -> None:
    error = failure_of(log_text(Sample(asked_runs=30)), 0)
    assert error.failure.cause is Cause.TOO_FEW_RUNS
    assert "only 5 of 30 runs were done, since the runner stops after 150 s" in str(error)
    text = log_text().replace("at least 3 iterations", "at least 9 iterations")
    assert "only 3 of 9 warm-up runs were done" in str(failure_of(text, 0))


@pytest.mark.parametrize("era", get_args(Era))
def test_nothing_counted_is_an_error(era: Era) -> None:
    assert failure_of(log_text(Sample(counted_us=()), era), 0).failure.cause is Cause.NO_RUNS


@pytest.mark.parametrize("times", [(0, 0), (0,), (0, 0, 1), (1, 0, 0)])
def test_times_of_zero_are_refused(times: tuple[int, ...]) -> None:
    assert failure_of(log_text(Sample(counted_us=times)), 0).failure.cause is Cause.TOO_FAST


def test_a_mean_that_is_not_zero_is_enough_for_builds_without_a_median() -> None:
    log = parse_log(log_text(Sample(counted_us=(0, 0, 1)), 2023), 0)
    assert log.counted.mean_ms == pytest.approx(1 / 3000, rel=1e-5)


def test_only_a_warm_up_is_an_error() -> None:
    lines = log_text().splitlines(keepends=True)
    second = [place for place, line in enumerate(lines) if "Running benchmark" in line][1]
    for until in (second, second + 1):
        error = failure_of("".join(lines[:until]), 0)
        assert error.failure.cause is Cause.CUT_OFF
        assert "after the warm-up" in str(error)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("min=12000", "min=12950"),
        ("max=12900", "max=12000"),
        ("median=12200", "median=13200"),
        ("avg=12300", "avg=1230"),
        ("first=12300", "first=123"),
        ("std=316", "std=3160"),
        ("Init: 14912", "Init: 1491"),
        ("Inference (avg): 12300", "Inference (avg): 1230"),
        ("First inference: 15000", "First inference: 1500"),
        ("count=5 first", "count=5 frst"),
        ("count=5 first=12300 curr=12000 min=12000", "count=5 first=-3 curr=12000 min=-3"),
        ("count=5", "count=05x"),
        ("count=5", "count=50"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(old: str, new: str) -> None:
    text = log_text()
    assert old in text
    assert failure_of(text.replace(old, new), 0).failure.cause is Cause.CONTRADICTION


def test_a_name_from_a_log_is_quoted_with_care() -> None:
    error = failure_of(f"Graph: [a/\x1b[2J{'x' * 9999}\u2028]\n", 0)
    assert str(error).isprintable()
    assert len(str(error)) < 600


def test_two_runs_in_one_log_are_refused() -> None:
    assert failure_of(log_text() * 2, 0).failure.cause is Cause.CONTRADICTION


@given(SAMPLES, ERAS, st.data())
def test_a_log_cut_anywhere_is_whole_or_refused(sample: Sample, era: Era, data: Any) -> None:
    text = log_text(sample, era)
    whole = parse_log(text, 0)
    cut = data.draw(st.integers(0, len(text)))
    try:
        log = parse_log(text[:cut], 0)
    except BenchmarkFailedError:
        return
    for name in ("counted", "warm_up", "initialisation_ms", "first_inference_ms", "asked"):
        assert getattr(log, name) == getattr(whole, name)
    for part in dataclasses.fields(log.memory):
        assert getattr(log.memory, part.name) in (None, getattr(whole.memory, part.name))


def test_the_last_line_may_lack_its_end() -> None:
    # A connection may strip it; what stands in the line is confirmed by the lines before.
    text = log_text(Sample(), 2018).rstrip("\n")
    assert parse_log(text, 0).counted.count == 5


def numbers_in(value: object) -> Iterator[float]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for part in dataclasses.fields(value):
            yield from numbers_in(getattr(value, part.name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def stands_in(value: float, text: str) -> bool:
    """Whether a number of the result was printed, in the unit it was printed in."""
    printed = [float(word) for word in re.findall(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]
    units = (1.0, 1e-3, 1e6, float(1 << 20))
    return value == 0 or any(
        math.isclose(value, one * unit, rel_tol=1e-9, abs_tol=0.5 if unit > 1 else 0)
        for one in printed
        for unit in units
    )


def check_or_refuse(text: str, status: int) -> None:
    try:
        log = parse_log(text, status)
    except MeasurementError as exc:
        sentence = str(exc)
    else:
        sentence = ""
    assert sentence.isprintable()
    assert len(sentence) < 2000
    if sentence:
        return
    assert status == 0
    assert log.counted.count >= log.asked.runs
    assert log.counted.count > 0
    assert (log.counted.median_ms or log.counted.mean_ms) > 0
    assert all(stands_in(value, text) for value in numbers_in(log))


PIECES = st.sampled_from(
    ["\n", "\r\n", "INFO: ", "ERROR: ", "WARN: ", "count=", "count=0", "count=1 curr=0",
     "(all same)", " first=1", " curr=2", " min=-1", " max=9e99", " avg=nan", " std=-0",
     " p5=1 median=1 p95=1",
     "Running benchmark for at least 1 iterations", "Initialized session in 1ms", "Threads: [-1]",
     "Inference timings in us: Init: 1, First inference: 1, Warmup (avg): 1, Inference (avg): 1",
     "Graph: [\n", "[", "]", ": [", "Node number ", "failed to ", "é", "\0", "\x1b[2K", "9" * 30,
     "Memory footprint delta from the start of the tool (MB): init=1 overall=9e99"]
)  # fmt: skip


@given(st.text(max_size=300), st.integers(-20, 300))
def test_no_text_crashes(text: str, status: int) -> None:
    check_or_refuse(text, status)


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        ("count=1 curr=", "9"), ("", "["), ("INFO: ", ": ["), ("ERROR: ", "failed open "),
        ("ERROR: ", "a: "), ("", "a: "), ("", "\t"), ("", " "), ("", "\r"), ("", "ERROR: x\n"),
        ("ERROR: ", "contains more than one "), ("", "Running benchmark for 1 iterations\n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.timeout(20)
def test_long_logs_take_no_time(start: str, repeated: str, status: int) -> None:
    check_or_refuse(start + repeated * 30_000, status)


@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from([0, 0, 1, 134, 137]))
def test_no_pieces_of_logs_crash(text: str, status: int) -> None:
    check_or_refuse(text, status)


@given(SAMPLES, ERAS, st.integers(0, 99), st.data())
@settings(max_examples=300)
def test_damaged_logs_invent_nothing(sample: Sample, era: Era, seed: int, data: Any) -> None:
    output, errors = write_log(sample, era)
    text = interleaved(output, errors, seed)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 60)))
        kind = data.draw(st.sampled_from(["delete", "replace", "repeat", "move"]))
        if kind == "delete":
            text = text[:start] + text[end:]
        elif kind == "replace":
            text = text[:start] + data.draw(st.text("0159 .:=[]\ne-", max_size=8)) + text[end:]
        elif kind == "repeat":
            text = text[:end] + text[start:]
        else:
            text = text[end:] + text[start:end] + text[:start]
    check_or_refuse(text, 0)


def test_every_error_of_the_package_is_ours() -> None:
    assert issubclass(BenchmarkFailedError, FerOptError)
    assert isinstance(parse_log(log_text(), 0), BenchmarkLog)
    assert count_line((7, 7), percentiles=True) == "count=2 curr=7(all same) p5=7 median=7 p95=7"
