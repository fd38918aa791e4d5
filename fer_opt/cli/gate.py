"""``fer-opt gate``: whether a model regressed, for people and for CI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fer_opt.cli.console import Terminal
from fer_opt.cli.options import Channels, Data, Kind, Labels, Preprocessing, Range, Size, Split

__all__ = ["register"]

EXAMPLES = """
Examples:

fer-opt gate --baseline main.tflite --candidate new.tflite

fer-opt gate --baseline main.tflite --candidate new.tflite --on phone --junit gate.xml

fer-opt gate --candidate new.tflite --budget classify=100ms --max-size 2MB --on phone

fer-opt gate --baseline a.tflite --candidate b.tflite --max-accuracy-drop 1 --data faces

fer-opt gate --against runs/bench --baseline-name float32 --candidate new.tflite

Exit codes: 0 pass, 1 regression, 2 usage, 3 inconclusive, 4 the measurement is not valid,
5 no baseline.
"""

LIMITS, MEASURING, STORED = "What is allowed", "How it is measured", "Records of another day"
OUTPUTS = "For CI"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("gate", epilog=EXAMPLES)(gate)


def gate(
    candidate: Annotated[
        list[str] | None,
        typer.Option(help="Model in question; several allowed.", show_default=False),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Model it is compared with.", show_default=False)
    ] = None,
    on: Annotated[
        str,
        typer.Option(help="host (this computer), phone, tcp:HOST:PORT, a serial or virtual."),
    ] = "host",
    tolerance: Annotated[
        float, typer.Option(min=0, help="Slowdown that is none, in %.", rich_help_panel=LIMITS)
    ] = 5.0,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            help="classify=100ms, or a record's total=500ms; several allowed.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    percentile: Annotated[
        float, typer.Option(help="Of the times that budgets hold for.", rich_help_panel=LIMITS)
    ] = 95.0,
    max_size: Annotated[
        str | None,
        typer.Option(help="Of a file: 2MB, 900kB, 1MiB.", rich_help_panel=LIMITS),
    ] = None,
    max_accuracy_drop: Annotated[
        float | None,
        typer.Option(help="Percentage points, with --data.", rich_help_panel=LIMITS),
    ] = None,
    inconclusive_is: Annotated[
        Literal["pass", "fail"] | None,
        typer.Option(help="Exit with 0 or 1 instead of 3.", rich_help_panel=LIMITS),
    ] = None,
    looks: Annotated[
        str,
        typer.Option(help="Pairs after which it may decide.", rich_help_panel=MEASURING),
    ] = "8,12,16,24",
    runs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Inferences in a process; 30 here, 10 on a phone.",
            rich_help_panel=MEASURING,
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, help="Of the interpreter.", rich_help_panel=MEASURING)
    ] = 1,
    cpus: Annotated[
        str | None, typer.Option(help="CPUs to pin to, e.g. 0,1.", rich_help_panel=MEASURING)
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the random order.", rich_help_panel=MEASURING)
    ] = 0,
    serial: Annotated[
        str | None, typer.Option(help="Which phone, where several are.", rich_help_panel=MEASURING)
    ] = None,
    via: Annotated[
        str, typer.Option(help="usb, tcp, server or auto.", rich_help_panel=MEASURING)
    ] = "auto",
    runner: Annotated[
        Path | None,
        typer.Option(help="A benchmark_model of your own.", rich_help_panel=MEASURING),
    ] = None,
    xnnpack: Annotated[
        bool | None,
        typer.Option(
            "--xnnpack/--no-xnnpack",
            help="On phones.",
            rich_help_panel=MEASURING,
            show_default=False,
        ),
    ] = None,
    cool_down: Annotated[
        float,
        typer.Option(min=0, help="Seconds, after a phone throttled.", rich_help_panel=MEASURING),
    ] = 90.0,
    data: Data = None,
    kind: Kind = None,
    split: Split = None,
    size: Size = None,
    channels: Channels = None,
    range_: Range = None,
    labels: Labels = None,
    preprocessing: Preprocessing = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Record or folder of a run, bench or gate.",
            rich_help_panel=STORED,
            show_default=False,
        ),
    ] = None,
    baseline_name: Annotated[
        str | None, typer.Option(help="Its model to compare with.", rich_help_panel=STORED)
    ] = None,
    machine: Annotated[
        str | None, typer.Option(help="host or a phone, where several.", rich_help_panel=STORED)
    ] = None,
    pipeline: Annotated[
        str, typer.Option(help="Whose stages budgets hold for.", rich_help_panel=STORED)
    ] = "faster",
    stored_may_fail: Annotated[
        bool,
        typer.Option(
            "--stored-may-fail",
            help="Decide, where all fingerprints match.",
            rich_help_panel=STORED,
        ),
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML.", rich_help_panel=OUTPUTS)] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            help="For a pull request; $GITHUB_STEP_SUMMARY gets it anyway.",
            rich_help_panel=OUTPUTS,
        ),
    ] = None,
    github: Annotated[
        bool | None,
        typer.Option(
            "--github/--no-github",
            help="Annotations; by default in GitHub Actions.",
            rich_help_panel=OUTPUTS,
            show_default=False,
        ),
    ] = None,
    pytest_benchmark: Annotated[
        Path | None, typer.Option(help="pytest-benchmark's JSON.", rich_help_panel=OUTPUTS)
    ] = None,
    benchmark_action: Annotated[
        Path | None,
        typer.Option(help="github-action-benchmark's custom JSON.", rich_help_panel=OUTPUTS),
    ] = None,
    bencher: Annotated[
        Path | None, typer.Option(help="Bencher Metric Format.", rich_help_panel=OUTPUTS)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the record.", show_default="runs/gate")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over, whatever the folder holds.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Tell whether a model regressed: slower than its baseline, or over a budget.

    Both models are measured side by side, in pairs of fresh processes, until it
    is clear. Stop it at any time; the same command goes on where it stopped.
    """
    from fer_opt.cli.gate_request import Asked, ask
    from fer_opt.cli.gated import OutputFiles, finish, gated_or_exit

    asked = Asked(
        candidates=tuple(candidate or ()),
        baseline=baseline,
        on=on,
        tolerance_percent=tolerance,
        budgets=tuple(budget or ()),
        percentile=percentile,
        max_size=max_size,
        max_drop_points=max_accuracy_drop,
        looks=looks,
        runs=runs,
        threads=threads,
        cpus=cpus,
        seed=seed,
        serial=serial,
        via=via,
        runner=runner,
        xnnpack=xnnpack,
        cool_down_s=cool_down,
        data=(data, kind, split),
        stated=(size, channels, range_, labels, preprocessing),
        against=against,
        baseline_name=baseline_name,
        machine=machine,
        pipeline=pipeline,
        stored_may_fail=stored_may_fail,
        out=out,
        fresh=fresh,
    )
    outputs = OutputFiles(
        junit=junit,
        markdown=markdown,
        github=github,
        pytest_benchmark=pytest_benchmark,
        benchmark_action=benchmark_action,
        bencher=bencher,
        undecided=inconclusive_is or "inconclusive",
    )
    outputs.check()
    record, path = gated_or_exit(lambda: ask(asked, Terminal()))
    finish(record, path, outputs, json=json)
