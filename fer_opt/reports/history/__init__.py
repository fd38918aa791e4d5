"""How a model's latency went over many records: a look back, never a verdict."""

from __future__ import annotations

from fer_opt.reports.history.changes import Change
from fer_opt.reports.history.gathering import Gathered, gather
from fer_opt.reports.history.points import Machine, Point
from fer_opt.reports.history.trends import NEVER_A_VERDICT, Trend, trends_of
from fer_opt.reports.history.write import write_history

__all__ = [
    "NEVER_A_VERDICT",
    "Change",
    "Gathered",
    "Machine",
    "Point",
    "Trend",
    "gather",
    "trends_of",
    "write_history",
]
