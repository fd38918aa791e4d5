"""The eight tables of the thesis fer-opt stems from, as data.

A. Valero Puche, *Facial expression classifier based on machine learning algorithms*, Universitat
Politècnica de València, 2018. The text marks no pages, so a table's pages are those its contents
give the section. Decimal commas are points here; what is odd in print stands in a table's notes.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

__all__ = ["TABLE_NUMBERS", "PublishedTable", "Value", "published_table"]

TABLE_NUMBERS = tuple(range(1, 9))

Value = str | int | float


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class PublishedTable:
    """One table of the thesis.

    Attributes:
        number: as printed.
        caption: as printed.
        section: its number, e.g. ``4.1``.
        section_title: as printed.
        pages: first and last page of the section.
        columns: names of the columns, with their unit.
        rows: a value for each column.
        notes: what is odd in print, or was put differently here; a sentence each.
    """

    number: int
    caption: str
    section: str
    section_title: str
    pages: tuple[int, int]
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str, ...]

    @property
    def where(self) -> str:
        """Where it stands, e.g. ``Table 7, section 4.1 (pages 31–33)``."""
        first, last = self.pages
        return f"Table {self.number}, section {self.section} (pages {first}–{last})"

    def records(self) -> tuple[dict[str, Value], ...]:
        """Each row as a mapping from column to value."""
        return tuple(dict(zip(self.columns, row, strict=True)) for row in self.rows)


_ADAPTER = TypeAdapter(PublishedTable)


@cache
def published_table(number: int) -> PublishedTable:
    """The thesis's table of that number, 1 to 8.

    Raises:
        KeyError: the thesis has no such table.
    """
    if number not in TABLE_NUMBERS:
        raise KeyError(number)
    file = resources.files("fer_opt.reports") / "thesis" / f"table_{number}.json"
    return _ADAPTER.validate_json(file.read_bytes())
