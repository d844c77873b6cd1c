from apps.common.errors import Conflict, Invalid, NotFound


class StoreNotFound(NotFound):
    code = "store_not_found"


class ZoneNotFound(NotFound):
    code = "zone_not_found"


class RetailerNotFound(NotFound):
    code = "retailer_not_found"


class StoreInvalid(Invalid):
    code = "store_invalid"


class HoursInvalid(Invalid):
    code = "hours_invalid"


class OutOfArea(Conflict):
    """The store does not deliver to that place."""

    code = "out_of_area"


class StorePaused(Conflict):
    """The store takes no orders at the moment."""

    code = "store_paused"
