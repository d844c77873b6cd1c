"""Rows that everybody asks for and hardly anybody changes, remembered by each process for a moment.

Stores, fees, tax rates and promotions live in the one global database: without this, every order and every page of
every shard would ask it several times. What is remembered may be ``REFERENCE_SECONDS`` old; 0 switches the memory off.
"""

import time
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

from django.conf import settings

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST = 20_000
"""Values of one memory: enough for the stores that one process meets in its few seconds."""


class Remembered(Generic[K, V]):
    """What ``load`` answers for some keys, and how long ago. Keys it has no answer for are asked for each time."""

    def __init__(self, load: Callable[[Collection[K]], Mapping[K, V]]) -> None:
        self._load = load
        self._known: dict[K, tuple[float, V]] = {}

    def get(self, keys: Collection[K]) -> dict[K, V]:
        """The answers for those of ``keys`` that have one, in the order of ``keys``; the missing are loaded at once."""
        keep = settings.REFERENCE_SECONDS
        if not keep:
            found = self._load(keys)
            return {key: found[key] for key in keys if key in found}
        now = time.monotonic()
        known = self._known
        fresh = {key: kept[1] for key in keys if (kept := known.get(key)) is not None and now - kept[0] < keep}
        missing = [key for key in keys if key not in fresh]
        if missing:
            if len(known) + len(missing) > MOST:
                known = self._known = {}
            loaded = self._load(missing)
            fresh.update(loaded)
            known.update({key: (now, value) for key, value in loaded.items()})
        return {key: fresh[key] for key in keys if key in fresh}

    def one(self, key: K) -> V | None:
        return self.get((key,)).get(key)
