"""The process that prepares models for a phone: raw input files, and this computer's outputs.

A process of its own, because LiteRT may crash on a damaged model. Each line of JSON on stdin
(:class:`SampleJob`) is answered by one on stdout (:class:`SampleAnswer`).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, TypedDict

from fer_opt.device.host_worker import RefusalError, WorkerJob, load, make_inputs

__all__ = ["NamedTensor", "SampleAnswer", "SampleJob", "main"]


class SampleJob(TypedDict):
    """What the worker is asked.

    ``inputs`` is a .npy file or None for random values. ``inputs_wanted`` samples are written into
    ``folder``; the outputs of the first ``outputs_wanted`` of them go to ``outputs``.0, .1 and on.
    """

    path: str
    inputs: str | None
    seed: int
    inputs_wanted: int
    outputs_wanted: int
    folder: str
    outputs: str


class NamedTensor(TypedDict):
    """An input or output tensor; scale and zero point are None where it is not quantized."""

    name: str
    shape: list[int]
    dtype: str
    scale: float | None
    zero_point: int | None


class SampleAnswer(TypedDict):
    """What was prepared, or why nothing was, and what the user can do.

    ``files`` holds for each sample the raw file of each input.
    """

    inputs: list[NamedTensor]
    outputs: list[NamedTensor]
    files: list[list[str]]
    cause: str
    way_out: str


def main() -> int:
    """Serve jobs until stdin closes; 0."""
    # Ctrl-C reaches the whole terminal; the parent closes stdin when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Native code may print; only answers may reach the parent's pipe.
    answer_to = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(answer_to, "w", encoding="ascii") as pipe:
        for line in sys.stdin.buffer:
            pipe.write(json.dumps(_answer(json.loads(line))) + "\n")
            pipe.flush()
    return 0


def _answer(job: SampleJob) -> SampleAnswer:
    answer: SampleAnswer = {"inputs": [], "outputs": [], "files": [], "cause": "", "way_out": ""}
    try:
        _serve(job, answer)
    except RefusalError as exc:
        answer["cause"], answer["way_out"] = exc.cause, exc.way_out
    except (RuntimeError, ValueError) as exc:
        answer["cause"] = f"LiteRT failed while running it ({' '.join(str(exc).split())[:300]})"
        answer["way_out"] = "convert the model again"
    except MemoryError:
        answer["cause"] = "memory ran out"
        answer["way_out"] = "close other programs or time a smaller model"
    except OSError as exc:
        answer["cause"] = f"its inputs cannot be written ({exc.strerror or exc})"
        answer["way_out"] = "make room in the folder for temporary files"
    return answer


def _serve(job: SampleJob, answer: SampleAnswer) -> None:
    interpreter, _ = load(job["path"], threads=1)
    details = interpreter.get_input_details()
    samples = make_inputs(details, _as_worker_job(job))
    answer["inputs"] = [_facts(detail) for detail in details]
    answer["outputs"] = [_facts(detail) for detail in interpreter.get_output_details()]
    answer["files"] = [
        [_write(values, Path(job["folder"])) for _, values in tensors] for tensors in samples
    ]
    if job["outputs_wanted"]:
        _run(interpreter, samples[: job["outputs_wanted"]], job["outputs"])


def _as_worker_job(job: SampleJob) -> WorkerJob:
    return {
        "path": job["path"], "inputs": job["inputs"], "first_input": 0,
        "runs": job["inputs_wanted"], "threads": 1, "cpus": [], "warm_up_window": 1,
        "warm_up_tolerance": 1.0, "warm_up_max_runs": 2, "warm_up_max_ms": 1.0,
        "random_low": 0.0, "random_high": 1.0, "random_seed": job["seed"],
    }  # fmt: skip


def _facts(detail: Any) -> NamedTensor:
    import numpy as np

    scale, zero_point = detail["quantization"]
    return {
        "name": str(detail["name"]),
        "shape": [int(side) for side in detail["shape"]],
        "dtype": str(np.dtype(detail["dtype"])),
        "scale": float(scale) if scale else None,
        "zero_point": int(zero_point) if scale else None,
    }


def _write(values: Any, folder: Path) -> str:
    """Write a tensor's bytes under the name of their hash, so that equal ones are one file."""
    import hashlib

    content = values.tobytes()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.raw"
    if not path.exists():
        path.write_bytes(content)
    return str(path)


def _run(interpreter: Any, samples: list[list[tuple[int, Any]]], path: str) -> None:
    """Write the outputs of sample n to ``path``.n as ``benchmark_model`` does: bytes in a row."""
    details = interpreter.get_output_details()
    for place, tensors in enumerate(samples):
        for index, values in tensors:
            interpreter.set_tensor(index, values)
        interpreter.invoke()
        content = b"".join(interpreter.get_tensor(one["index"]).tobytes() for one in details)
        Path(f"{path}.{place}").write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
