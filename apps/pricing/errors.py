from apps.common.errors import Conflict, Invalid, NotFound


class TipInvalid(Invalid):
    code = "tip_invalid"


class RateInvalid(Invalid):
    """A percentage or an amount that no fee or tax can have."""

    code = "rate_invalid"


class PromotionInvalid(Invalid):
    """A promotion that nobody could give."""

    code = "promotion_invalid"


class PromotionUnknown(NotFound):
    code = "promotion_unknown"


class PromotionNotNow(Conflict):
    """Over, or not begun."""

    code = "promotion_not_now"


class PromotionNotHere(Conflict):
    """For another store."""

    code = "promotion_not_here"


class PromotionForOtherGoods(Conflict):
    code = "promotion_for_other_goods"


class PromotionBelowMinimum(Conflict):
    code = "promotion_below_minimum"


class PromotionForFirstOrder(Conflict):
    code = "promotion_for_first_order"


class PromotionUsed(Conflict):
    """By this customer, as often as one may."""

    code = "promotion_used"
