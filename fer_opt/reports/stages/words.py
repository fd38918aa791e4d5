"""What stages, devices and spreads are called, the same in tables, sentences and pictures."""

from __future__ import annotations

from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.stage_timing import STAGES
from fer_opt.reports.formats import NBSP, percent, significant
from fer_opt.reports.phones.story import badge_of_kind
from fer_opt.reports.published import published_table
from fer_opt.reports.tables import Tone

__all__ = [
    "STAGE_TITLES",
    "STAGE_WORDS",
    "device_badge",
    "megapixels",
    "on_device",
    "published_stages",
    "share_of",
    "spread",
]

STAGE_WORDS = {
    "bitmap": "retrieving the bitmap",
    "detect": "face detection",
    "resize": "resizing",
    "grey": "grey conversion",
    "classify": "classifying",
}
"""As a sentence says them."""


def published_stages() -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of each stage and of ``total`` in the thesis's Table 8, ms."""
    rows = published_table(8).records()
    return {
        stage: (float(row["mean_ms"]), float(row["sd_ms"]))
        for stage, row in zip((*STAGES, "total"), rows, strict=True)
    }


STAGE_TITLES = dict(
    zip(STAGES, (str(row["step"]) for row in published_table(8).records()), strict=False)
)
"""As the thesis's Table 8 prints them."""


def device_badge(device: DeviceFacts) -> tuple[str, Tone] | None:
    """What must be said wherever times of this device are shown; None for a real phone."""
    if device.kind == "host":
        return "a computer’s times, not a phone’s", "muted"
    return badge_of_kind(device.kind)


def on_device(device: DeviceFacts) -> str:
    """Where photos were classified, as a sentence says it."""
    if device.kind == "host":
        return "on this computer"
    if device.kind == "phone":
        return f"on the {device.name}"
    return f"on a {device.name} (a computer’s times, not a phone’s)"


def spread(mean_ms: float, sd_ms: float | None) -> str:
    """Mean and standard deviation as Table 8 gives them, the unit said once."""
    if not sd_ms:
        return f"{significant(mean_ms)}{NBSP}ms"
    return f"{significant(mean_ms)}{NBSP}±{NBSP}{significant(sd_ms)}{NBSP}ms"


def share_of(part: float, whole: float) -> str:
    """``part`` in per cent of ``whole``, small ones as a bound."""
    share = part / whole if whole else 0.0
    if 0 < share < 0.0005:
        return f"<{NBSP}0.1{NBSP}%"
    return percent(share, 0 if share >= 0.0995 else 1)


def megapixels(value: float | None) -> str:
    """A photo's size; empty where unknown."""
    return "" if value is None else f"{significant(value)}{NBSP}MP"
