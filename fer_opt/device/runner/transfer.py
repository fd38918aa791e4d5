"""Downloading one file over HTTPS, going on where an earlier try broke off.

A part is only ever continued when the server proves that it still has the same file: by If-Range
with the mark it gave before (RFC 9110, section 13.1.5), and by the same mark and length in its
answer. Everything else begins anew.
"""

from __future__ import annotations

import errno
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from fer_opt.device.runner.address import check_address, shown_url
from fer_opt.device.runner.web_errors import refusal
from fer_opt.errors import RunnerError
from fer_opt.progress import Progress

if TYPE_CHECKING:
    from requests import Response, Session

__all__ = ["Marks", "cannot_write", "transfer"]

MOST_BYTES = 1 << 28
"""A benchmark_model is some 5 to 20 MB; what is larger than this is something else."""

TIMEOUTS_S = (10.0, 30.0)
"""For connecting, and for silence while reading."""

PAUSES_S = (0.5, 2.0)
"""Before each new try, counted from the last one that brought bytes."""

_CHUNK_BYTES = 1 << 13
"""What a broken connection may cost: the library hands out whole chunks only."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What the server said of a file; by this a part of it is recognised later.

    Attributes:
        url: asked.
        etag: its mark; empty where it gives none.
        modified: its last change as the server wrote it; empty where it does not.
        total_bytes: its whole length; None where the server does not say.
    """

    url: str
    etag: str
    modified: str
    total_bytes: int | None

    @property
    def proof(self) -> str:
        """What If-Range may be asked with; a weak mark proves nothing about bytes."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


_MARKS = TypeAdapter(Marks)


def transfer(
    url: str, part: Path, *, unless_etag: str, title: str, progress: Progress
) -> Marks | None:
    """Download ``url`` into ``part``; None where the server still has the ``unless_etag`` version.

    When this fails, what has come stays in ``part`` (and its marks beside it) for the next call.

    Raises:
        RunnerError: the address is not https, does not answer, or the disk is full.
    """
    check_address(url)
    import requests
    from requests import exceptions as foreign

    with requests.Session() as session:
        session.adapters.pop("http://")  # not even a redirection leaves encryption
        failures, most_bytes = 0, _size(part)
        while True:
            try:
                return _try(session, url, part, unless_etag, title, progress)
            except (foreign.SSLError, foreign.ProxyError) as exc:
                raise refusal(url, exc) from exc
            except (
                foreign.ConnectionError, foreign.Timeout, foreign.ChunkedEncodingError, _Broken
            ) as exc:  # fmt: skip
                # Against the most there ever was, so that a file that changes each time ends too.
                failures = 1 if _size(part) > most_bytes else failures + 1
                most_bytes = max(most_bytes, _size(part))
                if failures > len(PAUSES_S):
                    raise refusal(url, exc, kept_bytes=_size(part)) from exc
                time.sleep(PAUSES_S[failures - 1])
            except (foreign.RequestException, ValueError) as exc:
                raise refusal(url, exc) from exc
            except OSError as exc:
                raise cannot_write(part, exc) from exc


class _Broken(Exception):  # noqa: N818 - one try's end, never seen outside
    """A part had to be thrown away; another try begins anew."""


def _try(
    session: Session, url: str, part: Path, unless_etag: str, title: str, progress: Progress
) -> Marks | None:
    before = _read_marks(part, url)
    headers = {"Accept-Encoding": "identity", "User-Agent": "fer-opt"}
    have = _size(part) if before is not None else 0
    if before is not None and have:
        headers |= {"Range": f"bytes={have}-", "If-Range": before.proof}
    elif unless_etag:
        headers["If-None-Match"] = unless_etag
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUTS_S) as response:
        if response.status_code == 304 and "If-None-Match" in headers:
            return None
        if response.status_code == 416:  # nothing after what we have: whole, or another file
            if before is not None and have == before.total_bytes:
                return before
            _drop(part)
            raise _Broken("the file has changed meanwhile")
        if response.status_code not in (200, 206):
            raise refusal(url, None, status=response.status_code)
        marks = _marks_of(response, url)
        if response.status_code == 206 and not _continues(response, marks, before, have):
            _drop(part)
            raise _Broken("the file has changed meanwhile")
        have = have if response.status_code == 206 else 0
        if (marks.total_bytes or 0) > MOST_BYTES:
            raise _too_large(url)
        _marks_path(part).write_bytes(_MARKS.dump_json(marks))  # half of it counts as none
        _receive(response, part, have, marks, title, progress)
    if marks.total_bytes is not None and _size(part) != marks.total_bytes:
        raise _Broken(f"{_size(part)} of {marks.total_bytes} bytes came")
    _marks_path(part).unlink(missing_ok=True)
    return marks


def _receive(
    response: Response, part: Path, have: int, marks: Marks, title: str, progress: Progress
) -> None:
    with (
        progress.stage(title, marks.total_bytes or 0) as advance,
        part.open("r+b" if have else "wb") as handle,
    ):
        handle.seek(have)
        advance(have)
        for chunk in response.iter_content(_CHUNK_BYTES):
            have += len(chunk)
            if have > MOST_BYTES:
                raise _too_large(marks.url)
            handle.write(chunk)
            advance(len(chunk))
        handle.truncate()


def _marks_of(response: Response, url: str) -> Marks:
    headers = response.headers
    if response.status_code == 206:
        total = re.fullmatch(r"bytes \d+-\d+/(\d+)", headers.get("Content-Range", ""))
    else:
        total = re.fullmatch(r"(\d+)", headers.get("Content-Length", ""))
    return Marks(
        url=url,
        etag=headers.get("ETag", ""),
        modified=headers.get("Last-Modified", ""),
        total_bytes=int(total[1]) if total else None,
    )


def _continues(response: Response, marks: Marks, before: Marks | None, have: int) -> bool:
    """Whether an answer of 206 goes on exactly where the part ends, in the same file."""
    begins = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    return bool(begins and before is not None and marks == before)


def _read_marks(part: Path, url: str) -> Marks | None:
    """The marks a part was received with; None where it cannot be continued."""
    try:
        marks = _MARKS.validate_json(_marks_path(part).read_bytes())
    except (OSError, ValidationError):
        return None
    return marks if marks.url == url and marks.proof else None


def _marks_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _marks_path(part).unlink(missing_ok=True)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _too_large(url: str) -> RunnerError:
    return RunnerError(
        f"{shown_url(url)} is larger than {MOST_BYTES >> 20} MB, which no benchmark_model is; "
        "check the address."
    )


def cannot_write(part: Path, exc: OSError) -> RunnerError:
    """The error for a folder of the cache that cannot be written."""
    full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
    cause = "the disk is full" if full else exc.strerror or str(exc)
    return RunnerError(
        f"{part.parent} cannot be written ({cause}); make room there, or name another folder in "
        "FER_OPT_CACHE."
    )
