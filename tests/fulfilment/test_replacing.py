"""Something else for a line that is out: asked, answered, kept on the shelf, paid for."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError

import sharding
from apps.common.money import Money
from apps.fulfilment import errors, models, services
from apps.inventory.errors import OutOfStock
from apps.orders import models as order_models
from apps.orders import selectors
from apps.orders import services as orders
from apps.orders.errors import (
    AlreadyAnswered,
    LineNotReplaceable,
    OrderNotFound,
    QuestionOpen,
    ReplacementUnsuitable,
)
from tests.fulfilment.replacing import (
    APPLES,
    COLA,
    CREAM,
    ME,
    OAT,
    ORDERED,
    SPARKLING,
    Picking,
    make_wide_market,
)
from tests.orders.conftest import a_monday_morning, provider  # noqa: F401
from tests.orders.factories import BANANAS, BEER, MILK, MORNING

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("a_monday_morning", "provider")]

TOO_LATE = MORNING + timedelta(minutes=6)
"""The clock goes on from ``MORNING`` while a test runs."""
HISTORY = "replacement_"


@pytest.fixture
def picking():
    return Picking()


def expire(picking, now=TOO_LATE):
    answered = orders.expire_replacements(using=sharding.alias_for("customer", picking.customer_id), now=now)
    picking.tell()
    return answered


def money_of(order, code, picking):
    line = picking.line(code)
    return [
        (entry.kind, entry.code, entry.label, entry.amount.cents)
        for entry in order.adjustments
        if entry.phase == "final" and entry.line_id == line.id
    ]


def history(picking):
    return [event.name for event in picking.order.events if event.name.startswith(HISTORY)]


def test_what_is_approved_is_delivered_at_the_price_that_was_shown(picking):
    picking.propose(MILK, CREAM, "2")
    question = picking.question(MILK)
    assert (question.name, question.shown, question.ordered) == ("Cream", Money(1040), Money(698))
    assert (question.proposed_by, question.answer_by - question.asked_at) == (f"shopper:{ME}", timedelta(minutes=5))
    assert picking.pick_line(MILK).proposal.status == "proposed"
    assert picking.reserved() == {BANANAS: Decimal("2.5"), MILK: 2, BEER: 1, CREAM: 2}

    assert picking.answer(question.id, approve=True) == "approved"
    line = picking.line(MILK)
    assert (line.status, line.found_quantity, line.replacement.name) == ("replaced", 2, "Cream")
    assert (line.replacement.charged, line.replacement.answered_by) == (Money(1040), f"customer:{picking.customer_id}")
    assert (picking.pick_line(MILK).status, picking.pick_line(MILK).proposal.status) == ("replaced", "approved")

    picking.found(BANANAS)
    picking.found(BEER)
    picking.check_out()
    order = picking.order
    assert order.status == "checkout"
    assert money_of(order, MILK, picking) == [("item", "item", "Cream", 1040)]
    (item,) = [entry for entry in order.adjustments if entry.phase == "final" and entry.label == "Cream"]
    assert item.reason == "instead of 2 each Whole milk: out of stock, approved by you"
    assert history(picking) == ["replacement_proposed", "replacement_approved"]
    assert picking.reserved() == {}
    assert (picking.on_hand(CREAM), picking.on_hand(MILK)) == (48, 500)


def test_nobody_answers_and_the_best_match_costs_at_most_a_tenth_more(picking):
    picking.propose(MILK, CREAM, "2")
    assert expire(picking, MORNING + timedelta(minutes=5)) == 0
    assert picking.question(MILK).status == "proposed"
    assert expire(picking) == 1
    replacement = picking.line(MILK).replacement
    assert (replacement.status, replacement.answered_by) == ("auto_approved", "system")
    assert (replacement.shown, replacement.charged) == (Money(1040), Money(767))  # 110 % of 698 are 767.8
    picking.found(BANANAS)
    picking.found(BEER)
    picking.check_out()
    assert money_of(picking.order, MILK, picking) == [
        ("item", "item", "Cream", 1040),
        ("discount", "price_protection", "Price protection, Cream", -273),
    ]
    assert expire(picking) == 0


def test_the_deposit_counts_as_part_of_what_it_costs(picking):
    picking.propose(BEER, COLA, "1")
    assert (picking.question(BEER).shown, picking.question(BEER).ordered) == (Money(1340), Money(1159))
    expire(picking)
    assert picking.line(BEER).replacement.charged == Money(1274)
    picking.found(BANANAS)
    picking.found(MILK)
    picking.check_out()
    assert sum(cents for *_, cents in money_of(picking.order, BEER, picking)) == 1274


@pytest.mark.parametrize(
    ("policy", "proposed", "ends"),
    [
        (("best_match", None), CREAM, "auto_approved"),
        (("item", OAT), OAT, "auto_approved"),
        (("item", OAT), CREAM, "rejected"),
    ],
)
def test_without_an_answer_the_word_given_when_ordering_counts(policy, proposed, ends):
    picking = Picking(policies={MILK: policy})
    picking.propose(MILK, proposed)
    expire(picking)
    line = picking.line(MILK)
    assert picking.order.replacements[0].status == ends
    assert (line.status, picking.pick_line(MILK).status) == (
        ("to_refund",) * 2 if ends == "rejected" else ("replaced",) * 2
    )
    assert picking.reserved().get(proposed) == (None if ends == "rejected" else 2)


def test_who_wants_the_money_back_is_not_asked():
    picking = Picking(policies={MILK: ("refund", None)})
    with pytest.raises(errors.ReplacementNotWanted):
        picking.propose(MILK, OAT)
    assert (
        models.Proposal.objects.filter(store_order_id=picking.store_order_id).count(),
        picking.reserved().get(OAT),
    ) == (0, None)


def test_who_wanted_the_money_back_may_still_ask_for_something():
    picking = Picking(policies={MILK: ("refund", None)})
    picking.refund(MILK)
    picking.choose(MILK, OAT)
    line = picking.pick_line(MILK)
    assert (line.status, line.replacement_policy, line.replacement_item_id) == (
        "not_picked",
        "item",
        picking.market.item_ids[OAT],
    )
    picking.propose(MILK, OAT)
    line = picking.line(MILK)
    assert (line.status, line.replacement.status) == ("replaced", "approved")
    assert line.replacement.charged == Money(738)


def test_a_no_refunds_the_line_and_frees_what_was_kept(picking):
    picking.propose(MILK, CREAM)
    assert picking.answer(picking.question(MILK).id, approve=False) == "rejected"
    assert (picking.line(MILK).status, picking.pick_line(MILK).status) == ("to_refund", "to_refund")
    assert CREAM not in picking.reserved()
    picking.found(BANANAS)
    picking.found(BEER)
    picking.check_out()
    assert money_of(picking.order, MILK, picking) == [("item", "item", "Whole milk", 0)]


def test_another_item_is_a_no_and_a_wish_that_needs_no_answer(picking):
    picking.propose(MILK, CREAM)
    picking.choose(MILK, OAT)
    (first,) = picking.order.replacements
    assert (first.status, first.alternative_item_id) == ("rejected", picking.market.item_ids[OAT])
    assert (picking.line(MILK).status, picking.pick_line(MILK).status) == ("not_picked", "not_picked")
    assert CREAM not in picking.reserved()
    picking.propose(MILK, OAT, "3")
    second = picking.order.replacements[1]
    assert (second.status, second.shown, second.charged) == ("approved", Money(1107), Money(738))  # two were shown
    assert history(picking) == [
        "replacement_proposed",
        "replacement_rejected",
        "replacement_chosen",
        "replacement_proposed",
        "replacement_approved",
    ]


def test_something_the_catalogue_does_not_know(picking):
    line_id = picking.line(BEER).id
    asked = {"store_order_id": picking.store_order_id, "line_id": line_id, "shopper_id": ME, "now": MORNING}
    services.propose_own(
        **asked, name=" Ginger ale ", price_cents=899, code="0041234567890", quantity=Decimal(1), key="own"
    )
    picking.tell()
    question = picking.question(BEER)
    assert (question.item_id, question.name, question.code) == (None, "Ginger ale", "0041234567890")
    picking.answer(question.id, approve=True)
    picking.found(BANANAS)
    picking.found(MILK)
    picking.check_out()
    assert money_of(picking.order, BEER, picking) == [("item", "item", "Ginger ale", 899)]
    row = order_models.Replacement.objects.get(customer_id=picking.customer_id, pk=question.id)
    assert row.tax_category == "general"  # as the beer
    assert picking.reserved() == {}
    assert picking.on_hand(BEER) == 500


BAD_FINDS = (
    {"name": ""},
    {"name": "x\ny"},
    {"name": "x" * 201},
    {"price_cents": 0},
    {"price_cents": 50_001},
    {"quantity": Decimal("0.5")},
    {"quantity": Decimal(21)},
    {"quantity": Decimal("NaN")},
    {"code": "1" * 65},
)
BAD_PROPOSALS = (
    (MILK, MILK, "2"),  # its own item
    (BEER, SPARKLING, "1"),  # alcohol where none was ordered
    (MILK, OAT, "0"),
    (MILK, OAT, "1.5"),
    (MILK, OAT, "1000"),
    (BANANAS, APPLES, "1.0005"),
)


def test_what_cannot_be_proposed(picking):
    before = picking.reserved()
    line = {"store_order_id": picking.store_order_id, "line_id": picking.line(BEER).id, "shopper_id": ME}
    good = {"name": "Ginger ale", "price_cents": 899, "code": "", "quantity": Decimal(1), "key": "own"}
    for changes in BAD_FINDS:
        with pytest.raises(errors.ReplacementInvalid):
            services.propose_own(**line, **(good | changes), now=MORNING)
    for code, instead, quantity in BAD_PROPOSALS:
        with pytest.raises(errors.ReplacementInvalid):
            picking.propose(code, instead, quantity)
    assert picking.reserved() == before
    assert not models.Proposal.objects.filter(store_order_id=picking.store_order_id).exists()


def test_what_is_promised_to_others_is_not_proposed():
    picking = Picking(market=make_wide_market(stock={OAT: "1"}))
    with pytest.raises(OutOfStock):
        picking.propose(MILK, OAT, "2")
    assert OAT not in picking.reserved()
    assert picking.pick_line(MILK).proposal is None
    picking.propose(MILK, OAT, "1")
    assert picking.reserved()[OAT] == 1


def test_the_same_request_again_is_the_same_proposal(picking):
    first = picking.propose(MILK, OAT, key="again")
    assert picking.propose(MILK, OAT, key="again") == first
    assert (len(picking.order.replacements), picking.reserved()[OAT]) == (1, 2)
    picking.answer(picking.question(MILK).id, approve=True)
    assert picking.propose(MILK, OAT, key="again") == first
    assert picking.line(MILK).status == "replaced"


def test_one_question_about_a_line_at_a_time(picking):
    picking.propose(MILK, OAT)
    with pytest.raises(QuestionOpen):
        picking.propose(MILK, CREAM)
    with pytest.raises(QuestionOpen):
        picking.found(MILK)
    with pytest.raises(QuestionOpen):
        picking.refund(MILK)
    assert CREAM not in picking.reserved()
    assert len(picking.order.questions) == 1


def test_the_databases_know_one_open_question_about_a_line(picking):
    picking.propose(MILK, OAT)
    for model in (models.Proposal, order_models.Replacement):
        alias = sharding.alias_for("store", picking.market.store_id)
        if model is order_models.Replacement:
            alias = sharding.alias_for("customer", picking.customer_id)
        row = model.objects.using(alias).get(line_id=picking.line(MILK).id)
        row.pk = None
        row._state.adding = True
        if model is models.Proposal:
            row.key = "other"
        else:
            row.proposal_id += 1
        with pytest.raises(IntegrityError, match="one_open"), sharding.atomic(alias):
            row.save(force_insert=True)


def test_a_withdrawn_question_is_open_no_more(picking):
    picking.propose(MILK, OAT)
    question = picking.question(MILK)
    assert picking.withdraw(MILK) is True
    assert picking.order.replacements[0].status == "withdrawn"
    assert (picking.line(MILK).status, picking.pick_line(MILK).status) == ("not_picked", "not_picked")
    assert OAT not in picking.reserved()
    with pytest.raises(AlreadyAnswered):
        picking.answer(question.id, approve=True)
    assert picking.line(MILK).status == "not_picked"
    assert picking.withdraw(MILK) is False
    picking.propose(MILK, CREAM)
    assert picking.question(MILK).name == "Cream"


def test_who_answers_before_the_withdrawal_is_heard_is_served(picking):
    picking.propose(MILK, OAT)
    picking.withdraw(MILK, tell=False)
    assert picking.pick_line(MILK).proposal.is_withdrawn
    with pytest.raises(QuestionOpen):
        picking.found(MILK)
    picking.answer(picking.question(MILK).id, approve=True)
    assert (picking.line(MILK).status, picking.pick_line(MILK).status) == ("replaced", "replaced")
    assert picking.reserved()[OAT] == 2


def test_a_proposal_withdrawn_before_anybody_heard_of_it_asks_nothing(picking):
    picking.propose(MILK, OAT, tell=False)
    picking.withdraw(MILK)
    assert [one.status for one in picking.order.replacements] == ["withdrawn"]
    assert history(picking) == []
    assert (picking.pick_line(MILK).proposal.status, OAT in picking.reserved()) == ("withdrawn", False)


def test_the_same_answer_twice_is_one_and_another_one_is_refused(picking):
    picking.propose(MILK, OAT)
    question = picking.question(MILK)
    assert [picking.answer(question.id, approve=True) for _ in range(2)] == ["approved", "approved"]
    with pytest.raises(AlreadyAnswered):
        picking.answer(question.id, approve=False)
    with pytest.raises(LineNotReplaceable):
        picking.choose(MILK, CREAM)
    assert picking.line(MILK).status == "replaced"
    assert history(picking) == ["replacement_proposed", "replacement_approved"]


def test_nobody_answers_for_another_customer(picking):
    picking.propose(MILK, OAT)
    question = picking.question(MILK)
    with pytest.raises(OrderNotFound):
        orders.answer_replacement(
            order_id=picking.order_id, customer_id=1, replacement_id=question.id, approve=True, now=MORNING
        )
    with pytest.raises(OrderNotFound):
        orders.choose_instead(
            order_id=picking.order_id,
            customer_id=1,
            line_id=picking.line(MILK).id,
            item_id=picking.market.item_ids[CREAM],
            now=MORNING,
        )
    assert picking.question(MILK) == question


@pytest.mark.parametrize("instead", [MILK, SPARKLING, "nowhere"])
def test_what_cannot_be_asked_for(picking, instead):
    picking.propose(MILK, OAT)
    item_id = picking.market.item_ids.get(instead, 4711)
    with pytest.raises(ReplacementUnsuitable):
        orders.choose_instead(
            order_id=picking.order_id,
            customer_id=picking.customer_id,
            line_id=picking.line(MILK).id,
            item_id=item_id,
            now=MORNING,
        )
    assert picking.question(MILK).name == "Oat milk"


def test_an_order_waits_for_its_customer_when_nothing_else_is_missing(picking):
    picking.propose(MILK, OAT)
    assert picking.order.status == "picking"
    picking.found(BANANAS)
    assert picking.order.status == "picking"
    picking.found(BEER)
    assert picking.order.status == "verifying_replacements"
    with pytest.raises(errors.LinesOpen):
        picking.check_out()
    assert picking.order.status == "verifying_replacements"
    picking.answer(picking.question(MILK).id, approve=True)
    assert picking.order.status == "picking"
    picking.check_out()
    assert picking.order.status == "checkout"


def test_a_line_asked_about_last_makes_it_wait_too_until_it_is_withdrawn(picking):
    for code in (BANANAS, BEER, MILK):
        picking.found(code)
    picking.propose(MILK, OAT)
    assert (picking.line(MILK).status, picking.order.status) == ("not_picked", "verifying_replacements")
    picking.withdraw(MILK)
    assert picking.order.status == "picking"
    with pytest.raises(errors.LinesOpen):
        picking.check_out()


def test_the_shopper_finds_it_after_all(picking):
    picking.propose(MILK, OAT)
    picking.answer(picking.question(MILK).id, approve=True)
    picking.found(MILK)
    assert (picking.line(MILK).status, picking.line(MILK).replacement) == ("found", None)
    assert OAT not in picking.reserved()
    picking.found(BANANAS)
    picking.found(BEER)
    picking.check_out()
    assert money_of(picking.order, MILK, picking) == [("item", "item", "Whole milk", 698)]
    assert (picking.on_hand(OAT), picking.on_hand(MILK)) == (50, 498)


def test_a_silent_shopper_asks_nothing_more(picking):
    picking.propose(MILK, OAT)
    for code in (BANANAS, BEER):
        picking.found(code)
    services.take_back(
        store_id=picking.market.store_id,
        store_order_ids=[picking.store_order_id],
        shopper_id=ME,
        quiet_since=MORNING,
    )
    picking.tell()
    order = picking.order
    assert (order.status, [one.status for one in order.replacements]) == ("brand_new", ["withdrawn"])
    assert OAT not in picking.reserved()
    orders.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING)
    picking.tell()
    assert picking.reserved() == {}


def test_what_was_accepted_goes_back_when_the_order_is_canceled(picking):
    picking.propose(MILK, OAT)
    picking.answer(picking.question(MILK).id, approve=True)
    services.take_back(
        store_id=picking.market.store_id, store_order_ids=[picking.store_order_id], shopper_id=ME, quiet_since=MORNING
    )
    picking.tell()
    assert (picking.order.status, picking.line(MILK).status) == ("brand_new", "replaced")
    orders.cancel(order_id=picking.order_id, customer_id=picking.customer_id, reason="", now=MORNING)
    picking.tell()
    assert picking.reserved() == {}


def test_an_item_that_replaces_one_line_and_was_ordered_on_another(picking):
    picking.propose(BANANAS, MILK, "1")
    picking.answer(picking.question(BANANAS).id, approve=True)
    assert picking.reserved() == {BANANAS: ORDERED[BANANAS], MILK: 3, BEER: 1}
    picking.found(MILK)
    picking.found(BEER)
    picking.check_out()
    assert (picking.on_hand(MILK), picking.on_hand(BANANAS), picking.reserved()) == (497, 500, {})


def test_it_is_delivered_and_paid_for_to_the_cent(picking, provider):  # noqa: F811
    picking.propose(MILK, CREAM)
    expire(picking)
    picking.found(BANANAS)
    picking.found(BEER)
    picking.check_out()
    orders.transition(order_id=picking.order_id, to="delivering", actor="shopper:31", now=MORNING)
    orders.transition(order_id=picking.order_id, to="delivered", actor="shopper:31", now=MORNING)
    picking.tell()
    order = picking.order
    assert order.captured == order.total == Money(provider.taken_cents)
    receipt = selectors.receipt(order_id=order.id, customer_id=order.customer_id)
    assert [(line.name, line.outcome) for line in receipt.lines] == [
        ("Bananas", "found"),
        ("Cream", "replaced"),
        ("Root beer, 6 bottles", "found"),
    ]
    assert {line.actor for line in receipt.lines} == {f"shopper:{ME}"}
