"""GitHub's annotations: lines that a job prints and GitHub shows beside the change.

What may stand in them is escaped as GitHub's own toolkit does it
(https://github.com/actions/toolkit, packages/core/src/command.ts): ``%``, CR and LF everywhere,
``:`` and ``,`` in properties too. A line break that got through would be a command of its own.
"""

from __future__ import annotations

from fer_opt.reports.gate.plain import plain
from fer_opt.reports.gate.record import GateOutcome, GateRecord
from fer_opt.reports.gate.story import tell_gate

__all__ = ["github_annotations"]

LEVELS: dict[GateOutcome, str] = {
    "fail": "error",
    "invalid": "error",
    "inconclusive": "warning",
    "pass": "notice",
}


def github_annotations(record: GateRecord) -> tuple[str, ...]:
    """A line for everything that did not pass; one notice where all did."""
    story = tell_gate(record)
    mark = f" ({story.mark})" if story.mark else ""
    lines = [
        _command(
            LEVELS[one.outcome],
            f"fer-opt gate: {one.what} of {one.subject}: {one.outcome}",
            " ".join(filter(None, [one.said, one.surer])) + mark,
        )
        for one in story.findings
        if one.outcome != "pass"
    ]
    return tuple(lines) or (_command("notice", "fer-opt gate", story.headline + mark),)


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
