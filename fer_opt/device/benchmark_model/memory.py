"""What a log says of memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fer_opt.device.benchmark_model.lines import Line
from fer_opt.device.benchmark_model.timings import NUMBER

__all__ = ["Memory", "read_memory"]

MIB = 1 << 20
"""What the runner calls MB, for memory; the model's size it gives in 10⁶ bytes."""

# "Peak memory footprint" is the same figure, named so in 2020 and 2021.
_DELTAS = re.compile(
    r"(?:Memory footprint delta from the start of the tool|Peak memory footprint) \(MB\): "
    rf"init=({NUMBER}) overall=({NUMBER})\s*$"
)
_PEAK = re.compile(rf"Overall peak memory footprint \(MB\) via periodic monitoring: ({NUMBER})\s*$")
_STATUS = re.compile(r"[-+] (VmRSS|RssAnn?on|RssFile \+ RssShmem) *: (\d{1,9}) MB\s*$")


@dataclass(frozen=True, slots=True)
class Memory:
    """A run's memory, in bytes, each None where it is not told.

    Attributes:
        initialisation_bytes: by which loading the model raised the process's high-water mark.
        overall_bytes: by which the whole run raised it.
        peak_bytes: largest footprint seen while it was watched.
        resident_bytes: resident set at the end, to whole MiB.
        anonymous_bytes: its part that no file backs.
        file_bytes: its part that files and shared memory back.
    """

    initialisation_bytes: int | None = None
    overall_bytes: int | None = None
    peak_bytes: int | None = None
    resident_bytes: int | None = None
    anonymous_bytes: int | None = None
    file_bytes: int | None = None


def read_memory(lines: tuple[Line, ...]) -> Memory:
    """What a log says of memory; a line whose end is missing is not read."""
    found: dict[str, int] = {}
    for line in lines:
        if not line.whole:
            continue
        if deltas := _DELTAS.match(line.text):
            found["initialisation_bytes"] = _bytes(deltas[1])
            found["overall_bytes"] = _bytes(deltas[2])
        elif peak := _PEAK.match(line.text):
            found["peak_bytes"] = _bytes(peak[1])
        elif status := _STATUS.match(line.text):
            names = {"VmRSS": "resident_bytes", "RssFile + RssShmem": "file_bytes"}
            found[names.get(status[1], "anonymous_bytes")] = _bytes(status[2])
    return Memory(**found)


def _bytes(mib: str) -> int:
    return round(float(mib) * MIB)
