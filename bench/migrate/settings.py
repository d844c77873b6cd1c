"""The project as it is, with one more release of migrations."""

from instacart.settings import *  # noqa: F403

RELEASED = ("common", "inventory", "orders", "payments", "shoppers")
MIGRATION_MODULES = {app: f"bench.migrate.release.{app}" for app in RELEASED}
LOGGING_CONFIG = None
