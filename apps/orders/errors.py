from apps.common.errors import Conflict, Forbidden, Invalid, NotFound
from apps.common.money import Money


class OrderNotFound(NotFound):
    code = "order_not_found"


class LineNotFound(NotFound):
    code = "order_line_not_found"


class ItemsUnavailable(Conflict):
    """The cart holds items that the store no longer sells."""

    code = "items_unavailable"


class PriceChanged(Conflict):
    """It costs more by now than the customer was shown."""

    code = "price_changed"

    def __init__(self, *, total: Money, seen: Money) -> None:
        self.total = total
        super().__init__(f"Prices have changed: your order now comes to {total}, not {seen}. Nothing was ordered yet.")


class IllegalTransition(Conflict):
    """The state table has no such step from where the order is."""

    code = "illegal_transition"


class TooLateToCancel(Conflict):
    """Somebody is already shopping for the order."""

    code = "too_late_to_cancel"


class CancelingCosts(Conflict):
    """By now canceling costs more than the customer has agreed to; nothing was canceled."""

    code = "canceling_costs"

    def __init__(self, *, fee: Money) -> None:
        self.fee = fee
        super().__init__(f"A shopper has taken your order: canceling it costs {fee} now. Nothing was canceled yet.")


class CancelReasonInvalid(Invalid):
    code = "cancel_reason_invalid"


class TooLateToReschedule(Conflict):
    """A shopper has taken the order, its window takes no changes any more, or it has ended."""

    code = "too_late_to_reschedule"


class RescheduleUnderWay(Conflict):
    """Another change of the order's window is not over yet."""

    code = "reschedule_under_way"


class RescheduleNotCovered(Conflict):
    """With that window the order may cost more than the card was authorised for."""

    code = "reschedule_not_covered"


class RescheduleTooFar(Conflict):
    """The authorisation will have run out when that window ends."""

    code = "reschedule_too_far"


class TooLateToEdit(Conflict):
    """Its shopper has checked out, or the order has ended."""

    code = "too_late_to_edit"


class LineAlreadyPicked(Conflict):
    """What is in the bag, or was looked for in vain, cannot be lowered or taken out any more."""

    code = "line_already_picked"


class NothingLeft(Conflict):
    """An order of nothing is no order; cancel it instead."""

    code = "nothing_left"


class EditNotCovered(Conflict):
    """The order would come to more than the card is authorised for, and its bank does not hold the difference.

    ``left`` is by how much the estimate may still grow.
    """

    code = "edit_not_covered"

    def __init__(self, left: Money) -> None:
        self.left = left
        super().__init__(
            f"Your bank does not hold the money for that. You may still add goods for {left} ({left.cents} cents), "
            "fees and taxes included."
        )


class EditNeedsBank(Conflict):
    """The bank wants to see its customer before it holds the difference; ``action_url`` is where. Then ask again."""

    code = "edit_needs_bank"

    def __init__(self, action_url: str) -> None:
        self.action_url = action_url
        super().__init__("Your bank wants you to confirm the higher amount first. Then change your order again.")


class EditOverlaps(Conflict):
    """Somebody changes the same order at this moment; asking again helps."""

    code = "edit_overlaps"


class FoundQuantityInvalid(Invalid):
    """More than was ordered (by count), more than the scales may differ (by weight), or not a quantity."""

    code = "found_quantity_invalid"


class LineStatusInvalid(Invalid):
    code = "line_status_invalid"


class LinesOpen(Conflict):
    """Some lines are neither found nor refunded yet."""

    code = "lines_open"


class ReplacementNotFound(NotFound):
    code = "replacement_not_found"


class AlreadyAnswered(Conflict):
    """The question is no longer open, and its answer was another one."""

    code = "replacement_answered"


class ReplacementUnsuitable(Conflict):
    """That item cannot be had instead: of another store, gone, or not for everybody."""

    code = "replacement_unsuitable"


class LineNotReplaceable(Conflict):
    """The line has its outcome, or its order is past the point where one can change it."""

    code = "line_not_replaceable"


class ReceiptNotReady(Conflict):
    """There is a receipt once the order is delivered."""

    code = "receipt_not_ready"


class ReceiptInconsistent(Conflict):
    """Its lines do not come to what is in the ledger: nothing is shown until a person has looked."""

    code = "receipt_inconsistent"


class NotRefundable(Conflict):
    """Nothing was paid for the order yet, or what is asked for is more than is left to give back."""

    code = "not_refundable"


class NotPaidYet(NotRefundable):
    """Nothing was captured so far; the same refund may be possible in a moment."""


class RefundInvalid(Invalid):
    """What is to be given back is no amount or quantity of this order."""

    code = "refund_invalid"


class TipInvalid(Invalid):
    """Less than the tip is, more than may be tipped for this order, or raised by less than a card is charged with."""

    code = "tip_invalid"


class TipNotNow(Conflict):
    """The order is not delivered and paid for yet, or it was too long ago."""

    code = "tip_not_now"


class TipUnderWay(Conflict):
    """Another amount is being charged; the provider has not answered yet."""

    code = "tip_under_way"


class TipNotLowered(Conflict):
    """Neither an issue nor a reason was given, or the tip is not more than that."""

    code = "tip_not_lowered"


class PinLocked(Forbidden):
    """Too many wrong delivery PINs; only another proof helps now."""

    code = "pin_locked"


class QuestionOpen(Conflict):
    """The customer is being asked about this line."""

    code = "question_open"
