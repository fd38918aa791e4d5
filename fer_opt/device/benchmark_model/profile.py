"""Operator profiles: what each node of a graph takes, from a log or from the file it was put in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fer_opt.device.benchmark_model.lines import Line, read_lines, tail
from fer_opt.device.benchmark_model.profile_rows import (
    KindRow,
    Layout,
    ProfileRow,
    read_kind,
    read_layout,
    read_row,
)
from fer_opt.device.benchmark_model.timings import fault_of, parse_timings
from fer_opt.device.measurement import InferenceSummary
from fer_opt.errors import MeasurementError

__all__ = ["OperatorProfile", "ProfileSection", "parse_operator_profile", "parse_profile"]

_SECTION = re.compile(
    r"(?:(Profiling Info for Benchmark Initialization)"
    r"|Operator-wise Profiling Info for Regular Benchmark Runs):"
)
_BANNER = re.compile(r"=+ (\S[^=]{0,80}\S) =+\s*$")
_NODES = re.compile(r"Number of nodes executed: (\d{1,9})\s*$")


@dataclass(frozen=True, slots=True)
class ProfileSection:
    """The profile of initialisation or of the counted inferences.

    Attributes:
        rows: in run order.
        top: those that take longest, up to ten.
        kinds: summed by type.
        timings: of all nodes together; None where nothing was timed.
    """

    rows: tuple[ProfileRow, ...]
    top: tuple[ProfileRow, ...]
    kinds: tuple[KindRow, ...]
    timings: InferenceSummary | None


@dataclass(frozen=True, slots=True)
class OperatorProfile:
    """What one run tells of its operators.

    Attributes:
        initialisation: its steps; None in builds that tell nothing of it.
        regular: the counted inferences. Of a graph with subgraphs, only the main one.
    """

    initialisation: ProfileSection | None
    regular: ProfileSection


@dataclass(slots=True)
class _Draft:
    """A section while its lines are read."""

    rows: list[ProfileRow] = field(default_factory=list)
    top: list[ProfileRow] = field(default_factory=list)
    kinds: list[KindRow] = field(default_factory=list)
    timings: InferenceSummary | None = None
    nodes: int | None = None
    tables: set[str] = field(default_factory=set)
    over: bool = False


def parse_operator_profile(text: str) -> tuple[ProfileRow, ...]:
    """Every operator's time in one of the counted inferences, in run order.

    Args:
        text: a run's log, or the file its profile was written to, in either form.

    Raises:
        MeasurementError: there is no profile, or part of it is missing.
    """
    return parse_profile(text).regular.rows


def parse_profile(text: str) -> OperatorProfile:
    """All of an operator profile; see :func:`parse_operator_profile`."""
    lines = read_lines(text)
    drafts = _read(lines)
    if "regular" not in drafts:
        raise _refused("there is none", lines)
    sections = {name: _finished(draft, lines) for name, draft in drafts.items()}
    return OperatorProfile(sections.get("initialisation"), sections["regular"])


def _read(lines: tuple[Line, ...]) -> dict[str, _Draft]:
    drafts: dict[str, _Draft] = {}
    section, table = "regular", ""  # builds of 2019 print no heading, and only this section
    layout: Layout | None = None
    for line in lines:
        if found := _SECTION.match(line.text):
            section, table = "initialisation" if found[1] else "regular", ""
            if section in drafts:
                raise _refused("it tells of more than one run", lines)
        elif found := _BANNER.match(line.text):
            table, layout = found[1].casefold(), None
            draft = drafts.setdefault(section, _Draft())
            # The same table again is a subgraph's, or one of a delegate's own.
            draft.over = draft.over or table in draft.tables
            draft.tables.add(table)
        elif section in drafts and not drafts[section].over:
            layout = read_layout(line.text) or layout
            if line.whole:
                _take(drafts[section], table, layout, line.text)
    return drafts


def _take(draft: _Draft, table: str, layout: Layout | None, text: str) -> None:
    if found := _NODES.match(text):
        draft.nodes = int(found[1])
    elif text.startswith("Timings (microseconds): "):
        timings = parse_timings(text.partition(": ")[2])
        if timings is not None and not fault_of(timings):
            draft.timings = timings.summary
    elif layout is None:
        return
    elif table == "summary by node type":
        if (kind := read_kind(text, layout)) is not None:
            draft.kinds.append(kind)
    elif (row := read_row(text, layout)) is not None:
        if table == "run order":
            draft.rows.append(row)
        elif table == "top by computation time":
            draft.top.append(row)


def _finished(draft: _Draft, lines: tuple[Line, ...]) -> ProfileSection:
    if draft.nodes is None:
        raise _refused("it breaks off", lines)
    if len(draft.rows) != draft.nodes:
        raise _refused(f"it lists {len(draft.rows)} of {draft.nodes} nodes", lines)
    if sum(kind.count for kind in draft.kinds) != draft.nodes:
        raise _refused("its summary by type breaks off", lines)
    return ProfileSection(tuple(draft.rows), tuple(draft.top), tuple(draft.kinds), draft.timings)


def _refused(reason: str, lines: tuple[Line, ...]) -> MeasurementError:
    heard = f" (the text says: {tail(lines)})" if lines else ""
    return MeasurementError(
        f"The operator profile cannot be read, since {reason}; run once more with "
        f"--enable_op_profiling=true{heard}."
    )
