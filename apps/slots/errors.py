from apps.common.errors import Conflict, Invalid, NotFound


class WindowNotFound(NotFound):
    code = "window_not_found"


class WindowClosed(Conflict):
    """Orders for this window are no longer, or not yet, taken."""

    code = "window_closed"


class WindowFull(Conflict):
    """The shoppers of this window have no time left for the order."""

    code = "window_full"


class WindowInvalid(Invalid):
    code = "window_invalid"


class HoldNotFound(NotFound):
    code = "window_hold_not_found"


class HoldGone(Conflict):
    """It was released, or ran out, before it was confirmed."""

    code = "window_hold_gone"


class HoldDiffers(Conflict):
    """The order holds another window, or more or less of this one."""

    code = "window_hold_differs"
