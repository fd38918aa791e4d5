"""Budgets as people write them: ``total=500ms``, ``classify=0.1s``, ``size=2MB``."""

from __future__ import annotations

import re

from fer_opt.errors import GateError
from fer_opt.reports.gate.budgets import LatencyBudget, SizeBudget

__all__ = ["parse_budget"]

MILLISECONDS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1000.0}
BYTES = {
    "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3,
    "kib": 1024, "mib": 1024**2, "gib": 1024**3,
}  # fmt: skip
AMOUNT = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>[A-Za-zµ]*)", re.ASCII)


def parse_budget(text: str, percentile: float = 95.0) -> LatencyBudget | SizeBudget:
    """The budget that ``text`` states.

    Args:
        text: ``SUBJECT=AMOUNT``: a stage, a model or ``total`` with a time in us, ms or s; or
            ``size`` with B, kB, MB, GB (thousands), KiB, MiB, GiB (1024).
        percentile: of times, 50 to 99.

    Raises:
        GateError: it is no budget.
    """
    # A model's name may hold "="; an amount does not.
    subject, _, amount = text.rpartition("=")
    subject = subject.strip()
    found = AMOUNT.fullmatch(amount.strip())
    if not subject or found is None:
        raise GateError(
            f"{text!r} is no budget; write it like total=500ms, classify=100ms or size=2MB."
        )
    number, unit = float(found["number"]), found["unit"]
    if subject == "size":
        if unit.lower() not in BYTES:
            raise GateError(f"{text!r} has no unit of size; write it like size=2MB or size=900KiB.")
        return SizeBudget(int(number * BYTES[unit.lower()]))
    if unit not in MILLISECONDS:
        raise GateError(f"{text!r} has no unit of time; write it like {subject}=500ms.")
    return LatencyBudget(subject, number * MILLISECONDS[unit], percentile)
