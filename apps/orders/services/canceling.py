from datetime import datetime

from apps.orders import domain, selectors
from apps.orders.domain import Status
from apps.orders.errors import IllegalTransition, OrderNotFound, TooLateToCancel
from apps.orders.services import moving


def cancel(*, order_id: int, customer_id: int, reason: str, now: datetime) -> None:
    """Cancel the customer's order, free of charge; repeating changes nothing.

    Stock and window are released and the authorisation is voided right after, by the event.

    Raises:
        OrderNotFound: no such order, or not this customer's.
        TooLateToCancel: a shopper has taken the order, or it has ended otherwise.
    """
    if selectors.owner(order_id=order_id) != customer_id:
        raise OrderNotFound(f"There is no order {order_id}.")
    try:
        moving.move(
            order_id=order_id,
            to=Status.CANCELED,
            actor=f"customer:{customer_id}",
            now=now,
            data={"reason": domain.plain(reason, domain.MAX_REASON_LENGTH)},
            only_from=domain.CANCELABLE,
        )
    except IllegalTransition as refusal:
        raise TooLateToCancel("This order can no longer be canceled.") from refusal
