"""Alder Falls: a city that is nowhere, with eight grocers, laid over real ground so that distances make sense."""

import random
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from apps.backoffice.demo.goods import Good, goods
from apps.catalog import selectors as shelves
from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from apps.common.geo import Point
from apps.inventory import selectors as stock
from apps.inventory import services as inventory
from apps.pricing import services as pricing
from apps.slots import services as slots
from apps.stores import selectors as directory
from apps.stores import services as stores
from apps.stores.types import OpeningHours

NAME = "Alder Falls"
STATE = "OH"
TIMEZONE = "America/New_York"
CENTRE = Point(39.9612, -82.9988)
RADIUS_M = 15_000
DAYS_OF_WINDOWS = 7
STREETS = ("Alder Street", "Birch Avenue", "Canal Road", "Dover Lane", "Elm Court", "Ferry Street", "Garden Row")


@dataclass(frozen=True, slots=True)
class Grocer:
    code: str
    name: str
    retailer: str
    address: str
    postcode: str
    north_m: int
    east_m: int
    price_percent: int
    opens: time
    closes: time


GROCERS = (
    Grocer("marigold-1", "Marigold Market", "Marigold", "12 Alder Street", "43901", 0, 0, 100, time(7), time(22)),
    Grocer(
        "marigold-2", "Marigold Northside", "Marigold", "310 Birch Avenue", "43902", 4200, 900, 100, time(7), time(22)
    ),
    Grocer("harbor-1", "Harbor Foods", "Harbor Foods", "5 Ferry Street", "43901", -900, -1500, 92, time(6), time(23)),
    Grocer("harbor-2", "Harbor Foods East", "Harbor Foods", "88 Canal Road", "43903", 500, 5200, 92, time(6), time(23)),
    Grocer("vine-1", "Corner & Vine", "Corner & Vine", "41 Elm Court", "43901", 1400, -600, 118, time(8), time(21)),
    Grocer(
        "mill-1", "Mill Street Co-op", "Mill Street Co-op", "7 Garden Row", "43904", -3600, 1800, 108, time(8), time(21)
    ),
    Grocer(
        "dover-1", "Dover Lane Grocers", "Dover Lane", "230 Dover Lane", "43905", 2600, -4300, 97, time(7), time(22)
    ),
    Grocer("pantry-1", "The Night Pantry", "Night Pantry", "19 Canal Road", "43903", -200, 3100, 124, time(0), time(0)),
)
"""Places are metres north and east of the centre. A grocer that closes when it opens never closes."""


def build(*, now: datetime) -> list[int]:
    """Zone, grocers, shelves, stock, hours and windows; returns the stores' ids. Repeating it changes nothing."""
    pricing.seed_defaults()
    zone_id = stores.create_zone(name=NAME, point=CENTRE, radius_m=RADIUS_M)
    return [_open(grocer, zone_id=zone_id, now=now) for grocer in GROCERS]


def store_ids() -> list[int]:
    """The demo's stores, in the order of ``GROCERS``. 1 query each."""
    return [directory.store_by_code(code=grocer.code).id for grocer in GROCERS]


def place(north_m: float, east_m: float) -> Point:
    """The point that far from the centre; a degree of latitude is 111 km, one of longitude 85 km here."""
    return Point(CENTRE.lat + north_m / 111_195, CENTRE.lng + east_m / 85_250)


def _open(grocer: Grocer, *, zone_id: int, now: datetime) -> int:
    store_id = stores.create_store(
        retailer_id=stores.create_retailer(name=grocer.retailer),
        zone_id=zone_id,
        code=grocer.code,
        name=grocer.name,
        address=grocer.address,
        city=NAME,
        state=STATE,
        postcode=grocer.postcode,
        point=place(grocer.north_m, grocer.east_m),
        timezone=TIMEZONE,
        delivery_radius_m=12_000,
        minimum_basket_cents=1000,
    )
    hours = [OpeningHours(weekday=day, opens=grocer.opens, closes=grocer.closes) for day in range(7)]
    if list(directory.opening_hours(store_id=store_id)) != hours:
        stores.set_hours(store_id=store_id, hours=hours)
    stores.set_receipt_check(store_id=store_id, is_on=True)
    _stock(grocer, store_id=store_id, now=now)
    today = now.astimezone(ZoneInfo(TIMEZONE)).date()
    slots.open_windows(store_id=store_id, first_day=today, days=DAYS_OF_WINDOWS, now=now)
    return store_id


def open_past_windows(*, days: int, now: datetime) -> None:
    """Windows of the last ``days`` days, for orders that happened then."""
    start = now - timedelta(days=days)
    for store_id in store_ids():
        slots.open_windows(store_id=store_id, first_day=start.date(), days=days, now=start)


def _stock(grocer: Grocer, *, store_id: int, now: datetime) -> None:
    first = shelves.items(store_id=store_id, limit=1).items
    if stock.levels(store_id=store_id, item_ids=[item.id for item in first]):
        return  # the stock is set last: what was interrupted before that is done again
    rng = random.Random(grocer.code)  # noqa: S311 (the same shelf at every start)
    rows = [_row(good) for good in goods(price_percent=grocer.price_percent) if rng.random() < 0.96]
    report = catalog.import_items(store_id=store_id, rows=rows, now=now)
    levels = {item_id: Decimal(rng.choice((120, 240, 400, 800))) for item_id in report.balances}
    for item_id in rng.sample(sorted(levels), 3):
        levels[item_id] = Decimal(0)  # something is always out
    inventory.set_on_hand(store_id=store_id, quantities=levels, reason="demo", now=now)


def restock(*, now: datetime) -> None:
    """Somebody fills and counts the shelves that shoppers found empty."""
    for store_id in store_ids():
        counted = {item_id: Decimal(120) for item_id in stock.missing(store_id=store_id)}
        inventory.set_on_hand(store_id=store_id, quantities=counted, reason="demo", now=now)


def _row(good: Good) -> FeedItem:
    return FeedItem(
        lookup_code=good.lookup_code,
        name=good.name,
        price_cents=good.price_cents,
        brand=good.brand,
        size=good.size,
        department=good.department,
        aisle=good.aisle,
        rank=good.rank,
        cost_unit=good.cost_unit,
        par_weight=Decimal(good.par_weight) if good.par_weight else None,
        tax_category=good.tax_category,
        deposit_cents=good.deposit_cents,
        alcoholic=good.is_alcoholic,
        snap=good.tax_category == "grocery",
    )
