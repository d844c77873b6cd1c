"""Encryption of personal columns and keyed hashes to find rows by them.

Every person has a data key of their own, kept wrapped (encrypted) by the installation's key beside
their rows: throwing the wrapped key away makes the data unreadable, in backups too. AES-256-GCM
(NIST SP 800-38D) with a random 96-bit nonce; keys are derived from ``FIELD_KEY`` by HKDF (RFC 5869).
"""

import hashlib
import hmac
import os
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_NONCE_BYTES = 12


def new_data_key() -> bytes:
    """A fresh data key, wrapped; open it with ``data_key``."""
    return _seal(AESGCM.generate_key(bit_length=256), key=_derived("data-key-wrapping"))


def data_key(wrapped: bytes) -> bytes:
    """The data key inside ``wrapped``. Raises ``cryptography.exceptions.InvalidTag`` when it was tampered with."""
    return _open(bytes(wrapped), key=_derived("data-key-wrapping"))


def encrypt(text: str, *, key: bytes) -> bytes:
    return _seal(text.encode(), key=key)


def decrypt(data: bytes, *, key: bytes) -> str:
    """The text inside ``data``. Raises ``cryptography.exceptions.InvalidTag`` for another key or changed bytes."""
    return _open(bytes(data), key=key).decode()


def encrypt_bytes(data: bytes, *, purpose: str) -> bytes:
    """For what is nobody's own and kept for hours: with a key of the installation for this ``purpose``."""
    return _seal(data, key=_derived(f"encryption:{purpose}"))


def decrypt_bytes(data: bytes, *, purpose: str) -> bytes:
    """Raises ``cryptography.exceptions.InvalidTag`` for another purpose or changed bytes."""
    return _open(data, key=_derived(f"encryption:{purpose}"))


def keyed_hash(text: str, *, purpose: str) -> str:
    """64 hex digits by which equal texts can be found, and nothing be guessed without the installation's key."""
    return hmac.new(_derived(f"keyed-hash:{purpose}"), text.encode(), hashlib.sha256).hexdigest()


def _seal(data: bytes, *, key: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, None)


def _open(data: bytes, *, key: bytes) -> bytes:
    return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None)


@cache
def _derived(purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(settings.FIELD_KEY.encode())
