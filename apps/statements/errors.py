from apps.common.errors import Invalid


class PeriodInvalid(Invalid):
    code = "period_invalid"
