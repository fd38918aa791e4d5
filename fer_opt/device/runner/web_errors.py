"""Why a download failed, in one sentence that ends with another way to a runner."""

from __future__ import annotations

from urllib.parse import urlsplit

from fer_opt.errors import RunnerError

__all__ = ["refusal"]

_ELSEWHERE = "or download it by other means and use --runner PATH"


def refusal(
    url: str, exc: Exception | None, *, status: int = 0, kept_bytes: int = 0
) -> RunnerError:
    """The error for a download of ``url`` that ended in ``exc``, or in an HTTP ``status``."""
    import requests

    host = urlsplit(url).hostname or url
    if status in (404, 410):
        return RunnerError(
            f"{host} has no benchmark_model at {urlsplit(url).path} (HTTP {status}); find today's "
            "address on TensorFlow's page 'Performance measurement' and give it with --url, "
            f"{_ELSEWHERE}."
        )
    if status:
        return RunnerError(
            f"{host} does not hand out {urlsplit(url).path} (HTTP {status}); try again later, "
            f"{_ELSEWHERE}."
        )
    reason = _innermost(exc)
    if reason.startswith("IncompleteRead"):
        reason = "the connection was closed"
    if isinstance(exc, requests.exceptions.SSLError):
        return RunnerError(
            f"The connection to {host} cannot be trusted ({reason}); if a proxy opens it, name its "
            f"certificate in REQUESTS_CA_BUNDLE, {_ELSEWHERE}."
        )
    if isinstance(exc, requests.exceptions.InvalidSchema):
        return RunnerError(
            f"{host} sends us on to an address without encryption, and programs are fetched over "
            f"https only; give another address with --url, {_ELSEWHERE}."
        )
    if kept_bytes:
        return RunnerError(
            f"The download from {host} broke off after {kept_bytes} bytes ({reason}); run the same "
            f"command to go on from there, {_ELSEWHERE}."
        )
    return RunnerError(
        f"{host} cannot be reached ({reason}); check the network or the proxy (HTTPS_PROXY), "
        f"{_ELSEWHERE}."
    )


def _innermost(exc: BaseException | None) -> str:
    """The first cause of a chain of errors, in the words of the system or of the library."""
    words = type(exc).__name__
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        words = getattr(exc, "verify_message", "") or getattr(exc, "strerror", None) or words
        if not exc.args or not isinstance(exc.args[0], BaseException):
            text = " ".join(str(exc).split())
            words = words if getattr(exc, "strerror", None) else text or words
        inner = getattr(exc, "reason", None)
        exc = inner if isinstance(inner, BaseException) else exc.__cause__ or exc.__context__
    return words.rstrip(".")
