#!/usr/bin/env python3
"""A stand-in for TensorFlow Lite's benchmark_model that really runs the model, over LiteRT.

For virtual phones, where no Android program runs: it takes the flags of the real one that make
sense here, writes its log lines (form, stream, exit status) and says who it is in one more INFO
line. It is pushed and executed as a program, so it is one file: standard library, NumPy, LiteRT.
LiteRT's Python interface has no profiler; asked for one, it warns of an unconsumed flag, as a build
without that flag does.

The forms, defaults and rules are those of benchmark_model.cc, benchmark_tflite_model.cc and
command_line_flags.cc in LiteRT's tflite/tools; times are whole microseconds as there.
"""

from __future__ import annotations

import gc
import math
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

__all__ = ["FLAGS", "NOTICE", "main", "parse_flags", "percentile", "summary", "usage"]

NOTICE = "This is fer-opt's own runner over LiteRT, not TensorFlow Lite's benchmark_model"
"""Begins the INFO line that tells this program's logs from the real one's."""

Value = bool | int | float | str
Values = dict[str, Any]


class Flag(NamedTuple):
    """One flag: its name, its C++ type, its default, its label in the log, and its help."""

    name: str
    kind: str
    default: Value
    label: str
    usage: str


# In the order the log tells them.
FLAGS = (
    Flag("verbose", "bool", False, "Log parameter values verbosely", "log unset parameters too"),
    Flag("num_runs", "int32", 50, "Min num runs", "least number of runs, see also min_secs"),
    Flag("min_secs", "float", 1.0, "Min runs duration (seconds)", "seconds to go on running for"),
    Flag("max_secs", "float", 150.0, "Max runs duration (seconds)", "s after which no run begins"),
    Flag("run_delay", "float", -1.0, "Inter-run delay (seconds)", "pause between runs in seconds"),
    Flag("num_threads", "int32", -1, "Num threads", "number of threads"),
    Flag("warmup_runs", "int32", 1, "Min warmup runs", "least number of runs before those"),
    Flag("warmup_min_secs", "float", 0.5, "Min warmup runs duration (seconds)", "seconds of them"),
    Flag("dry_run", "bool", False, "Run w/o invoking kernels", "load the model, run nothing"),
    Flag("report_peak_memory_footprint", "bool", False, "Report the peak memory footprint",
         "report the high-water mark of memory"),
    Flag("graph", "string", "", "Graph", "graph file name"),
    Flag("input_layer", "string", "", "Input layers", "input layer names, separated by ','"),
    Flag("input_layer_shape", "string", "", "Input shapes", "their shapes, separated by ':'"),
    Flag("input_layer_value_files", "string", "", "Input value files",
         "name:path of each input with raw values, separated by ','; write ':' in either as '::'"),
    Flag("output_filepath", "string", "", "File path to export outputs layer to",
         "file for the output tensors' bytes"),
    Flag("help", "bool", False, "print out all supported flags", "print out all supported flags"),
    Flag("use_xnnpack", "bool", False, "Use xnnpack",
         "XNNPACK explicitly on or off; left out, the runtime's default"),
)  # fmt: skip


class Failure(Exception):  # noqa: N818 - the ending of one run, not a programming error
    """The run ends with exit status 1; its arguments are the ERROR lines."""


class Abortion(Exception):  # noqa: N818 - likewise
    """The run ends in an abort, as where the real one checks with FATAL."""


class Layer(NamedTuple):
    """An input as the flags tell it; ``path`` is empty for random values."""

    name: str
    shape: list[int]
    path: str


def main(words: Sequence[str], program: str = "benchmark_model") -> int:
    """Run what the flags ask for; the exit status."""
    say("INFO", "STARTING!")
    say("INFO", f"{NOTICE}: {_runtime()}.")
    try:
        _benchmark(words, program)
    except Failure as exc:
        for line in exc.args:
            say("ERROR", line)
        say("ERROR", "Benchmarking failed.")
        return 1
    except (Abortion, MemoryError) as exc:
        say("FATAL", "std::bad_alloc" if isinstance(exc, MemoryError) else str(exc))
        _abort()
    return 0


def _benchmark(words: Sequence[str], program: str) -> None:
    values, given, unconsumed = parse_flags(words)
    if values["help"] or unconsumed[:1] == ["--help"]:
        raise Failure(usage(program))
    if unconsumed:
        say("WARN", f"Unconsumed cmdline flags: {' '.join(unconsumed)}")
    if not values["graph"]:
        raise Failure("Please specify the name of your TF Lite input file with --graph")
    layers = _layers(values)
    _log_parameters(values, given)
    litert = _import_litert()
    start_kb, begin_us = _peak_kb(), _now_us()
    interpreter = _load(litert, values, "use_xnnpack" in given, layers)
    initialisation_us, initial_kb = _now_us() - begin_us, _peak_kb()
    say("INFO", f"The input model file size (MB): {os.path.getsize(values['graph']) / 1e6:g}")
    say("INFO", f"Initialized session in {initialisation_us / 1e3:g}ms.")
    inputs = _inputs(interpreter, layers)
    if values["dry_run"]:
        values |= {"warmup_runs": 0, "warmup_min_secs": -1.0, "num_runs": 0, "min_secs": -1.0}
    warm_up = _run(interpreter, inputs, values, values["warmup_runs"], values["warmup_min_secs"])
    regular = _run(interpreter, inputs, values, values["num_runs"], values["min_secs"])
    first = warm_up[0] if warm_up else 0
    say("INFO", f"Inference timings in us: Init: {initialisation_us}, First inference: {first}, "
        f"Warmup (avg): {_mean(warm_up):g}, Inference (avg): {_mean(regular):g}")  # fmt: skip
    _report_memory(start_kb, initial_kb, values["report_peak_memory_footprint"])
    _save_outputs(interpreter, values["output_filepath"])


def say(level: str, text: str) -> None:
    """A log line: INFO and WARN on stdout, ERROR and FATAL on stderr, never held back."""
    stream = sys.stdout if level in ("INFO", "WARN") else sys.stderr
    print(f"{level}: {text}", file=stream, flush=True)


def _runtime() -> str:
    from importlib import metadata

    try:
        return f"ai-edge-litert {metadata.version('ai-edge-litert')}"
    except metadata.PackageNotFoundError:
        return "ai-edge-litert is not installed"


def parse_flags(words: Sequence[str]) -> tuple[Values, set[str], list[str]]:
    """The value of every flag, which of them were given, and the words no flag consumed.

    As in the real one, a flag is ``--name=value``, its first appearance counts, and a number ends
    where it stops being one (``1.5`` is the integer 1).

    Raises:
        Failure: a value that is none; the lines end with the usage.
    """
    values: Values = {flag.name: flag.default for flag in FLAGS}
    kinds = {flag.name: flag.kind for flag in FLAGS}
    given: set[str] = set()
    unconsumed, bad = [], []
    for word in words:
        name, equals, text = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not equals or name not in kinds or name in given:
            unconsumed.append(word)
            continue
        given.add(name)
        value = _value(kinds[name], text)
        if value is None:
            bad.append(f"Failed to parse flag '{name}' against argv '{word}'")
        else:
            values[name] = value
    if bad:
        raise Failure(*bad, usage("benchmark_model"))
    return values, given, unconsumed


def _value(kind: str, text: str) -> Value | None:
    """What C++ reads from ``text``; None where it reads nothing."""
    if kind == "string":
        return text
    if kind == "bool":
        return {"true": True, "1": True, "false": False, "0": False}.get(text)
    number = r"\d+" if kind == "int32" else r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
    match = re.match(rf"\s*([+-]?{number})", text, re.ASCII)
    if match is None:  # a stream that ended while looking counts as read: zero
        return 0 if text.strip() in ("", "+", "-") else None
    if kind == "int32":
        return max(-(2**31), min(int(match[1]), 2**31 - 1))
    return float(match[1])


def usage(program: str) -> str:
    """The text of ``--help``, in the form of the real one."""
    columns = [f"--{one.name}={_shown(one.default, 'true', 'false')}" for one in FLAGS]
    width = max(map(len, columns))
    rows = (
        f"\t{column:<{width}}\t{one.kind}\toptional\t{one.usage}\n"
        for column, one in zip(columns, FLAGS, strict=True)
    )
    return f"usage: {program} <flags>\nFlags:\n{''.join(rows)}"


def _shown(value: Value, true: str = "1", false: str = "0") -> str:
    if isinstance(value, bool):
        return true if value else false
    return f"{value:g}" if isinstance(value, float) else str(value)


def _log_parameters(values: Values, given: set[str]) -> None:
    wanted = {one.name for one in FLAGS} if values["verbose"] else given
    for one in FLAGS:
        if one.name == "use_xnnpack" and "num_threads" in wanted:
            say("INFO", f"#threads used for CPU inference: [{values['num_threads']}]")
        if one.name in wanted or one.name in ("verbose", "graph"):
            say("INFO", f"{one.label}: [{_shown(values[one.name])}]")
        if one.name == "graph":
            say("INFO", "Signature to run: []")


def _layers(values: Values) -> list[Layer]:
    text, shape_text = values["input_layer"], values["input_layer_shape"]
    names = text.split(",") if text else []
    shapes = shape_text.split(":") if shape_text else []
    if len(names) != len(shapes):
        raise Failure(
            f"The number of items in --input_layer_shape ({shape_text}, with {len(shapes)} items) "
            f"must match the number of items in --input_layer ({text}, with {len(names)} items). "
            "For example --input_layer=input1,input2 --input_layer_shape=1,224,224,4:1,20"
        )
    files = {}
    for item in values["input_layer_value_files"].split(","):
        if item:
            name, path = _name_and_path(item)
            if name not in names:
                raise Abortion(
                    f"Cannot find the corresponding input_layer name({name}) in --input_layer "
                    f"as {text}"
                )
            files[name] = path
    return [
        Layer(name, _sides(shape), files.get(name, ""))
        for name, shape in zip(names, shapes, strict=True)
    ]


def _name_and_path(item: str) -> tuple[str, str]:
    # The last character is no delimiter, and "::" stands for ":".
    parts = re.split(r":(?!$)", item.replace("::", "\0"))
    if len(parts) != 2:
        cause = "contains more than one" if len(parts) > 2 else "doesn't contain any"
        wrong = f"Wrong input value file item specified: {item}"
        raise Failure(f"{item} {cause} delimiter.", wrong, "1")
    name, path = (part.replace("\0", ":") for part in parts)
    return name, path


def _sides(shape: str) -> list[int]:
    sides = [int(side) for side in shape.split(",") if re.fullmatch(r"-?\d{1,10}", side)]
    if len(sides) != shape.count(",") + 1 or max(sides) >= 2**31:
        raise Abortion(f"Incorrect size string specified: {shape}")
    if min(sides) < 0:
        raise Failure(
            "Any unknown sizes in the shapes (-1's) must be replaced with the size you want to "
            "benchmark with."
        )
    return sides


def _import_litert() -> Any:
    try:
        from ai_edge_litert import interpreter
    except ImportError as exc:
        raise Failure(f"LiteRT does not import ({exc}); install ai-edge-litert.") from exc
    return interpreter


def _load(litert: Any, values: Values, explicit: bool, layers: list[Layer]) -> Any:
    """An interpreter with allocated tensors; the graph is read, built and prepared in turn."""
    path, threads = values["graph"], values["num_threads"]
    if threads < -1:
        say("INFO", f"Loaded model {path}")
        rule = "num_threads should be >= 0 or just -1 to let TFLite runtime set the value."
        raise Failure(rule, "Failed to set thread number")
    kinds = litert.OpResolverType
    without = explicit and not values["use_xnnpack"]
    try:
        interpreter = litert.Interpreter(
            model_path=path,
            num_threads=max(1, threads),
            experimental_op_resolver_type=kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            if without
            else kinds.BUILTIN,
        )
    except (ValueError, RuntimeError) as exc:
        lines = _lines(exc)
        if "Registration failed." not in lines:  # else the file is a model, of a newer LiteRT
            raise Failure(*lines, f"Failed to load model {path}") from exc
        say("INFO", f"Loaded model {path}")
        raise Failure(*lines, "Failed to initialize the interpreter") from exc
    say("INFO", f"Loaded model {path}")
    _refuse_signatures(interpreter)
    try:
        _resize(interpreter, layers)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as exc:
        raise Failure(*_lines(exc), "Failed to allocate tensors!") from exc
    if explicit and not without:
        _tell_delegation(interpreter)
    return interpreter


def _refuse_signatures(interpreter: Any) -> None:
    keys = list(interpreter.get_signature_list())
    if len(keys) > 1:
        raise Failure(
            "Signature not specified or incorrect. This runner takes models with one signature.",
            *(f" #> Signature key: {key}" for key in keys),
        )


def _resize(interpreter: Any, layers: list[Layer]) -> None:
    details = interpreter.get_input_details()
    if layers and len(layers) != len(details):
        raise Abortion(f"Inputs mismatch: Model inputs #:{len(layers)} expected: {len(details)}")
    for layer, detail in zip(layers, details, strict=False):
        index = detail["index"]
        if layer.name != (real := detail["name"]):
            say("WARN", f"Tensor # {index} is named {real} but flags call it {layer.name}")
        if len(layer.shape) != len(detail["shape"]):
            rank = len(detail["shape"])
            raise Failure(f"Input tensor #{index} should have {rank} dimensions!")
    for layer, detail in zip(layers, details, strict=False):
        interpreter.resize_tensor_input(detail["index"], layer.shape)


def _tell_delegation(interpreter: Any) -> None:
    """Say how much of the graph XNNPACK runs, as the real one does where it is asked for."""
    operators = interpreter._get_ops_details()
    delegates = [one for one in operators if "DELEGATE" in one["op_name"].upper()]
    made = {int(tensor) for one in delegates for tensor in one["outputs"]}
    fed = {int(tensor) for one in delegates for tensor in one["inputs"]}
    inputs = {int(detail["index"]) for detail in interpreter.get_input_details()}
    outputs = {int(detail["index"]) for detail in interpreter.get_output_details()}
    produced = {int(tensor) for one in operators for tensor in one["outputs"]}
    say("INFO", "XNNPACK delegate created.")
    if not delegates:
        does = "Though XNNPACK delegate is explicitly applied, the model graph will not be"
    elif len(delegates) == 1 and outputs <= made and not fed & (produced - inputs):
        does = "Explicitly applied XNNPACK delegate, and the model graph will be completely"
    else:
        does = "Explicitly applied XNNPACK delegate, and the model graph will be partially"
    how_far = f" w/ {len(delegates)} delegate kernels" if does.endswith("partially") else ""
    say("INFO", f"{does} executed by the delegate{how_far}.")


def _lines(exc: Exception) -> list[str]:
    # LiteRT puts the lines its C++ would log one after the other, nothing between.
    text = re.sub(r"(?<=[^\n])(?=The model allocation is|Registration failed|Node number )", "\n",
                  str(exc).strip())  # fmt: skip
    return text.splitlines() or [type(exc).__name__]


def _inputs(interpreter: Any, layers: list[Layer]) -> list[tuple[int, Any]]:
    """The values fed before every run, as (tensor index, array) pairs."""
    import numpy as np

    random = np.random.default_rng(0)
    paths = [layer.path for layer in layers]
    fed = []
    for place, detail in enumerate(interpreter.get_input_details()):
        kind, shape = np.dtype(detail["dtype"]), [int(side) for side in detail["shape"]]
        path = paths[place] if paths else ""
        if kind.kind not in "fiub":
            raise Failure(f"Don't know how to populate tensor {detail['name']} of type {kind}")
        values = _file(path, kind, shape) if path else _random(random, kind, shape)
        fed.append((detail["index"], values))
    return fed


def _file(path: str, kind: Any, shape: list[int]) -> Any:
    import numpy as np

    try:
        with open(path, "rb") as handle:
            content = handle.read()
    except OSError:
        raise Abortion(f"Failed to read the input_layer_value_file:{path}") from None
    wanted = math.prod(shape) * kind.itemsize
    if len(content) != wanted:
        raise Abortion(f"The size of {path} is {len(content)} bytes. It should be {wanted} bytes.")
    return np.frombuffer(content, kind).reshape(shape)


def _random(random: Any, kind: Any, shape: list[int]) -> Any:
    # The real one's ranges; its 16-bit integers are zeros.
    if kind.kind == "f":
        return random.uniform(-0.5, 0.5, shape).astype(kind)
    ranges = {"int8": (-127, 127), "uint8": (0, 254), "bool": (0, 1), "int16": (0, 0)}
    low, high = ranges.get(kind.name, (0, 99))
    return random.integers(low, high + 1, shape).astype(kind)


def _run(
    interpreter: Any, inputs: list[tuple[int, Any]], values: Values, runs: int, least_s: float
) -> list[int]:
    """Microseconds of each run; at least ``runs`` and ``least_s``, none begun after max_secs."""
    most_s, pause_s = values["max_secs"], values["run_delay"]
    say("INFO", f"Running benchmark for at least {runs} iterations and at least {least_s:g} "
        f"seconds but terminate if exceeding {most_s:g} seconds.")  # fmt: skip
    set_tensor, invoke, clock = interpreter.set_tensor, interpreter.invoke, time.perf_counter_ns
    times: list[int] = []
    gc.disable()
    now = clock()
    least_end, most_end = now + least_s * 1e9, now + most_s * 1e9
    while (len(times) < runs or now < least_end) and now <= most_end:
        for index, array in inputs:
            set_tensor(index, array)
        begin = clock()
        try:
            invoke()
        except (ValueError, RuntimeError) as exc:
            raise Failure(*_lines(exc)) from exc
        end = clock()
        times.append(end // 1000 - begin // 1000)
        if pause_s > 0:
            time.sleep(pause_s)
        now = clock()
    gc.enable()
    say("INFO", summary(times) + "\n")
    return times


def summary(times: Sequence[int]) -> str:
    """The statistics of some runs: mean to six digits, whole microseconds otherwise."""
    count = len(times)
    if not times or min(times) == max(times):
        text = f"count={count}" + (f" curr={times[-1]}" if times else "")
        text += "(all same)" if count > 1 else ""
    else:
        # Of the population, as there; exact in integers, then truncated.
        variance = (count * sum(one * one for one in times) - sum(times) ** 2) / count**2
        text = (
            f"count={count} first={times[0]} curr={times[-1]} min={min(times)} max={max(times)} "
            f"avg={_mean(times):g} std={int(math.sqrt(variance))}"
        )
    ordered = sorted(times)
    low, middle, high = (percentile(ordered, percent) for percent in (5, 50, 95))
    return f"{text} p5={low} median={middle} p95={high}"


def percentile(ordered: Sequence[int], percent: int) -> int:
    """The value at place count * percent / 100 of ordered times; 0 where there are none."""
    return ordered[len(ordered) * percent // 100] if ordered else 0


def _mean(times: Sequence[int]) -> float:
    return sum(times) / len(times) if times else 0.0


def _report_memory(start_kb: int | None, initial_kb: int | None, peak: bool) -> None:
    end_kb = _peak_kb()
    if start_kb is None or initial_kb is None or end_kb is None:
        return
    say("INFO", "Note: as the benchmark tool itself affects memory footprint, the following is "
        "only APPROXIMATE to the actual memory footprint of the model at runtime. Take the "
        "information at your discretion.")  # fmt: skip
    initial, overall = (initial_kb - start_kb) / 1024, (end_kb - start_kb) / 1024
    say("INFO", "Memory footprint delta from the start of the tool (MB): "
        f"init={initial:g} overall={overall:g}")  # fmt: skip
    if not peak:
        return
    with open("/proc/self/statm", encoding="ascii") as statm:
        pages = [int(text) for text in statm.read().split()]
    resident, shared = (count * os.sysconf("SC_PAGE_SIZE") >> 20 for count in pages[1:3])
    # The kernel's own high-water mark; no thread that watches, which would disturb the runs.
    say("INFO", f"Overall peak memory footprint (MB) via periodic monitoring: {end_kb / 1024:g}")
    say("INFO", "Memory status at the end of exeution:")
    say("INFO", f"- VmRSS              : {resident} MB")
    say("INFO", f"+ RssAnnon           : {resident - shared} MB")
    say("INFO", f"+ RssFile + RssShmem : {shared} MB")


def _peak_kb() -> int | None:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            return next((int(line.split()[1]) for line in status if line[:6] == "VmHWM:"), None)
    except OSError:
        return None


def _save_outputs(interpreter: Any, path: str) -> None:
    if not path:
        return
    try:
        with open(path, "wb") as handle:
            for detail in interpreter.get_output_details():
                handle.write(interpreter.get_tensor(detail["index"]).tobytes())
    except OSError as exc:
        say("ERROR", f"Failed to save the outputs to: {path} ({exc.strerror})")


def _now_us() -> int:
    return time.perf_counter_ns() // 1000


def _abort() -> NoReturn:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the phone keeps no dump of it
    os.abort()


def _begin_as_a_program() -> None:
    """Signals end it as they end a C++ program; nothing in the folder it lies in is imported."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if sys.path[:1] == [os.path.dirname(os.path.realpath(__file__))]:
        del sys.path[0]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]


if __name__ == "__main__":
    _begin_as_a_program()
    sys.exit(main(sys.argv[1:], sys.argv[0]))
