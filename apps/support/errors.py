from apps.common.errors import Conflict, Invalid, NotFound


class IssueNotFound(NotFound):
    code = "issue_not_found"


class PhotoNotFound(NotFound):
    code = "photo_not_found"


class NotDelivered(Conflict):
    """Only what was delivered is rated or complained about."""

    code = "not_delivered"


class TooLate(Conflict):
    """The time in which this may be said is over."""

    code = "too_late"


class RatingInvalid(Invalid):
    code = "rating_invalid"


class IssueInvalid(Invalid):
    """A kind, line, quantity, text or number of photos that cannot be meant."""

    code = "issue_invalid"


class LineNotCharged(Conflict):
    """Nothing was paid for this line, so there is nothing to give back."""

    code = "line_not_charged"


class AlreadyReported(Conflict):
    """Other reports are about this already: all of the line, or the same about the whole order."""

    code = "already_reported"


class DecisionInvalid(Invalid):
    """A reason, quantity or amount that a decision cannot have."""

    code = "decision_invalid"


class IllegalStep(Conflict):
    """The report is not where this step begins: it was decided or withdrawn before."""

    code = "issue_illegal_step"
