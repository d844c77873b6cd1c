from apps.common.errors import Conflict, Forbidden, Invalid


class NotAShopper(Forbidden):
    """Signed in, but nobody registered this person as a shopper."""

    code = "not_a_shopper"


class ShopperPaused(Forbidden):
    """Registered, but may not take work for now."""

    code = "shopper_paused"


class ShiftInvalid(Invalid):
    code = "shift_invalid"


class ShopperOffline(Conflict):
    code = "shopper_offline"
