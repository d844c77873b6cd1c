from apps.common.errors import Conflict, Invalid, NotFound


class StoreOrderNotFound(NotFound):
    """Not there, or another shopper's: callers cannot tell which."""

    code = "store_order_not_found"


class LineNotFound(NotFound):
    code = "line_not_found"


class WrongStage(Conflict):
    """The order is not at the point where this can be done."""

    code = "wrong_stage"


class OrderWasCanceled(Conflict):
    code = "order_was_canceled"


class LinesOpen(Conflict):
    """Some lines are neither found nor refunded yet."""

    code = "lines_open"


class FoundQuantityInvalid(Invalid):
    code = "found_quantity_invalid"


class ReplacementInvalid(Invalid):
    """What is proposed is no quantity, name or price, or the line's own item."""

    code = "replacement_invalid"


class ReplacementNotWanted(Conflict):
    """The customer wants their money back for this line, and nothing in its place."""

    code = "replacement_not_wanted"


class LineTakenOut(Conflict):
    """The customer does not want it any more."""

    code = "line_taken_out"


class LineReasonInvalid(Invalid):
    """Not one of the reasons for which a line may stay in the store."""

    code = "line_reason_invalid"


class NotAtStoreYet(Conflict):
    """The order was confirmed a moment ago and is on its way to the store; asking again helps."""

    code = "not_at_store_yet"


class AlcoholTooLate(Conflict):
    """Who has taken the order may not be allowed to carry alcohol."""

    code = "alcohol_too_late"


class ReceiptDiffers(Conflict):
    """The till asked for another amount than the goods come to: the shopper has to count again."""

    code = "receipt_differs"


class ReceiptMissing(Conflict):
    """The store wants the till's receipt checked before the order leaves it."""

    code = "receipt_missing"


class ReceiptInvalid(Invalid):
    """No amount that a till asks for, or no number of bags."""

    code = "receipt_invalid"


class BagsUncounted(Conflict):
    code = "bags_uncounted"


class PinWrong(Conflict):
    code = "pin_wrong"
