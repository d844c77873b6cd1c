"""Commands on the directory of stores."""

from apps.stores.services.directory import import_directory
from apps.stores.services.editing import create_retailer, create_store, create_zone, pause, resume, set_hours

__all__ = ["create_retailer", "create_store", "create_zone", "import_directory", "pause", "resume", "set_hours"]
