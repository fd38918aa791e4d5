"""The history as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fer_opt.files import make_folder, write_atomically
from fer_opt.reports.csv_tables import inert
from fer_opt.reports.history.gathering import Gathered
from fer_opt.reports.history.page import render_history
from fer_opt.reports.history.trends import Trend, frame_of

__all__ = ["write_history"]


def write_history(trends: Sequence[Trend], gathered: Gathered, folder: Path) -> tuple[Path, ...]:
    """Write ``history.html`` and ``history.csv`` and return their paths.

    Raises:
        OutputError: the folder cannot be made, or a file not written.
    """
    page = render_history(trends, gathered)
    frame = frame_of(gathered.points).map(lambda value: inert(value))
    contents = {"history.html": page, "history.csv": frame.to_csv(index=False)}
    make_folder(folder)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return tuple(folder / name for name in contents)
