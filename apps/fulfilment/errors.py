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


class QuestionOpen(Conflict):
    """The customer is being asked about this line."""

    code = "question_open"


class PinWrong(Conflict):
    code = "pin_wrong"
