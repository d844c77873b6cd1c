import pytest

from apps.dispatch.etas import stored
from apps.dispatch.roads import stored as stored_roads
from tests.presence import forget_everybody


@pytest.fixture(autouse=True)
def empty_redis():
    """Presence of earlier tests would be seen by this one."""
    forget_everybody()


@pytest.fixture(autouse=True)
def nothing_learned():
    """The ETA model and the speeds of an earlier test would be used in this one."""
    stored.forget()
    stored_roads.forget()
