from collections.abc import Iterator

import pytest

from apps.common import clock
from apps.payments import gateway
from tests.orders.factories import MORNING
from tests.orders.provider import Provider


@pytest.fixture(autouse=True)
def a_monday_morning() -> Iterator[None]:
    with clock.shifted_to(MORNING):
        yield


@pytest.fixture(autouse=True)
def photos_of_their_own(settings, tmp_path) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "media"},
        },
    }


@pytest.fixture(autouse=True)
def provider() -> Iterator[Provider]:
    """The payment provider, in this process."""
    played = Provider()
    with gateway.replaced_by(played):
        yield played
