"""Writes logs and operator profiles as ``benchmark_model`` does, in the formats of its years."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Era",
    "Node",
    "Sample",
    "count_line",
    "csv_profile",
    "help_text",
    "interleaved",
    "text_profile",
    "write_log",
]

Era = Literal[2018, 2019, 2021, 2023, 2025]
"""2018 knows neither minimum nor maximum durations, 2019 no model size, 2021 no levels, 2023 no
percentiles; 2025 has all."""


@dataclass(frozen=True)
class Sample:
    """A run: its times in whole microseconds, and what was asked."""

    warm_up_us: tuple[int, ...] = (15000, 12001, 12000)
    counted_us: tuple[int, ...] = (12300, 12100, 12900, 12200, 12000)
    initialisation_us: int = 14912
    graph: str = "/data/local/tmp/x/faces.tflite"
    threads: int = 1
    asked_runs: int | None = None
    peak: bool = False


def six(value: float) -> str:
    """A number as a C++ stream prints it by default."""
    return f"{value:.6g}"


def count_line(times_us: Sequence[int], *, percentiles: bool) -> str:
    ordered = sorted(times_us)
    if not times_us:
        line = "count=0"
    elif ordered[0] == ordered[-1]:
        line = f"count={len(times_us)} curr={times_us[-1]}"
        line += "(all same)" if len(times_us) > 1 else ""
    else:
        mean = sum(times_us) / len(times_us)
        deviation = math.sqrt(sum((one - mean) ** 2 for one in times_us) / len(times_us))
        line = (
            f"count={len(times_us)} first={times_us[0]} curr={times_us[-1]} min={ordered[0]} "
            f"max={ordered[-1]} avg={six(mean)} std={int(deviation)}"
        )
    if percentiles:
        low, middle, high = (
            (ordered[int(share * len(ordered))] for share in (0.05, 0.5, 0.95))
            if ordered
            else (0, 0, 0)
        )
        line += f" p5={low} median={middle} p95={high}"
    return line


def write_log(sample: Sample, era: Era) -> tuple[list[str], list[str]]:
    """Lines of both streams."""
    info = "INFO: " if era >= 2023 else ""
    runs = sample.asked_runs or len(sample.counted_us)
    least = "" if era == 2018 else " and at least 0 seconds"
    least += " but terminate if exceeding 150 seconds." if era >= 2021 else ""
    at_least = "" if era == 2018 else "at least "
    head = [
        "STARTING!",
        f"{'Num' if era == 2018 else 'Min num'} runs: [{runs}]",
        f"Num threads: [{sample.threads}]",
        f"Graph: [{sample.graph}]",
        f"Loaded model {sample.graph}",
    ]
    if era <= 2019:
        head += ["resolved reporter", f"Initialized session in {_ms(sample)}ms"]
    else:
        head += [
            "The input model file size (MB): 6.82256",
            f"Initialized session in {_ms(sample)}ms.",
        ]
    body = []
    for times, count in ((sample.warm_up_us, len(sample.warm_up_us)), (sample.counted_us, runs)):
        body += [
            f"Running benchmark for {at_least}{count} iterations{least}",
            count_line(times, percentiles=era >= 2025),
            "",
        ]
    lines = [*head, *body, *_summary(sample, era)]
    # The runner ends each line of times with an empty one.
    output = [f"{info}{line}" if line else "" for line in lines]
    errors = ["INFO: Created TensorFlow Lite XNNPACK delegate for CPU."] if era >= 2021 else []
    return output, errors


def _ms(sample: Sample) -> str:
    return six(sample.initialisation_us / 1000)


def _mean(times_us: Sequence[int]) -> str:
    return six(sum(times_us) / len(times_us)) if times_us else "0"


def _summary(sample: Sample, era: Era) -> list[str]:
    warm_up, counted = _mean(sample.warm_up_us), _mean(sample.counted_us)
    init = sample.initialisation_us
    if era <= 2019:
        kind = "no stats" if era == 2018 else "Inference"
        return [
            f"Average inference timings in us: Warmup: {warm_up}, Init: {init}, {kind}: {counted}"
        ]
    first = sample.warm_up_us[0] if sample.warm_up_us else 0
    deltas = (
        "Peak memory footprint (MB)"
        if era == 2021
        else "Memory footprint delta from the start of the tool (MB)"
    )
    lines = [
        f"Inference timings in us: Init: {init}, First inference: {first}, "
        f"Warmup (avg): {warm_up}, Inference (avg): {counted}",
        "Note: as the benchmark tool itself affects memory footprint, the following is only "
        "APPROXIMATE to the actual memory footprint of the model at runtime.",
        f"{deltas}: init=25.1562 overall=25.7812",
    ]
    if sample.peak:
        lines += [
            "Overall peak memory footprint (MB) via periodic monitoring: 30.8242",
            "Memory status at the end of exeution:",
            "- VmRSS              : 30 MB",
            "+ RssAnnon           : 16 MB",
            "+ RssFile + RssShmem : 14 MB",
        ]
    return lines


def interleaved(
    output: Sequence[str], errors: Sequence[str], seed: int, *, ending: str = "\n"
) -> str:
    """Both streams in one, each in its own order."""
    chance = random.Random(seed)
    output, errors = list(output), list(errors)
    merged = []
    while output or errors:
        pick = output if chance.random() * (len(output) + len(errors)) < len(output) else errors
        merged.append(pick.pop(0))
    return "".join(f"{line}{ending}" for line in merged)


@dataclass(frozen=True)
class Node:
    """A row of an operator profile; times in microseconds."""

    kind: str
    name: str
    first_us: int
    mean_us: float


def text_profile(nodes: Sequence[Node], *, start: bool = False) -> list[str]:
    """The tables for reading."""
    begin = "\t  [start]" if start else ""
    head = (
        f"\t{'[node type]':>40}{begin}\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]"
        "\t[times called]\t[Name]"
    )

    def row(node: Node) -> str:
        share = _percent(node.mean_us, nodes, "{:.3f}")
        first = "\t    0.000" if start else ""
        return (
            f"\t{node.kind:>40}{first}\t{node.first_us / 1000:9.3f}\t{node.mean_us / 1000:9.3f}"
            f"\t{share:>8}\t{share:>8}\t     0.000\t        1\t{node.name}"
        )

    kinds = [
        f"\t{kind:>40}\t{count:9d}\t{mean / 1000:10.3f}\t    0.000%\t    0.000%\t     0.000"
        f"\t{count:9d}"
        for kind, (count, mean) in _kinds(nodes).items()
    ]
    heading = (
        f"\t{'[Node type]':>40}\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]\t  [mem KB]"
        "\t[times called]"
    )
    return _tables(nodes, head, [row(node) for node in nodes], heading, kinds)


def csv_profile(nodes: Sequence[Node], *, start: bool = False) -> list[str]:
    """The "CSV"."""
    begin = " start," if start else ""
    head = f"node type,{begin} first, avg_ms, %, cdf%, mem KB, times called, name"

    def row(node: Node) -> str:
        share = _percent(node.mean_us, nodes, "{:.6g}")
        first = " 0," if start else ""
        name = node.name.replace(",", "\t")
        return (
            f"{node.kind},{first} {six(node.first_us / 1000)}, {six(node.mean_us / 1000)}, "
            f"{share}, {share}, 0, 1, {name}"
        )

    kinds = [
        f"{kind}, {count}, {six(mean / 1000)}, 0%, 0%, 0, {count}"
        for kind, (count, mean) in _kinds(nodes).items()
    ]
    heading = "node type, count, avg_ms, avg %, cdf %, mem KB, times called"
    return _tables(nodes, head, [row(node) for node in nodes], heading, kinds)


def _percent(mean_us: float, nodes: Sequence[Node], form: str) -> str:
    total = sum(node.mean_us for node in nodes)
    return form.format(mean_us / total * 100) + "%" if total else "-nan%"


def _kinds(nodes: Sequence[Node]) -> dict[str, tuple[int, float]]:
    found: dict[str, tuple[int, float]] = {}
    for node in nodes:
        count, mean = found.get(node.kind, (0, 0.0))
        found[node.kind] = (count + 1, mean + node.mean_us)
    return found


def _tables(
    nodes: Sequence[Node], head: str, rows: Sequence[str], heading: str, kinds: Sequence[str]
) -> list[str]:
    def banner(title: str) -> str:
        return f"{'=' * 30} {title} {'=' * 30}"

    order = sorted(range(len(nodes)), key=lambda place: -nodes[place].mean_us)[:10]
    return [
        banner("Run Order"), head, *rows, "",
        banner("Top by Computation Time"), head, *(rows[place] for place in order), "",
        f"Number of nodes executed: {len(nodes)}",
        banner("Summary by node type"), heading, *kinds, "",
        f"Timings (microseconds): {count_line([9000, 9100], percentiles=False)}",
        "Memory (bytes): count=0",
        f"{len(nodes)} nodes observed", "", "",
    ]  # fmt: skip


def help_text(flags: Sequence[tuple[str, str, str]], era: Era) -> str:
    """What --help prints; ``flags`` are name, default and type."""
    if era == 2018:
        rows = [f"\t--{name}={default}\t{kind}\tdoes a thing" for name, default, kind in flags]
        return "\n".join(["usage: ./benchmark_model", "Flags:", *rows, ""])
    width = max(len(name) + len(default) + 3 for name, default, _ in flags)
    rows = [
        f"\t{f'--{name}={default}':<{width}}\t{kind}\toptional\tdoes a thing, see also --other=1"
        for name, default, kind in flags
    ]
    level = "ERROR: " if era >= 2023 else ""
    end = [f"{level}Benchmarking failed.", ""]
    return "\n".join([f"{level}usage: ./benchmark_model <flags>", "Flags:", *rows, "", *end])
