"""The process that times one model: LiteRT and NumPy, nothing else.

Run by path (``python -P host_worker.py``), so that neither fer-opt's other imports nor a module
in the working directory gets in; for the same reason it is one file. It reads one line of JSON
(:class:`WorkerJob`) from stdin and writes one (:class:`WorkerAnswer`) to stdout. Stdin stays open
as a lifeline: when the parent dies, however it dies, it closes, and the worker ends at once.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypedDict

__all__ = [
    "CONVERT",
    "RefusalError",
    "WorkerAnswer",
    "WorkerJob",
    "WorkerResult",
    "brief",
    "end_with_parent",
    "fed",
    "is_steady",
    "load",
    "main",
    "make_inputs",
    "operator_coverage",
    "peak_memory_bytes",
    "pin",
    "quantize",
    "time_calls",
    "warm_up",
]


class WorkerJob(TypedDict):
    """What the worker is asked; the names are those of ``TimingJob`` and ``TimingSettings``."""

    path: str
    inputs: str | None
    first_input: int
    runs: int
    threads: int
    cpus: list[int]
    warm_up_window: int
    warm_up_tolerance: float
    warm_up_max_runs: int
    warm_up_max_ms: float
    random_low: float
    random_high: float
    random_seed: int


class WorkerResult(TypedDict):
    """What the worker found; ``operators`` and ``delegated`` are None where LiteRT hides them."""

    cpus: list[int]
    initialisation_ms: float
    warm_up_ms: list[float]
    steady: bool
    inference_ms: list[float]
    operators: int | None
    delegated: int | None
    peak_memory_bytes: int | None


class WorkerAnswer(TypedDict):
    """Either a result, or why there is none and what the user can do."""

    result: WorkerResult | None
    cause: str
    way_out: str


class RefusalError(Exception):
    """The job cannot be done; two clauses of one sentence: the cause, and the way out."""

    def __init__(self, cause: str, way_out: str) -> None:
        super().__init__(cause, way_out)
        self.cause = " ".join(cause.split())
        self.way_out = way_out


def main() -> int:
    """Serve one job; 0 when it was done."""
    # Ctrl-C reaches the whole terminal; the parent decides what becomes of the worker.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Native code may print; only the answer may reach the parent's pipe.
    answer_to = os.dup(1)
    os.dup2(2, 1)
    job: WorkerJob = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    answer: WorkerAnswer = {"result": None, "cause": "", "way_out": ""}
    try:
        answer["result"] = _serve(job)
    except RefusalError as exc:
        answer["cause"], answer["way_out"] = exc.cause, exc.way_out
    except MemoryError:
        answer["cause"] = "memory ran out"
        answer["way_out"] = "close other programs or time a smaller model"
    with os.fdopen(answer_to, "w", encoding="ascii") as pipe:
        pipe.write(json.dumps(answer) + "\n")
    return 0 if answer["result"] is not None else 1


def end_with_parent() -> None:
    """Wait for stdin to close, then end the process at once; for a thread of its own."""
    # The raw descriptor: a lock held on sys.stdin would make the interpreter's own exit fail.
    # Blocked in a read, this thread costs the timed loop nothing.
    while os.read(0, 1):
        pass
    os._exit(3)


def _serve(job: WorkerJob) -> WorkerResult:
    cpus = pin(job["cpus"])
    interpreter, initialisation_ms = load(job["path"], job["threads"])
    inputs = make_inputs(interpreter.get_input_details(), job)
    steps = fed(interpreter, itertools.cycle(inputs))
    try:
        warm_up_ms, steady = warm_up(steps, job)
        # Counted inferences begin at the same input for every model, however long it warmed up.
        steps = fed(interpreter, itertools.cycle(inputs))
        inference_ms = time_calls(steps, job["runs"])
    except (RuntimeError, ValueError) as exc:
        raise RefusalError(f"LiteRT failed while running it ({brief(exc)})", CONVERT) from exc
    operators, delegated = operator_coverage(interpreter)
    return {
        "cpus": cpus,
        "initialisation_ms": initialisation_ms,
        "warm_up_ms": warm_up_ms,
        "steady": steady,
        "inference_ms": inference_ms,
        "operators": operators,
        "delegated": delegated,
        "peak_memory_bytes": peak_memory_bytes(),
    }


CONVERT = "convert the model again"


def pin(cpus: list[int]) -> list[int]:
    """Keep this process to ``cpus``; those it is on then, none where the system cannot pin.

    Raises:
        RefusalError: the system refuses these CPUs.
    """
    # typeshed knows that macOS and Windows lack these calls, hence getattr.
    pin = getattr(os, "sched_setaffinity", None)
    read = getattr(os, "sched_getaffinity", None)
    if not cpus or pin is None or read is None:
        return []
    try:
        pin(0, cpus)
    except OSError as exc:
        raise RefusalError(
            f"it could not be pinned to CPU {', '.join(map(str, cpus))} ({exc.strerror})",
            "choose other CPUs",
        ) from exc
    return sorted(read(0))


def load(path: str, threads: int) -> tuple[Any, float]:
    """Make an interpreter with allocated tensors; also the milliseconds that took.

    Raises:
        RefusalError: LiteRT does not import, or cannot load the file.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as exc:
        raise RefusalError(
            f"the LiteRT runtime does not import ({brief(exc)})", "install ai-edge-litert"
        ) from exc
    begin = time.perf_counter_ns()
    try:
        # By path, as an app does it: the weights are mapped, not copied.
        interpreter = Interpreter(model_path=path, num_threads=threads)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError, TypeError) as exc:
        text = brief(exc)
        if "unresolved" in text or "Select TensorFlow op" in text:
            raise RefusalError(
                f"it needs operators LiteRT does not have ({text})",
                "convert it with TensorFlow Lite's built-in operators only",
            ) from exc
        raise RefusalError(f"LiteRT cannot load it ({text})", CONVERT) from exc
    return interpreter, (time.perf_counter_ns() - begin) / 1e6


def make_inputs(details: Sequence[Any], job: WorkerJob) -> list[list[tuple[int, Any]]]:
    """Make the values of each inference to come, as (tensor index, array) pairs.

    Args:
        details: of the input tensors, as ``Interpreter.get_input_details`` gives them.
        job: whose ``inputs``, ``first_input``, ``runs`` and ``random_...`` say which values.

    Raises:
        RefusalError: the samples do not fit the inputs, or the model does not take one at a time.
    """
    for detail in details:
        if any(side < 1 for side in detail["shape"]) or not len(detail["shape"]):
            raise RefusalError(
                f"its input {detail['name']} has no fixed shape", "convert at batch 1"
            )
        if detail["shape"][0] != 1:
            raise RefusalError(
                f"it takes {detail['shape'][0]} samples at once, and the time of one is wanted",
                "convert at batch 1",
            )
    if job["inputs"] is None:
        return _random_inputs(details, job)
    if len(details) != 1:
        raise RefusalError(
            f"it has {len(details)} inputs, the samples are for one", "time it without"
        )
    return _real_inputs(details[0], job["inputs"], job)


def _random_inputs(details: Sequence[Any], job: WorkerJob) -> list[list[tuple[int, Any]]]:
    import numpy as np

    # The first input picks the stream, so that rounds differ and models of one round do not.
    random = np.random.default_rng((job["random_seed"], job["first_input"]))
    return [
        [
            (one["index"], quantize(random.uniform(
                job["random_low"], job["random_high"], one["shape"]
            ).astype(np.float32), one))
            for one in details
        ]
        for _ in range(job["runs"])
    ]  # fmt: skip


def _real_inputs(detail: Any, path: str, job: WorkerJob) -> list[list[tuple[int, Any]]]:
    import numpy as np

    again = "write the samples again"
    try:
        samples = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as exc:
        raise RefusalError(f"its inputs {path} cannot be read ({brief(exc)})", again) from exc
    wanted = tuple(int(side) for side in detail["shape"][1:])
    if not isinstance(samples, np.ndarray) or not len(samples.shape):
        raise RefusalError(f"its inputs {path} are not one float32 array", again)
    as_they_are = samples.dtype == np.uint8 == np.dtype(detail["dtype"])
    if samples.dtype != np.float32 and not as_they_are:
        raise RefusalError(f"its inputs {path} are not one float32 array", again)
    if samples.shape[1:] != wanted or not len(samples):
        raise RefusalError(
            f"its inputs {path} have the shape {samples.shape} where {('n', *wanted)} is needed",
            again,
        )
    places = [(job["first_input"] + step) % len(samples) for step in range(job["runs"])]
    chosen = {place: np.asarray(samples[place])[np.newaxis] for place in set(places)}
    if not all(np.isfinite(sample).all() for sample in chosen.values()):
        raise RefusalError(f"its inputs {path} hold values that are not finite", again)
    fed = chosen
    if not as_they_are:
        fed = {place: quantize(sample, detail) for place, sample in chosen.items()}
    return [[(detail["index"], fed[place])] for place in places]


def quantize(values: Any, detail: Any) -> Any:
    """Turn real values into what the input tensor holds: round(value / scale) + zero point.

    The affine scheme of TensorFlow Lite's 8-bit quantization specification; values outside the
    type's range are clipped to it.

    Args:
        values: float32 array of any shape.
        detail: the tensor, as ``Interpreter.get_input_details`` describes it.

    Raises:
        RefusalError: the tensor holds integers without a scale, or no numbers.
    """
    import numpy as np

    kind = np.dtype(detail["dtype"])
    if kind.kind == "f":
        return values.astype(kind)
    scale, zero_point = detail["quantization"]
    if kind.kind not in "iu" or not scale:
        raise RefusalError(
            f"its input {detail['name']} is {kind}, not an image", "time another model"
        )
    limits = np.iinfo(kind)
    steps = np.rint(values / np.float32(scale)) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(kind)


def fed(interpreter: Any, inputs: Iterator[list[tuple[int, Any]]]) -> Iterator[Callable[[], Any]]:
    """Set the next inputs, then hand out the call to be timed; setting is not timed."""
    for tensors in inputs:
        for index, values in tensors:
            interpreter.set_tensor(index, values)
        yield interpreter.invoke


def warm_up(steps: Iterator[Callable[[], Any]], job: WorkerJob) -> tuple[list[float], bool]:
    """Call until steady or a limit is reached; the times in ms, and whether it became steady.

    Starting Python and importing has kept this CPU busy for some 0.1 s, so its clock is up
    already; what is left to warm are caches, lazily allocated memory and the thread pool.
    """
    window, tolerance = job["warm_up_window"], job["warm_up_tolerance"]
    times: list[float] = []
    begin = time.perf_counter_ns()
    while True:
        times += time_calls(steps, 1)
        if is_steady(times, window, tolerance):
            return times, True
        spent_ms = (time.perf_counter_ns() - begin) / 1e6
        over = len(times) >= job["warm_up_max_runs"] or spent_ms >= job["warm_up_max_ms"]
        if over and len(times) >= 2 * window:
            return times, False


def is_steady(times: Sequence[float], window: int, tolerance: float) -> bool:
    """Whether the medians of the last two windows differ by at most ``tolerance`` (relative)."""
    if len(times) < 2 * window:
        return False
    earlier = statistics.median(times[-2 * window : -window])
    return abs(statistics.median(times[-window:]) - earlier) <= tolerance * earlier


def time_calls(steps: Iterator[Callable[[], Any]], runs: int) -> list[float]:
    """Wall-clock milliseconds of each of ``runs`` calls, the garbage collector held off."""
    clock = time.perf_counter_ns
    times = []
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(runs):
            call = next(steps)
            begin = clock()
            call()
            times.append((clock() - begin) / 1e6)
    finally:
        if was_enabled:
            gc.enable()
    return times


def operator_coverage(interpreter: Any) -> tuple[int | None, int | None]:
    """How many operators the main graph has, and how many of them a delegate runs.

    LiteRT keeps replaced operators in its list and appends nodes named DELEGATE (or the delegate's
    name) that produce the same tensors. Those still run by its own kernels are the ones reached
    from the outputs when a tensor's producer is the delegate wherever there is one.
    """
    try:
        operators = interpreter._get_ops_details()
        outputs = [detail["index"] for detail in interpreter.get_output_details()]
    except (AttributeError, ValueError, RuntimeError):
        return None, None  # a private call, which may go
    delegates = [one for one in operators if "DELEGATE" in one["op_name"].upper()]
    own = [one for one in operators if one not in delegates]
    # Delegates last: their claim to a tensor wins.
    producer = {int(tensor): one for one in (*own, *delegates) for tensor in one["outputs"]}
    left, waiting, seen = 0, list(map(int, outputs)), set[int]()
    while waiting:
        one = producer.get(waiting.pop())
        if one is None or one["index"] in seen:
            continue
        seen.add(one["index"])
        left += one in own
        waiting += map(int, one["inputs"])
    return len(own), len(own) - left if delegates else 0


def peak_memory_bytes() -> int | None:
    """High-water mark of this process's resident set; None where the system does not tell."""
    try:
        # Not getrusage: Linux hands the parent's peak on to a child it starts.
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def brief(exc: Exception) -> str:
    """What ``exc`` says, on one line of at most 300 characters."""
    text = " ".join(str(exc).split()) or type(exc).__name__
    return (text if len(text) <= 300 else text[:299] + "…").rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
