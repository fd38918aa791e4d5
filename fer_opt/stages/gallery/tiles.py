"""One photo on the page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from fer_opt.stages.gallery.thumbnails import Thumbnail, make_thumbnail
from fer_opt.stages.photos.naming import emoji_of, filed_under, shown_name
from fer_opt.stages.result import PhotoResult

__all__ = ["Tile", "tile_of"]


@dataclass(frozen=True, slots=True)
class Tile:
    """What the template shows of a photo.

    Attributes:
        label: what it is filed under.
        emoji: of that label.
        confidence: in percent; empty where no face was classified.
        name: of the file.
        picture: its thumbnail; None where the photo is gone by now.
        focus: style classes that keep its faces inside a square.
        details: what is told when it is opened, as JSON.
    """

    label: str
    emoji: str
    confidence: str
    name: str
    picture: Thumbnail | None
    focus: str
    details: str


def tile_of(result: PhotoResult, side: int) -> Tile:
    """The tile of a photo that was read.

    Args:
        result: of the photo.
        side: the thumbnail's short side, in pixels.
    """
    label = filed_under(result)
    confidence = (
        "" if result.confidence is None else f"{result.confidence:.0%}".replace("%", "\u00a0%")
    )
    name = shown_name(Path(result.photo).name)
    return Tile(
        label=label,
        emoji=emoji_of(label),
        confidence=confidence,
        name=name,
        picture=make_thumbnail(Path(result.photo), side),
        focus=_focus(result),
        details=json.dumps(
            {
                "name": shown_name(result.photo),
                "label": label,
                "emoji": emoji_of(label),
                "confidence": confidence,
                "note": _note(result),
                "width": result.width,
                "height": result.height,
                "faces": result.faces,
                "probabilities": [round(share, 4) for share in result.probabilities],
                "stages": [(stage, round(ms, 3)) for stage, ms in result.stages_ms.items()],
                "total": round(result.total_ms, 3),
            },
            ensure_ascii=False,
        ),
    )


def _note(result: PhotoResult) -> str:
    if result.outcome == "several faces":
        return f"{len(result.faces)} faces were found; only photos with one face are classified."
    return "No face was found." if result.outcome == "no face" else ""


def _focus(result: PhotoResult) -> str:
    """Classes ``xN yN``: how far along its longer side the square is cut out, in tenths."""
    if not result.faces:
        return ""
    left = min(box[0] for box in result.faces)
    top = min(box[1] for box in result.faces)
    right = max(box[0] + box[2] for box in result.faces)
    bottom = max(box[1] + box[3] for box in result.faces)
    x = _tenths((left + right) / 2, result.width, result.height)
    y = _tenths((top + bottom) / 2, result.height, result.width)
    return f"x{x} y{y}"


def _tenths(middle: float, length: int, across: int) -> int:
    """Where a window of ``across`` starts so that ``middle`` is in its middle, 0 to 10."""
    room = length - across
    if room <= 0:
        return 5
    return round(10 * min(max((middle - across / 2) / room, 0.0), 1.0))
