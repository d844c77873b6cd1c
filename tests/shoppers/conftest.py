import pytest

from apps.shoppers import presence


@pytest.fixture(autouse=True)
def empty_redis():
    """Presence of earlier tests would be seen by this one."""
    presence._redis().flushdb()
