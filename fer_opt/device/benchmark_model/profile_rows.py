"""Rows of an operator profile, in the two forms the runner prints: for reading, and as "CSV".

The readable form is separated by tabs, its numbers cut to 0.001 ms. The other is separated by
``, `` without quoting, although types hold commas (``Convolution (NHWC, F32) IGEMM``); commas in
names become tabs. Builds before 2022 have one more column, ``start``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from fer_opt.device.benchmark_model.timings import NUMBER

__all__ = ["KindRow", "Layout", "ProfileRow", "read_kind", "read_layout", "read_row"]

_TIME = NUMBER.removeprefix("-?")
_PERCENT = r"-?(?:nan|inf|\d{1,9}(?:\.\d{1,9})?(?:e[+-]?\d{1,3})?)%"
_CALLS = r"\d{1,9}"
_NODE = (_TIME, _TIME, _PERCENT, _PERCENT, NUMBER, _CALLS)
_KIND = (_CALLS, _TIME, _PERCENT, _PERCENT, NUMBER, _CALLS)


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One node of the graph, or one step of initialisation.

    Attributes:
        kind: its type, e.g. ``CONV_2D``, or what a delegate calls it.
        name: its own, with its place in the plan, e.g. ``[probabilities]:19``.
        first_ms: its time in the first inference profiled.
        mean_ms: its mean time in one inference.
        share: of all nodes' time, 0 to 1; None where all of them together took no time.
        memory_kb: by which it raised the process's footprint.
        calls: in one inference.
    """

    kind: str
    name: str
    first_ms: float
    mean_ms: float
    share: float | None
    memory_kb: float
    calls: int


@dataclass(frozen=True, slots=True)
class KindRow:
    """All nodes of one type.

    Attributes:
        kind: the type.
        count: how many nodes.
        mean_ms: their time in one inference, a sum of whole microseconds.
        share: of all nodes' time, 0 to 1; None where that is nothing.
        memory_kb: by which they raised the process's footprint.
        calls: in one inference.
    """

    kind: str
    count: int
    mean_ms: float
    share: float | None
    memory_kb: float
    calls: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows below a heading are written.

    Attributes:
        form: for reading, or "CSV".
        start: whether the column ``start`` is there.
    """

    form: Literal["text", "csv"]
    start: bool


def read_layout(text: str) -> Layout | None:
    """The layout a table's heading announces; None where ``text`` is no heading."""
    words = text.casefold()
    if re.match(r"\t *\[node type\]\t", words):
        return Layout("text", "[start]" in words)
    if re.match(r"node type, ?", words):
        return Layout("csv", re.match(r"node type, ?start,", words) is not None)
    return None


def read_row(text: str, layout: Layout) -> ProfileRow | None:
    """A node's row; None where ``text`` is something else, for instance the other stream's."""
    found = _NODE_ROW[layout.form, layout.start].fullmatch(text)
    if found is None:
        return None
    kind, first, mean, share, _, memory, calls, name = found.groups()
    if layout.form == "csv":
        name = name.replace("\t", ",")
    return ProfileRow(
        kind.strip(), name, float(first), float(mean), _share(share), float(memory), int(calls)
    )


def read_kind(text: str, layout: Layout) -> KindRow | None:
    """A type's row; None where ``text`` is something else."""
    found = _KIND_ROW[layout.form].fullmatch(text.rstrip())
    if found is None:
        return None
    kind, count, mean, share, _, memory, calls = found.groups()
    return KindRow(kind.strip(), int(count), float(mean), _share(share), float(memory), int(calls))


def _share(percent: str) -> float | None:
    number = percent.removesuffix("%")
    return None if "n" in number else round(float(number) / 100, 12)  # nan, inf


def _text(fields: tuple[str, ...], start: bool) -> str:
    begin = rf"\t *{NUMBER}" if start else ""
    return r"\t([^\t]*)" + begin + "".join(rf"\t *({field})" for field in fields)


def _csv(fields: tuple[str, ...], start: bool) -> str:
    # The type takes all it can, so that the fields are those farthest to the right.
    begin = rf", ?{NUMBER}" if start else ""
    return "(.*)" + begin + "".join(rf", ?({field})" for field in fields)


_NODE_ROW = {
    (form, start): re.compile(
        _text(_NODE, start) + r"\t(.*)" if form == "text" else _csv(_NODE, start) + r", ?(.*)"
    )
    for form in ("text", "csv")
    for start in (False, True)
}
_KIND_ROW = {
    "text": re.compile(_text(_KIND, False)),
    "csv": re.compile(_csv(_KIND, False)),
}
