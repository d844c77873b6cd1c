import itertools
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.common import driving
from apps.slots import domain
from apps.slots.errors import HoldDiffers, HoldGone, HoldNotFound, WindowInvalid
from apps.slots.types import Plan, PlannedWindow, Shift
from apps.stores.types import OpeningHours, SpecialDay

NEW_YORK = "America/New_York"
ZONES = [NEW_YORK, "America/Phoenix", "Pacific/Honolulu", "Australia/Lord_Howe", "Europe/London", "Atlantic/Azores"]
SCHEDULED_ONLY = Plan(immediate_length_minutes=0, priority_length_minutes=0)


def every_day(opens: time, closes: time) -> list[OpeningHours]:
    return [OpeningHours(weekday=weekday, opens=opens, closes=closes) for weekday in range(7)]


def windows(day: date, opens: time, closes: time, plan: Plan = SCHEDULED_ONLY, days: int = 1) -> list[PlannedWindow]:
    hours = every_day(opens, closes)
    return list(domain.windows(hours=hours, timezone=NEW_YORK, first_day=day, days=days, plan=plan))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("lines", "units", "drive_m", "minutes"),
    [
        (1, 1, 0, 16),  # 12 + 1.25 + 0.1 + 1.85
        (2, Decimal("2.5"), 0, 17),
        (10, 25, 0, 29),
        (10, 25, 5_000, 36),  # 6.33 more
        (40, 120, 20_000, 102),
    ],
)
def test_minutes_of_an_order(lines: int, units: Decimal | int, drive_m: float, minutes: int) -> None:
    assert domain.minutes_needed(lines, units, drive_m=drive_m) == minutes


@given(
    st.integers(1, 500),
    st.decimals(0, 5000, places=3),
    st.floats(0, 100_000),
    st.integers(0, 100),
    st.decimals(0, 100, places=3),
    st.floats(0, 50_000),
)
def test_more_to_pick_or_further_to_go_never_takes_less_time(
    lines: int, units: Decimal, drive_m: float, more: int, extra: Decimal, further: float
) -> None:
    short = domain.minutes_needed(lines, units, drive_m=drive_m)
    long = domain.minutes_needed(lines + more, units + extra, drive_m=drive_m + further)
    assert 12 < short <= long
    assert short == math.ceil(
        Decimal(12) + Decimal("1.25") * lines + Decimal("0.1") * units + Decimal(driving.travel_s(drive_m)) / 60
    )


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
    assert all(w.starts_at < w.cutoff_at <= w.ends_at for w in found if w.kind != "scheduled")


ALL_ZONES = [*ZONES, "America/Havana", "Asia/Beirut", "America/Santiago", "Pacific/Chatham", "Asia/Tokyo"]


def first_moment(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(0), zone).astimezone(UTC)


@given(st.dates(date(2024, 1, 1), date(2028, 12, 31)), st.sampled_from(ALL_ZONES))
@example(date(2026, 3, 8), NEW_YORK)  # 23 hours
@example(date(2026, 11, 1), NEW_YORK)  # 25
@example(date(2026, 10, 4), "Australia/Lord_Howe")  # 23.5
@example(date(2026, 10, 25), "Atlantic/Azores")  # midnight itself comes twice
@example(date(2026, 3, 8), "America/Havana")  # midnight is skipped
@example(date(2028, 2, 28), NEW_YORK)  # a leap day follows
@example(date(2026, 12, 31), "Pacific/Chatham")
def test_a_store_that_never_closes_has_every_minute_of_the_day_once(day: date, timezone: str) -> None:
    plan, zone = (
        Plan(length_minutes=15, immediate_length_minutes=0, priority_length_minutes=0, shoppers=2),
        ZoneInfo(timezone),
    )
    hours = every_day(time(0), time(0))
    found = list(domain.windows(hours=hours, timezone=timezone, first_day=day - timedelta(days=1), days=3, plan=plan))
    assert all(one.ends_at == two.starts_at for one, two in itertools.pairwise(found))
    starts, ends = first_moment(day, zone), first_moment(day + timedelta(days=1), zone)
    today = [w for w in found if starts <= w.starts_at < ends]
    assert (today[0].starts_at, today[-1].ends_at) == (starts, ends)
    assert sum(w.capacity_minutes for w in today) == (ends - starts) / timedelta(minutes=1)  # two shoppers, half of it


day_hours = st.none() | st.tuples(st.times(), st.times())


@given(
    st.lists(day_hours, min_size=7, max_size=7),
    st.dictionaries(st.integers(-1, 5), day_hours),
    st.dates(date(2024, 1, 1), date(2028, 12, 31)),
    st.sampled_from(ALL_ZONES),
    st.sampled_from([15, 60, 90]),
)
def test_windows_never_overlap_nor_leave_the_hours(
    week: list[tuple[time, time] | None],
    specials: dict[int, tuple[time, time] | None],
    day: date,
    timezone: str,
    length: int,
) -> None:
    """Whatever the week, the special days and the clocks do. What is open is asked of the store's clock on the wall."""
    hours = [OpeningHours(weekday=n, opens=one[0], closes=one[1]) for n, one in enumerate(week) if one]
    special_days = [
        SpecialDay(date=day + timedelta(days=n), opens=one and one[0], closes=one and one[1])
        for n, one in specials.items()
    ]
    by_date = {special.date: special for special in special_days}
    zone, plan = ZoneInfo(timezone), Plan(length_minutes=length, immediate_length_minutes=120)

    def hours_on(local: date) -> tuple[time, time] | None:
        if local in by_date:
            special = by_date[local]
            return None if special.opens is None or special.closes is None else (special.opens, special.closes)
        return week[local.weekday()]

    def is_open(moment: datetime) -> bool:
        local = moment.astimezone(zone)
        today, before = hours_on(local.date()), hours_on(local.date() - timedelta(days=1))
        return bool(
            (today and today[0] <= local.time() and (local.time() < today[1] or today[1] <= today[0]))
            or (before and before[1] <= before[0] and local.time() < before[1])
        )

    found = list(
        domain.windows(hours=hours, special_days=special_days, timezone=timezone, first_day=day, days=4, plan=plan)
    )
    for kind in domain.KINDS:
        mine = [w for w in found if w.kind == kind]
        served = [(w.starts_at, w.ends_at if kind == "scheduled" else w.cutoff_at) for w in mine]
        assert all(one[1] <= two[0] for one, two in itertools.pairwise(served))
        assert all(w.ends_at - w.starts_at >= timedelta(minutes=length) or kind == "priority" for w in mine)
    for w in found:
        offsets = {(w.starts_at + timedelta(hours=n)).astimezone(zone).utcoffset() for n in (-30, 0, 30)}
        if len(offsets) == 1:  # the days on which clocks change are counted minute by minute above
            steps = range(0, int((w.ends_at - w.starts_at).total_seconds()), 60)
            assert all(is_open(w.starts_at + timedelta(seconds=n)) for n in steps)


def test_a_closed_day_keeps_the_night_before_and_loses_its_own() -> None:
    hours = every_day(time(20), time(2))
    closed = SpecialDay(date=date(2026, 12, 31), opens=None, closes=None)
    found = domain.openings(hours=hours, special_days=[closed], timezone=NEW_YORK, first_day=date(2026, 12, 30), days=3)
    assert found == [
        (utc("2026-12-31T01:00"), utc("2026-12-31T07:00")),  # the evening of the 30th, until two in the morning
        (utc("2027-01-02T01:00"), utc("2027-01-02T07:00")),
    ]


def test_longer_hours_end_when_the_next_day_opens() -> None:
    long = SpecialDay(date=date(2026, 1, 5), opens=time(8), closes=time(7))
    found = domain.openings(
        hours=every_day(time(6), time(20)), special_days=[long], timezone=NEW_YORK, first_day=date(2026, 1, 5), days=1
    )
    assert found == [(utc("2026-01-05T13:00"), utc("2026-01-06T11:00"))]


def test_the_cut_off_of_the_first_window_may_be_the_day_before() -> None:
    plan = Plan(lead_minutes=120, immediate_length_minutes=0, priority_length_minutes=0)
    first = windows(date(2026, 1, 1), time(0), time(4), plan)[0]
    assert (first.starts_at, first.cutoff_at) == (utc("2026-01-01T05:00"), utc("2026-01-01T03:00"))


def test_a_leap_day_is_a_day_of_its_own_weekday() -> None:
    hours = [OpeningHours(weekday=1, opens=time(9), closes=time(10))]
    found = domain.openings(hours=hours, timezone=NEW_YORK, first_day=date(2028, 2, 28), days=3)
    assert found == [(utc("2028-02-29T14:00"), utc("2028-02-29T15:00"))]


def test_priority_windows_start_more_often_and_promise_less_time() -> None:
    found = [w for w in windows(date(2026, 1, 5), time(8), time(10), Plan()) if w.kind == "priority"]
    assert [(w.starts_at, w.ends_at, w.cutoff_at, w.fee_cents) for w in found] == [
        (utc("2026-01-05T13:00"), utc("2026-01-05T14:15"), utc("2026-01-05T13:30"), 999),
        (utc("2026-01-05T13:30"), utc("2026-01-05T14:45"), utc("2026-01-05T14:00"), 999),
    ]


def test_capacity_is_the_time_of_the_shoppers_expected() -> None:
    lunch = Shift(weekday=0, from_hour=9, to_hour=10, shoppers=5)
    more = Shift(weekday=0, from_hour=9, to_hour=11, shoppers=3)
    tuesday = Shift(weekday=1, from_hour=0, to_hour=24, shoppers=90)
    plan = Plan(shoppers=2, shifts=(lunch, more, tuesday))
    found = windows(date(2026, 1, 5), time(8), time(12), plan)
    assert [w.capacity_minutes for w in found if w.kind == "scheduled"] == [60, 240, 90, 60]  # half of the time
    assert [w.capacity_minutes for w in found if w.kind == "immediate"] == [48, 192, 72]
    assert [w.capacity_minutes for w in found if w.kind == "priority"][:4] == [6, 6, 24, 24]


def test_no_window_is_made_of_hours_in_which_nobody_works() -> None:
    plan = Plan(shoppers=0, shifts=(Shift(weekday=0, from_hour=9, to_hour=10, shoppers=4),), priority_percent=0)
    found = windows(date(2026, 1, 5), time(8), time(12), plan)
    assert [(w.kind, w.starts_at, w.capacity_minutes) for w in found] == [
        ("scheduled", utc("2026-01-05T14:00"), 144),
        ("immediate", utc("2026-01-05T14:00"), 96),
    ]


@pytest.mark.parametrize(
    ("day", "minutes"), [(date(2026, 3, 7), 24 * 60), (date(2026, 3, 8), 23 * 60), (date(2026, 11, 1), 25 * 60)]
)
def test_a_shopper_all_day_works_as_long_as_the_day_is(day: date, minutes: int) -> None:
    zone = ZoneInfo(NEW_YORK)
    starts_at, ends_at = domain.opening(OpeningHours(weekday=0, opens=time(0), closes=time(0)), day=day, zone=zone)
    assert domain.shopper_minutes(Plan(shoppers=1), starts_at, ends_at, zone=zone) == minutes


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(0, 3000),
    st.integers(0, 3000),
    st.sampled_from(ZONES),
)
def test_shoppers_minutes_add_up_over_any_cut(starts_at: datetime, first: int, second: int, timezone: str) -> None:
    plan = Plan(shoppers=1, shifts=tuple(Shift(weekday=n, from_hour=n, to_hour=n + 9, shoppers=n) for n in range(7)))
    zone, start = ZoneInfo(timezone), starts_at.replace(second=0, microsecond=0)
    middle, end = start + timedelta(minutes=first), start + timedelta(minutes=first + second)
    parts = domain.shopper_minutes(plan, start, middle, zone=zone) + domain.shopper_minutes(
        plan, middle, end, zone=zone
    )
    assert domain.shopper_minutes(plan, start, end, zone=zone) == parts


@pytest.mark.parametrize(
    "plan",
    [
        Plan(length_minutes=0),
        Plan(priority_every_minutes=0),
        Plan(shoppers=-1),
        Plan(shoppers=1_000_001),
        Plan(fee_cents=-1),
        Plan(immediate_percent=60, priority_percent=41),
        Plan(immediate_length_minutes=59),
        Plan(priority_length_minutes=29),
        Plan(shifts=(Shift(weekday=7, from_hour=0, to_hour=1, shoppers=1),)),
        Plan(shifts=(Shift(weekday=0, from_hour=3, to_hour=3, shoppers=1),)),
        Plan(shifts=(Shift(weekday=0, from_hour=3, to_hour=25, shoppers=1),)),
    ],
)
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
