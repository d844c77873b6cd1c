from apps.common.errors import Invalid


class TipInvalid(Invalid):
    code = "tip_invalid"


class RateInvalid(Invalid):
    """A percentage or an amount that no fee or tax can have."""

    code = "rate_invalid"
