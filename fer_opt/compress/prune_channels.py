"""Channel pruning: whole channels are removed, so that every layer that touches them does less."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.compress.channels.allocation import (
    by_sensitivity,
    kept_count,
    levels_of,
    parse_shares,
    shares_of,
)
from fer_opt.compress.channels.dependencies import Dependencies, Group, trace
from fer_opt.compress.channels.gates import Gated, gate
from fer_opt.compress.channels.removal import remove
from fer_opt.compress.channels.scores import batch_norm_scores, kernel_scores
from fer_opt.compress.counting import layer_facts, multiply_accumulates
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.wording import listed
from fer_opt.errors import RecipeError
from fer_opt.recipe import make_step

__all__ = ["prune_channels"]

SCAN_IMAGES = 256
"""Images on which the sensitivity scan looks at each group."""


def prune_channels(
    network: Any,
    materials: Materials,
    *,
    share: float = 0.5,
    importance: str = "l1",
    allocation: str = "uniform",
    layers: str = "",
    multiple: int = 8,
    spare: int = 0,
) -> Outcome:
    """Remove the least important channels, and everything that was there for them.

    Args:
        network: flat functional model.
        materials: representative images for ``taylor``, validation images for ``sensitivity``.
        share: of each group's channels to remove; with ``sensitivity`` of all channels, each
            weighed by the work its layer does.
        importance: ``l1`` kernel norms, ``bn`` scales, or ``taylor`` on data.
        allocation: ``uniform``, or by a ``sensitivity`` scan.
        layers: shares of their own for layers by name, e.g. ``"stage1_*:0.25"``.
        multiple: kept channels are rounded up to it.
        spare: of each multiple, channels less than that: 1 leaves room for the constant channel
            that folding batch normalization after ReLUs may add, at no cost.

    Raises:
        RecipeError: an option is out of its bounds, no channel of this network can be removed, or
            ``layers`` names none.
    """
    make_step(
        "prune_channels",
        share=share,
        importance=importance,
        allocation=allocation,
        layers=layers,
        multiple=multiple,
        spare=spare,
    )
    if spare >= multiple:
        raise RecipeError(
            f"prune_channels cannot spare {spare} of every {multiple} channels; give spare less "
            "than multiple."
        )
    dependencies = trace(network)
    groups = [group for group in dependencies.groups() if len(group.roots) > 1]
    if not groups:
        raise RecipeError(
            "prune_channels finds no channels to remove: all of them are the input's, the "
            f"output's, or beside layers it does not know{_named(dependencies)}; leave the step "
            "out."
        )
    gated = gate(network, dependencies)
    scores, notes = _scores(network, dependencies, gated, materials, importance)
    ranked = [sorted(group.roots, key=lambda root: scores.get(root, 0.0)) for group in groups]
    patterns = parse_shares(layers)
    shares = shares_of(groups, share, patterns)
    if allocation == "sensitivity":
        shares, short = _scan(
            network, groups, ranked, shares, share, patterns, gated, materials, multiple, spare
        )
        notes += short
    gone = [
        order[: len(order) - kept_count(len(order), part, multiple, spare)]
        for order, part in zip(ranked, shares, strict=True)
    ]
    if allocation == "sensitivity":
        notes.insert(0, _told(groups, gone))
    removed = {root for part in gone for root in part}
    if not removed:
        notes.append(
            f"No channel was removed: kept ones are rounded up to a multiple of {multiple}."
        )
    result = remove(network, dependencies, removed)
    return Outcome(result, (_summary(network, result), *notes, *_left(dependencies)))


def _scores(
    network: Any, dependencies: Dependencies, gated: Gated, materials: Materials, importance: str
) -> tuple[dict[int, float], list[str]]:
    if importance == "taylor":
        found = gated.taylor(materials.representative, materials.representative_labels)
        return found, []
    norms = kernel_scores(network, dependencies)
    if importance == "l1":
        return norms, []
    scales = batch_norm_scores(network, dependencies)
    lacking = [
        group.layers[0]
        for group in dependencies.groups()
        if not all(root in scales for root in group.roots)
    ]
    notes = []
    if lacking:
        notes.append(
            f"No batch normalization scales {', '.join(lacking[:4])}"
            f"{' and others' if len(lacking) > 4 else ''}; kernel norms rank their channels."
        )
        for group in dependencies.groups():
            if group.layers[0] in lacking:
                scales |= {root: norms.get(root, 0.0) for root in group.roots}
    return scales, notes


def _scan(
    network: Any,
    groups: Sequence[Group],
    ranked: Sequence[list[int]],
    shares: Sequence[float],
    share: float,
    patterns: dict[str, float],
    gated: Gated,
    materials: Materials,
    multiple: int,
    spare: int,
) -> tuple[list[float], list[str]]:
    """Try each group alone; groups that ``layers`` names keep their share.

    Returns the shares, and a note where they are not enough.
    """
    images, labels = _scan_images(materials)
    macs = {item.name: item.macs for item in layer_facts(network)}
    free = [
        index
        for index, group in enumerate(groups)
        if not patterns or shares_of([group], -1.0, _matching(group, patterns))[0] < 0
    ]
    order = {groups[index]: ranked[index] for index in free}
    costs = [float(sum(macs[name] for name in groups[index].layers)) for index in free]
    trials = sum(len(levels_of(len(groups[index].roots), share, multiple, spare)) for index in free)
    with materials.progress.stage("prune_channels: scanning", trials) as advance:

        def loss_without(group: Group, part: float) -> float:
            gated.close(order[group][: round(len(group.roots) * part)])
            advance(1)
            return gated.cross_entropy(images, labels)

        chosen = by_sensitivity(
            [groups[index] for index in free], costs, share, loss_without, multiple, spare
        )
    gated.close(())
    result = list(shares)
    for index, value in zip(free, chosen, strict=True):
        result[index] = value
    saved = float(np.dot(costs, chosen)) / max(sum(costs), 1.0)
    if not free or saved > share - 0.05:
        return result, []
    return result, [
        f"The scan finds only {saved:.0%} of the channels to remove, each weighed by its work, not "
        f"{share:.0%}: kept ones are rounded up to a multiple of {multiple}."
    ]


def _matching(group: Group, patterns: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in patterns.items() if fnmatch.filter(group.layers, key)}


def _scan_images(
    materials: Materials,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    if materials.validation is None:
        return materials.representative, materials.representative_labels
    images, labels = [], []
    for batch in materials.validation(64, None):
        images.append(batch[0].numpy())
        labels.append(batch[1].numpy())
        if sum(map(len, labels)) >= SCAN_IMAGES:
            break
    return np.concatenate(images)[:SCAN_IMAGES], np.concatenate(labels)[:SCAN_IMAGES]


def _told(groups: Sequence[Group], gone: Sequence[list[int]]) -> str:
    parts = [
        f"{group.layers[0]} {len(part) / len(group.roots):.0%}"
        for group, part in zip(groups, gone, strict=True)
    ]
    shown = ", ".join(parts[:12]) + (f" and {len(parts) - 12} more" if len(parts) > 12 else "")
    return f"The scan removes: {shown}."


def _summary(before: Any, after: Any) -> str:
    macs = multiply_accumulates(after) / max(multiply_accumulates(before), 1)
    weights = after.count_params() / before.count_params()
    return f"{macs:.0%} of the multiply-accumulates and {weights:.0%} of the weights are left."


def _left(dependencies: Dependencies) -> tuple[str, ...]:
    if not dependencies.unknown:
        return ()
    shown = _unknown(dependencies)
    return (f"Channels beside {shown} were kept, for it is not known what removing them would do.",)


def _named(dependencies: Dependencies) -> str:
    return f" ({_unknown(dependencies)})" if dependencies.unknown else ""


def _unknown(dependencies: Dependencies) -> str:
    return listed(list(dict.fromkeys(dependencies.unknown)), most=4)
