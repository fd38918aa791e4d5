"""Which delegate ran a graph, as far as the log tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from fer_opt.device.benchmark_model.lines import Line

__all__ = ["Delegate", "Extent", "read_delegate"]

Extent = Literal["complete", "partial", "none", "unknown"]
"""How much of the graph a delegate runs."""

_CREATED = re.compile(
    r"Created TensorFlow Lite (?:(\S+) delegate for CPU|delegate for (\S+?))\.?$"
    r"|(\S+) delegate created\.?$"
)
_APPLIED = re.compile(
    r"(?:Explicitly a|A)pplied (\S+) delegate, and the model graph will be "
    r"(completely|partially) executed (?:by|w/) the delegate(?: w/ (\d{1,9}) delegate kernels)?"
)
_NOT_APPLIED = re.compile(
    r"Though (\S+) delegate is (?:explicitly )?applied, the model graph will not be executed"
)


@dataclass(frozen=True, slots=True)
class Delegate:
    """What ran the graph.

    Attributes:
        name: e.g. ``XNNPACK``; empty where none is known of.
        extent: how much of the graph it runs. A delegate the runtime applies by itself says only
            that it was made, which is ``unknown``.
        kernels: into how many pieces it put what it runs; None where that is not told.
    """

    name: str
    extent: Extent
    kernels: int | None = None

    @property
    def words(self) -> str:
        """In words for the record, as this computer's measurements have them."""
        if self.extent == "none":
            return "none"
        if not self.name:
            return "unknown"
        if self.extent == "partial":
            return f"{self.name} (part of the graph)"
        return self.name if self.extent == "complete" else f"{self.name} (extent unknown)"


def read_delegate(lines: tuple[Line, ...], parameters: dict[str, str]) -> Delegate:
    """The delegate named last; a line about how it was applied tells more than one of its birth."""
    created = ""
    applied: Delegate | None = None
    for line in lines:
        if found := _APPLIED.match(line.text):
            kernels = None if found[3] is None else int(found[3])
            whole = found[2] == "completely"
            applied = Delegate(found[1], "complete" if whole else "partial", kernels)
        elif found := _NOT_APPLIED.match(line.text):
            applied = Delegate(found[1], "none")
        elif found := _CREATED.match(line.text):
            created = found[1] or found[2] or found[3]
    if applied is not None:
        return applied
    if created:
        return Delegate(created, "unknown")
    refused = parameters.get("Use xnnpack") in ("0", "false")
    return Delegate("", "none" if refused else "unknown")
