"""Tables of states: from each state to those that may follow it."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)


def before(table: Mapping[State, Collection[State]], to: State) -> frozenset[State]:
    """The states from which ``to`` may be reached."""
    return frozenset(origin for origin, following in table.items() if to in following)
