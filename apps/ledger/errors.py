from apps.common.errors import Conflict


class PostingConflict(Conflict):
    """The same step was booked before with other amounts: a bug, and nothing is written."""

    code = "posting_conflict"
