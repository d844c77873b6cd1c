from apps.dispatch.etas import stored
from apps.dispatch.etas.domain import Components, Interval, Stage


def interval(stage: Stage, components: Components, *, hour: int, orders_at_store: int) -> Interval:
    """Minutes until the order is at its door, in nine cases of ten later, likely, in nine cases of ten earlier.

    ``hour`` is of the day at the store, ``orders_at_store`` how many of its orders are with shoppers. Without history
    it is the components' sum, and a wide interval. 1 query a minute.
    """
    return stored.newest().interval(stage, components.minutes, hour=hour, orders_at_store=orders_at_store)
