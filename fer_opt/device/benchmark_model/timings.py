"""The line that sums up many inferences: ``count=30 first=… curr=… min=… max=… avg=… std=…``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fer_opt.device.measurement import InferenceSummary

__all__ = ["NUMBER", "Timings", "agree", "fault_of", "parse_timings"]

NUMBER = r"-?\d{1,18}(?:\.\d{1,18})?(?:e[+-]?\d{1,2})?"
"""A number as C++ streams print it; its length is bounded, so that it always fits a float."""

SIX_DIGITS = 1e-5
"""Relative error of a number printed with six digits, with room to spare."""

_INTEGER = r"-?\d{1,18}"
_TIMINGS = re.compile(
    rf"count=(?P<count>\d{{1,18}})"
    rf"(?: curr=(?P<same>{_INTEGER})(?P<all_same>\(all same\))?"
    rf"| first=(?P<first>{_INTEGER}) curr={_INTEGER} min=(?P<min>{_INTEGER})"
    rf" max=(?P<max>{_INTEGER}) avg=(?P<avg>{NUMBER}) std=(?P<std>{_INTEGER}))?"
    rf"(?: p5=(?P<p5>{_INTEGER}) median=(?P<median>{_INTEGER}) p95=(?P<p95>{_INTEGER}))?"
)


@dataclass(frozen=True, slots=True)
class Timings:
    """What one such line says.

    Attributes:
        count: inferences.
        first_ms: time of the first; None where there was none.
        summary: of all; None where there was none.
    """

    count: int
    first_ms: float | None
    summary: InferenceSummary | None


def parse_timings(text: str) -> Timings | None:
    """Read such a line; None where ``text`` is none, or is cut.

    Times are microseconds: whole ones but for the mean, which has six digits and turns scientific
    from one second on. A single inference, or equal ones, print ``count=2 curr=17(all same)``.
    Percentiles (the 5th, the median, the 95th) are missing in builds before late 2024.
    """
    found = _TIMINGS.fullmatch(text.rstrip())
    if found is None:
        return None
    count = int(found["count"])
    same, first = found["same"], found["first"]
    if count == 0 and same is None and first is None:
        return Timings(0, None, None)
    if count == 0 or (same is None and first is None) or (found["all_same"] and count < 2):
        return None
    if same is not None and count > 1 and not found["all_same"]:
        return None
    return Timings(
        count,
        _ms(same if first is None else first),
        InferenceSummary(
            count=count,
            mean_ms=_ms(found["avg"] or same),
            min_ms=_ms(found["min"] or same),
            max_ms=_ms(found["max"] or same),
            sd_ms=_ms(found["std"] or "0"),  # of equal times it is nothing, and is not printed
            median_ms=_percentile(found["median"]),
            p5_ms=_percentile(found["p5"]),
            p95_ms=_percentile(found["p95"]),
        ),
    )


def agree(one: float, other: float) -> bool:
    """Whether two numbers are the same but for being printed with six digits."""
    return abs(one - other) <= SIX_DIGITS * max(abs(one), abs(other))


def fault_of(timings: Timings) -> str:
    """Why a line's numbers cannot belong together; empty where they can.

    A line whose digits were lost or mixed with another's rarely keeps these relations.
    """
    summary = timings.summary
    if summary is None or timings.first_ms is None:
        return ""
    if summary.min_ms < 0:
        return "a time is below zero"
    ascending = [summary.min_ms, summary.p5_ms, summary.median_ms, summary.p95_ms, summary.max_ms]
    known = [value for value in ascending if value is not None]
    if known != sorted(known):
        return "least, percentiles and greatest time are not in order"
    if not summary.min_ms <= timings.first_ms <= summary.max_ms:
        return "the first time is outside the range of all"
    low, high = summary.min_ms * (1 - SIX_DIGITS), summary.max_ms * (1 + SIX_DIGITS)
    if not low <= summary.mean_ms <= high:
        return "the mean is outside the range of all times"
    # No set of numbers spreads by more than half its range. The runner subtracts squares, whose
    # rounding shows where times are long and nearly equal.
    most = (summary.max_ms - summary.min_ms) / 2 + 1e-7 * summary.mean_ms
    if not 0 <= summary.sd_ms <= most:
        return "the standard deviation is larger than the range allows"
    return ""


def _ms(microseconds: str) -> float:
    return float(microseconds) / 1000


def _percentile(microseconds: str | None) -> float | None:
    return None if microseconds is None else _ms(microseconds)
