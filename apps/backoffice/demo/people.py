"""Who lives in the demo: the four one-tap accounts, and 25 shoppers the simulation signs in as."""

from datetime import datetime, timedelta

from apps.accounts import selectors as accounts_selectors
from apps.accounts import services as accounts
from apps.accounts.types import AddressInput
from apps.backoffice.demo import city
from apps.shoppers import selectors as shoppers_selectors
from apps.shoppers import services as shoppers
from apps.stores import selectors as directory

SHOPPERS = 25
CUSTOMER, SHOPPER, STORE, ADMIN = (f"{role}@demo.example" for role in ("customer", "shopper", "store", "admin"))


def settle(*, password: str, now: datetime) -> None:
    """Create everybody who is missing. Repeating it changes nothing."""
    customer_id = _person(CUSTOMER, "Robin Ford", password=password, now=now)
    if not accounts_selectors.addresses(customer_id=customer_id):
        accounts.add_address(customer_id=customer_id, address=_home(), now=now)
    zone_id = directory.store(store_id=city.store_ids()[0]).zone_id
    operator = _person(ADMIN, "Operator", password=password, now=now)
    accounts.make_staff(user_id=operator, is_superuser=True)
    for number in range(SHOPPERS + 1):
        email = f"shopper-{number:02}@demo.example" if number else SHOPPER
        name = f"Shopper {number:02}" if number else "Sam Carter"
        shopper_id = _person(email, name, password=password, now=now)
        shoppers.register(user_id=shopper_id, name=name, zone_id=zone_id, now=now)
        if number % 5 < 4:
            _may_carry_alcohol(shopper_id, checked_by=operator, now=now)
    for number, store_id in enumerate(city.store_ids()):
        email = STORE if number == 0 else f"store-{number + 1}@demo.example"
        clerk = _person(email, "Store staff", password=password, now=now)
        accounts.grant_role(user_id=clerk, role="store_staff", store_id=store_id)


def _may_carry_alcohol(shopper_id: int, *, checked_by: int, now: datetime) -> None:
    if any(one.withdrawn_at is None for one in shoppers_selectors.certifications(shopper_id=shopper_id)):
        return
    first, last = now.date() - timedelta(days=60), now.date() + timedelta(days=670)
    shoppers.certify(
        shopper_id=shopper_id, kind="alcohol", valid_from=first, valid_until=last, checked_by=checked_by, now=now
    )


def _person(email: str, name: str, *, password: str, now: datetime) -> int:
    known = accounts_selectors.user_id_by_email(email=email)
    return known or accounts.sign_up(email=email, password=password, name=name, now=now)


def _home() -> AddressInput:
    return AddressInput(
        label="Home",
        line1="27 Elm Court",
        line2="Flat 3",
        city=city.NAME,
        state=city.STATE,
        postcode="43901",
        lat=city.place(600, -350).lat,
        lng=city.place(600, -350).lng,
        instructions="The bell says Ford.",
    )
