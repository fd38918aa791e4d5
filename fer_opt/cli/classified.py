"""What ``fer-opt classify`` prints."""

from __future__ import annotations

import dataclasses
from typing import Any

from fer_opt.cli.console import print_line, print_pieces, print_table, print_text, say

__all__ = ["print_photo", "print_results", "print_summary", "say_what_was_left_out"]

SLOW_MS = 500
"""A photo; the thesis's own limit."""


def print_photo(result: Any) -> None:
    """Print one line: what the photo shows, how sure that is, how long it took, its path."""
    from fer_opt.stages.photos.naming import emoji_of, filed_under, shown_name

    label = filed_under(result)
    sure = "" if result.confidence is None else f"{result.confidence:.0%}"
    took = "" if result.outcome == "unreadable" else f"{result.total_ms:.1f} ms"
    print_line(f"{emoji_of(label)} {label:<13} {sure:>4} {took:>10}  ", shown_name(result.photo))


def print_summary(done: Any) -> None:
    """Print how many photos show what, and how long the stages took."""
    from fer_opt.stages.photos.naming import emoji_of

    counts = done.tally.labels
    order = [*done.made_with.labels, "several faces", "no face", "unreadable"]
    print_text("")
    print_table(
        f"{_photos(done.tally.photos)}",
        ["", "label", "photos"],
        [[emoji_of(label), label, str(counts[label])] for label in order if counts[label]],
        left=(0, 1),
    )
    stages = done.tally.stages()
    if stages:
        print_table(
            "Milliseconds a photo on this computer (a phone's differ)",
            ["stage", "photos", "mean", "sd", "median", "p95", "max"],
            [
                [
                    one.stage,
                    str(one.photos),
                    f"{one.mean_ms:.2f}",
                    "?" if one.sd_ms is None else f"{one.sd_ms:.2f}",
                    f"{one.median_ms:.2f}",
                    f"{one.p95_ms:.2f}",
                    f"{one.max_ms:.2f}",
                ]
                for one in stages
            ],
        )
    if stages and done.made_with.way == "thesis" and stages[-1].median_ms > SLOW_MS:
        print_text("--way faster, into another --out, takes a fraction of that; see its --help.")
    if done.only:
        print_text(
            f"{_photos(done.shown)} of {done.tally.photos:,} show {' or '.join(done.only)}; "
            "the results of all are saved."
        )


def print_results(done: Any, results: Any) -> None:
    """Print what scripts want to know, the results of the labels asked for last."""
    from fer_opt.stages.photos.tables import json_pieces

    head = {
        "files": [str(path) for path in done.files],
        "made_with": dataclasses.asdict(done.made_with),
        "only": done.only,
        "photos_total": done.tally.photos,
        "photos_shown": done.shown,
        "known_before": done.known_before,
        "labels": dict(done.tally.labels.most_common()),
        "stages": [dataclasses.asdict(stage) for stage in done.tally.stages()],
    }
    print_pieces(json_pieces(head, results))


def say_what_was_left_out(done: Any) -> None:
    """Say which photos could not be read, and what was not looked at."""
    if done.known_before:
        say(f"{_photos(done.known_before)} had been classified before.")
    unreadable = done.tally.labels["unreadable"]
    if unreadable:
        from fer_opt.stages.photos.naming import shown_name

        named = done.tally.unreadable
        say(f"WARNING: {_photos(unreadable)} could not be read:")
        for result in named:
            say(f"  {shown_name(result.reason)}")
        if unreadable > len(named):
            say(f"  and {unreadable - len(named):,} more; {done.files[-2]} names them all.")
    for sentence in done.found.closed:
        say(f"WARNING: {shown_name(sentence)}")
    if done.found.left_out:
        kinds = [
            f"{count:,} {suffix or 'without an ending'}"
            for suffix, count in done.found.left_out.items()
        ]
        say(f"Left out by their ending: {', '.join(kinds)}.")


def _photos(count: int) -> str:
    return f"{count:,} photo{'' if count == 1 else 's'}"
