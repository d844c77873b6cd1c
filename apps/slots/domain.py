"""How long an order takes, and how opening hours become delivery windows."""

import math
from bisect import bisect
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from apps.common import driving
from apps.slots.errors import HoldDiffers, HoldGone, HoldNotFound, WindowInvalid
from apps.slots.types import Plan, PlannedWindow, Shift
from apps.stores.types import OpeningHours, SpecialDay

IMMEDIATE, SCHEDULED, PRIORITY = "immediate", "scheduled", "priority"
KINDS = (IMMEDIATE, SCHEDULED, PRIORITY)
HELD, CONFIRMED, RELEASED = "held", "confirmed", "released"
HOLD_STATES = (HELD, CONFIRMED, RELEASED)

DAYS_AHEAD = 7
MAX_DAYS = 31
MIN_MINUTES = 15
MOST = 1_000_000
MAX_MINUTES = 24 * 60

_BASE_MINUTES = Decimal(12)  # to walk in, check out, bag and hand over
_LINE_MINUTES = Decimal("1.25")
_UNIT_MINUTES = Decimal("0.1")


def minutes_needed(lines: int, units: Decimal | int, *, drive_m: float) -> int:
    """Shopper-minutes of an order of ``lines`` lines and ``units`` pieces (or pounds) altogether, rounded up.

    12 for the store and the door, 1.25 a line, 0.1 a unit, and the drive of ``drive_m`` metres to the door
    (1.85 to start and park, 1.27 a kilometre); the way back belongs to the next order.
    """
    drive_minutes = Decimal(driving.travel_s(drive_m)) / 60
    return math.ceil(_BASE_MINUTES + _LINE_MINUTES * lines + _UNIT_MINUTES * Decimal(units) + drive_minutes)


def checked_minutes(minutes: int) -> int:
    """Raises ``WindowInvalid`` for none, and for more than a day."""
    if not 0 < minutes <= MAX_MINUTES:
        raise WindowInvalid("An order takes between one minute and a day.")
    return minutes


def checked_plan(plan: Plan, *, days: int) -> Plan:
    """Raises ``WindowInvalid`` for a plan that would never end, or promise time that nobody has."""
    lengths = (plan.immediate_length_minutes, plan.priority_length_minutes, plan.lead_minutes)
    amounts = (*lengths, plan.fee_cents, plan.immediate_fee_cents, plan.priority_fee_cents, plan.shoppers)
    shares = (plan.immediate_percent, plan.priority_percent)
    if min(plan.length_minutes, plan.priority_every_minutes) < MIN_MINUTES or not 0 <= days <= MAX_DAYS:
        raise WindowInvalid("Windows last 15 minutes or more and are opened for 31 days at most.")
    if max(plan.length_minutes, plan.priority_every_minutes, *lengths[:2]) > MAX_MINUTES:
        raise WindowInvalid("No window is longer than a day.")
    if min(amounts) < 0 or min(shares) < 0 or sum(shares) > 100:
        raise WindowInvalid("Times, fees and shoppers are not negative; the two shares are 100 % at most.")
    if max(amounts) > MOST:
        raise WindowInvalid(f"Times, fees and shoppers are {MOST:,} at most.")
    if 0 < plan.immediate_length_minutes < plan.length_minutes:
        raise WindowInvalid("Immediate delivery takes orders for one window's length: promise no less than that.")
    if 0 < plan.priority_length_minutes < plan.priority_every_minutes:
        raise WindowInvalid("Priority delivery takes orders until its next window starts: promise no less than that.")
    if not all(map(_is_shift, plan.shifts)):
        raise WindowInvalid("A shift is on a weekday from 0 to 6, from one hour to a later one, until 24 at most.")
    return plan


def _is_shift(shift: Shift) -> bool:
    return 0 <= shift.weekday <= 6 and 0 <= shift.from_hour < shift.to_hour <= 24 and 0 <= shift.shoppers <= MOST


def windows(
    *,
    hours: Collection[OpeningHours],
    special_days: Collection[SpecialDay] = (),
    timezone: str,
    first_day: date,
    days: int,
    plan: Plan,
) -> Iterator[PlannedWindow]:
    """Windows of ``days`` local days from ``first_day`` on.

    Cut from the moment of opening to the moment of closing, in real time: on the day the clocks
    change, a store open through the night has one window less or more, and each lasts as long as the
    others. Immediate and priority windows run beside the scheduled ones, as long as they end before
    the store closes; each takes orders until the next of its kind starts. No window is made of time
    in which no shopper is expected.
    """
    zone = ZoneInfo(timezone)
    for opens, closes in openings(
        hours=hours, special_days=special_days, timezone=timezone, first_day=first_day, days=days
    ):
        for kind in _kinds(plan):
            yield from _cut(kind, opens, closes, plan, zone)


def openings(
    *,
    hours: Collection[OpeningHours],
    special_days: Collection[SpecialDay] = (),
    timezone: str,
    first_day: date,
    days: int,
) -> list[tuple[datetime, datetime]]:
    """From when to when (UTC) the store is open on each of ``days`` local days from ``first_day`` on.

    A special day's hours count instead of its weekday's. A day that goes on after midnight ends when
    the next one begins, so these never overlap.
    """
    by_weekday = {day.weekday: day for day in hours}
    by_date = {day.date: day for day in special_days}
    zone = ZoneInfo(timezone)
    found: list[tuple[datetime, datetime]] = []
    for day in (first_day + timedelta(days=n) for n in range(days + 1)):  # one more, which may end the last
        today = _hours_on(day, by_weekday.get(day.weekday()), by_date.get(day))
        if today is None:
            continue
        opens, closes = opening(today, day=day, zone=zone)
        if found and found[-1][1] > opens:
            found[-1] = (found[-1][0], opens)
        if day < first_day + timedelta(days=days):
            found.append((opens, closes))
    return [(opens, closes) for opens, closes in found if opens < closes]


def _hours_on(day: date, usual: OpeningHours | None, special: SpecialDay | None) -> OpeningHours | None:
    if special is None:
        return usual
    if special.opens is None or special.closes is None:
        return None
    return OpeningHours(weekday=day.weekday(), opens=special.opens, closes=special.closes)


def is_within(opened: Sequence[tuple[datetime, datetime]], starts_at: datetime, ends_at: datetime) -> bool:
    """Whether the store is open all the time from ``starts_at`` to ``ends_at``."""
    return any(opens <= starts_at and ends_at <= closes for opens, closes in opened)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    name: str
    every: timedelta
    lasts: timedelta
    takes_orders: timedelta
    """Until this long after the start."""
    fee_cents: int
    percent: int


def _kinds(plan: Plan) -> Iterator[_Kind]:
    length = timedelta(minutes=plan.length_minutes)
    yield _Kind(
        name=SCHEDULED,
        every=length,
        lasts=length,
        takes_orders=-timedelta(minutes=plan.lead_minutes),
        fee_cents=plan.fee_cents,
        percent=100 - plan.immediate_percent - plan.priority_percent,
    )
    every = timedelta(minutes=plan.priority_every_minutes)
    for name, step, minutes, fee_cents, percent in (
        (IMMEDIATE, length, plan.immediate_length_minutes, plan.immediate_fee_cents, plan.immediate_percent),
        (PRIORITY, every, plan.priority_length_minutes, plan.priority_fee_cents, plan.priority_percent),
    ):
        if minutes:
            lasts = timedelta(minutes=minutes)
            yield _Kind(name=name, every=step, lasts=lasts, takes_orders=step, fee_cents=fee_cents, percent=percent)


def _cut(kind: _Kind, opens: datetime, closes: datetime, plan: Plan, zone: ZoneInfo) -> Iterator[PlannedWindow]:
    start = opens
    while start + kind.lasts <= closes:
        minutes = shopper_minutes(plan, start, start + kind.every, zone=zone) * kind.percent // 100
        if minutes:
            yield PlannedWindow(
                starts_at=start,
                ends_at=start + kind.lasts,
                kind=kind.name,
                cutoff_at=start + kind.takes_orders,
                capacity_minutes=minutes,
                fee_cents=kind.fee_cents,
            )
        start += kind.every


class Taken:
    """The stretches of time in which windows of each kind take their orders' work: no two of a kind overlap."""

    def __init__(self) -> None:
        self._stretches: dict[str, list[tuple[datetime, datetime]]] = {kind: [] for kind in KINDS}

    def add(self, kind: str, starts_at: datetime, ends_at: datetime, cutoff_at: datetime) -> bool:
        """Whether it was free; it is taken afterwards. A scheduled window lasts to its end, others to their cut-off."""
        until = ends_at if kind == SCHEDULED else cutoff_at
        stretches = self._stretches[kind]
        position = bisect(stretches, (starts_at, starts_at))
        if position and stretches[position - 1][1] > starts_at:
            return False
        if position < len(stretches) and stretches[position][0] < until:
            return False
        stretches.insert(position, (starts_at, until))
        return True


def shopper_minutes(plan: Plan, starts_at: datetime, ends_at: datetime, *, zone: ZoneInfo) -> int:
    """What the shoppers expected between two moments have together, hour by hour of the store's clock."""
    seconds, at = 0.0, starts_at
    while at < ends_at:
        local = at.astimezone(zone)
        next_hour = at + timedelta(hours=1) - timedelta(minutes=local.minute, seconds=local.second)
        until = min(next_hour, ends_at)
        seconds += shoppers_expected(plan, local.weekday(), local.hour) * (until - at).total_seconds()
        at = until
    return int(seconds // 60)


def shoppers_expected(plan: Plan, weekday: int, hour: int) -> int:
    on = [s.shoppers for s in plan.shifts if s.weekday == weekday and s.from_hour <= hour < s.to_hour]
    return sum(on) if on else plan.shoppers


def opening(hours: OpeningHours, *, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From when to when (UTC) the store is open on the local ``day``.

    A time that the clocks skip is the same moment written in the time before; of one that comes
    twice, the store opens at the first and closes at the second.
    """
    last_day = day if hours.closes > hours.opens else day + timedelta(days=1)
    opens = datetime.combine(day, hours.opens, zone).replace(fold=0)
    closes = datetime.combine(last_day, hours.closes, zone)
    if closes.replace(fold=0).utcoffset() > closes.replace(fold=1).utcoffset():  # type: ignore[operator]
        closes = closes.replace(fold=1)
    return opens.astimezone(UTC), closes.astimezone(UTC)


def check_same(held_window_id: int, held_minutes: int, *, window_id: int, minutes: int) -> None:
    """Raises ``HoldDiffers`` unless the order holds just this window, for as long."""
    if (held_window_id, held_minutes) != (window_id, minutes):
        raise HoldDiffers("This order holds another window.")


def must_confirm(state: str | None) -> bool:
    """Whether confirming has something to do. Raises ``HoldNotFound``, ``HoldGone``."""
    if state is None:
        raise HoldNotFound("This order holds no window.")
    if state == RELEASED:
        raise HoldGone("The window was released.")
    return state == HELD
