"""What happens to the directory of stores, told from the global database."""

from dataclasses import dataclass
from typing import ClassVar

from apps.common.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursChanged(Event):
    """The store opens or closes at other times than before, in some week or on some date."""

    name: ClassVar[str] = "stores.hours_changed"
    store_id: int
