"""Tables of what ways to compress a network are worth, and their place in a page."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from compression_rows import Row

from fer_opt.device.measurement import Measurement
from fer_opt.reports.statistics import paired_ratios, summarise_latency


def headline_table(rows: Sequence[Row], measurements: Sequence[Measurement]) -> str:
    """Accuracy, latency and size of each file beside those of the first."""
    latency = {item.model: item for item in summarise_latency(measurements)}
    ratios = {item.model: item for item in paired_ratios(measurements, "float32")}
    plain = rows[0]
    lines = [
        "| what | accuracy | minus float32 (points, 95 %) | median ms | time over float32's | "
        "file MB | zipped MB | smaller than float32 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = ratios.get(row.name)
        low, middle, high = paired_difference(row.right, plain.right)
        lines.append(
            f"| {shown(row.name)}{' **flagged**' if row.flags else ''} | {row.accuracy:.3f} | "
            + ("| " if row is plain else f"{middle:+.1f} ({low:+.1f} to {high:+.1f}) | ")
            + f"{latency[row.name].median_ms:.3g} | "
            + (
                "1 | "
                if ratio is None
                else f"{ratio.ratio:.2f} ({ratio.low:.2f} to {ratio.high:.2f}) | "
            )
            + f"{row.size_bytes / 1e6:.2f} | {row.gzip_bytes / 1e6:.2f} | "
            f"{plain.size_bytes / row.size_bytes:.1f}x |"
        )
    return "\n".join(lines)


Matrix = Mapping[str, Mapping[str, Row | str]]
"""By network, then by way to compress it: a file, or why there is none."""


def matrix_tables(
    matrix: Matrix,
    what: Mapping[str, str],
    accuracy: Mapping[str, float],
    steadiness: Mapping[str, float],
) -> str:
    """One table for each question, and the reasons of refusals below.

    Args:
        matrix: of every network.
        what: the recipe of each way, by its title.
        accuracy: of the networks before any step.
        steadiness: share of labels each network keeps itself, see :func:`kept_labels`.
    """
    questions: list[tuple[str, str, Mapping[str, float], Callable[[Row], str]]] = [
        ("Accuracy of the file", "trained, float", accuracy, lambda row: f"{row.accuracy:.3f}"),
        (
            "Labels on which the file and the network it was made of agree, % of 256 images",
            "itself, image off by half a step",
            {name: 100 * share for name, share in steadiness.items()},
            lambda row: f"{100 * row.agreement:.1f}" + (" **flagged**" if row.flags else ""),
        ),
        (
            "Operators in the file that still work on floats",
            "",
            {},
            lambda row: f"{row.float_operators}",
        ),
        ("Megabytes of the file", "", {}, lambda row: f"{row.size_bytes / 1e6:.2f}"),
    ]
    refused: list[str] = []
    parts = ["| way | recipe |\n|---|---|"]
    parts[0] += "".join(f"\n| {title} | `{recipe}` |" for title, recipe in what.items())
    for question, first, own, cell in questions:
        lines = [
            "| network | " + (f"{first} | " if first else "") + " | ".join(what) + " |",
            "|---|" + "---|" * (len(what) + bool(first)),
        ]
        for name, rows in matrix.items():
            cells = [f"{own[name]:.3g}"] if first else []
            for title in what:
                row = rows[title]
                if isinstance(row, str):
                    reason = f"{name}, {title}: {row}"
                    if reason not in refused:
                        refused.append(reason)
                    cells.append(f"refused [{refused.index(reason) + 1}]")
                else:
                    cells.append(cell(row))
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        parts.append(f"{question}:\n\n" + "\n".join(lines))
    if refused:
        parts.append("\n".join(f"{n}. {reason}" for n, reason in enumerate(refused, 1)))
    return "\n\n".join(parts)


def paired_difference(
    right: Sequence[bool], reference: Sequence[bool]
) -> tuple[float, float, float]:
    """Low, middle and high of the difference in accuracy, in percentage points, on the same images.

    Wald's interval of a difference of paired proportions (Agresti, Categorical Data Analysis,
    section 11.1.1): variance (b + c - (b - c)^2 / n) / n^2 of the discordant counts b and c.
    """
    mine, theirs = np.array(right), np.array(reference)
    gained, lost = int(np.sum(mine & ~theirs)), int(np.sum(~mine & theirs))
    count = len(mine)
    middle = (gained - lost) / count
    half = 1.96 * math.sqrt(gained + lost - (gained - lost) ** 2 / count) / count
    return 100 * (middle - half), 100 * middle, 100 * (middle + half)


def shown(name: str) -> str:
    return f"`{name}`" if re.match(r"^[a-z_0-9]+(\(|$| >)", name) else name
