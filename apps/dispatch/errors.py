from apps.common.errors import Conflict, NotFound


class OfferNotFound(NotFound):
    """Not there, or another shopper's: callers cannot tell which."""

    code = "offer_not_found"


class OfferGone(Conflict):
    """Too late: it ran out, was declined, or its orders went elsewhere."""

    code = "offer_gone"
