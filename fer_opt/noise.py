"""Holding back what native libraries print, until something goes wrong."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

__all__ = ["quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what native code and Python's loggers print; give it out if an exception passes.

    Native code writes to file descriptor 2 directly, so the descriptor itself is redirected. What
    was held back is appended to the exception as a note, for whoever looks at the cause.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    previous = logging.root.manager.disable
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        logging.disable(logging.WARNING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except Exception as exc:
            held.seek(0)
            if noise := held.read().decode("utf-8", "replace").strip():
                exc.add_note(noise[-4000:])
            raise
        finally:
            sys.stderr.flush()
            logging.disable(previous)
            os.dup2(saved, 2)
            os.close(saved)
