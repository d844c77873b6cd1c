"""The example shop over three databases, one of them a spare, on maps that move. For processes of their own."""

import json
import os

from instacart.env import django_database

_world = json.loads(os.environ["MOVES_WORLD"])

_RANGES = ((0, 4999, "a"), (5000, 9999, "b"))

DATABASES = {alias: django_database(url) for alias, url in _world["urls"].items()}
DATABASE_ROUTERS = ["sharding.routers.ShardRouter"]
SHARDING = {
    "KEYSPACES": {"customer": _RANGES, "store": _RANGES},
    "SPARES": {"customer": ("c",), "store": ("c",)},
    "LEASE_SECONDS": _world["lease"],
    "WATCH": _world["watch"],
}
INSTALLED_APPS = ["sharding", "tests.sharding.shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
SECRET_KEY = "moves"
