"""The project's settings on the servers of ``deploy.local.testservers``, whatever this machine has configured."""

import os

from deploy.local import testservers

for name in (
    *("INSTACART_ENV", "SHARD_MAP", "REPLICAS", "METRICS_TOKEN"),
    *("STRIPE_API_BASE", "STRIPE_SECRET_KEY", "PUBLIC_URL", "WEBSOCKET_URL", "EMAIL_URL", "EMAIL_FROM"),
    *("TRAVEL_TIMES", "TRAVEL_URL", "TRAVEL_KEY"),
):
    os.environ.pop(name, None)
os.environ.update(testservers.environment())
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
os.environ["REDIS_URL"] = os.environ["REDIS_URL"].replace("db=0", f"db={_worker % 16}")  # a Redis of its own for each

from instacart.settings import *  # noqa: E402, F403 (reads the environment set above)
from instacart.settings import INSTALLED_APPS, SHARDING  # noqa: E402

SHARDING = {**SHARDING, "WATCH": False, "DEADLINE_SECONDS": 10.0}
"""Tests that move buckets or take the directory away start processes of their own; those of deadlines set one. The
others run beside whatever else the machine does."""

INSTALLED_APPS = [*INSTALLED_APPS, "tests.sharding.shop"]

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""Hundreds of made-up people sign up in the tests; their passwords need not resist anybody."""

REFERENCE_SECONDS = 0.0
"""Tests change stores and fees and look at once."""

OUTBOX_NUDGE = False
"""No worker runs beside the tests: they relay for themselves."""
