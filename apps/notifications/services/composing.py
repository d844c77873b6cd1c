"""Who knows what a letter says: the app above that asked for it, by a function it registers when it is loaded."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.notifications import domain
from apps.notifications.types import Letter

Composer = Callable[[int, Mapping[str, Any], str], Letter]
"""From the customer's id, the facts and the language to the letter.

It only reads. Raises ``errors.NotYet`` and ``errors.NothingToSay``; anything else is a bug, and tried again.
"""

_composers: dict[str, Composer] = {}


def composer(kind: str) -> Callable[[Composer], Composer]:
    """Register the one function that composes letters of ``kind``."""
    domain.checked_kind(kind)

    def register(compose: Composer) -> Composer:
        _composers[kind] = compose
        return compose

    return register


def composed(kind: str, *, customer_id: int, facts: Mapping[str, Any], language: str) -> Letter:
    """Raises ``KeyError`` where no app has said what such a letter says."""
    return _composers[kind](customer_id, facts, language)
