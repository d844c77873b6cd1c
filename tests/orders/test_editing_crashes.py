"""A process is killed before, in and after each foreign call of a change of an order, and of what follows from it.

The points are found by running each scenario once, as in ``test_crashes``; afterwards both shards, the stock, the money
and the books must say the same, whether the customer tries again or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from apps.common import outbox
from apps.orders import selectors
from apps.orders.types import Order
from tests.orders.edits import bring, check_out, disagreements, edit, wanted, with_shopper
from tests.orders.factories import BANANAS, BEER, MILK, MORNING, Market, make_market, make_placed_order, relay_once
from tests.orders.failpoints import Killed, failpoints
from tests.orders.invariants import violations
from tests.orders.test_crashes import distinct, sweep

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

WITHIN = {BANANAS: "3.5", MILK: "1"}
"""No bank is asked for this."""
BEYOND = {BANANAS: "0", BEER: "4"}
"""The difference is held first."""


@dataclass
class Stage:
    market: Market
    order: Order
    changes: Mapping[str, str]
    mine: Mapping[str, object] | None = None

    def change(self):
        """The same request each time, as a client repeats it."""
        edit(self.order, self.market, self.changes, key="only")


def stage_for(changes, prepare=lambda stage: None):
    market = make_market()
    stage = Stage(market, make_placed_order(market=market, quantities={BANANAS: "3", MILK: "2"}), changes)
    prepare(stage)
    return stage


def edited(stage):
    stage.change()


def shopping(stage):
    stage.mine = with_shopper(stage.order)
    outbox.drain()


def changed_untold(stage):
    """The store has agreed, and nobody has told the order yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apps.orders.services.apply_edit", lambda **_: False)
        stage.change()


SCENARIOS = {
    "change": (edited, WITHIN, lambda stage: None),
    "change, while it is picked": (edited, WITHIN, shopping),
    "change with a hold of its own": (edited, BEYOND, lambda stage: None),
    "tell of a change": (lambda stage: relay_once(), WITHIN, changed_untold),
    "tell of a change with a hold of its own": (lambda stage: relay_once(), BEYOND, changed_untold),
}


@pytest.mark.parametrize("tries_again", [True, False])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_at_any_point_leaves_no_half(name, tries_again, provider, capsys, request):
    act, changes, prepare = SCENARIOS[name]
    stage = stage_for(changes, prepare)
    with failpoints(provider) as points:
        act(stage)
    names = points.passed
    assert len(names) >= 3
    chosen = range(len(names)) if request.config.getoption("--long") else distinct(names)
    before = {BANANAS: "3", MILK: "2"}
    after = {code: quantity for code, quantity in (before | changes).items() if quantity != "0"}
    for number in chosen:
        where = f"{name}, killed at {number} ({names[number]})"
        stage = stage_for(changes, prepare)
        with failpoints(provider, deadly=number), pytest.raises(Killed):
            act(stage)
        if tries_again:
            stage.change()
        sweep(MORNING)
        outbox.drain()
        assert wanted(stage.order, stage.market) in ([after] if tries_again else [before, after]), where
        assert disagreements(stage.order) == [], where
        finish(stage)
        assert violations(provider, store_id=stage.market.store_id) == [], where
    with capsys.disabled():
        print(f"\n{name}: {len(chosen)} of {len(names)} cells", end="")


def finish(stage):
    """Pick, bring and pay: holds that nobody needed must be gone then."""
    mine = stage.mine or with_shopper(stage.order)
    check_out(stage.order, mine)
    bring(stage.order, mine)
    done = selectors.order_for_staff(order_id=stage.order.id)
    assert (done.status, done.captured) == ("delivered", done.total)


def test_the_check_finds_a_change_that_only_one_shard_knows():
    stage = stage_for(WITHIN)
    changed_untold(stage)
    assert len(disagreements(stage.order)) == 3
