"""The project's settings, and the example apps that tests bring along."""

from instacart.settings import *  # noqa: F403
from instacart.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.sharding.shop"]
