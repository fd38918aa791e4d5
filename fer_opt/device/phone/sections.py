"""Taking apart what a script of ours printed on a phone."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["MISSING", "Section", "file_lines", "split_sections", "whole_number"]


@dataclass(frozen=True, slots=True)
class Section:
    """What one command printed, and its exit status; None where its end never came.

    ``text`` is then empty: half a number is another number.
    """

    text: str
    status: int | None
    cut: str = ""

    @property
    def trouble(self) -> str:
        """Why it gave nothing useful: it was cut off, or its last line."""
        if self.status is None:
            return self.cut
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return lines[-1][:200] if lines else "it answered nothing"


MISSING = Section("", None, "the phone's answer ends before it")


def split_sections(output: str) -> dict[str, Section]:
    """Sections by name, from lines ``:::begin NAME`` and ``:::end STATUS`` around each.

    A section whose end is missing (the phone stopped in it) is empty. Lines may end in
    CRLF, as a shell on a terminal prints them.
    """
    sections: dict[str, Section] = {}
    name: str | None = None
    lines: list[str] = []
    for line in output.replace("\r\n", "\n").split("\n"):
        if begin := re.fullmatch(r":::begin (\w+)", line):
            name, lines = begin[1], []
            sections[name] = Section("", None, "the phone's answer ends in the middle of it")
        elif name is not None and (end := re.fullmatch(r":::end (\d{1,5})", line)):
            sections[name] = Section("\n".join(lines).strip("\n"), int(end[1]))
            name, lines = None, []
        elif name is not None:
            lines.append(line)
    return sections


def file_lines(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """First lines of files by path, and reasons by path, from ``PATH = …`` and ``PATH ! …``."""
    values: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for line in text.splitlines():
        if found := re.match(r"(/\S+) ([=!]) ?(.*)", line):
            path, sign, rest = found.groups()
            if sign == "=":
                values[path] = rest.strip()
            else:
                # "cat: PATH: Permission denied" is told as "Permission denied".
                reasons[path] = rest.rpartition(": ")[2].strip() or "it is empty"
    return values, reasons


def whole_number(text: str | None, least: int = 0, most: int = 1 << 53) -> int | None:
    """The whole number ``text`` is, within bounds; None where it is none."""
    if text is None or not re.fullmatch(r"\s*-?[0-9]{1,19}\s*", text):
        return None
    value = int(text)
    return value if least <= value <= most else None
