"""``fer-opt bench``: honest latency of .tflite files on this computer."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_opt.cli.console import Terminal, print_json, print_table, print_text, say
from fer_opt.cli.options import (
    AsJson,
    Channels,
    Data,
    Kind,
    Labels,
    Preprocessing,
    Range,
    Size,
    Split,
    data_section,
    input_section,
    short_names,
)

__all__ = ["register"]

EXAMPLES = """
Examples:

fer-opt bench int8.tflite

fer-opt bench float32.tflite int8.tflite --processes 12 --threads 2

fer-opt bench runs/demo/models/*.tflite --data faces/ --json
"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("bench", epilog=EXAMPLES)(bench)


def bench(
    files: Annotated[list[Path], typer.Argument(help="TFLite models.", show_default=False)],
    processes: Annotated[int, typer.Option(min=1, help="Fresh processes for each model.")] = 8,
    runs: Annotated[int, typer.Option(min=1, help="Counted inferences in each process.")] = 20,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the interpreter.")] = 1,
    cpus: Annotated[str | None, typer.Option(help="CPUs to pin to, e.g. 0,1.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random order.")] = 0,
    data: Data = None,
    kind: Kind = None,
    split: Split = None,
    size: Size = None,
    channels: Channels = None,
    range_: Range = None,
    labels: Labels = None,
    preprocessing: Preprocessing = None,
    json: AsJson = False,
) -> None:
    """Time .tflite files on this computer, each in fresh processes, in random order.

    The inputs are real images with --data, and random ones without. A computer's time is not a
    phone's.
    """
    from fer_opt.device.host import HostDevice
    from fer_opt.device.protocol import TimingSettings
    from fer_opt.device.schedule import measure_session

    settings = TimingSettings(runs=runs, threads=threads, cpus=parse_cpus(cpus))
    device = HostDevice(settings)
    facts = device.facts()
    terminal = Terminal()
    with tempfile.TemporaryDirectory(prefix="fer-opt-") as scratch:
        inputs: dict[Path, Path | None] = dict.fromkeys(files)
        if data is not None or kind is not None:
            where = data_section(data, kind, split)
            stated = input_section(size, channels, range_, labels, preprocessing)
            inputs = _real_inputs(files, where, stated, Path(scratch), terminal)
        jobs = _jobs(files, inputs)
        with terminal.stage("Timing", processes * len(jobs)) as advance:
            measurements = measure_session(
                device, jobs, processes, seed, on_measurement=lambda _: advance(1)
            )
    _show(facts, measurements, settings, data is not None or kind is not None, json)


def parse_cpus(text: str | None) -> tuple[int, ...]:
    """CPU numbers from ``0,1``; empty where none are named.

    Raises:
        MeasurementError: not numbers.
    """
    from fer_opt.errors import MeasurementError

    if not text:
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise MeasurementError(
            f"--cpus {text} is no list of CPUs; write numbers like 0,1."
        ) from None


def _jobs(files: list[Path], inputs: dict[Path, Path | None]) -> list[Any]:
    """One job for each file."""
    from fer_opt.device.protocol import TimingJob
    from fer_opt.files import sha256_of
    from fer_opt.flatbuffer import read_tflite

    for file in files:
        read_tflite(file)
    names = short_names(files)
    return [
        TimingJob(name, file, sha256_of(file), inputs[file])
        for name, file in zip(names, files, strict=True)
    ]


def _real_inputs(
    files: list[Path], where: Any, stated: Any, scratch: Path, terminal: Terminal
) -> dict[Path, Path | None]:
    """For each file, images from the dataset as that model expects them."""
    from fer_opt.experiment.settle import settle_convention
    from fer_opt.experiment.single import open_classifier, open_evaluation
    from fer_opt.experiment.timing import timing_inputs

    networks = [open_classifier(file, stated) for file in files]
    dataset = open_evaluation(where, terminal)
    inputs: dict[Path, Path | None] = {}
    for index, (file, (network, known)) in enumerate(zip(files, networks, strict=True)):
        convention = settle_convention(network, known, dataset, terminal)
        inputs[file] = scratch / f"{index}.npy"
        timing_inputs(dataset, convention, scratch / f"{index}.npy")
    return inputs


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
