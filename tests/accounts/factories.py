"""People and their addresses, made through the services. Names and places are only said where a test is about them."""

from datetime import UTC, datetime
from itertools import count

from apps.accounts import services
from apps.accounts.types import AddressInput

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
PASSWORD = "correct horse battery staple"

_numbers = count(1)


def make_customer(*, email: str | None = None, name: str = "Ada Lovelace", password: str = PASSWORD, now=NOW) -> int:
    """Id of a new customer, who can sign in with ``PASSWORD``."""
    return services.sign_up(email=email or f"person{next(_numbers)}@example.com", password=password, name=name, now=now)


def make_staff(*, superuser: bool = False, **who) -> int:
    user_id = make_customer(**who)
    services.make_staff(user_id=user_id, is_superuser=superuser)
    return user_id


def an_address(**changes) -> AddressInput:
    """100 N High St in Columbus, Ohio, with ``changes``."""
    usual = {
        "label": "Home",
        "line1": "100 N High St",
        "city": "Columbus",
        "state": "OH",
        "postcode": "43215",
        "lat": 39.9640,
        "lng": -83.0007,
    }
    return AddressInput(**(usual | changes))


def make_address(customer_id: int, *, now=NOW, **changes) -> int:
    """Id of an address of the customer; the same one again is the same id."""
    return services.add_address(customer_id=customer_id, address=an_address(**changes), now=now)
