"""``fer-opt bench``: honest latency of .tflite files, on this computer or on phones."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_opt.cli.console import Terminal
from fer_opt.cli.host_bench import bench_here
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
from fer_opt.cli.phone_options import On

__all__ = ["register"]

EXAMPLES = """
Examples:

fer-opt bench int8.tflite

fer-opt bench float32.tflite int8.tflite --processes 12 --threads 2

fer-opt bench runs/demo/models/*.tflite --data faces/ --json

fer-opt bench float32.tflite int8.tflite --on phone

fer-opt bench int8.tflite --on tcp:192.168.1.20:5555 --op-profile
"""

PHONES = "Phones"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("bench", epilog=EXAMPLES)(bench)


def bench(
    files: Annotated[list[Path], typer.Argument(help="TFLite models.", show_default=False)],
    on: On = None,
    processes: Annotated[
        int, typer.Option("--processes", "--rounds", min=1, help="Fresh processes for each model.")
    ] = 8,
    runs: Annotated[
        int | None,
        typer.Option(min=1, help="Counted inferences in each process; 20 here, 10 on a phone."),
    ] = None,
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
    serial: Annotated[
        str | None,
        typer.Option(help="Which phone, where several are connected.", rich_help_panel=PHONES),
    ] = None,
    via: Annotated[
        str,
        typer.Option(
            help="usb, tcp, server (a running adb server) or auto.", rich_help_panel=PHONES
        ),
    ] = "auto",
    runner: Annotated[
        Path | None,
        typer.Option(
            help="A benchmark_model of your own; by default the fetched one.",
            rich_help_panel=PHONES,
        ),
    ] = None,
    xnnpack: Annotated[
        bool | None,
        typer.Option(
            "--xnnpack/--no-xnnpack",
            help="With or without XNNPACK; the runner decides if unset.",
            rich_help_panel=PHONES,
            show_default=False,
        ),
    ] = None,
    op_profile: Annotated[
        bool,
        typer.Option(
            "--op-profile", help="Time each operator in one more process.", rich_help_panel=PHONES
        ),
    ] = False,
    outputs: Annotated[
        int,
        typer.Option(
            min=0,
            help="Samples whose outputs are compared with this computer's.",
            rich_help_panel=PHONES,
        ),
    ] = 8,
    cool_down: Annotated[
        float,
        typer.Option(min=0, help="Seconds to wait after throttling.", rich_help_panel=PHONES),
    ] = 90.0,
    target: Annotated[
        float,
        typer.Option(min=0.001, help="Milliseconds an image may take.", rich_help_panel=PHONES),
    ] = 500.0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of record and report; by default runs/bench, numbered where taken.",
            rich_help_panel=PHONES,
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Start over, whatever the folder holds.", rich_help_panel=PHONES
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Time .tflite files, each in fresh processes, in random order: here, or --on a phone.

    The inputs are real images with --data, and random ones without. A computer's time is not a
    phone's. What phones tell is kept: the same command goes on where it stopped.
    """
    terminal = Terminal()
    real = data is not None or kind is not None
    pinned = parse_cpus(cpus)
    with tempfile.TemporaryDirectory(prefix="fer-opt-") as scratch:

        def timed_files() -> tuple[list[Any], str]:
            inputs: dict[Path, Path | None] = dict.fromkeys(files)
            words = ""
            if real:
                where = data_section(data, kind, split)
                stated = input_section(size, channels, range_, labels, preprocessing)
                inputs, words = _real_inputs(files, where, stated, Path(scratch), terminal)
            return _jobs(files, inputs), words

        if on in (None, ["host"]):
            _refuse_phone_options(serial, runner, xnnpack, op_profile, out, fresh)
            bench_here(timed_files, processes, runs, threads, pinned, seed, real, json, terminal)
            return
        from fer_opt.cli.phone_bench import bench_on_phones
        from fer_opt.device.phone.results import PhoneSettings
        from fer_opt.experiment.phone import PhoneRequest, check_request

        settings = PhoneSettings(
            rounds=processes,
            runs=runs or PhoneSettings().runs,
            threads=threads,
            cpus=pinned,
            xnnpack=xnnpack,
            operator_profile=op_profile,
            outputs=outputs,
            seed=seed,
            cool_down_s=cool_down,
        )
        request = PhoneRequest(tuple(on or ()), serial, via, runner, settings)
        check_request(request)
        jobs, words = timed_files()
        if words:
            request = dataclasses.replace(
                request, settings=dataclasses.replace(settings, inputs=words)
            )
        bench_on_phones(jobs, request, out, target_ms=target, fresh=fresh, json=json)


def _refuse_phone_options(
    serial: str | None,
    runner: Path | None,
    xnnpack: bool | None,
    op_profile: bool,
    out: Path | None,
    fresh: bool,
) -> None:
    """Options that mean nothing on this computer are refused, not overlooked."""
    from fer_opt.errors import PhoneError

    given = {
        "--serial": serial is not None,
        "--runner": runner is not None,
        "--xnnpack" if xnnpack else "--no-xnnpack": xnnpack is not None,
        "--op-profile": op_profile,
        "--out": out is not None,
        "--fresh": fresh,
    }
    for option, used in given.items():
        if used:
            raise PhoneError(f"{option} is for phones; say which with --on, or leave it out.")


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
) -> tuple[dict[Path, Path | None], str]:
    """For each file, images from the dataset as that model expects them; and what they are."""
    from fer_opt.experiment.settle import settle_convention
    from fer_opt.experiment.single import open_classifier, open_evaluation
    from fer_opt.experiment.timing import timing_inputs

    networks = [open_classifier(file, stated) for file in files]
    dataset = open_evaluation(where, terminal)
    inputs: dict[Path, Path | None] = {}
    count = 0
    for index, (file, (network, known)) in enumerate(zip(files, networks, strict=True)):
        convention = settle_convention(network, known, dataset, terminal)
        inputs[file] = scratch / f"{index}.npy"
        count = timing_inputs(dataset, convention, scratch / f"{index}.npy")
    return inputs, f"{count} samples of {dataset.facts().name}"
