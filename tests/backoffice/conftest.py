from collections.abc import Iterator

import pytest
from django.test import Client

from apps.accounts import services as accounts
from apps.common import clock
from apps.payments import gateway
from tests.accounts.factories import make_staff
from tests.orders.factories import MORNING
from tests.orders.provider import Provider
from tests.presence import forget_everybody
from tests.web.pages import signed_in


@pytest.fixture(autouse=True)
def a_monday_morning() -> Iterator[None]:
    with clock.shifted_to(MORNING):
        yield


@pytest.fixture(autouse=True)
def provider() -> Iterator[Provider]:
    """The payment provider, in this process."""
    played = Provider()
    with gateway.replaced_by(played):
        yield played


@pytest.fixture
def nobody_online() -> None:
    """Shoppers of earlier tests would be seen by this one."""
    forget_everybody()


@pytest.fixture
def operator() -> Client:
    """A browser in which an operator is signed in."""
    user_id = make_staff(email="operator@example.com")
    accounts.grant_role(user_id=user_id, role="operator")
    return signed_in(user_id)
