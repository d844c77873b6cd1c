from apps.common.errors import Invalid, NotFound


class ItemNotFound(NotFound):
    code = "item_not_found"


class ItemInvalid(Invalid):
    code = "item_invalid"


class CursorInvalid(Invalid):
    """The place to go on from is not one that a page gave."""

    code = "cursor_invalid"
