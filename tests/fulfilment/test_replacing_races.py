"""Customer, shopper and clock at the same moment, on real threads: one answer, the same on both shards."""

import pytest

from apps.orders.errors import QuestionOpen
from tests.fulfilment.replacing import CREAM, OAT, Picking, make_wide_market
from tests.fulfilment.replacing_invariants import violations
from tests.fulfilment.test_replacing_crashes import TOO_LATE, finish, time_out
from tests.orders.conftest import a_monday_morning, provider  # noqa: F401
from tests.orders.factories import MILK
from tests.orders.test_races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True, databases="__all__"),
    pytest.mark.usefixtures("a_monday_morning", "provider"),
]

ROUNDS = 4


def test_approval_time_out_and_withdrawal_at_once_are_one_answer():
    market, ends = make_wide_market(), set()
    for number in range(ROUNDS):
        picking = Picking(market=market)
        picking.propose(MILK, CREAM)
        question = picking.question(MILK)

        def approve(picking=picking, question=question):
            return picking.answer(question.id, approve=True, now=TOO_LATE)

        def withdraw(picking=picking):
            picking.withdraw(MILK)

        racers = [approve, lambda picking=picking: time_out(picking), withdraw]
        at_once(*racers[number % 3 :], *racers[: number % 3])
        picking.tell()
        (answered,) = picking.order.replacements
        names = [event.name for event in picking.order.events if event.name.startswith("replacement_")]
        assert names == ["replacement_proposed", f"replacement_{answered.status}"]
        assert answered.status in {"approved", "auto_approved", "withdrawn"}
        assert (answered.charged is None) == (answered.status == "withdrawn")
        assert violations(picking) == []
        ends.add(answered.status)
        finish(picking)
        assert (violations(picking), picking.order.status) == ([], "checkout")
    assert ends


def test_a_yes_and_a_no_from_two_devices_and_many_clicks():
    market = make_wide_market()
    for _ in range(ROUNDS):
        picking = Picking(market=market)
        picking.propose(MILK, CREAM)
        question = picking.question(MILK)
        said = at_once(
            *[lambda: picking.answer(question.id, approve=True, tell=False)] * 5,  # noqa: B023
            *[lambda: picking.answer(question.id, approve=False, tell=False)] * 5,  # noqa: B023
        )
        picking.tell()
        (answered,) = picking.order.replacements
        first = "approved" if answered.status == "approved" else "rejected"
        assert sorted(said) == sorted([first] * 5 + ["replacement_answered"] * 5)
        assert violations(picking) == []
        finish(picking)


def test_two_proposals_for_a_line_at_once_are_one_question():
    picking = Picking()
    picking.line(MILK)
    said = at_once(
        *[lambda: picking.propose(MILK, OAT, tell=False)] * 4, *[lambda: picking.propose(MILK, CREAM, tell=False)] * 4
    )
    assert said.count(QuestionOpen.code) == 7
    picking.tell()
    (question,) = picking.order.questions
    taken = {code: quantity for code, quantity in picking.reserved().items() if code in (OAT, CREAM)}
    assert list(taken.values()) == [2]
    assert (question.name == "Oat milk") == (OAT in taken)
    assert violations(picking) == []


def test_the_last_one_on_the_shelf_is_proposed_to_one_of_two():
    market = make_wide_market(stock={OAT: "3"})
    pickings = [Picking(market=market) for _ in range(2)]
    said = at_once(*[lambda picking=picking: picking.propose(MILK, OAT, tell=False) for picking in pickings])
    assert said.count("out_of_stock") == 1
    assert pickings[0].reserved()[OAT] == 2
