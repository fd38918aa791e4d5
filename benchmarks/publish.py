"""Writing a benchmark's table into the page that publishes it."""

from __future__ import annotations

from pathlib import Path

from fer_opt.files import write_atomically


def put(page: Path, part: str, table: str) -> None:
    """Write a table between the markers of a page."""
    text = page.read_text("utf-8")
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    if not rest or not tail:
        raise SystemExit(f"{page} lacks the markers {begin} and {end}.")
    write_atomically(page, f"{head}{begin}\n{table}\n{end}{tail}")
