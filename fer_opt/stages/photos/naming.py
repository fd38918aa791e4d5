"""What a photo is filed under: its label, a mark for it, and its name fit to be shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from fer_opt.convention import canonical_label
from fer_opt.errors import ConventionError
from fer_opt.recipe.steps import near
from fer_opt.stages.result import PhotoResult

__all__ = ["SEVERAL_FACES", "emoji_of", "filed_under", "is_wanted", "shown_name", "wanted_labels"]

SEVERAL_FACES = "several faces"
"""The label of photos that show more than one face (thesis section 3.4.2)."""

EMOJI = {
    "neutral": "😐", "happy": "😀", "sad": "😢", "surprise": "😮", "fear": "😨", "disgust": "🤢",
    "anger": "😠", "contempt": "😏", SEVERAL_FACES: "👥", "no face": "🌄", "unreadable": "❌",
}  # fmt: skip
"""One for each label, as in the column UI of the thesis's Table 2, which shows them as pictures."""
OTHER = "🙂"

UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line and direction marks, and bytes of a name that are no UTF-8."""


def emoji_of(label: str) -> str:
    """The mark of a label, however it is spelled; the same one for all that nobody knows."""
    return EMOJI.get(canonical_label(label), OTHER)


def filed_under(result: PhotoResult) -> str:
    """The label of the one face, or what else became of the photo."""
    return result.label or result.outcome


def is_wanted(result: PhotoResult, only: Collection[str]) -> bool:
    """Whether a photo is of the labels asked for; every one is where none are."""
    return not only or filed_under(result) in only


def wanted_labels(only: Sequence[str], labels: Sequence[str]) -> tuple[str, ...]:
    """The labels that ``--only`` asks for, in the model's spelling; empty where it does not.

    Args:
        only: words as given, several in one where commas divide them.
        labels: the model's.

    Raises:
        ConventionError: one is no label; photos without a face have none.
    """
    known = {canonical_label(label): label for label in (*labels, SEVERAL_FACES)}
    known["several"] = SEVERAL_FACES
    names = [name for words in only for name in words.split(",")]
    wanted: dict[str, None] = {}
    for name in names:
        asked = canonical_label(name)
        if asked in ("no face", "unreadable") and asked not in known:
            raise ConventionError(
                f"--only {name.strip()} is no filter: photos without an expression are left out of "
                "every one; leave --only out to see them all."
            )
        if asked not in known:
            hint = near(asked, (*labels, SEVERAL_FACES))
            raise ConventionError(f"--only {name.strip()!r} is no label of the model; {hint}.")
        wanted[known[asked]] = None
    return tuple(wanted)


def shown_name(text: str) -> str:
    """``text`` without what would break a line, steer a terminal or is no Unicode at all.

    File names may hold any of it; what is replaced becomes a question mark.
    """
    return UNFIT.sub("?", text)
