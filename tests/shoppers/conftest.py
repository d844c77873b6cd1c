import pytest

from tests.presence import forget_everybody


@pytest.fixture(autouse=True)
def empty_redis():
    """Presence of earlier tests would be seen by this one."""
    forget_everybody()
