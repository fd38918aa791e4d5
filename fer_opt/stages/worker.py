"""The process that times one pipeline over a set of photos.

Run as a module (``python -P -m fer_opt.stages.worker``). It reads one line of JSON
(:class:`StageJob`) from stdin and writes one (:class:`StageAnswer`) to stdout. Stdin stays open as
a lifeline: when the parent dies, it closes, and the worker ends at once.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any, TypedDict

from fer_opt.convention import InputConvention
from fer_opt.device.host_worker import RefusalError, end_with_parent, pin
from fer_opt.device.stage_timing import PhotoPass
from fer_opt.errors import FerOptError
from fer_opt.stages.pipeline import Pipeline, open_pipeline
from fer_opt.stages.ways import PipelineWays

__all__ = ["StageAnswer", "StageJob", "main"]


class StageJob(TypedDict):
    """What the worker is asked.

    ``ways`` are the fields of :class:`fer_opt.stages.ways.PipelineWays`, ``stated`` those of
    :class:`fer_opt.convention.InputConvention` or None; ``photos`` are names and paths.
    """

    model: str
    ways: dict[str, Any]
    stated: dict[str, Any] | None
    photos: list[tuple[str, str]]
    threads: int
    cpus: list[int]
    warm_passes: int
    seed: int
    process_index: int


class StageAnswer(TypedDict):
    """What it found, or a sentence that says why it found nothing."""

    start_ms: float
    passes: list[dict[str, Any]]
    refusal: str


def main() -> int:
    """Serve one job; 0 when it was done."""
    # Ctrl-C reaches the whole terminal; the parent decides what becomes of the worker.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Native code may print; only the answer may reach the parent's pipe.
    answer_to = os.dup(1)
    os.dup2(2, 1)
    job: StageJob = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    answer: StageAnswer = {"start_ms": 0.0, "passes": [], "refusal": ""}
    try:
        answer["start_ms"], passes = _serve(job)
        answer["passes"] = [asdict(one) for one in passes]
    except FerOptError as exc:
        answer["refusal"] = str(exc)
    except RefusalError as exc:
        answer["refusal"] = f"{job['model']} was not timed: {exc.cause}; {exc.way_out}."
    with os.fdopen(answer_to, "w", encoding="ascii") as pipe:
        pipe.write(json.dumps(answer) + "\n")
    return 1 if answer["refusal"] else 0


def _serve(job: StageJob) -> tuple[float, list[PhotoPass]]:
    pin(job["cpus"])
    named = {**job["ways"], "detector": _detector(job["ways"]["detector"])}
    pipeline = open_pipeline(
        Path(job["model"]),
        ways=PipelineWays(**named),
        threads=job["threads"],
        stated=None if job["stated"] is None else InputConvention(**job["stated"]),
    )
    passes: list[PhotoPass] = []
    gc.disable()
    for pass_index in range(1 + job["warm_passes"]):
        # The same order for every pipeline, so that a photo's neighbours are the same.
        order = list(job["photos"])
        Random(f"{job['seed']}/{job['process_index']}/{pass_index}").shuffle(order)
        passes += _one_pass(pipeline, order, job["process_index"], pass_index)
        gc.collect()
    return pipeline.start_ms, passes


def _detector(name: str) -> Any:
    return name if name == "haar" else Path(name)


def _one_pass(
    pipeline: Pipeline, order: list[tuple[str, str]], process_index: int, pass_index: int
) -> list[PhotoPass]:
    passes = []
    for order_index, (name, path) in enumerate(order):
        result = pipeline.classify(Path(path))
        if result.outcome == "unreadable":
            raise FerOptError(f"{result.reason} It could be read a moment ago; time again.")
        passes.append(
            PhotoPass(
                photo=name,
                process_index=process_index,
                pass_index=pass_index,
                order_index=order_index,
                stages_ms=result.stages_ms,
                total_ms=result.total_ms,
                faces=len(result.faces),
                label=result.label,
                confidence=result.confidence,
            )
        )
    return passes


if __name__ == "__main__":
    sys.exit(main())
