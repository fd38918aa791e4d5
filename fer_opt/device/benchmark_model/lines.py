"""A log as lines: whatever ends them, with or without a level, both streams in any order."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Line", "quoted", "read_lines", "tail"]

TAIL_LINES = 3
"""How many of a log's last lines are quoted."""

TAIL_CHARACTERS = 160
"""How much of each is quoted; newer builds print sentences of 300 characters."""

_LEVEL = re.compile(r"(INFO|WARN|WARNING|ERROR|FATAL|VERBOSE): ?")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log.

    Attributes:
        level: INFO, WARN, ERROR or FATAL; empty where none is printed, as in builds before 2022.
        text: what follows the level.
        whole: whether its end was printed; a number at an end that is missing may be cut.
    """

    level: str
    text: str
    whole: bool = True


def read_lines(text: str) -> tuple[Line, ...]:
    """The lines of a log, blank ones left out.

    Only a line feed ends a line, since a tensor's name may hold any other control character; the
    carriage returns that a terminal adds before it are dropped.
    """
    *whole, rest = text.split("\n")
    lines = [_line(line, True) for line in whole if line.strip()]
    return (*lines, _line(rest, False)) if rest.strip() else tuple(lines)


def _line(line: str, whole: bool) -> Line:
    line = line.rstrip("\r")
    found = _LEVEL.match(line)
    if found is None:
        return Line("", line, whole)
    level = {"WARNING": "WARN", "VERBOSE": "INFO"}.get(found[1], found[1])
    return Line(level, line[found.end() :], whole)


def tail(lines: tuple[Line, ...]) -> str:
    """A log's last lines in one, each cut to a length that can be read; empty for an empty log.

    Where it has lines of errors, those are its last: the other stream may come before or after.
    """
    errors = [line for line in lines if line.level in ("ERROR", "FATAL")]
    return " / ".join(
        quoted(f"{line.level}: {line.text}".removeprefix(": "))
        for line in (errors or lines)[-TAIL_LINES:]
    )


def quoted(words: str, most: int = TAIL_CHARACTERS) -> str:
    """Words of a log as they may stand in a sentence: one line, printable, not too long."""
    words = " ".join(words[: 10 * most].split())
    words = "".join(letter if letter.isprintable() else "?" for letter in words)
    return words if len(words) <= most else f"{words[: most - 1]}…"
