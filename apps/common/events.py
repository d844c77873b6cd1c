"""The base of every domain event: a fact in the past tense, plain data, no Django."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Fields are what JSON can say: int, str, bool, None, lists and dicts of them."""

    name: ClassVar[str]
