import pytest

from apps.dispatch.etas import stored
from tests.presence import forget_everybody


@pytest.fixture(autouse=True)
def empty_redis():
    """Presence of earlier tests would be seen by this one."""
    forget_everybody()


@pytest.fixture(autouse=True)
def no_eta_model():
    """The model of an earlier test would be used in this one."""
    stored.forget()
