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


class FoundQuantityInvalid(Invalid):
    """More than was ordered (by count), more than the scales may differ (by weight), or not a quantity."""

    code = "found_quantity_invalid"


class LineStatusInvalid(Invalid):
    code = "line_status_invalid"


class LinesOpen(Conflict):
    """Some lines are neither found nor refunded yet."""

    code = "lines_open"


class PinLocked(Forbidden):
    """Too many wrong delivery PINs; only another proof helps now."""

    code = "pin_locked"
