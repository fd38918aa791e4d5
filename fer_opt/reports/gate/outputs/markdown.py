"""GitHub's Markdown, for a pull request's comment and a job's summary."""

from __future__ import annotations

from fer_opt.reports.gate.outputs.timed import TimedOutput, timed_outputs
from fer_opt.reports.gate.plain import plain
from fer_opt.reports.gate.record import GateRecord
from fer_opt.reports.gate.story import Finding, tell_gate
from fer_opt.reports.markup import details, escaped

__all__ = ["gate_markdown"]

SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "invalid": "⚠️"}


def gate_markdown(record: GateRecord) -> str:
    """The verdict, a row for each thing that was judged, the times, and how they were made."""
    story = tell_gate(record)
    blocks = [f"### {SIGNS[story.outcome]} fer-opt gate: {_text(story.headline)}"]
    if story.machine:
        mark = f" – **{_text(story.mark)}**" if story.mark else ""
        blocks.append(f"Measured on {_text(story.machine)}{mark}.")
    if story.findings:
        blocks.append(_findings(story.findings))
    blocks += [_text(note) for note in story.notes]
    if times := timed_outputs(record):
        blocks.append(details("Times", _times(times)))
    blocks.append(
        f"<sub>fer-opt {_text(record.fer_opt_version)}, {_text(record.created_at)}; medians of "
        "fresh processes, in pairs side by side, decided by Yuen's trimmed t.</sub>"
    )
    return "\n\n".join(blocks) + "\n"


def _findings(findings: tuple[Finding, ...]) -> str:
    lines = ["| | model | what | found |", "|---|---|---|---|"]
    for one in findings:
        found = _text(one.said)
        if one.surer:
            found += f" *What would make it surer: {_text(one.surer)}*"
        lines.append(
            f"| {SIGNS[one.outcome]} {one.outcome} | {_text(one.subject)} | {_text(one.what)} "
            f"| {found} |"
        )
    return "\n".join(lines)


def _times(times: tuple[TimedOutput, ...]) -> str:
    lines = [
        "| model | processes | median ms | interval ms | file, bytes |",
        "|---|---:|---:|---:|---:|",
    ]
    for one in times:
        found = one.summary
        lines.append(
            f"| {_text(one.title)} | {found.processes} | {found.median_ms:.4g} "
            f"| {found.low_ms:.4g} to {found.high_ms:.4g} | {one.model.size_bytes:,} |"
        )
    return "\n".join(lines)


def _text(text: str) -> str:
    return escaped(plain(text))
