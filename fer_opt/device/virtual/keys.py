"""The host's key: Android's own form of an RSA public key, and the check of its signature.

Source: AOSP, system/core/libcrypto_utils/android_pubkey.c.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass

__all__ = ["TOKEN_BYTES", "PublicKey", "parse_public_key", "signed_by"]

TOKEN_BYTES = 20
MODULUS_BYTES = 256  # adb's keys are RSA-2048, and adbd takes no other
KEY = struct.Struct("<II256s256sI")  # words, n0inv, modulus, R squared, exponent
# What PKCS #1 v1.5 puts before a SHA-1 digest (RFC 8017, section 9.2); adb signs the token as if
# it were one.
DIGEST_INFO = bytes.fromhex("3021300906052b0e03021a05000414")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An RSA public key."""

    modulus: int
    exponent: int


def parse_public_key(text: bytes) -> PublicKey | None:
    """The key a host offers (base64, then a name), or a line of ``adbkey.pub``; None for no key."""
    words = text.rstrip(b"\x00").split()
    if not words:
        return None
    try:
        raw = base64.b64decode(words[0], validate=True)
        length, _, modulus, _, exponent = KEY.unpack(raw)
    except (binascii.Error, struct.error):
        return None
    if length * 4 != MODULUS_BYTES or exponent not in (3, 65537):
        return None
    return PublicKey(int.from_bytes(modulus, "little"), exponent)


def signed_by(key: PublicKey, token: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is of ``token`` (20 bytes) by the owner of ``key``.

    RSASSA-PKCS1-v1_5 verification (RFC 8017, section 8.2.2): the expected encoding is compared as
    a whole, so that nothing of a forged one is parsed.
    """
    if len(signature) != MODULUS_BYTES or len(token) != TOKEN_BYTES:
        return False
    number = int.from_bytes(signature, "big")
    if number >= key.modulus:
        return False
    found = pow(number, key.exponent, key.modulus).to_bytes(MODULUS_BYTES, "big")
    padding = b"\xff" * (MODULUS_BYTES - 3 - len(DIGEST_INFO) - TOKEN_BYTES)
    return found == b"\x00\x01" + padding + b"\x00" + DIGEST_INFO + token
