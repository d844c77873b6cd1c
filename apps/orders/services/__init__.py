"""Commands on orders.

``place`` creates an order and carries it through stock, window and payment; ``resume`` takes up the
same work wherever it stopped; ``sweep`` finds the orders that need it. Everything after that moves
along the state table by ``transition``.
"""

from apps.orders.services.auditing import audit
from apps.orders.services.canceling import cancel, cancel_for_customer, return_order
from apps.orders.services.completing import resume, secure, sweep, undo
from apps.orders.services.editing import apply_edit, plan_edit
from apps.orders.services.moving import transition
from apps.orders.services.overrunning import cover, forgive, leave_behind
from apps.orders.services.picking import finalise, record_line
from apps.orders.services.pins import check_pin
from apps.orders.services.placing import place, return_to_cart
from apps.orders.services.refunding import note_refund, pay_refund, quote_refund, refund
from apps.orders.services.replacing import (
    answer_replacement,
    choose_instead,
    expire_replacements,
    record_proposal,
)
from apps.orders.services.rescheduling import reschedule, reschedule_by_staff
from apps.orders.services.settling import settle
from apps.orders.services.tipping import lower_tip, raise_tip

__all__ = [
    "answer_replacement",
    "apply_edit",
    "audit",
    "cancel",
    "cancel_for_customer",
    "check_pin",
    "choose_instead",
    "cover",
    "expire_replacements",
    "finalise",
    "forgive",
    "leave_behind",
    "lower_tip",
    "note_refund",
    "pay_refund",
    "place",
    "plan_edit",
    "quote_refund",
    "raise_tip",
    "record_line",
    "record_proposal",
    "refund",
    "reschedule",
    "reschedule_by_staff",
    "resume",
    "return_order",
    "return_to_cart",
    "secure",
    "settle",
    "sweep",
    "transition",
    "undo",
]
