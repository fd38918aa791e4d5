"""The RSA keys by which phones know this computer: those of the genuine adb, shared with it."""

from __future__ import annotations

import base64
import os
import stat
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_opt.errors import PhoneError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["Signer", "default_key_path", "load_signers", "make_key"]

BITS = 2048
"""The only size adbd knows."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key, and the public one in Android's format.

    adb-shell's PycryptodomeAuthSigner is refused by a genuine adbd, and its CryptographySigner
    needs a .pub file, which shared vendor keys do not have.
    """

    private: RSAPrivateKey
    public_key: bytes

    def sign(self, token: bytes) -> bytes:
        """Sign a 20-byte token, which the protocol treats as if it were a SHA-1 digest."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, utils

        return self.private.sign(token, padding.PKCS1v15(), utils.Prehashed(hashes.SHA1()))


def default_key_path() -> Path:
    """Where the genuine adb keeps its key."""
    return Path.home() / ".android" / "adbkey"


def load_signers(say: Callable[[str], None]) -> tuple[Signer, ...]:
    """The user's key, made where missing, then those ADB_VENDOR_KEYS names.

    Args:
        say: told when a key was made, or can be read by others.

    Raises:
        PhoneError: a key cannot be read or made.
    """
    own = default_key_path()
    if not own.exists():
        make_key(own)
        say(f"This computer had no key for phones yet; {own} was made.")
    found = [_load(own, say)]
    found += [_load(path, say) for path in _vendor_keys()]
    return tuple(found)


def make_key(path: Path) -> None:
    """Make a private key, readable by its owner only, and its public one beside it.

    A key that another program makes in the same moment is left as it is.

    Raises:
        PhoneError: they cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    text = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp's files have mode 0600 from their first moment; a link appears with its content.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(text)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return
        finally:
            Path(temporary).unlink(missing_ok=True)
        path.with_name(path.name + ".pub").write_bytes(_public_key(private) + b"\n")
    except OSError as exc:
        raise PhoneError(
            f"{path} cannot be made ({exc.strerror or exc}), and without a key no phone lets this "
            "computer in; make its folder writable."
        ) from exc


def _load(path: Path, say: Callable[[str], None]) -> Signer:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            say(f"{path} can be read by others than you, and so can your phones; chmod 600 {path}.")
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as exc:
        raise PhoneError(
            f"{path} cannot be read ({exc.strerror or exc}), so no phone would let this computer "
            "in; make it readable, or move it away and a new one is made."
        ) from exc
    except (ValueError, TypeError) as exc:  # damaged, or with a password
        raise PhoneError(
            f"{path} is no private key that can be used ({exc}); move it away and a new one is "
            "made."
        ) from exc
    if not isinstance(private, RSAPrivateKey) or private.key_size != BITS:
        raise PhoneError(
            f"{path} is no RSA key of {BITS} bits, the only kind phones take; move it away and a "
            "new one is made."
        )
    return Signer(private, _public_key(private))


def _public_key(private: RSAPrivateKey) -> bytes:
    """The public key of a private one as adbd reads it, and who it belongs to.

    Format: struct RSAPublicKey of the Android Open Source Project (libcrypto_utils).
    adb-shell's encode_pubkey reads and checks the key once more, which takes a tenth of a second.
    """
    from adb_shell.auth.keygen import ANDROID_RSAPUBLICKEY_STRUCT, get_user_info

    numbers = private.public_key().public_numbers()
    size = BITS // 8
    encoded = struct.pack(
        ANDROID_RSAPUBLICKEY_STRUCT,
        size // 4,
        pow(-numbers.n, -1, 1 << 32),
        numbers.n.to_bytes(size, "little"),
        pow(1 << BITS, 2, numbers.n).to_bytes(size, "little"),
        numbers.e,
    )
    owner: str = get_user_info()
    return base64.b64encode(encoded) + owner.encode("utf-8", "replace")


def _vendor_keys() -> list[Path]:
    """Files that ADB_VENDOR_KEYS names, and those ending in .adb_key in folders it names."""
    found: list[Path] = []
    for part in os.environ.get("ADB_VENDOR_KEYS", "").split(os.pathsep):
        path = Path(part)
        if part and path.is_dir():
            found += sorted(path.glob("*.adb_key"))
        elif part and path.is_file():
            found.append(path)
    return found
