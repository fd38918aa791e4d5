"""The ``fer-opt`` command: the only place that prints and exits.

Exit codes: 0 done, 2 the user's input cannot be used, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys

from fer_opt.cli.app import app
from fer_opt.cli.console import complain
from fer_opt.errors import FerOptError

__all__ = ["main"]


def main() -> None:
    """Run the command line; errors become one sentence and exit code 2."""
    try:
        app()
    except FerOptError as exc:
        complain(str(exc))
        sys.exit(2)
    except KeyboardInterrupt:
        complain("stopped; what was finished is saved, and the same command goes on from there.")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(0)
