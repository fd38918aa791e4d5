"""Our runner as what it is: a program that is executed, read by its output, and ends."""

from __future__ import annotations

import os
import re
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.device.benchmark_model import (
    BenchmarkFailedError,
    BenchmarkRequest,
    Cause,
    InputFile,
    build_words,
    check_echo,
    left_out,
    parse_help,
    parse_log,
    read_outputs,
)
from fer_opt.device.runner import own_runner_path
from fer_opt.device.runner.own_runner import (
    FLAGS,
    NOTICE,
    Failure,
    parse_flags,
    percentile,
    summary,
    usage,
)
from fer_opt.flatbuffer import take_census

CAPTURES = os.environ.get("FER_OPT_CAPTURES", "")
SHAPE = (24, 24, 1)
EXACT = ("--min_secs=0", "--warmup_min_secs=0")
TOLD = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a program for (virtual) phones")


@dataclass(frozen=True)
class Ended:
    """A run of the program: lines without our one more, lines of the other stream, status."""

    out: list[str]
    err: list[str]
    status: int


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small real models and files that are none."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from fer_opt.backend import quiet, tf, tf_keras

    folder = tmp_path_factory.mktemp("models")
    tf_keras.utils.set_random_seed(5)
    layers = tf_keras.layers
    network = tf_keras.Sequential(
        [
            layers.Input(SHAPE),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPool2D(4),
            layers.Flatten(),
            layers.Dense(7, activation="softmax"),
        ]
    )
    samples = np.random.default_rng(0).random((10, 1, *SHAPE), np.float32)

    def convert(name: str, call: Any, *shapes: tuple[int, ...], settle: Any = None) -> None:
        specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
        function = tf.function(call).get_concrete_function(*specs)
        with quiet():
            converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
            if settle is not None:
                settle(converter)
            (folder / f"{name}.tflite").write_bytes(converter.convert())

    def eight_bits(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    def allow_custom(converter: Any) -> None:
        converter.allow_custom_ops = True

    def select(converter: Any) -> None:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]

    convert("float32", network, (1, *SHAPE))
    convert("int8", network, (1, *SHAPE), settle=eight_bits)
    convert("two_inputs", lambda a, b: (a + b, a * 2.0), (1, 4), (1, 4))
    convert("custom", lambda x: tf.math.betainc(x, x, x), (1, 4), settle=allow_custom)
    convert("flex", tf.math.atan, (1, 4), settle=select)
    kernel = tf.constant(np.random.default_rng(1).random((3, 3, 1, 64), np.float32))
    convert("wide", lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"), (1, 96, 96, 1))
    table = tf.constant(np.arange(10, dtype=np.float32))
    # Fails while running for an input of 1 or more: the table has ten places.
    convert("gather", lambda x: tf.gather(table, tf.cast(x * 10, tf.int32)), (1, 4))

    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
        def first(self, x: Any) -> Any:
            return {"y": x + 1.0}

        @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
        def second(self, x: Any) -> Any:
            return {"y": x * 2.0}

    two = Two()
    with quiet():
        tf.saved_model.save(two, str(folder / "two"), {"first": two.first, "second": two.second})
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "two"))
        (folder / "two_signatures.tflite").write_bytes(converter.convert())
    for name, code in (("newer", {"version": 200}), ("unknown", {"builtinCode": 250})):
        model = schema.ModelT.InitFromObj(
            schema.Model.GetRootAs((folder / "float32.tflite").read_bytes(), 0)
        )
        vars(model.operatorCodes[0]).update(code)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        (folder / f"{name}.tflite").write_bytes(bytes(builder.Output()))
    whole = (folder / "float32.tflite").read_bytes()
    (folder / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.tflite").write_bytes(b"")
    (folder / "text.tflite").write_text("no model\n")
    return folder


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runner as it lies on a phone: alone, under the other one's name."""
    target = tmp_path_factory.mktemp("fer-opt") / "benchmark_model"
    target.write_bytes(own_runner_path().read_bytes())
    target.chmod(0o755)
    return target


def run(program: Path, *words: str, cwd: Path | None = None) -> Ended:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [program, *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PATH": path},
        timeout=120,
        check=False,
    )
    out = done.stdout.splitlines()
    assert out[0] == "INFO: STARTING!"
    assert out[1].startswith(f"INFO: {NOTICE}: ai-edge-litert ")
    return Ended([out[0], *out[2:]], done.stderr.splitlines(), done.returncode)


def form(line: str) -> str:
    """A line with its numbers taken out: F where they may have decimals, N where they are whole."""
    places = r"init=|overall=|avg=|\(avg\): |\(MB\): |monitoring: |session in "
    line = re.sub(rf"({places})-?\d[\d.]*(e[+-]?\d+)?", r"\1F", line)
    return re.sub(r"(?<=[=: ])\d+(?= |,|$)", "N", line)


STATISTICS = "INFO: count=N first=N curr=N min=N max=N avg=F std=N p5=N median=N p95=N"
TIMINGS = (
    "INFO: Inference timings in us: Init: N, First inference: N, Warmup (avg): F, "
    "Inference (avg): F"
)
MEMORY = "INFO: Memory footprint delta from the start of the tool (MB): init=F overall=F"


def test_the_log_has_the_lines_of_the_real_one(models: Path, program: Path) -> None:
    graph = models / "float32.tflite"
    words = ["--num_threads=1", "--num_runs=40", "--warmup_runs=20", *EXACT]
    ended = run(program, f"--graph={graph}", *words, "--report_peak_memory_footprint=true")
    assert ended.status == 0
    assert ended.err == [TOLD]
    size = f"{graph.stat().st_size / 1e6:g}"
    assert f"INFO: The input model file size (MB): {size}" in ended.out
    assert [form(line) for line in ended.out] == [
        "INFO: STARTING!",
        "INFO: Log parameter values verbosely: [0]",
        "INFO: Min num runs: [40]",
        "INFO: Min runs duration (seconds): [0]",
        "INFO: Num threads: [1]",
        "INFO: Min warmup runs: [20]",
        "INFO: Min warmup runs duration (seconds): [0]",
        "INFO: Report the peak memory footprint: [1]",
        f"INFO: Graph: [{graph}]",
        "INFO: Signature to run: []",
        "INFO: #threads used for CPU inference: [1]",
        f"INFO: Loaded model {graph}",
        "INFO: The input model file size (MB): F",
        "INFO: Initialized session in Fms.",
        "INFO: Running benchmark for at least N iterations and at least N seconds but terminate "
        "if exceeding N seconds.",
        STATISTICS,
        "",
        "INFO: Running benchmark for at least N iterations and at least N seconds but terminate "
        "if exceeding N seconds.",
        STATISTICS,
        "",
        TIMINGS,
        "INFO: Note: as the benchmark tool itself affects memory footprint, the following is only "
        "APPROXIMATE to the actual memory footprint of the model at runtime. Take the information "
        "at your discretion.",
        MEMORY,
        "INFO: Overall peak memory footprint (MB) via periodic monitoring: F",
        "INFO: Memory status at the end of exeution:",
        "INFO: - VmRSS              : N MB",
        "INFO: + RssAnnon           : N MB",
        "INFO: + RssFile + RssShmem : N MB",
    ]


def test_the_numbers_of_a_log_agree_with_each_other(models: Path, program: Path) -> None:
    words = ["--num_runs=7", "--warmup_runs=3", *EXACT]
    ended = run(program, f"--graph={models / 'int8.tflite'}", *words)
    warm_up, regular = (line for line in ended.out if line.startswith("INFO: count="))
    assert warm_up.startswith("INFO: count=3 first=")
    assert regular.startswith("INFO: count=7 first=")
    (timings,) = (line for line in ended.out if "timings in us" in line)
    told = dict(re.findall(r"(\w[\w ()]*): ([\d.e+]+)", timings))
    assert told["First inference"] == re.search(r"first=(\d+)", warm_up)[1]  # type: ignore[index]
    assert f"avg={told['Warmup (avg)']} " in warm_up
    assert f"avg={told['Inference (avg)']} " in regular
    (session,) = re.findall(r"Initialized session in ([\d.]+)ms", "\n".join(ended.out))
    assert float(session) * 1000 == pytest.approx(int(told["Init"]))


@pytest.mark.parametrize("name", ["float32", "int8"])
@pytest.mark.parametrize("xnnpack", ["", "--use_xnnpack=true", "--use_xnnpack=false"])
def test_outputs_equal_those_of_litert_bit_for_bit(
    models: Path, program: Path, tmp_path: Path, name: str, xnnpack: str
) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    graph = models / f"{name}.tflite"
    kinds = OpResolverType
    without = xnnpack.endswith("false")
    interpreter = Interpreter(
        str(graph),
        num_threads=1,
        experimental_op_resolver_type=kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        if without
        else kinds.BUILTIN,
    )
    interpreter.allocate_tensors()
    (detail,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    random = np.random.default_rng(11)
    sample = random.random((1, *SHAPE), np.float32)
    if name == "int8":
        sample = random.integers(-128, 128, (1, *SHAPE)).astype(np.int8)
    (tmp_path / "in:put.bin").write_bytes(sample.tobytes())
    layer = detail["name"]
    ended = run(
        program,
        f"--graph={graph}",
        "--num_runs=3",
        "--warmup_runs=0",
        *EXACT,
        f"--input_layer={layer}",
        "--input_layer_shape=1,24,24,1",
        f"--input_layer_value_files={layer.replace(':', '::')}:{tmp_path}/in::put.bin",
        f"--output_filepath={tmp_path / 'out.bin'}",
        *filter(None, [xnnpack]),
    )
    assert (ended.status, [line for line in ended.out if line.startswith("WARN")]) == (0, [])
    interpreter.set_tensor(detail["index"], sample)
    interpreter.invoke()
    wanted = interpreter.get_tensor(output["index"])
    assert (tmp_path / "out.bin").read_bytes() == wanted.tobytes()
    assert (TOLD in ended.err) == (not without)
    applied = [line for line in ended.out if "XNNPACK" in line]
    if xnnpack.endswith("true"):
        how = "partially executed by the delegate w/ 1 delegate kernels."
        how = "completely executed by the delegate." if name == "float32" else how
        assert applied == [
            "INFO: XNNPACK delegate created.",
            f"INFO: Explicitly applied XNNPACK delegate, and the model graph will be {how}",
        ]
    else:
        assert applied == []


def test_several_inputs_and_outputs_keep_their_order(
    models: Path, program: Path, tmp_path: Path
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    graph = models / "two_inputs.tflite"
    interpreter = Interpreter(str(graph))
    interpreter.allocate_tensors()
    names, files = [], []
    for place, detail in enumerate(interpreter.get_input_details()):
        values = np.arange(4, dtype=np.float32).reshape(1, 4) + 10 * place
        interpreter.set_tensor(detail["index"], values)
        (tmp_path / f"{place}.bin").write_bytes(values.tobytes())
        names.append(detail["name"])
        files.append(f"{detail['name'].replace(':', '::')}:{place}.bin")
    interpreter.invoke()
    outputs = [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]
    ended = run(
        program,
        f"--graph={graph}",
        *EXACT,
        f"--input_layer={','.join(names)}",
        "--input_layer_shape=1,4:1,4",
        f"--input_layer_value_files={','.join(files)}",
        "--output_filepath=out",
        cwd=tmp_path,
    )
    assert ended.status == 0
    assert (tmp_path / "out").read_bytes() == b"".join(one.tobytes() for one in outputs)
    assert len(outputs) == 2
    assert outputs[0].tobytes() != outputs[1].tobytes()


@pytest.mark.parametrize(
    ("name", "err"),
    [
        ("gone", ["Could not open '{0}'.", "The model allocation is null/empty"]),
        ("empty", ["mmap of size 0 requested.", "The model allocation is null/empty"]),
        ("text", ["The model is not a valid Flatbuffer buffer"]),
        ("cut", ["The model is not a valid Flatbuffer buffer"]),
    ],
)
def test_what_is_no_model_fails_as_in_the_real_one(
    models: Path, program: Path, name: str, err: list[str]
) -> None:
    graph = models / f"{name}.tflite"
    ended = run(program, f"--graph={graph}")
    lines = [line.format(graph) for line in err]
    assert ended == Ended(
        [
            "INFO: STARTING!",
            "INFO: Log parameter values verbosely: [0]",
            f"INFO: Graph: [{graph}]",
            "INFO: Signature to run: []",
        ],
        [
            *(f"ERROR: {line}" for line in lines),
            f"ERROR: Failed to load model {graph}",
            "ERROR: Benchmarking failed.",
        ],
        1,
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("custom", "Encountered unresolved custom op: Betainc."),
        ("flex", "Select TensorFlow op(s), included in the given model, is(are) not supported"),
    ],
)
def test_operators_without_kernels_fail_while_tensors_are_allocated(
    models: Path, program: Path, name: str, words: str
) -> None:
    ended = run(program, f"--graph={models / f'{name}.tflite'}")
    assert ended.status == 1
    assert ended.out[-1] == f"INFO: Loaded model {models / f'{name}.tflite'}"
    assert any(line.startswith(f"ERROR: {words}") for line in ended.err)
    assert re.fullmatch(r"ERROR: Node number \d+ \(\w+\) failed to prepare\.", ended.err[-3])
    assert ended.err[-2:] == ["ERROR: Failed to allocate tensors!", "ERROR: Benchmarking failed."]


def test_a_model_that_fails_while_running_measures_nothing(
    models: Path, program: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(np.full(4, 9, np.float32).tobytes())
    ended = run(
        program,
        f"--graph={models / 'gather.tflite'}",
        "--input_layer=x",
        "--input_layer_shape=1,4",
        f"--input_layer_value_files=x:{tmp_path / 'in'}",
    )
    assert ended.status == 1
    assert ended.err[-1] == "ERROR: Benchmarking failed."
    assert not any("count=" in line for line in ended.out)


def test_several_signatures_are_refused(models: Path, program: Path) -> None:
    ended = run(program, f"--graph={models / 'two_signatures.tflite'}")
    assert ended.status == 1
    assert ended.err[-3:] == [
        "ERROR:  #> Signature key: first",
        "ERROR:  #> Signature key: second",
        "ERROR: Benchmarking failed.",
    ]


NAME = "--input_layer=serving_default_x:0"
SIDES = "--input_layer_shape=1,24,24,1"


@pytest.mark.parametrize(
    ("words", "status", "last"),
    [
        ([NAME], 1, "ERROR: The number of items in --input_layer_shape (, with 0 items) must match "
         "the number of items in --input_layer (serving_default_x:0, with 1 items). For example "
         "--input_layer=input1,input2 --input_layer_shape=1,224,224,4:1,20"),
        (["--input_layer=x", "--input_layer_shape=1,24,24"], 1,
         "ERROR: Input tensor #0 should have 4 dimensions!"),
        (["--input_layer=x", "--input_layer_shape=1,24,-1,1"], 1,
         "ERROR: Any unknown sizes in the shapes (-1's) must be replaced with the size you want to "
         "benchmark with."),
        (["--input_layer=x", "--input_layer_shape=1,big"], 134,
         "FATAL: Incorrect size string specified: 1,big"),
        (["--input_layer=x", "--input_layer_shape=1,99999999999"], 134,
         "FATAL: Incorrect size string specified: 1,99999999999"),
        (["--input_layer=x,y", "--input_layer_shape=1:1"], 134,
         "FATAL: Inputs mismatch: Model inputs #:2 expected: 1"),
        ([NAME, SIDES, "--input_layer_value_files=serving_default_x:0:f"], 1, "ERROR: 1"),
        ([NAME, SIDES, "--input_layer_value_files=f"], 1, "ERROR: 1"),
        ([NAME, SIDES, "--input_layer_value_files=other:f"], 134,
         "FATAL: Cannot find the corresponding input_layer name(other) in --input_layer as "
         "serving_default_x:0"),
        ([NAME, SIDES, "--input_layer_value_files=serving_default_x::0:gone.bin"], 134,
         "FATAL: Failed to read the input_layer_value_file:gone.bin"),
        ([NAME, SIDES, "--input_layer_value_files=serving_default_x::0:short.bin"], 134,
         "FATAL: The size of short.bin is 5 bytes. It should be 2304 bytes."),
        (["--num_threads=-5"], 1, "ERROR: Failed to set thread number"),
    ],
)  # fmt: skip
def test_wrong_flags_fail_as_in_the_real_one(
    models: Path, program: Path, tmp_path: Path, words: list[str], status: int, last: str
) -> None:
    (tmp_path / "short.bin").write_bytes(b"12345")
    ended = run(program, f"--graph={models / 'float32.tflite'}", *words, cwd=tmp_path)
    if status == 134:
        assert ended.status == -signal.SIGABRT
        assert ended.err[-1] == last
        assert not list(tmp_path.glob("core*"))
    else:
        assert ended.status == status
        assert ended.err[-2:] == [last, "ERROR: Benchmarking failed."]


def test_a_wrong_layer_name_is_only_a_warning(models: Path, program: Path) -> None:
    words = ["--input_layer=foo", "--input_layer_shape=2,24,24,1", "--num_runs=2", *EXACT]
    ended = run(program, f"--graph={models / 'float32.tflite'}", *words)
    assert ended.status == 0
    (warning,) = (line for line in ended.out if line.startswith("WARN"))
    assert re.fullmatch(r"WARN: Tensor # 0 is named \S+ but flags call it foo", warning)


def test_without_a_graph_nothing_runs(program: Path) -> None:
    missing = "ERROR: Please specify the name of your TF Lite input file with --graph"
    failed = [missing, "ERROR: Benchmarking failed."]
    assert run(program) == Ended(["INFO: STARTING!"], failed, 1)
    spaced = run(program, "--graph", "m.tflite")
    warning = "WARN: Unconsumed cmdline flags: --graph m.tflite"
    assert spaced == Ended(["INFO: STARTING!", warning], failed, 1)


def test_a_profiler_it_does_not_have_is_an_unconsumed_flag(models: Path, program: Path) -> None:
    words = ["--enable_op_profiling=true", "--num_runs=1", "--warmup_runs=0", *EXACT]
    ended = run(program, f"--graph={models / 'float32.tflite'}", *words)
    assert ended.status == 0
    assert ended.out[1] == "WARN: Unconsumed cmdline flags: --enable_op_profiling=true"
    assert "profiling" not in usage("benchmark_model")


@pytest.mark.parametrize("word", ["--help", "--help=true"])
def test_help_lists_every_flag_and_fails(program: Path, word: str) -> None:
    begin = time.monotonic()
    ended = run(program, word)
    assert time.monotonic() - begin < 5  # neither NumPy nor LiteRT is loaded for it
    assert ended.status == 1
    assert ended.err[:2] == [f"ERROR: usage: {program} <flags>", "Flags:"]
    rows = [re.fullmatch(r"\t--(\w+)=(.*?) *\t(\w+)\toptional\t(.+)", line)
            for line in ended.err[2:-2]]  # fmt: skip
    assert all(rows)
    assert [(row[1], row[3]) for row in rows if row] == [(flag.name, flag.kind) for flag in FLAGS]
    assert len({len(line.split("\t")[1]) for line in ended.err[2:-2]}) == 1
    assert ended.err[-2:] == ["", "ERROR: Benchmarking failed."]


def test_degenerate_counts_have_their_forms(models: Path, program: Path) -> None:
    graph = f"--graph={models / 'float32.tflite'}"
    ended = run(program, graph, "--num_runs=0", "--warmup_runs=1", *EXACT)
    counts = [line for line in ended.out if "count=" in line]
    (one,) = re.findall(r"curr=(\d+)", counts[0])
    assert counts == [
        f"INFO: count=1 curr={one} p5={one} median={one} p95={one}",
        "INFO: count=0 p5=0 median=0 p95=0",
    ]
    assert ended.out[-3].endswith(f"First inference: {one}, Warmup (avg): {one}, "
                                  "Inference (avg): 0")  # fmt: skip
    dry = run(program, graph, "--dry_run=true")
    assert [form(line) for line in dry.out if "count=" in line] == [
        "INFO: count=N p5=N median=N p95=N"
    ] * 2
    assert any("at least 0 iterations and at least -1 seconds" in line for line in dry.out)


def test_max_secs_cuts_and_least_seconds_extend(models: Path, program: Path) -> None:
    graph = f"--graph={models / 'float32.tflite'}"
    cut = run(program, graph, "--num_runs=100000000", "--max_secs=0.2", "--warmup_min_secs=0")
    (_, count) = re.findall(r"count=(\d+)", "\n".join(cut.out))
    assert 1 <= int(count) < 100000000
    assert any(line.endswith("terminate if exceeding 0.2 seconds.") for line in cut.out)
    longer = run(program, graph, "--num_runs=1", "--min_secs=0.2", "--warmup_min_secs=0")
    (_, count) = re.findall(r"count=(\d+)", "\n".join(longer.out))
    assert int(count) > 1


def test_a_pause_is_kept_between_runs_and_not_counted(models: Path, program: Path) -> None:
    begin = time.monotonic()
    words = ["--run_delay=0.1", "--num_runs=5", "--warmup_runs=0", *EXACT]
    ended = run(program, f"--graph={models / 'float32.tflite'}", *words)
    assert time.monotonic() - begin > 0.5
    (median,) = re.findall(r"count=5 .* median=(\d+)", "\n".join(ended.out))
    assert int(median) < 100_000
    assert "INFO: Inter-run delay (seconds): [0.1]" in ended.out


def test_outputs_that_cannot_be_saved_are_an_error_line(
    models: Path, program: Path, tmp_path: Path
) -> None:
    words = ["--num_runs=1", *EXACT, f"--output_filepath={tmp_path}/no/out"]
    ended = run(program, f"--graph={models / 'float32.tflite'}", *words)
    assert ended.status == 0
    saving = f"ERROR: Failed to save the outputs to: {tmp_path}/no/out (No such file or directory)"
    assert ended.err[-1] == saving


def test_an_interrupt_ends_it_as_it_ends_any_program(models: Path, program: Path) -> None:
    words = [f"--graph={models / 'float32.tflite'}", "--num_runs=1000000000"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with subprocess.Popen(
        [program, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": path},
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        for line in running.stdout:
            if "Running benchmark" in line:
                break
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == -signal.SIGINT
        assert "Traceback" not in running.stderr.read()


def test_files_beside_it_are_not_imported(models: Path, program: Path, tmp_path: Path) -> None:
    beside = tmp_path / "benchmark_model"
    beside.write_bytes(program.read_bytes())
    beside.chmod(0o755)
    (tmp_path / "numpy.py").write_text("raise SystemExit('wrong numpy')\n")
    words = [f"--graph={models / 'float32.tflite'}", "--num_runs=1", *EXACT]
    assert run(beside, *words, cwd=tmp_path).status == 0


@pytest.mark.alone
def test_its_times_are_those_of_a_bare_loop(models: Path, program: Path) -> None:
    """The fastest of fresh processes in turn: what else the machine does only ever adds."""
    loop = (
        "import sys, time, statistics, gc\n"
        "from ai_edge_litert.interpreter import Interpreter\n"
        "i = Interpreter(sys.argv[1], num_threads=1); i.allocate_tensors(); gc.disable(); t = []\n"
        "for _ in range(700):\n"
        " a = time.perf_counter_ns(); i.invoke(); t.append(time.perf_counter_ns() - a)\n"
        "print(statistics.median(t[200:]) / 1000)\n"
    )
    graph = models / "wide.tflite"
    words = ["--num_threads=1", "--num_runs=500", "--warmup_runs=200", *EXACT]
    ours, bare = [], []
    for _ in range(6):
        ended = run(program, f"--graph={graph}", *words)
        ours += [int(text) for text in re.findall(r"count=500 .* median=(\d+)", str(ended.out))]
        done = subprocess.run(
            [sys.executable, "-c", loop, graph], capture_output=True, text=True, check=True
        )
        bare.append(float(done.stdout))
    # One microsecond is what whole microseconds may hide.
    assert min(ours) == pytest.approx(min(bare), abs=1, rel=0.1), (ours, bare)


# ---- what reads the real one reads ours ----


def both(ended: Ended) -> str:
    """Both streams as a phone's shell hands them over, with the line that only ours has."""
    notice = f"INFO: {NOTICE}: ai-edge-litert 2.3.0."
    return "\n".join([ended.out[0], notice, *ended.out[1:], *ended.err, ""])


def test_what_it_prints_is_read_like_the_real_ones_log(
    models: Path, program: Path, tmp_path: Path
) -> None:
    graph = models / "int8.tflite"
    census = take_census(graph)
    shape = census.inputs[0].shape
    sample = np.random.default_rng(2).integers(-128, 128, shape).astype(np.int8)
    (tmp_path / "in:put").write_bytes(sample.tobytes())
    request = BenchmarkRequest(
        graph=str(graph),
        runs=200,
        warm_up_runs=50,
        threads=2,
        max_s=60,
        xnnpack=True,
        inputs=(InputFile(input_name(graph), shape, str(tmp_path / "in:put")),),
        output_path=str(tmp_path / "out"),
        peak_memory=True,
    )
    flags = parse_help(both(run(program, "--help")))
    assert flags == {flag.name for flag in FLAGS}
    assert left_out(request, flags) == ()
    ended = run(program, *build_words(str(program), request, flags)[1:])
    log = parse_log(both(ended), ended.status)
    check_echo(log, request)
    assert (log.counted.count, log.threads) == (200, 2)
    assert log.warm_up is not None
    assert log.warm_up.count == 50
    assert log.counted.min_ms <= (log.counted.median_ms or 0) <= log.counted.max_ms
    assert log.model_bytes == pytest.approx(graph.stat().st_size, rel=1e-5)
    assert (log.delegate.name, log.delegate.extent) == ("XNNPACK", "partial")
    assert not any(line.startswith("WARN") for line in ended.out)
    assert (log.memory.peak_bytes or 0) > 1 << 20
    (values,) = read_outputs((tmp_path / "out").read_bytes(), census.outputs)
    assert values.shape == (1, 7)


@pytest.mark.parametrize(
    ("name", "words", "cause"),
    [
        ("gone", [], Cause.MODEL_MISSING),
        ("empty", [], Cause.MODEL_EMPTY),
        ("cut", [], Cause.MODEL_DAMAGED),
        ("custom", [], Cause.CUSTOM_OPERATOR),
        ("flex", [], Cause.FLEX_OPERATOR),
        ("newer", [], Cause.NEWER_OPERATOR),
        ("unknown", [], Cause.UNKNOWN_OPERATOR),
        ("two_signatures", [], Cause.SIGNATURE),
        ("float32", ["--num_runs=100000000", "--max_secs=0.2"], Cause.TOO_FEW_RUNS),
        ("float32", ["--enable_op_profiling=true", "--num_runs=1"], Cause.UNKNOWN_FLAGS),
        ("float32", ["--num_threads=-5"], Cause.FLAG_VALUE),
        ("float32", ["--input_layer=x", "--input_layer_shape=1,2"], Cause.INPUT_SHAPE),
    ],
)
def test_its_failures_are_told_apart_like_the_real_ones(
    models: Path, program: Path, name: str, words: list[str], cause: Cause
) -> None:
    ended = run(program, f"--graph={models / f'{name}.tflite'}", *words, *EXACT)
    with pytest.raises(BenchmarkFailedError) as caught:
        parse_log(both(ended), ended.status)
    assert caught.value.failure.cause is cause


def input_name(graph: Path) -> str:
    from ai_edge_litert.interpreter import Interpreter

    (detail,) = Interpreter(str(graph)).get_input_details()
    return str(detail["name"])


# ---- pure parts ----

MICROSECONDS = st.lists(st.integers(0, 10**10), max_size=60)


@given(MICROSECONDS)
def test_a_summary_has_one_of_the_real_ones_forms(times: list[int]) -> None:
    text = summary(times)
    tail = r"p5=\d+ median=\d+ p95=\d+"
    if not times:
        assert text == "count=0 p5=0 median=0 p95=0"
    elif len(set(times)) == 1:
        same = r"\(all same\)" if len(times) > 1 else ""
        assert re.fullmatch(rf"count={len(times)} curr={times[0]}{same} {tail}", text)
    else:
        mean = r"\d{1,6}(\.\d{1,5})?|0\.\d+|\d(\.\d{1,5})?e[+-]\d{2}"
        match = re.fullmatch(
            rf"count={len(times)} first={times[0]} curr={times[-1]} min={min(times)} "
            rf"max={max(times)} avg=({mean}) std=(\d+) {tail}",
            text,
        )
        assert match is not None, text
        assert float(match[1]) == pytest.approx(statistics.fmean(times), rel=1e-5)
        assert int(match.groups()[-1]) == pytest.approx(statistics.pstdev(times), rel=1e-6, abs=1)


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ([57, 1], "count=2 first=57 curr=1 min=1 max=57 avg=29 std=28 p5=1 median=57 p95=57"),
        ([0, 0, 0, 1, 0],
         "count=5 first=0 curr=0 min=0 max=1 avg=0.2 std=0 p5=0 median=0 p95=1"),
        ([1252268, 1297670, 1218232],
         "count=3 first=1252268 curr=1218232 min=1218232 max=1297670 avg=1.25606e+06 std=32540 "
         "p5=1218232 median=1252268 p95=1297670"),
        ([7, 7, 7], "count=3 curr=7(all same) p5=7 median=7 p95=7"),
    ],
)  # fmt: skip
def test_summaries_of_known_runs(times: list[int], text: str) -> None:
    assert summary(times) == text


def test_percentiles_take_the_value_at_the_place() -> None:
    ordered = list(range(100, 140))
    assert [percentile(ordered, percent) for percent in (5, 50, 95)] == [102, 120, 138]


NAMES = st.sampled_from([flag.name for flag in FLAGS if flag.name != "help"])


@given(st.lists(st.one_of(st.text(max_size=12), st.builds("--{}={}".format, NAMES, st.text()))))
def test_flags_never_crash_and_lose_no_word(words: Sequence[str]) -> None:
    refused: tuple[str, ...] = ()
    try:
        values, given_names, unconsumed = parse_flags(words)
    except Failure as exc:
        refused = exc.args
    if refused:
        assert all(line.startswith("Failed to parse flag '") for line in refused[:-1])
        assert refused[-1] == usage("benchmark_model")
        return
    assert len(given_names) + len(unconsumed) == len(words)
    assert set(values) == {flag.name for flag in FLAGS}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("--num_threads=1.5", 1),
        ("--num_threads=99999999999", 2**31 - 1),
        ("--num_threads= 4x", 4),
        ("--num_threads=", 0),
        ("--min_secs=1e-2", 0.01),
        ("--min_secs=.5s", 0.5),
        ("--use_xnnpack=1", True),
        ("--use_xnnpack=false", False),
    ],
)
def test_values_are_read_as_cpp_streams_read_them(word: str, value: float) -> None:
    values, given_names, unconsumed = parse_flags([word, word])
    (name,) = given_names
    assert (values[name], unconsumed) == (value, [word])  # the first appearance counts


@pytest.mark.parametrize("word", ["--num_runs=many", "--use_xnnpack=yes", "--min_secs=nan"])
def test_values_that_are_none_are_refused_with_the_usage(program: Path, word: str) -> None:
    ended = run(program, word)
    name = word[2:].partition("=")[0]
    assert ended.status == 1
    assert ended.err[0] == f"ERROR: Failed to parse flag '{name}' against argv '{word}'"
    assert ended.err[1].startswith("ERROR: usage: ")


# ---- against output of the real one ----

CAPTURED = (
    "defaults_fp32", "exact30_fp32", "nowarm_fp32", "zeroruns_fp32", "dryrun_fp32", "delay_fp32",
    "peakmem_fp32", "nox_int8", "xtrue_fp32", "threads_neg", "bareflag_bool", "spaceflag",
    "fail_nograph", "fail_missing", "fail_empty", "fail_text", "input_badshape", "input_batch2",
    "input_missingfile", "input_noshape", "input_unescaped", "input_wrongrank",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not CAPTURES, reason="FER_OPT_CAPTURES names no folder of captured output")
def test_every_line_has_the_form_of_the_captured_one(
    models: Path, program: Path, tmp_path: Path
) -> None:
    """The same words to both, on another model: the same lines but for numbers and names."""
    stand_ins = {"m_fp32": "float32", "m_int8": "int8", "tiny": "float32", "text": "text",
                 "empty": "empty", "does_not_exist": "gone"}  # fmt: skip
    (tmp_path / "models").mkdir()
    (tmp_path / "out").mkdir()
    for name, ours in stand_ins.items():
        source = models / f"{ours}.tflite"
        if source.exists():
            (tmp_path / "models" / f"{name}.tflite").write_bytes(source.read_bytes())
    layer = input_name(models / "float32.tflite").removesuffix(":0")
    for name in CAPTURED:
        command = Path(CAPTURES) / f"{name}.cmd"
        words = shlex.split(command.read_text())[1:]
        if name.startswith("input_"):
            words = [word.replace("224,224", "24,24") for word in words]
            words = [word.replace("serving_default_input_1", layer) for word in words]
        ended = run(program, *words, cwd=tmp_path)
        status = int(command.with_suffix(".rc").read_text())
        assert ended.status == {134: -signal.SIGABRT}.get(status, status), command.stem
        for suffix, lines in ((".stdout", ended.out), (".stderr", ended.err)):
            real = command.with_suffix(suffix).read_text().splitlines()
            assert loose(lines) == loose(real), command.stem


def loose(lines: Sequence[str]) -> list[str]:
    """Forms of lines, whatever the machine and the model."""
    kept = []
    for line in map(form, lines):
        line = re.sub(r"serving_default_\S+:[0N]|\bfoo\b|\S+\.bin", "NAME", line)
        line = re.sub(r"^INFO: count=N .*", "INFO: count", line)
        line = line.replace("224,224", "24,24")
        kept.append(line)
    return kept
