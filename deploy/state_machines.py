"""Draw every table of states in the code: ``python -m deploy.state_machines`` writes docs/state-machines.md anew."""

import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from apps.dispatch import domain as dispatch
from apps.fulfilment import domain as fulfilment
from apps.notifications import domain as notifications
from apps.orders import domain as orders
from apps.orders.types import ReplacementStatus
from apps.payments import domain as payments
from apps.payments.types import DisputeStatus, PaymentStatus, PayoutStatus, RefundStatus, TransferStatus
from apps.shoppers import domain as shoppers
from apps.support import domain as support

PAGE = Path(__file__).parents[1] / "docs" / "state-machines.md"
COMMAND = "./dev draw-states"

Table = Mapping[Any, Collection[Any]]
"""From each state of an enumeration to those that may follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    title: str
    says: str
    where: str
    table: Table
    initial: StrEnum
    earned: Collection[tuple[StrEnum, StrEnum]] = ()
    """Steps that only the service may take which has made sure of something first."""


MACHINES = (
    Machine(
        title="Order",
        says=(
            "What the customer sees, on the customer's shard. Every step is one update guarded by status and sequence "
            "(`moving.py`), with a row of history and an event. *Earned* steps cannot be asked for by name: the "
            "service that takes them makes sure of something first (a reservation and an authorisation, that nothing "
            "but the customer's answers is missing, the final price). Rescheduling changes an order that is "
            "`brand_new` and leaves it there."
        ),
        where="apps.orders.domain.TRANSITIONS",
        table=orders.TRANSITIONS,
        initial=orders.Status.PENDING,
        earned=orders.EARNED,
    ),
    Machine(
        title="Store order",
        says=(
            "The store's copy of a confirmed order, on the store's shard, moved by dispatch and by the shopper. "
            "An order that is canceled before the store has heard of it begins as `canceled`."
        ),
        where="apps.fulfilment.domain.TRANSITIONS",
        table=fulfilment.TRANSITIONS,
        initial=fulfilment.Status.WAITING,
    ),
    Machine(
        title="Replacement",
        says=(
            "A question to the customer about a line, on the customer's shard (`answers.py`): one open question a "
            "line, one answer a question. The store's copy of it, the proposal, follows by the event of the answer."
        ),
        where="apps.orders.domain.REPLACEMENT_TRANSITIONS",
        table=orders.REPLACEMENT_TRANSITIONS,
        initial=ReplacementStatus.PROPOSED,
    ),
    Machine(
        title="Line of a store order",
        says=(
            "What became of one line of the pick list. Until check-out a later word replaces an earlier one, under "
            "the lock of its order (`lines.py`); found with another quantity is found still. The customer may take a "
            "line out that is not picked, put it in again, and ask for more than was found (`editing.py`). What their "
            "card will not pay for stays in the store (`leaving.py`)."
        ),
        where="apps.fulfilment.domain.LINE_TRANSITIONS",
        table=fulfilment.LINE_TRANSITIONS,
        initial=fulfilment.LineStatus.NOT_PICKED,
    ),
    Machine(
        title="Batch",
        says=(
            "What one shopper takes together, on the store's shard. It is made with its first offer; when that ends "
            "unanswered, or its shopper gives up, it is open until somebody else is found. An open one may be broken "
            "up by an operator: its orders are planned anew."
        ),
        where="apps.dispatch.domain.BATCH_TRANSITIONS",
        table=dispatch.BATCH_TRANSITIONS,
        initial=dispatch.BatchStatus.OFFERED,
    ),
    Machine(
        title="Offer",
        says=(
            "One shopper asked for one batch. It ends once: by its shopper, by time, by an operator, or with the last "
            "order of its batch."
        ),
        where="apps.dispatch.domain.OFFER_TRANSITIONS",
        table=dispatch.OFFER_TRANSITIONS,
        initial=dispatch.OfferStatus.SENT,
    ),
    Machine(
        title="Stop of a batch",
        says="An order to pick, or to hand over. A dropped stop's order has left the batch.",
        where="apps.dispatch.domain.STOP_TRANSITIONS",
        table=dispatch.STOP_TRANSITIONS,
        initial=dispatch.StopState.PENDING,
    ),
    Machine(
        title="Assignment",
        says=(
            "That a shopper is kept free for a batch, on the shopper's shard: claimed before the offer is made. It "
            "follows the batch, word of which comes late and in any order; so it may be completed from any state but "
            "`released`, and accepted after it ran out."
        ),
        where="apps.shoppers.domain.ASSIGNMENT_TRANSITIONS",
        table=shoppers.ASSIGNMENT_TRANSITIONS,
        initial=shoppers.AssignmentState.CLAIMED,
    ),
    Machine(
        title="Payment",
        says=(
            "Our view of one step of an order's payment. It follows the provider's and is never ahead of it; while an "
            "answer is open it stands in a state of its own. For a window more than four days ahead it begins as "
            "`checking`."
        ),
        where="apps.payments.domain.NEXT",
        table=payments.NEXT,
        initial=PaymentStatus.AUTHORISING,
    ),
    Machine(
        title="Refund of an order",
        says="What was decided to give back, on the customer's shard; it follows the payments' refunds.",
        where="apps.orders.domain.REFUND_TRANSITIONS",
        table=orders.REFUND_TRANSITIONS,
        initial=orders.RefundStatus.REQUESTED,
    ),
    Machine(
        title="Overage of an order",
        says=(
            "What the final total is above all that is held, from the check-out on (`overrunning.py`, "
            "[ADR 23](adr/0023-money-after-picking.md)). The order stays at the check-out while it is `asked`."
        ),
        where="apps.orders.domain.OVERAGE_TRANSITIONS",
        table=orders.OVERAGE_TRANSITIONS,
        initial=orders.OverageStatus.ASKED,
    ),
    Machine(
        title="Tip after the delivery",
        says="What the customer adds to the tip, each time with a payment of its own (`tipping.py`).",
        where="apps.orders.domain.TIP_TRANSITIONS",
        table=orders.TIP_TRANSITIONS,
        initial=orders.TipStatus.ASKED,
    ),
    Machine(
        title="Refund of a payment",
        says="What the provider is asked to give back of one payment, under a key stored before it is asked.",
        where="apps.payments.domain.REFUND_NEXT",
        table=payments.REFUND_NEXT,
        initial=RefundStatus.REQUESTED,
    ),
    Machine(
        title="Transfer",
        says="A store's or a shopper's money of a day, on its way to their account at the provider.",
        where="apps.payments.domain.TRANSFER_NEXT",
        table=payments.TRANSFER_NEXT,
        initial=TransferStatus.REQUESTED,
    ),
    Machine(
        title="Payout",
        says="Money on its way from a store's or a shopper's account to their bank, as the provider tells.",
        where="apps.payments.domain.PAYOUT_NEXT",
        table=payments.PAYOUT_NEXT,
        initial=PayoutStatus.PENDING,
    ),
    Machine(
        title="Dispute",
        says="A customer told their bank that they did not mean to pay; the bank decides, the provider tells us.",
        where="apps.payments.domain.DISPUTE_NEXT",
        table=payments.DISPUTE_NEXT,
        initial=DisputeStatus.OPEN,
    ),
    Machine(
        title="Notification",
        says=(
            "Something to tell a customer, on their shard. `sending` is written before the mail server is asked; it "
            "goes back to `queued` where the letter was not taken, or once where nobody knows."
        ),
        where="apps.notifications.domain.TRANSITIONS",
        table=notifications.TRANSITIONS,
        initial=notifications.Status.QUEUED,
    ),
    Machine(
        title="Report about an order",
        says=(
            "What a customer says was wrong. Every step is one update guarded by status and sequence "
            "(`apps/support/services/moving.py`), with a row of history; `resolved_refund` is written together with "
            "the refund of the order. What was declined may be opened again: no money has moved."
        ),
        where="apps.support.domain.TRANSITIONS",
        table=support.TRANSITIONS,
        initial=support.Status.OPENED,
    ),
)

_HEAD = f"""# State machines

Drawn from the tables of states in the code by `{COMMAND}`; a test fails when this page is not what the code says.

A status is written by its machine's mover alone, which asks the table and is guarded by the state it starts from. A
test knows the movers and finds whoever else writes one; each status column has a CHECK in the database. The phases of
a move of buckets are in [sharding](sharding.md).
"""


def drawing(machine: Machine) -> str:
    """As Mermaid's ``stateDiagram-v2``, in the table's order: the first state from ``[*]``, the last ones to it."""
    return "\n".join(["stateDiagram-v2", f"    [*] --> {machine.initial}", *_steps(machine)])


def _steps(machine: Machine) -> Iterator[str]:
    order = list(machine.table)
    for before, following in machine.table.items():
        for after in sorted(following, key=order.index):
            yield f"    {before} --> {after}" + (" : earned" if (before, after) in machine.earned else "")
        if not following:
            yield f"    {before} --> [*]"


def page() -> str:
    sections = (
        f"## {machine.title}\n\n{machine.says}\n\nTable: `{machine.where}`\n\n```mermaid\n{drawing(machine)}\n```\n"
        for machine in MACHINES
    )
    return "\n".join([_HEAD, *sections])


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(PAGE.parents[1])}: {len(MACHINES)} state machines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
