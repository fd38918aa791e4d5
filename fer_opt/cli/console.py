"""What the terminal shows: tables on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from fer_opt.progress import Advance

__all__ = ["Terminal", "complain", "print_json", "print_table", "print_text", "say"]

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)


class Terminal:
    """A :class:`fer_opt.progress.Progress` that draws bars with the time left."""

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Draw a bar where somebody watches; otherwise one line when the stage is done."""
        if not _err.is_terminal:
            yield lambda _: None
            say(f"{title}: done.")
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=_err) as bar:
            task = bar.add_task(title, total=total)
            yield lambda units: bar.advance(task, units)

    def say(self, sentence: str) -> None:
        """Print a sentence above the bars."""
        say(sentence)


def say(sentence: str) -> None:
    """Tell the user something, beside the results."""
    _err.print(sentence, markup=False, soft_wrap=not _err.is_terminal)


def complain(sentence: str) -> None:
    """Print an error."""
    _err.print("fer-opt:", style="bold red", end=" ")
    _err.print(sentence, markup=False, soft_wrap=not _err.is_terminal)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,)
) -> None:
    """Print a table; all columns but those in ``left`` are aligned right."""
    from rich.text import Text

    table = Table(
        title=title, title_justify="left", title_style="bold", pad_edge=False, box=box.SIMPLE_HEAD
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index in left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    _out.print(table)


def print_text(text: str) -> None:
    """Print a paragraph of results."""
    _out.print(text, markup=False)


def print_json(value: Any) -> None:
    """Print a value as JSON, for scripts."""
    # Not through Rich: it would wrap at the terminal's width.
    print(json.dumps(value, indent=1, ensure_ascii=False))
