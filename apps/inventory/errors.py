from collections.abc import Iterable

from apps.common.errors import Conflict, Invalid, NotFound


class QuantityInvalid(Invalid):
    """Negative, nothing, too large, or with more than three decimals."""

    code = "quantity_invalid"


class OutOfStock(Conflict):
    """Some items are not there in the quantity asked for; ``item_ids`` says which."""

    code = "out_of_stock"

    def __init__(self, item_ids: Iterable[int]) -> None:
        self.item_ids = tuple(sorted(item_ids))
        super().__init__("There is not enough left of one or more items.")


class ReservationNotFound(NotFound):
    code = "reservation_not_found"


class ReservationGone(Conflict):
    """It was released, or ran out, before it was needed."""

    code = "reservation_gone"


class ReservationNotCommitted(Conflict):
    """Goods leave the shelf for confirmed orders only."""

    code = "reservation_not_committed"


class ReservationConsumed(Conflict):
    """The goods have left the shelf; there is nothing to give back."""

    code = "reservation_consumed"


class ReservationDiffers(Conflict):
    """The order has a reservation already, of other items or quantities."""

    code = "reservation_differs"
