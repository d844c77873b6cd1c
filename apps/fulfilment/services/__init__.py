"""Commands on orders in the store.

Every step of a shopper is one update guarded by whose order it is and where it stands. What the
steps mean for the customer's order is told by ``report`` afterwards, on the customer's own shard.
"""

from apps.fulfilment.services.assigning import assign, lock_waiting, take_back, unassign
from apps.fulfilment.services.delivering import deliver, start_delivery
from apps.fulfilment.services.editing import edit
from apps.fulfilment.services.picking import check_out, mark_found, mark_refund, start_picking
from apps.fulfilment.services.projecting import cancel, project, reschedule
from apps.fulfilment.services.receipts import count_bags, enter_receipt, see_receipt
from apps.fulfilment.services.replacing import hear_answer, note_wish, propose, propose_own, withdraw
from apps.fulfilment.services.reporting import report, report_line, report_proposal, tell_edits

__all__ = [
    "assign",
    "cancel",
    "check_out",
    "count_bags",
    "deliver",
    "edit",
    "enter_receipt",
    "hear_answer",
    "lock_waiting",
    "mark_found",
    "mark_refund",
    "note_wish",
    "project",
    "propose",
    "propose_own",
    "report",
    "report_line",
    "report_proposal",
    "reschedule",
    "see_receipt",
    "start_delivery",
    "start_picking",
    "take_back",
    "tell_edits",
    "unassign",
    "withdraw",
]
