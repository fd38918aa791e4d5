"""The ``fer-opt`` command: the only place that prints and exits.

Exit codes: 0 done, 2 the user's input, a phone or a model on it cannot be used, 130 stopped by
Ctrl-C; ``gate`` has more, see :mod:`fer_opt.cli.gated`.
"""

from __future__ import annotations

import io
import sys

from fer_opt.cli.app import app
from fer_opt.cli.console import complain
from fer_opt.errors import FerOptError

__all__ = ["main"]

INTERRUPTED = 130


def main() -> None:
    """Run the command line; errors become one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        # What a terminal or file of another encoding lacks becomes a question mark.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")
    try:
        app()
    except FerOptError as exc:
        complain(str(exc))
        sys.exit(2)
    except SystemExit as exc:
        if exc.code == INTERRUPTED:  # Typer has turned Ctrl-C into this, without a word
            complain(
                "stopped; run, train, demo, classify, gate and bench --on go on from here when "
                "called again."
            )
        raise
