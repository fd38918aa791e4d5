"""The shell scripts that run on a phone; they lie beside this file, in ``scripts/``."""

from __future__ import annotations

import functools
import importlib.resources

__all__ = ["load_script"]


@functools.cache
def load_script(name: str) -> str:
    """The script ``scripts/NAME.sh`` without its comments, as it is sent.

    Old phones take no command longer than 4 KiB, so nothing is sent that nobody reads there.
    """
    source = importlib.resources.files("fer_opt.device.phone") / "scripts" / f"{name}.sh"
    lines = source.read_text(encoding="ascii").splitlines()
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join(kept) + "\n"
