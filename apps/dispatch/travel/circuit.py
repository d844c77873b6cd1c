"""Leaving a road server in trouble alone for a while, in all processes at once."""

import logging
from typing import Final

from django.core.cache import cache

REST_S: Final = 15.0
logger = logging.getLogger(__name__)


def is_resting(provider: str) -> bool:
    return cache.get(_key(provider)) is not None


def rest(provider: str, *, reason: str, seconds: float | None = None) -> None:
    """Nobody asks for ``seconds``, or ``REST_S``; ``reason`` is logged and must hold nothing that was sent."""
    seconds = max(seconds or 0.0, REST_S)
    cache.set(_key(provider), 1, timeout=seconds)
    logger.warning("travel.resting provider=%s seconds=%g reason=%s", provider, seconds, reason)


def _key(provider: str) -> str:
    return f"dispatch:travel:resting:{provider}"
