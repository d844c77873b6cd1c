from apps.common.errors import Conflict, Invalid, NotFound


class OfferNotFound(NotFound):
    """Not there, or another shopper's: callers cannot tell which."""

    code = "offer_not_found"


class OfferGone(Conflict):
    """Too late: it ran out, was declined, or its orders went elsewhere."""

    code = "offer_gone"


class OverrideRefused(Conflict):
    """What an operator wants is not possible as things stand; the sentence says what to do first."""

    code = "override_refused"


class OverrideInvalid(Invalid):
    """An override without a reason, or for a time that makes no sense."""

    code = "override_invalid"


class OverrideNotFound(NotFound):
    code = "override_not_found"
