"""Reports about what was delivered instead of a line: by its name, its measure and what was charged for it."""

from decimal import Decimal

import pytest

from apps.fulfilment import services as fulfilment
from apps.fulfilment.types import ProofInput
from apps.orders import services as orders
from apps.orders.types import RefundLine
from apps.support import selectors, services
from apps.support.errors import IssueInvalid, LineNotCharged
from tests.fulfilment.replacing import CREAM, ME, Picking
from tests.orders.factories import BANANAS, BEER, MILK, MORNING
from tests.support.factories import SOON

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("a_monday_morning", "provider")]


@pytest.fixture
def delivered():
    """1 cream (5.20) instead of 2 milk, bananas as ordered, no beer."""
    picking = Picking()
    picking.propose(MILK, CREAM, "1")
    picking.answer(picking.question(MILK).id, approve=True)
    picking.found(BANANAS)
    picking.refund(BEER)
    picking.check_out()
    mine = {"store_order_id": picking.store_order_id, "shopper_id": ME, "now": MORNING}
    fulfilment.start_delivery(**mine)
    fulfilment.deliver(**mine, proof=ProofInput(kind="pin", pin=picking.order.pin))
    picking.tell()
    return picking


def report(picking, code, **more):
    given = {"order_id": picking.order_id, "customer_id": picking.customer_id, "line_id": picking.line(code).id}
    return services.report(**given, kind="missing", key="k", now=SOON, **more)


def test_what_came_instead_is_reported_under_its_name(delivered):
    lines = selectors.after_delivery(order=delivered.order).lines
    assert [(line.name, line.found, line.left) for line in lines] == [
        ("Bananas", Decimal("2.5"), Decimal("2.5")),
        ("Cream", 1, 1),
    ]
    issue = report(delivered, MILK)
    assert (issue.line_name, issue.quantity, issue.refunded.cents) == ("Cream", 1, 520)


def test_no_more_than_came_instead_and_nothing_of_what_did_not_come(delivered):
    with pytest.raises(IssueInvalid):
        report(delivered, MILK, quantity=Decimal(2))  # so much milk was ordered
    with pytest.raises(LineNotCharged):
        report(delivered, BEER)
    quoted = orders.quote_refund(
        order_id=delivered.order_id, lines=[RefundLine(line_id=delivered.line(MILK).id, quantity=Decimal(1))]
    )
    assert quoted.cents == 520
