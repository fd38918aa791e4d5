"""What ``fer-opt gate`` leaves: one screen, files for CI, and an exit code."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import typer

from fer_opt.cli.console import complain, print_json, print_text, say
from fer_opt.errors import (
    MeasurementError,
    NoBaselineError,
    OutputError,
    PhoneError,
    RunnerError,
)

__all__ = ["EXIT_CODES", "OutputFiles", "finish", "gated_or_exit"]

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3, "invalid": 4}
NOT_VALID, NO_BASELINE = 4, 5

WIDTH, HEIGHT = 79, 23
"""One screen: of 80 columns and 24 lines, the last for the prompt."""

LABEL = 11
"""Columns of what a paragraph is about."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class OutputFiles:
    """Where a verdict goes besides the terminal.

    Attributes:
        junit: file for JUnit XML.
        markdown: file for Markdown.
        github: whether annotations are printed; None asks the environment.
        pytest_benchmark: file for pytest-benchmark's JSON.
        benchmark_action: file for github-action-benchmark's.
        bencher: file for Bencher's.
        undecided: what an inconclusive verdict is.
    """

    junit: Path | None
    markdown: Path | None
    github: bool | None
    pytest_benchmark: Path | None
    benchmark_action: Path | None
    bencher: Path | None
    undecided: Literal["pass", "fail", "inconclusive"]

    def check(self) -> None:
        """Refuse places that cannot be written, before anything is measured.

        Raises:
            OutputError: a folder is missing or not writable.
        """
        for path in (
            self.junit, self.markdown, self.pytest_benchmark, self.benchmark_action, self.bencher,
        ):  # fmt: skip
            if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
                raise OutputError(
                    f"{path} cannot be written; name a file in a folder that exists and that you "
                    "may write to."
                )

    def write(self, record: Any) -> None:
        """Write every file that was asked for, and what GitHub asks for."""
        from fer_opt.files import write_atomically
        from fer_opt.reports.gate.outputs.annotations import github_annotations
        from fer_opt.reports.gate.outputs.bencher import bencher_json
        from fer_opt.reports.gate.outputs.benchmark_action import benchmark_action_json
        from fer_opt.reports.gate.outputs.junit import junit_xml
        from fer_opt.reports.gate.outputs.markdown import gate_markdown
        from fer_opt.reports.gate.outputs.pytest_benchmark import pytest_benchmark_json

        makers: tuple[tuple[Path | None, Callable[[], str]], ...] = (
            (self.junit, lambda: junit_xml(record, self.undecided)),
            (self.markdown, lambda: gate_markdown(record)),
            (self.pytest_benchmark, lambda: pytest_benchmark_json(record)),
            (self.benchmark_action, lambda: benchmark_action_json(record)),
            (self.bencher, lambda: bencher_json(record)),
        )
        for path, make in makers:
            if path is not None:
                write_atomically(path, make())
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            _append(Path(summary), gate_markdown(record))
        on_github = os.environ.get("GITHUB_ACTIONS") == "true"
        if on_github if self.github is None else self.github:
            for line in github_annotations(record):
                # Not through Rich, which would wrap them.
                print(line)


def gated_or_exit(work: Callable[[], Result]) -> Result:
    """The result of ``work``, or its own exit code: nothing measured, or nothing to compare with.

    Raises:
        FerOptError: what was asked cannot be done.
    """
    try:
        return work()
    except NoBaselineError as exc:
        complain(str(exc))
        raise typer.Exit(NO_BASELINE) from None
    except (MeasurementError, PhoneError, RunnerError) as exc:
        complain(str(exc))
        say("Nothing was judged: the measurement is not valid (exit code 4).")
        raise typer.Exit(NOT_VALID) from None


def finish(record: Any, path: Path, outputs: OutputFiles, *, json: bool) -> None:
    """Print, write, and exit with the verdict's code."""
    from fer_opt.reports.gate.story import tell_gate

    story = tell_gate(record)
    if json:
        print_json(_facts(record, story, path))
    else:
        print_text("\n".join(_screen(story, path)))
    outputs.write(record)
    outcome = story.outcome
    if outcome == "inconclusive" and outputs.undecided != "inconclusive":
        outcome = outputs.undecided
        say(f"An inconclusive gate counts as {outcome} here (--inconclusive-is).")
    raise typer.Exit(EXIT_CODES[outcome])


def _screen(story: Any, path: Path) -> list[str]:
    """At most :data:`HEIGHT` lines; the worst first where not all of it fits."""
    order = ["invalid", "fail", "inconclusive", "pass"]
    head = [*_filled("", f"{story.word}  {story.headline}"), ""]
    tail = []
    if story.machine:
        mark = f" ({story.mark})" if story.mark else ""
        tail += _filled("measured on", f"{story.machine}{mark}")
    for note in story.notes:
        tail += _filled("note", note)
    tail += _filled("record", str(path))
    lines = head
    findings = sorted(story.findings, key=lambda one: order.index(one.outcome))
    for place, one in enumerate(findings):
        several = len({finding.subject for finding in findings}) > 1
        said = f"{one.subject}: {one.said}" if several and one.what != "latency" else one.said
        more = _filled(one.what, f"{one.outcome.upper()}. {said}")
        if one.surer:
            more += _filled("surer by", one.surer)
        left = len(findings) - place
        if len(lines) + len(more) + len(tail) + (left > 1) > HEIGHT and place:
            lines += _filled("", f"{left} more in the record and the reports.")
            break
        lines += more
    return [*lines, *tail]


def _filled(label: str, text: str) -> list[str]:
    """A paragraph beside its label."""
    shown = label if len(label) < LABEL else f"{label}:"
    first = f"{shown:<{LABEL}} " if label else ""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * (LABEL + 1) if label else "",
    )


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as handle:
            handle.write(text + "\n")
    except OSError as exc:
        raise OutputError(
            f"{path} cannot be written ({exc.strerror or exc}); unset GITHUB_STEP_SUMMARY."
        ) from exc


def _facts(record: Any, story: Any, path: Path) -> dict[str, Any]:
    """What scripts want to know."""
    import dataclasses

    return {
        "record": str(path),
        "outcome": story.outcome,
        "exit_code": EXIT_CODES[story.outcome],
        "headline": story.headline,
        "machine": story.machine,
        "mark": story.mark,
        "findings": [dataclasses.asdict(one) for one in story.findings],
        "comparisons": [
            {
                "candidate": one.candidate.name,
                "verdict": None if one.verdict is None else dataclasses.asdict(one.verdict),
                "budgets": [dataclasses.asdict(budget) for budget in one.budgets],
                "accuracy": None if one.accuracy is None else dataclasses.asdict(one.accuracy),
                "against": None if one.against is None else dataclasses.asdict(one.against),
                "invalid": list(one.invalid),
            }
            for one in record.comparisons
        ],
    }
