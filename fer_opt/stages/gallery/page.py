"""The page, written photo by photo so that memory holds one thumbnail at a time."""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from fer_opt.files import writing_atomically
from fer_opt.progress import SILENT, Progress
from fer_opt.stages.gallery.thumbnails import side_for
from fer_opt.stages.gallery.tiles import Tile, tile_of
from fer_opt.stages.photos.made_with import MadeWith
from fer_opt.stages.photos.naming import SEVERAL_FACES, emoji_of, shown_name
from fer_opt.stages.photos.tally import Tally
from fer_opt.stages.result import PhotoResult

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["GalleryFacts", "write_gallery"]

CHUNK = 64
"""Pieces of the page that are written at once."""


@dataclass(frozen=True, slots=True)
class GalleryFacts:
    """What a gallery says of its photos as a whole.

    Attributes:
        made_with: the pipeline.
        only: the labels it is limited to; empty for every photo.
        tally: of every photo, whatever the limit.
    """

    made_with: MadeWith
    only: tuple[str, ...]
    tally: Tally


@dataclass(frozen=True, slots=True)
class _Filter:
    label: str
    emoji: str
    count: int


def write_gallery(
    path: Path,
    results: Callable[[], Iterator[PhotoResult]],
    facts: GalleryFacts,
    progress: Progress = SILENT,
) -> None:
    """Write one HTML page that loads nothing: thumbnails, labels, filters.

    All text is escaped, and a content security policy lets only the page's own script run.

    Args:
        path: of the page.
        results: gives those to show from the first on, each time it is called.
        facts: what the page says of them all.
        progress: is told how it goes.

    Raises:
        OutputError: it cannot be written.
    """
    counts, only, labels = facts.tally.labels, facts.only, facts.made_with.labels
    unreadable = 0 if only else counts["unreadable"]
    photos = sum(counts[label] for label in only) if only else counts.total() - unreadable
    filters = [
        _Filter(label, emoji_of(label), counts[label])
        for label in (*labels, SEVERAL_FACES)
        if not only or label in only
    ]
    style, script = _asset("gallery.css"), _asset("gallery.js")
    with progress.stage("Writing the gallery", photos) as advance, writing_atomically(path) as file:
        text = codecs.getwriter("utf-8")(file)
        stream = _template().stream(
            title=f"{photos:,} photo{'' if photos == 1 else 's'} by expression",
            about=_about(facts),
            status=_status(photos, facts),
            total=photos,
            filters=filters,
            tiles=_tiles(results(), side_for(photos), advance),
            unreadable_count=unreadable,
            unreadable=(shown_name(r.reason) for r in results() if r.outcome == "unreadable"),
            labels=json.dumps(labels),
            made_with=facts.made_with,
            style=_safe(style),
            script=_safe(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
        stream.enable_buffering(CHUNK)
        for piece in stream:
            text.write(piece)  # writelines would gather the whole page first


def _tiles(
    results: Iterator[PhotoResult], side: int, advance: Callable[[int], None]
) -> Iterator[Tile]:
    for result in results:
        if result.outcome != "unreadable":
            yield tile_of(result, side)
            advance(1)


def _about(facts: GalleryFacts) -> Iterator[str]:
    made_with = facts.made_with
    yield made_with.model
    yield f"the {made_with.way} way" if made_with.way in ("thesis", "faster") else made_with.way
    yield "Haar cascade" if made_with.detector == "haar" else made_with.detector
    total = next((stage for stage in facts.tally.stages() if stage.stage == "total"), None)
    if total is not None:
        yield f"{total.median_ms:.3g} ms a photo (median, a computer's time)"
    yield date.today().isoformat()


def _status(photos: int, facts: GalleryFacts) -> str:
    if not facts.only:
        return f"All {photos:,} photos." if photos != 1 else "The one photo."
    wanted = " or ".join(facts.only)
    if not photos:
        return f"No photo of {facts.tally.photos:,} shows {wanted}."
    return f"{photos:,} of {facts.tally.photos:,} photos: those that show {wanted}."


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fer_opt.stages.gallery", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    environment.filters["thousands"] = "{:,}".format
    return environment.get_template("gallery.html.j2")


def _asset(name: str) -> str:
    return (resources.files("fer_opt.stages.gallery") / "templates" / name).read_text("utf-8")


def _safe(text: str) -> object:
    from markupsafe import Markup

    return Markup(text)


def _hash(text: str) -> str:
    """Of an inline script or style, for the content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
