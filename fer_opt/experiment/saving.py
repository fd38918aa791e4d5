"""How the parts of a run keep what they have made so far."""

from __future__ import annotations

from collections.abc import Callable

from fer_opt.reports.record import RunRecord

__all__ = ["Save"]

Save = Callable[[RunRecord], None]
"""Writes the record down; called after every piece of finished work."""
