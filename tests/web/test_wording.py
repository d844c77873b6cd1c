from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from apps.dispatch.types import Eta
from apps.orders.domain import Status
from apps.orders.types import OrderEvent
from apps.web import wording
from apps.web.templatetags import web

COLUMBUS = ZoneInfo("America/New_York")
NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "states"),
    [
        ("pending", "now next next next next"),
        ("brand_new", "now next next next next"),
        ("acknowledged", "done now next next next"),
        ("checkout", "done done now next next"),
        ("delivering", "done done done now next"),
        ("delivered", "done done done done done"),
        ("rejected", "next next next next next"),
    ],
)
def test_how_far_an_order_is(status, states):
    assert [step.state for step in wording.steps(status)] == states.split()


def test_every_status_of_an_order_has_words():
    def event(status):
        return OrderEvent(sequence=1, name="no words", from_status="", to_status=status, actor="", at=NOON)

    assert [str(status) for status in Status if wording.event(event(status)) == "No words"] == []
    assert wording.event(event("")) == "No words"


def test_how_an_order_ended():
    def rejected(code):
        return wording.ending(SimpleNamespace(status="rejected", rejected_code=code))

    assert rejected("card_declined").startswith("Your bank declined the card.")
    assert rejected("something_new") == "The order could not be placed. Nothing was charged."


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 2, 23, tzinfo=UTC), "Today"),
        (datetime(2026, 3, 3, 4, 59, tzinfo=UTC), "Today"),  # 23:59 in Columbus
        (datetime(2026, 3, 3, 5, tzinfo=UTC), "Tomorrow"),
        (datetime(2026, 3, 9, 12, tzinfo=UTC), "Monday 9 March"),  # after the change to summer time
    ],
)
def test_days_are_the_stores_days(moment, text):
    assert wording.day(moment, NOON, COLUMBUS) == text


def test_times_are_the_stores_times():
    assert wording.clock_time(NOON, COLUMBUS) == "12 PM"
    assert wording.clock_time(datetime(2026, 7, 2, 13, 30, tzinfo=UTC), COLUMBUS) == "9:30 AM"
    assert wording.window(NOON, datetime(2026, 3, 2, 19, tzinfo=UTC), COLUMBUS) == "Monday 2 March, 12 PM to 2 PM"


@pytest.mark.parametrize(
    ("earliest", "likely", "latest", "likely_said", "between"),
    [
        (12, 21, 33, "Likely 12:20 PM", "Between 12:10 PM and 12:35 PM."),
        (10, 20, 35, "Likely 12:20 PM", "Between 12:10 PM and 12:35 PM."),
        (-9, 23, 41, "Likely 12:25 PM", "Between 12 PM and 12:45 PM."),
        (-30, -20, 6, "Likely 12 PM", "Between 12 PM and 12:10 PM."),
        (1, 2, 3, "Likely 12 PM", "Between 12 PM and 12:05 PM."),
        (55, 58, 60, "Likely 1 PM", "Between 12:55 PM and 1 PM."),
        (-40, -20, 0, "Any minute now", "It takes longer than we thought; your shopper is not far."),
    ],
)
def test_an_eta_is_said_in_five_minutes_and_never_in_the_past(earliest, likely, latest, likely_said, between):
    moments = (NOON + timedelta(minutes=minutes) for minutes in (earliest, likely, latest))
    eta = Eta(**dict(zip(("earliest", "likely", "latest"), moments, strict=True)))
    assert wording.arrival(eta, NOON, COLUMBUS) == wording.Arrival(likely_said, between)


def test_filters():
    assert [web.plain(Decimal(n)) for n in ("2.000", "1.250", "100", "0.5", "0")] == ["2", "1.25", "100", "0.5", "0"]
    assert [web.symbol(name) for name in ("Dairy & Eggs", "MEAT", "Wine", "Nuts", "")] == [
        "dairy",
        "meat",
        "drinks",
        "pantry",
        "pantry",
    ]
    assert web.tone("Bananas") == web.tone("Bananas") == 281
    assert (web.at({5: "five"}, 5), web.at({}, 5)) == ("five", None)
