import itertools
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.slots import domain
from apps.slots.errors import HoldDiffers, HoldGone, HoldNotFound, WindowInvalid
from apps.slots.types import Plan, PlannedWindow
from apps.stores.types import OpeningHours

NEW_YORK = "America/New_York"
SCHEDULED_ONLY = Plan(immediate_length_minutes=0)


def every_day(opens: time, closes: time) -> list[OpeningHours]:
    return [OpeningHours(weekday=weekday, opens=opens, closes=closes) for weekday in range(7)]


def windows(day: date, opens: time, closes: time, plan: Plan = SCHEDULED_ONLY, days: int = 1) -> list[PlannedWindow]:
    hours = every_day(opens, closes)
    return list(domain.windows(hours=hours, timezone=NEW_YORK, first_day=day, days=days, plan=plan))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("lines", "units", "minutes"),
    [(1, 1, 14), (2, Decimal("2.5"), 15), (10, 25, 27), (40, 120, 74)],
)
def test_minutes_of_an_order(lines: int, units: Decimal | int, minutes: int) -> None:
    assert domain.minutes_needed(lines, units) == minutes


@given(st.integers(1, 500), st.decimals(0, 5000, places=3), st.integers(0, 100), st.decimals(0, 100, places=3))
def test_more_to_pick_never_takes_less_time(lines: int, units: Decimal, more: int, extra: Decimal) -> None:
    short, long = domain.minutes_needed(lines, units), domain.minutes_needed(lines + more, units + extra)
    assert 12 < short <= long
    assert short <= math.ceil(12 + 1.25 * lines + 0.1 * float(units)) + 1


def test_windows_fill_the_hours_in_the_stores_own_time() -> None:
    found = windows(date(2026, 1, 5), time(8), time(11, 30))  # eastern standard time, UTC-5
    assert [(w.starts_at, w.ends_at) for w in found] == [
        (utc("2026-01-05T13:00"), utc("2026-01-05T14:00")),
        (utc("2026-01-05T14:00"), utc("2026-01-05T15:00")),
        (utc("2026-01-05T15:00"), utc("2026-01-05T16:00")),
    ]
    assert found[0].cutoff_at == utc("2026-01-05T12:00")
    assert {w.kind for w in found} == {"scheduled"}


def test_the_same_local_hour_is_another_moment_in_summer() -> None:
    assert windows(date(2026, 7, 6), time(8), time(9))[0].starts_at == utc("2026-07-06T12:00")


@pytest.mark.parametrize(
    ("day", "count"),
    [
        (date(2026, 3, 7), 24),  # an ordinary day
        (date(2026, 3, 8), 23),  # clocks go from 2 to 3
        (date(2026, 11, 1), 25),  # clocks go from 2 back to 1
    ],
)
def test_a_store_open_all_day_has_a_window_for_each_hour_the_day_has(day: date, count: int) -> None:
    found = windows(day, time(0), time(0))
    assert len(found) == count
    zone = ZoneInfo(NEW_YORK)
    assert found[0].starts_at.astimezone(zone).replace(tzinfo=None) == datetime.combine(day, time(0))
    assert found[-1].ends_at.astimezone(zone).replace(tzinfo=None) == datetime.combine(day + timedelta(days=1), time(0))
    assert all(one.ends_at == two.starts_at for one, two in itertools.pairwise(found))


def test_an_hour_that_comes_twice_is_opened_once_and_closed_late() -> None:
    day = date(2026, 11, 1)
    assert [w.starts_at for w in windows(day, time(1), time(3))] == [
        utc("2026-11-01T05:00"),  # 1 o'clock, summer time
        utc("2026-11-01T06:00"),  # 1 o'clock again
        utc("2026-11-01T07:00"),
    ]
    assert windows(day, time(0), time(1, 30))[-1].ends_at == utc("2026-11-01T06:00")


def test_an_opening_hour_that_is_skipped_is_the_moment_after() -> None:
    found = windows(date(2026, 3, 8), time(2, 30), time(5, 30))
    assert [w.starts_at for w in found] == [utc("2026-03-08T07:30"), utc("2026-03-08T08:30")]


def test_a_store_may_close_after_midnight_and_on_some_days() -> None:
    hours = [OpeningHours(weekday=4, opens=time(22), closes=time(1))]
    found = list(
        domain.windows(hours=hours, timezone=NEW_YORK, first_day=date(2026, 1, 5), days=7, plan=SCHEDULED_ONLY)
    )
    assert [w.starts_at for w in found] == [utc(f"2026-01-10T{hour:02}:00") for hour in (3, 4, 5)]


def test_immediate_windows_run_beside_the_others_and_end_by_closing() -> None:
    found = [w for w in windows(date(2026, 1, 5), time(8), time(12), Plan()) if w.kind == "immediate"]
    assert [(w.starts_at, w.ends_at, w.cutoff_at) for w in found] == [
        (utc(f"2026-01-05T{hour}:00"), utc(f"2026-01-05T{hour + 2}:00"), utc(f"2026-01-05T{hour + 1}:00"))
        for hour in (13, 14, 15)
    ]


@given(
    st.dates(date(2025, 1, 1), date(2027, 12, 31)),
    st.times(),
    st.times(),
    st.sampled_from([15, 30, 60, 90, 120]),
    st.sampled_from([NEW_YORK, "America/Phoenix", "Pacific/Honolulu", "Australia/Lord_Howe", "Europe/London"]),
)
def test_windows_are_even_ordered_and_inside_the_opening_hours(
    day: date, opens: time, closes: time, length: int, timezone: str
) -> None:
    plan = Plan(length_minutes=length)
    found = list(domain.windows(hours=every_day(opens, closes), timezone=timezone, first_day=day, days=2, plan=plan))
    scheduled = [w for w in found if w.kind == "scheduled"]
    assert all(w.ends_at - w.starts_at == timedelta(minutes=length) for w in scheduled)
    assert len({(w.kind, w.starts_at) for w in found}) == len(found)
    today = OpeningHours(weekday=0, opens=opens, closes=closes)
    opened, closed = domain.opening(today, day=day, zone=ZoneInfo(timezone))
    assert len([w for w in scheduled if opened <= w.starts_at and w.ends_at <= closed]) == max(
        0, int((closed - opened) / timedelta(minutes=length))
    )
    assert all(w.starts_at <= w.cutoff_at <= w.ends_at for w in found if w.kind == "immediate")


@pytest.mark.parametrize("plan", [Plan(length_minutes=0), Plan(capacity_minutes=0), Plan(fee_cents=-1)])
def test_a_plan_without_sense_is_refused(plan: Plan) -> None:
    with pytest.raises(WindowInvalid):
        domain.checked_plan(plan, days=7)


@pytest.mark.parametrize("minutes", [0, -5, 1441])
def test_minutes_without_sense_are_refused(minutes: int) -> None:
    with pytest.raises(WindowInvalid):
        domain.checked_minutes(minutes)


def test_confirming_follows_the_state() -> None:
    assert domain.must_confirm("held") is True
    assert domain.must_confirm("confirmed") is False
    with pytest.raises(HoldGone):
        domain.must_confirm("released")
    with pytest.raises(HoldNotFound):
        domain.must_confirm(None)


def test_another_hold_is_not_the_same() -> None:
    domain.check_same(1, 20, window_id=1, minutes=20)
    for window_id, minutes in ((2, 20), (1, 21)):
        with pytest.raises(HoldDiffers):
            domain.check_same(1, 20, window_id=window_id, minutes=minutes)
