from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.accounts import services as accounts
from apps.common import clock
from apps.payments import gateway
from apps.payments.stripe_gateway import StripeGateway
from tests.flows.world import World
from tests.orders.factories import MORNING
from tests.payments.fixtures import Sandbox, sandbox, sandbox_server
from tests.presence import forget_everybody

__all__ = ["sandbox", "sandbox_server"]


@pytest.fixture(autouse=True)
def monday_morning() -> Iterator[None]:
    with clock.shifted_to(MORNING):
        yield


@pytest.fixture(autouse=True)
def photos(media: Path) -> None:
    """Kept apart from those of other tests."""


@pytest.fixture(autouse=True)
def empty_redis() -> None:
    """Presence of earlier tests would be seen by this one."""
    forget_everybody()


@pytest.fixture(autouse=True)
def bank(sandbox: Sandbox, db: None) -> Iterator[Sandbox]:
    """The payments sandbox over real HTTP, met with patience: nothing here is about a slow provider."""
    accounts.create_oauth_apps()
    with gateway.replaced_by(StripeGateway(timeout=10)):
        yield sandbox


@pytest.fixture
def world(bank: Sandbox) -> World:
    return World(bank)
