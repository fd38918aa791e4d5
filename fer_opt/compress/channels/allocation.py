"""How many channels of each group are kept."""

from __future__ import annotations

import difflib
import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence

from fer_opt.compress.channels.dependencies import Group
from fer_opt.errors import RecipeError

__all__ = ["by_sensitivity", "kept_count", "levels_of", "parse_shares", "shares_of"]

LEVELS = (0.25, 0.5, 0.75)
"""Shares of a group that the scan tries, and the wanted one if it is larger."""


def kept_count(present: int, share: float, multiple: int, spare: int = 0) -> int:
    """Channels left of ``present``, rounded up to ``multiple``, never more than there are.

    ``spare`` of a multiple are left free, so that 1 of 8 keeps 7, 15, 23 and so on.
    """
    # A hair less, so that 16 * (1 - 0.5) / 8 stays 1 whatever binary fractions make of it.
    wanted = max(math.ceil(present * (1 - share) / multiple - 1e-9), 1) * multiple
    return min(present, wanted - spare)


def levels_of(present: int, share: float, multiple: int, spare: int = 0) -> tuple[float, ...]:
    """The shares of ``present`` channels that rounding makes of the levels, ascending from 0."""
    wanted = (0.0, *LEVELS, max(share, LEVELS[-1]))
    kept = {kept_count(present, level, multiple, spare) for level in wanted}
    return tuple(1 - count / present for count in sorted(kept, reverse=True))


def parse_shares(text: str) -> dict[str, float]:
    """``"stage1_*:0.25, stage2_*:0.5"`` as patterns and shares.

    Raises:
        RecipeError: it does not read so.
    """
    shares = {}
    for part in filter(None, (item.strip() for item in text.split(","))):
        pattern, colon, number = part.rpartition(":")
        try:
            share = float(number)
        except ValueError:
            share = math.nan
        if not colon or not pattern.strip() or not 0 <= share < 1:
            raise RecipeError(
                f"prune_channels cannot read {part!r} in layers; write pattern:share, e.g. "
                '"stage1_*:0.25", with a share from 0 and below 1.'
            )
        shares[pattern.strip()] = share
    return shares


def shares_of(groups: Sequence[Group], share: float, patterns: Mapping[str, float]) -> list[float]:
    """The share to remove of each group: the first pattern's that matches one of its layers.

    Raises:
        RecipeError: a pattern matches no layer whose channels can be removed.
    """
    names = [name for group in groups for name in group.layers]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            near = difflib.get_close_matches(pattern.strip("*"), names, n=3, cutoff=0.3)
            hint = f"the nearest are {', '.join(near)}" if near else f"e.g. {names[0]}"
            raise RecipeError(
                f"prune_channels finds no layer like {pattern!r} whose channels can be removed; "
                f"{hint}."
            )
    return [
        next(
            (
                value
                for pattern, value in patterns.items()
                if any(fnmatch.fnmatchcase(name, pattern) for name in group.layers)
            ),
            share,
        )
        for group in groups
    ]


def by_sensitivity(
    groups: Sequence[Group],
    costs: Sequence[float],
    share: float,
    loss_without: Callable[[Group, float], float],
    multiple: int = 1,
    spare: int = 0,
) -> list[float]:
    """Shares that remove ``share`` of the work where it costs least, if so much can be removed.

    Each group is tried alone at each of its levels. Then, again and again, the group whose next
    level adds least loss for the work it saves is taken there, until enough work is saved.

    Args:
        groups: what can be removed.
        costs: multiply-accumulates of each group's layers.
        share: of the work to save.
        loss_without: cross-entropy with that share of one group removed.
        multiple: kept channels are rounded up to it.
        spare: of a multiple, left free.
    """
    levels = [levels_of(len(group.roots), share, multiple, spare) for group in groups]
    losses = [
        [loss_without(group, level) for level in of_group]
        for group, of_group in zip(groups, levels, strict=True)
    ]
    chosen = [0] * len(groups)
    target, saved = share * sum(costs), 0.0
    while saved < target - 1e-9:
        open_groups = [
            index for index in range(len(groups)) if chosen[index] < len(levels[index]) - 1
        ]
        if not open_groups:
            break

        def work(index: int) -> float:
            now = chosen[index]
            return costs[index] * (levels[index][now + 1] - levels[index][now])

        def price(index: int) -> float:
            now = chosen[index]
            return (losses[index][now + 1] - losses[index][now]) / (work(index) + 1e-9)

        best = min(open_groups, key=price)
        saved += work(best)
        chosen[best] += 1
    return [of_group[one] for of_group, one in zip(levels, chosen, strict=True)]
