"""``fer-opt bench`` without ``--on``: times of .tflite files on this computer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from fer_opt.cli.console import Terminal, print_json, print_table, print_text, say

__all__ = ["bench_here"]

RUNS = 20
"""Counted inferences in each process."""


def bench_here(
    timed_files: Callable[[], tuple[list[Any], str]],
    processes: int,
    runs: int | None,
    threads: int,
    cpus: tuple[int, ...],
    seed: int,
    real: bool,
    json: bool,
    terminal: Terminal,
) -> None:
    """Time on this computer and print.

    Args:
        timed_files: reads the files and makes the jobs, with words for their inputs.
        processes: fresh ones for each model.
        runs: counted inferences in each process; None means 20.
        threads: of the interpreter.
        cpus: to pin to; empty chooses.
        seed: of the random order.
        real: whether the inputs are real images.
        json: print JSON for scripts.
        terminal: is told how it goes.
    """
    from fer_opt.device.host import HostDevice
    from fer_opt.device.protocol import TimingSettings
    from fer_opt.device.schedule import measure_session

    settings = TimingSettings(runs=runs or RUNS, threads=threads, cpus=cpus)
    device = HostDevice(settings)
    facts = device.facts()
    jobs, _ = timed_files()
    with terminal.stage("Timing", processes * len(jobs)) as advance:
        measurements = measure_session(
            device, jobs, processes, seed, on_measurement=lambda _: advance(1)
        )
    _show(facts, measurements, settings, real, json)


def _show(facts: Any, measurements: Any, settings: Any, real: bool, json: bool) -> None:
    """Print the session as JSON, or as one screen of text."""
    from fer_opt.reports.statistics import paired_ratios, summarise_latency

    summaries = summarise_latency(measurements)
    if json:
        print_json(
            {
                "device": dataclasses.asdict(facts),
                "settings": dataclasses.asdict(settings),
                "inputs": "real" if real else settings.random_inputs,
                "summaries": [dataclasses.asdict(item) for item in summaries],
                "measurements": [dataclasses.asdict(item) for item in measurements],
            }
        )
        return
    names = [item.model for item in summaries]
    reference = "float32" if "float32" in names else names[0]
    several = len(names) > 1
    pairs = paired_ratios(measurements, reference) if several else ()
    ratios = {item.model: item for item in pairs}
    print_table(
        f"Latency on {facts.name}",
        ["model", "median ms", "interval ms", "p95 ms", "init ms", "peak MB"]
        + ([f"times {reference}"] if several else []),
        [
            [
                item.model,
                f"{item.median_ms:.3g}",
                f"{item.low_ms:.3g} to {item.high_ms:.3g}",
                "?" if item.p95_ms is None else f"{item.p95_ms:.3g}",
                f"{item.initialisation_ms:.3g}",
                "?" if item.peak_memory_bytes is None else f"{item.peak_memory_bytes / 1e6:.0f}",
            ]
            + ([_ratio(ratios.get(item.model))] if several else [])
            for item in sorted(summaries, key=lambda item: item.median_ms)
        ],
    )
    one = summaries[0]
    print_text(
        f"{one.processes} fresh processes for each model, {settings.runs} inferences in each after "
        f"warm-up, {settings.threads} thread{'s' if settings.threads > 1 else ''}, random order, "
        f"{'real images' if real else settings.random_inputs}. The datum is a process's median; "
        f"the interval covers the median over processes with {one.confidence:.1%} confidence. "
        "Times are of this computer; a phone's differ, and may rank the models otherwise."
    )
    for item in summaries:
        if item.steady_share < 1:
            unsteady = f"{1 - item.steady_share:.0%}"
            say(f"{item.model}: {unsteady} of its processes did not warm up to a steady time.")


def _ratio(ratio: Any) -> str:
    return "1" if ratio is None else f"{ratio.ratio:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
