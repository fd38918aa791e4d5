"""fer-opt's folder on a phone: its place, the names in it, and programs started from it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fer_opt.errors import PhoneError

__all__ = ["FOLDER", "GUARD", "checked_name", "path_on_phone", "tracked"]

FOLDER = "/data/local/tmp/fer-opt"
"""Everything fer-opt leaves on a phone is in here; ``fer-opt phone clean`` removes it."""

GUARD = f"{FOLDER}/guard"
"""Where settings as they were before are kept, beside the watchdog's papers."""

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){0,3}")

TRACK = """
guard=$1
shift
note() {
  shift 19
  echo "$$ $1" >>"$guard/jobs"
}
if [ -d "$guard" ] && read -r line <"/proc/$$/stat"; then
  note ${line##*") "}
fi
exec "$@"
"""
"""Writes down its process and when that started (/proc/PID/stat, field 22), then becomes the
program: so that a leftover of a lost session can be told from whoever has its number today."""


def checked_name(name: str) -> str:
    """``name`` itself, fit for use under :data:`FOLDER`.

    Raises:
        PhoneError: it is empty, leaves the folder, or has characters a shell could read.
    """
    if not NAME.fullmatch(name):
        raise PhoneError(
            f"{name!r} cannot be a file's name on the phone; use letters, digits, '.', '_' and '-'."
        )
    return name


def path_on_phone(name: str) -> str:
    """Where the file of this name is on the phone.

    Raises:
        PhoneError: the name does not fit.
    """
    return f"{FOLDER}/{checked_name(name)}"


def tracked(words: Sequence[str]) -> list[str]:
    """The command, written down on the phone while it runs, so that it never outlives us.

    The words start it in the very process they make, without a shell in between. Whoever finds
    the phone next ends what a lost session left running, and so does the watchdog.
    """
    return ["sh", "-c", TRACK, "sh", GUARD, *words]
