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


class PinWrong(Conflict):
    code = "pin_wrong"
