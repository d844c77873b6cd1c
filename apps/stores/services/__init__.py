"""Commands on the directory of stores."""

from apps.stores.services.directory import import_directory
from apps.stores.services.editing import (
    clear_special_day,
    create_retailer,
    create_store,
    create_zone,
    note_hours_changed,
    pause,
    resume,
    set_hours,
    set_receipt_check,
    set_special_day,
)

__all__ = [
    "clear_special_day",
    "create_retailer",
    "create_store",
    "create_zone",
    "import_directory",
    "note_hours_changed",
    "pause",
    "resume",
    "set_hours",
    "set_receipt_check",
    "set_special_day",
]
