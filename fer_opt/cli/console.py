"""What the terminal shows: tables on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Column, Table
from rich.text import Text

from fer_opt.progress import Advance, Progress

__all__ = [
    "Bars",
    "Terminal",
    "complain",
    "print_json",
    "print_line",
    "print_pieces",
    "print_table",
    "print_text",
    "say",
]

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
        with _bars() as bar:
            task = bar.add_task(title, total=total)
            yield lambda units: bar.advance(task, units)

    def say(self, sentence: str) -> None:
        """Print a sentence above the bars."""
        say(sentence)


class Bars:
    """Bars of several pieces of work at the same time, each under a name of its own."""

    @contextlib.contextmanager
    def drawn(self, *, wanted: bool) -> Iterator[Callable[[str], Progress]]:
        """Draw bars where somebody watches; the value makes each piece's progress by its name.

        Args:
            wanted: False draws nothing here, so that a :class:`Terminal` can draw its own bar.
        """
        draws = wanted and _err.is_terminal
        with _bars(width=8) if draws else contextlib.nullcontext() as bars:
            yield lambda name: _Named(name, bars)


class _Named:
    """The progress of one of several pieces of work; may be used from a thread of its own."""

    def __init__(self, name: str, bars: RichProgress | None) -> None:
        self._name, self._bars = name, bars

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Draw one more bar, or say when the stage is done."""
        bars = self._bars
        if bars is None:
            yield lambda _: None
            self.say(f"{title}: done.")
            return
        task = bars.add_task(f"{self._name}: {title}", total=total)
        yield lambda units: bars.advance(task, units)

    def say(self, sentence: str) -> None:
        """Print a sentence, saying of what."""
        say(f"{self._name}: {sentence}")


class _Count(ProgressColumn):
    """How much of how much, large numbers such as bytes in millions."""

    def render(self, task: Task) -> Text:
        """Render one bar's count."""
        done, total = task.completed, task.total or 0
        if total >= 1_000_000:
            return Text(f"{done / 1e6:.1f}/{total / 1e6:.1f} M", style="progress.download")
        return Text(f"{done:.0f}/{total:.0f}", style="progress.download")


def _bars(width: int = 20) -> RichProgress:
    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=width),
        _Count(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=_err,
        # Rich would print results above the bars, on standard error, even where they go to a file.
        redirect_stdout=_out.is_terminal,
    )


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


def print_line(start: str, path: str) -> None:
    """Print one line of results, at most as wide as the terminal; of a long path the end."""
    room = _out.width - cell_len(start)
    while cell_len(path) > room:
        path = f"…{path[2:]}" if path.startswith("…") else f"…{path[1:]}"
    _out.print(Text(f"{start}{path}"), crop=False, no_wrap=True, overflow="ignore")


def print_pieces(pieces: Iterable[str]) -> None:
    """Print a text that is made piece by piece, such as JSON of any length."""
    for piece in pieces:
        print(piece, end="")


def print_json(value: Any) -> None:
    """Print a value as JSON, for scripts."""
    # Not through Rich: it would wrap at the terminal's width.
    print(json.dumps(value, indent=1, ensure_ascii=False))
