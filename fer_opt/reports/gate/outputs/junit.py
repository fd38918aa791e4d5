"""JUnit XML, as Jenkins, GitLab, GitHub's reporters and most other CI systems read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from xml.etree import ElementTree

from fer_opt.reports.gate.plain import plain
from fer_opt.reports.gate.record import GateRecord
from fer_opt.reports.gate.story import Finding, tell_gate

__all__ = ["Undecided", "junit_xml"]

Undecided = Literal["pass", "fail", "inconclusive"]
"""What becomes of a verdict that is inconclusive."""


def junit_xml(record: GateRecord, undecided: Undecided = "inconclusive") -> str:
    """Each thing that was judged as a test case.

    A regression is a failure, a measurement that is not valid an error. What is inconclusive is
    skipped, or a failure where ``undecided`` says so.
    """
    story = tell_gate(record)
    root = ElementTree.Element("testsuites", name="fer-opt gate")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name="fer-opt gate",
        tests=str(len(story.findings)),
        failures=str(_count(story.findings, "failure", undecided)),
        errors=str(_count(story.findings, "error", undecided)),
        skipped=str(_count(story.findings, "skipped", undecided)),
        time="0",
        timestamp=record.created_at.split("+")[0],
    )
    properties = ElementTree.SubElement(suite, "properties")
    facts = {
        "machine": story.machine,
        "times": story.mark or "a phone's",
        "outcome": story.outcome,
        "fer-opt": record.fer_opt_version,
        "fingerprint": record.fingerprint,
    }
    for name, value in facts.items():
        ElementTree.SubElement(properties, "property", name=name, value=plain(value))
    for finding in story.findings:
        _case(suite, finding, undecided, story.mark)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )


def _case(suite: ElementTree.Element, finding: Finding, undecided: Undecided, mark: str) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"fer-opt.gate.{plain(finding.subject)}",
        name=plain(finding.what),
        time="0",
    )
    text = plain(" ".join(filter(None, [finding.said, finding.surer, mark and f"({mark})"])))
    element = _element(finding, undecided)
    if element is None:
        ElementTree.SubElement(case, "system-out").text = text
        return
    told = ElementTree.SubElement(case, element, message=plain(finding.said))
    if element != "skipped":
        told.set("type", finding.outcome)
    told.text = text


def _element(finding: Finding, undecided: Undecided) -> str | None:
    match finding.outcome:
        case "fail":
            return "failure"
        case "invalid":
            return "error"
        case "inconclusive":
            return {"pass": "skipped", "inconclusive": "skipped", "fail": "failure"}[undecided]
    return None


def _count(findings: Sequence[Finding], element: str, undecided: Undecided) -> int:
    return sum(_element(one, undecided) == element for one in findings)
