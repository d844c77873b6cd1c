"""Where a list of items goes on: the sorting columns of the last one shown, opaque to clients."""

import base64
import binascii
import json
from typing import Any

from apps.catalog.errors import CursorInvalid

Key = tuple[str, str, int, str, int]
"""Department, aisle, rank, name, id: an order in which no two items of a store are equal."""


def encode(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def decode(text: str) -> Key:
    """Raises ``CursorInvalid`` for what ``encode`` did not make."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        found: Any = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeError, binascii.Error, ValueError, RecursionError):
        found = None
    if not _is_key(found):
        raise CursorInvalid("This is not a place in the list.")
    return found[0], found[1], found[2], found[3], found[4]


def _is_key(found: Any) -> bool:
    return (
        isinstance(found, list)
        and [type(part) for part in found] == [str, str, int, str, int]
        and not any("\x00" in part or _has_surrogate(part) for part in found if isinstance(part, str))
        and 0 <= found[2] < 2**31
        and 0 <= found[4] < 2**63
    )


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
