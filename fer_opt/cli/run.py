"""``fer-opt run``, ``demo`` and ``report``: a whole experiment, and its report."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_opt.cli.console import Bars, Terminal, print_json, print_table, say

__all__ = ["register"]

RUN_EXAMPLES = """
Examples:

fer-opt run experiment.toml

fer-opt run experiment.toml --out runs/second-try

fer-opt run experiment.toml --on phone

An experiment file:

\\[model]

path = "model.h5"

\\[data]

path = "faces/"

\\[input]

range = \\[-1, 1]
"""

DEMO_EXPERIMENT = """\
name = "xcao on built-in synthetic faces"
recipes = ["float32", "float16", "dynamic", "int8", "int16x8", "int8(input=crop)"]

[model]
architecture = "xcao"

[input]
size = 48
range = [0, 1]

[data]
kind = "synthetic"
split = "test"
samples = 1000

[training]
samples = 4000
epochs = 7
batch = 32

[phone]
on = ["virtual"]
rounds = 3
runs = 5

[photos]
kind = "scenes"
processes = 2
warm_passes = 1
"""

Out = Annotated[Path | None, typer.Option(help="Run folder; by default runs/NAME.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start over, whatever the folder holds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record's path and key figures.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("run", epilog=RUN_EXAMPLES)(run)
    app.command("report", epilog="Example: fer-opt report runs/demo/record.json")(report)
    app.command("demo", epilog="Example: fer-opt demo --out runs/demo")(demo)


def run(
    experiment: Annotated[Path, typer.Argument(help="Experiment file.", show_default=False)],
    out: Out = None,
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            help="Time the variants there too: phone, all, tcp:HOST:PORT, a serial number or "
            "virtual; instead of what \\[phone] says.",
            show_default=False,
        ),
    ] = None,
    fresh: Fresh = False,
    json: AsJson = False,
) -> None:
    """Do everything an experiment file asks for: variants, accuracy, latency, report.

    Stop it at any time; the same command goes on where it stopped. A phone can be added later.
    """
    from fer_opt.experiment.specification import check_experiment, read_experiment

    wanted = read_experiment(experiment)
    if on:
        phone = dataclasses.replace(wanted.phone, on=tuple(on))
        wanted = check_experiment(dataclasses.replace(wanted, phone=phone), "--on")
    folder = out or Path("runs") / experiment.stem
    _carry_out(wanted, experiment.parent, folder, fresh, json)


def demo(out: Out = None, fresh: Fresh = False, json: AsJson = False) -> None:
    """Train a small model on built-in synthetic faces and report on six variants of it.

    They are timed on this computer and on a virtual phone, whose times are this computer's too. So
    are all five stages of classifying a photo, on 25 composed ones.
    """
    from fer_opt.experiment.specification import read_experiment
    from fer_opt.files import make_folder, write_atomically

    folder = make_folder(out or Path("runs/demo"))
    path = folder / "experiment.toml"
    write_atomically(path, DEMO_EXPERIMENT)
    # Not every system can run a virtual phone, and the rest of the demo is worth having.
    _carry_out(read_experiment(path), folder, folder, fresh, json, spare_phones=True)


def report(
    record: Annotated[
        Path, typer.Argument(help="record.json, or the run folder.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report; by default the record's.")
    ] = None,
) -> None:
    """Write the report of a run or bench again: HTML, Markdown and CSV."""
    from fer_opt.files import make_folder
    from fer_opt.reports.bench_record import read_any_record

    path = record / "record.json" if record.is_dir() else record
    loaded = read_any_record(path)
    _write(loaded, make_folder(out) if out else path.parent)


def _carry_out(
    wanted: Any, base: Path, folder: Path, fresh: bool, json: bool, *, spare_phones: bool = False
) -> None:
    """Run, report, and complain of phones and models that failed once everything else is done.

    Args:
        wanted: the experiment.
        base: the folder its paths are relative to.
        folder: of the run.
        fresh: start over.
        json: print JSON for scripts.
        spare_phones: a phone that fails is left out with a word instead.
    """
    from fer_opt.cli.phone_bench import refuse_failures
    from fer_opt.experiment.folder import RECORD_NAME
    from fer_opt.experiment.specification import PhoneSection

    record, trouble = _run(wanted, base, folder, fresh)
    if trouble is not None and spare_phones:
        say(f"Left out: {trouble}")
        alone = dataclasses.replace(wanted, phone=PhoneSection())
        record, trouble = _run(alone, base, folder, fresh=False)
    if json:
        print_json({"record": str(folder / RECORD_NAME), "complete": record.complete})
    else:
        _summarise(record)
    _write(record, folder)
    if trouble is not None:
        raise trouble
    if wanted.phone.on:
        refuse_failures(record.phones)


def _run(wanted: Any, base: Path, folder: Path, fresh: bool) -> tuple[Any, Exception | None]:
    """The record of a run, and what a phone failed of where everything else is done."""
    from fer_opt.errors import PhoneError
    from fer_opt.experiment.run import run_experiment
    from fer_opt.reports.record import read_record

    command = shlex.join(["fer-opt", *sys.argv[1:]])
    several = len(wanted.phone.on) > 1 or "all" in wanted.phone.on
    with Bars().drawn(wanted=several) as progress_of:
        try:
            return (
                run_experiment(
                    wanted, base, folder, command=command, fresh=fresh, progress=Terminal(),
                    progress_of=progress_of,
                ),
                None,
            )  # fmt: skip
        except PhoneError as exc:
            path = folder / "record.json"
            if not path.exists():
                raise
            return read_record(path), exc


def _summarise(record: Any) -> None:
    """Print one row for each variant."""
    from fer_opt.cli.convert import megabytes
    from fer_opt.cli.phone_bench import print_phone
    from fer_opt.reports.phones.summary import summarise_phones
    from fer_opt.reports.stages.story import in_a_sentence
    from fer_opt.reports.stages.summary import summarise_stages
    from fer_opt.reports.statistics import summarise_latency

    latency = {item.model: item for item in summarise_latency(record.measurements)}
    accuracy = {item.recipe: item for item in record.accuracies}
    print_table(
        record.name,
        ["variant", "size", "accuracy", "95 % interval", "balanced", "median ms", ""],
        [
            [
                variant.recipe.replace(" > ", " >\n"),
                megabytes(variant.size_bytes),
                f"{accuracy[variant.recipe].accuracy:.3f}",
                f"{accuracy[variant.recipe].low:.3f} to {accuracy[variant.recipe].high:.3f}",
                f"{accuracy[variant.recipe].balanced_accuracy:.3f}",
                f"{latency[variant.recipe].median_ms:.3g}" if latency else "not timed",
                "FLAGGED" if variant.check.flags else "",
            ]
            for variant in record.variants
        ],
    )
    for phone in summarise_phones(record.phones, record.target_ms):
        print_phone(phone)
    for stages in summarise_stages(record.stages, record.target_ms):
        if sentence := in_a_sentence(stages):
            say(sentence)
    for item in record.refused:
        say(f"WARNING: left out {item.recipe}: {item.reason}")
    for variant in record.variants:
        for sentence in variant.check.flags:
            say(f"WARNING: {variant.recipe}: {sentence}")
    for item in record.accuracies:
        if item.never_predicted:
            say(f"WARNING: {item.recipe} never predicts {', '.join(item.never_predicted)}.")
    for note in record.notes:
        say(note)


def _write(record: Any, folder: Path) -> None:
    from fer_opt.reports.record import RunRecord
    from fer_opt.reports.write import write_bench_reports, write_reports

    write: Any = write_reports if isinstance(record, RunRecord) else write_bench_reports
    paths = write(record, folder)
    say(f"The report is {next(path for path in paths if path.suffix == '.html')}")
