"""One day of a zone: what is ordered when, who works when, and what nobody knows beforehand. Minutes from midnight."""

import math
import random
from dataclasses import dataclass

from apps.dispatch import domain
from apps.slots.types import Plan as Windows
from bench.dispatch.grocery.zone import Zone

# What a stop takes: the app's own minutes.
STORE_MINUTES = (domain.START_AND_PARK_S + domain.IN_STORE_S) / 60
DOOR_MINUTES = (domain.START_AND_PARK_S + domain.AT_DOOR_S) / 60
TYPICAL_APPROACH_MINUTES = domain.APPROACH_S / 60
LINE_MINUTES, UNIT_MINUTES = domain.PER_LINE_S / 60, domain.PER_UNIT_S / 60

# When people order.
WINDOWS = Windows()
"""The app's windows unless a store wishes otherwise: an hour long, ordered an hour before; immediate ones two hours."""
FIRST_HOUR, LAST_HOUR = 9, 20
"""Windows begin in these hours; the stores of the zone are open before and after."""
ASAP_SHARE = 0.5
"""A guess: no marketplace publishes it. Both kinds are there in number, so that neither decides alone."""
MOST_LEAD_MINUTES = 10 * 60.0
"""Windows are ordered evenly from an hour to ten hours before (those before the morning are known from its start)."""
EARLY_MINUTES = 15.0
"""Before its window opens nobody may stand at the door: ``DISPATCH_EARLY_MINUTES`` of the app."""
NEARNESS_MINUTES = 5.0
"""An address e times less often orders from a store for every so many minutes that it is farther. A guess."""

# Who works.
SHOPPERS = 40
SHIFT_HOURS = (4, 5, 6)
DAY_ENDS = 22 * 60.0
CAR_UNITS = float(domain.MAX_UNITS)
CAR_KILOGRAMS = ((0.3, 40.0), (0.7, 80.0))
"""(share, kilograms): what is borne from the car in a few walks of 10 kg. No bikes: one table of drives is for all."""
CERTIFIED = {"alcohol": 0.7, "cold": 0.85}
"""The share of shoppers who may carry it (adults who passed the course; owners of insulated bags). A guess."""

# What nobody knows beforehand, as standard deviations of logarithms.
PACE_SPREAD = 0.2
"""Between shoppers: the fast tenth takes 0.77, the slow tenth 1.29 of the app's minutes an order. A guess."""
TOLD_SPREAD = 0.1
"""How far off the pace is that is known of a shopper."""
SNAG_SPREAD = 0.15
"""Between orders: what is hard to find or out of stock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Wanted between ``starts`` and ``ends``; ``opens`` is the earliest that it may be handed over."""

    order_id: int
    store: int
    door: int
    placed: float
    starts: float
    ends: float
    opens: float
    is_asap: bool
    lines: int
    units: int
    kilograms: float
    needs: frozenset[str]

    @property
    def shop_minutes(self) -> float:
        """For a shopper of pace 1, on a day without snags."""
        return LINE_MINUTES * self.lines + UNIT_MINUTES * self.units


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopper:
    """``pace`` is what is known of it: minutes for an order are multiplied by it."""

    shopper_id: int
    home: int
    on: float
    off: float
    orders: int
    units: float
    kilograms: float
    skills: frozenset[str]
    pace: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """``true_pace`` by shopper and ``snags`` by order are the judge's alone."""

    zone: Zone
    orders: dict[int, Order]
    shoppers: dict[int, Shopper]
    true_pace: dict[int, float]
    snags: dict[int, float]


def make(zone: Zone, *, seed: int, per_shopper_hour: float, shoppers: int = SHOPPERS) -> Day:
    """The same day for the same seed; ``per_shopper_hour`` is how many orders are placed for each hour of a shift."""
    chance = random.Random(f"{seed} {per_shopper_hour} {shoppers}")  # noqa: S311 (the same day every time)
    people = {k: _shopper(zone, chance, k) for k in range(1, shoppers + 1)}
    hours = sum(shopper.off - shopper.on for shopper in people.values()) / 60
    wishes = sorted(_wish(zone, chance) for _ in range(round(per_shopper_hour * hours)))
    orders = {number: _order(zone, chance, number, wish) for number, wish in enumerate(wishes, start=1)}
    return Day(
        zone=zone,
        orders=orders,
        shoppers=people,
        true_pace={k: shopper.pace * _factor(chance, TOLD_SPREAD) for k, shopper in people.items()},
        snags={number: _factor(chance, SNAG_SPREAD) for number in orders},
    )


def _shopper(zone: Zone, chance: random.Random, number: int) -> Shopper:
    """Shifts lie where orders are: around a moment drawn as those of the orders are."""
    length = 60.0 * chance.choice(SHIFT_HOURS)
    on = min(max(60.0 * (FIRST_HOUR - 1), _moment(zone, chance) - length / 2), DAY_ENDS - length)
    _, kilograms = chance.choices(CAR_KILOGRAMS, weights=[share for share, _ in CAR_KILOGRAMS])[0]
    return Shopper(
        shopper_id=number,
        home=chance.choice(zone.addresses),
        on=on,
        off=on + length,
        orders=domain.MAX_ORDERS,
        units=CAR_UNITS,
        kilograms=kilograms,
        skills=frozenset(skill for skill, share in CERTIFIED.items() if chance.random() < share),
        pace=_factor(chance, PACE_SPREAD),
    )


def _moment(zone: Zone, chance: random.Random) -> float:
    """A minute of the day, by the hours in which people shop."""
    hours = range(FIRST_HOUR, LAST_HOUR + 1)
    hour = chance.choices(hours, weights=[zone.baskets.hours[hour] for hour in hours])[0]
    return 60.0 * hour + chance.uniform(0, 60)


def _wish(zone: Zone, chance: random.Random) -> tuple[float, float, float]:
    """(placed, starts, ends)"""
    moment = _moment(zone, chance)
    starts = 60.0 * (moment // 60)
    if chance.random() < ASAP_SHARE:
        return moment, starts, starts + WINDOWS.immediate_length_minutes
    lead = chance.uniform(WINDOWS.lead_minutes, MOST_LEAD_MINUTES)
    return max(0.0, starts - lead), starts, starts + WINDOWS.length_minutes


def _order(zone: Zone, chance: random.Random, number: int, wish: tuple[float, float, float]) -> Order:
    placed, starts, ends = wish
    door = chance.choice(zone.addresses)
    nearness = [math.exp(-zone.table.minutes(store, door) / NEARNESS_MINUTES) for store in zone.stores]
    weights = [weight * near for weight, near in zip(zone.popularity, nearness, strict=True)]
    lines, units, kilograms, needs = _basket(zone, chance)
    return Order(
        order_id=number,
        store=chance.choices(zone.stores, weights=weights)[0],
        door=door,
        placed=placed,
        starts=starts,
        ends=ends,
        opens=max(placed, starts - EARLY_MINUTES),
        is_asap=starts <= placed,
        lines=lines,
        units=units,
        kilograms=kilograms,
        needs=needs,
    )


def _basket(zone: Zone, chance: random.Random) -> tuple[int, int, float, frozenset[str]]:
    """Real lines, as many as a basket has; no more than the larger car holds."""
    _, most = CAR_KILOGRAMS[-1]
    while True:
        count = zone.baskets.line_count(chance)
        lines = chance.choices(zone.baskets.lines, k=count)
        units, kilograms = sum(line.units for line in lines), sum(line.kilograms for line in lines)
        if units <= CAR_UNITS and kilograms <= most:
            needs = {"cold"} if any(line.is_frozen for line in lines) else set[str]()
            if zone.baskets.has_alcohol(chance, count):
                needs.add("alcohol")
            return count, units, round(kilograms, 1), frozenset(needs)


def _factor(chance: random.Random, spread: float) -> float:
    return math.exp(chance.gauss(0.0, spread))
