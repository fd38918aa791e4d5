"""Addresses to fetch from: which are refused, and how they are shown."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from fer_opt.errors import RunnerError

__all__ = ["check_address", "shown_url"]


def check_address(url: str) -> None:
    """Refuse what is not an https address.

    Raises:
        RunnerError: it is not.
    """
    try:
        address = urlsplit(url)
        fits = address.scheme == "https" and bool(address.hostname)
    except ValueError:
        fits = False
    if not fits:
        raise RunnerError(
            f"{shown_url(url)!r} is no https address, and programs are fetched over nothing else; "
            "give one that begins with https://, or download it yourself and use --runner PATH."
        )


def shown_url(url: str) -> str:
    """``url`` without what may be secret in it: user, password, query."""
    try:
        address = urlsplit(url)
        host = address.netloc.rpartition("@")[2]
        return urlunsplit((address.scheme, host, address.path, "", ""))
    except ValueError:
        return url
