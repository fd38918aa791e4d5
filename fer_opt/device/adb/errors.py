"""Foreign exceptions of USB, sockets, adb-shell and adbutils become errors of our own tree."""

from __future__ import annotations

import contextlib
import errno
import struct
import sys
from collections.abc import Iterator

from fer_opt.errors import FerOptError, LinkLostError, PhoneError

__all__ = ["BusyError", "SilenceError", "UnauthorizedError", "foreign_error", "mapped"]


class SilenceError(LinkLostError):
    """Nothing arrived for a while, or nothing could be sent."""


class BusyError(PhoneError):
    """Another program, most likely an adb server, holds the phone's USB interface."""


class UnauthorizedError(PhoneError):
    """The phone has not accepted this computer's key."""


GONE = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EPIPE,
        errno.ENOTCONN,
        errno.EBADF,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENETRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ETIMEDOUT,
        errno.ENODEV,
        errno.EIO,
    }
)
"""What the operating system calls a connection that is not there (any more)."""

LOST_WORDS = ("not found", "offline", "closed", "no devices", "connecting")
"""In what an adb server says of a phone that may come back."""


@contextlib.contextmanager
def mapped(phone: str) -> Iterator[None]:
    """Re-raise what ``phone``'s connection throws as LinkLostError or PhoneError."""
    try:
        yield
    except FerOptError:
        raise
    except Exception as exc:
        raise foreign_error(phone, exc) from exc


def foreign_error(phone: str, exc: Exception) -> PhoneError:
    """Our error for a foreign one: LinkLostError where trying again may help."""
    for translate in (_usb_error, _adb_shell_error, _adbutils_error, _system_error):
        if (found := translate(phone, exc)) is not None:
            return found
    if isinstance(exc, (struct.error, UnicodeError, EOFError, ValueError, MemoryError)):
        # None of our own arguments can cause these: the phone's bytes make no sense.
        return LinkLostError(
            f"{phone} sent something that is not the Android Debug Bridge's protocol "
            f"({_told(exc)}); connect again."
        )
    return PhoneError(
        f"{phone} cannot be used ({_told(exc)}); unplug it, plug it in again, and report this if "
        "it still happens."
    )


def _usb_error(phone: str, exc: Exception) -> PhoneError | None:
    usb1 = sys.modules.get("usb1")  # never imported: never raised
    if usb1 is None:
        return None
    cause = getattr(exc, "usb_error", None) or next(
        (part for part in exc.args if isinstance(part, usb1.USBError)), exc
    )
    if not isinstance(cause, usb1.USBError):
        return None
    if isinstance(cause, usb1.USBErrorBusy):
        return BusyError(
            f"{phone} is held by another program, most likely a running adb server; go through "
            "that server with --via server (it is left running), or end it yourself with "
            "`adb kill-server`."
        )
    if isinstance(cause, usb1.USBErrorAccess):
        return PhoneError(
            f"{phone} cannot be opened: this user may not use the USB device; install Android's "
            "udev rules (Debian, Ubuntu: the package android-sdk-platform-tools-common, then join "
            "the group plugdev) and plug it in again."
        )
    if isinstance(cause, usb1.USBErrorNotSupported):
        return PhoneError(
            f"{phone} cannot be opened: this computer has no driver for it that libusb can use; "
            "on Windows install WinUSB for it (Zadig), or go through adb with --via server."
        )
    if isinstance(cause, usb1.USBErrorTimeout):
        return SilenceError(f"{phone} did not answer over USB; check the cable.")
    return LinkLostError(
        f"the USB connection to {phone} broke ({_told(cause)}); check the cable and that USB "
        "debugging is on."
    )


def _adb_shell_error(phone: str, exc: Exception) -> PhoneError | None:
    if not type(exc).__module__.startswith("adb_shell."):
        return None
    if type(exc).__name__ in {"UsbDeviceNotFoundError", "AdbConnectionError"}:
        return LinkLostError(f"{phone} is not connected ({_told(exc)}); plug it in again.")
    if type(exc).__name__ in {"TcpTimeoutException", "AdbTimeoutError"}:
        return SilenceError(f"{phone} did not answer in time ({_told(exc)}); check the connection.")
    if type(exc).__name__ == "DeviceAuthError":
        return UnauthorizedError(
            f"{phone} refuses this computer's key ({_told(exc)}); connect again and accept on its "
            "screen."
        )
    if type(exc).__name__ in {"AdbCommandFailureException", "PushFailedError"}:
        return PhoneError(f"{phone} refuses what it was asked for ({_told(exc)}); restart it.")
    return LinkLostError(f"the connection to {phone} broke ({_told(exc)}); connect again.")


def _adbutils_error(phone: str, exc: Exception) -> PhoneError | None:
    if not type(exc).__module__.startswith("adbutils."):
        return None
    name, words = type(exc).__name__, str(exc)
    if name == "AdbTimeout":
        return SilenceError(
            f"the adb server did not answer about {phone} ({_told(exc)}); connect again."
        )
    if name == "AdbConnectionError":
        return LinkLostError(
            f"the adb server that had {phone} does not answer ({_told(exc)}); start it with "
            "`adb start-server`, or use --via usb."
        )
    if "unauthorized" in words:
        return UnauthorizedError(
            f"{phone} has not accepted the adb server's key; unlock it and accept on its screen."
        )
    if any(word in words for word in LOST_WORDS):
        return LinkLostError(f"the adb server has lost {phone} ({_told(exc)}); plug it in again.")
    return PhoneError(f"the adb server refuses {phone} ({_told(exc)}); unplug it and try again.")


def _system_error(phone: str, exc: Exception) -> PhoneError | None:
    if not isinstance(exc, OSError):
        return None
    if isinstance(exc, TimeoutError):
        return SilenceError(f"{phone} did not answer in time; check the connection.")
    if exc.errno in GONE or exc.errno is None:
        return LinkLostError(
            f"the connection to {phone} broke ({_told(exc)}); check cable, Wi-Fi and that "
            "debugging is on."
        )
    return PhoneError(f"{phone} cannot be reached ({_told(exc)}); check its address.")


def _told(exc: BaseException) -> str:
    """The foreign error's own words, on one line."""
    words = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return " ".join(words.split())[:200].rstrip(".") or type(exc).__name__
