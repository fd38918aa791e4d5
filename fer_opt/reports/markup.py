"""Pieces of GitHub's Markdown, every text escaped."""

from __future__ import annotations

import re

from fer_opt.reports.cautions import Warned
from fer_opt.reports.tables import Cell, Table

__all__ = ["bullets", "details", "escaped", "fenced", "table_blocks", "warned"]


def escaped(text: str) -> str:
    """``text`` so that Markdown and the HTML in it mean nothing, on one line."""
    one_line = " ".join(text.split("\n")).replace("\r", " ")
    safe = re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", one_line).replace("&", "&amp;")
    # A backslash stops neither GitHub's autolinks nor its mentions; a zero-width space does.
    return re.sub(r"(?i)(https?):(?=//)|(www)\.|@(?=\w)", _broken, safe)


def _broken(found: re.Match[str]) -> str:
    return f"{found.group(0)}\u200b"


def warned(warnings: tuple[Warned, ...]) -> str:
    """Warnings as a list, the loud ones marked."""
    return "\n".join(
        f"- {'⚠' if item.tone == 'bad' else '!'} **{escaped(item.headline)}.** "
        f"{escaped(item.detail)}"
        for item in warnings
    )


def fenced(text: str, language: str) -> str:
    """``text`` as a block of code."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def details(heading: str, body: str) -> str:
    """``body`` folded away under ``heading``."""
    return f"<details><summary>{escaped(heading)}</summary>\n\n{body}\n\n</details>"


def bullets(texts: tuple[str, ...]) -> list[str]:
    """Texts as a list."""
    return ["\n".join(f"- {escaped(text)}" for text in texts)]


def table_blocks(table: Table, heading: bool = False) -> list[str]:
    """A table and its notes, its caption as a heading where wanted."""
    blocks = [f"### {escaped(table.caption)}"] if heading else []
    titles = " | ".join(escaped(column.title) for column in table.columns)
    rule = " | ".join("---:" if column.numeric else ":---" for column in table.columns)
    lines = [f"| {titles} |", f"| {rule} |"]
    for title, rows in table.groups:
        if title:
            lines.append(f"| **{escaped(title)}** |{' |' * (len(table.columns) - 1)}")
        lines.extend(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)
    blocks.append("\n".join(lines))
    blocks.extend(escaped(note) for note in table.notes)
    return blocks


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    if cell.tone in ("bad", "warn"):
        text = f"**{text}**"
    badges = "".join(f" **{escaped(badge)}**" for badge, _ in cell.badges)
    detail = f"<br><sub>{escaped(cell.detail)}</sub>" if cell.detail else ""
    key = f"**{escaped(cell.key)}** " if cell.key else ""
    return f"{key}{text}{badges}{detail}"
