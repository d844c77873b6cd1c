"""Commands on ratings and reports.

A report, the decision about it and the refund that follows are rows of one shard: each step is one transaction. What
the provider is asked and the shopper's shard is told goes by events, as everywhere.
"""

from apps.support.services.deciding import decide_waiting, decline, reopen, uphold, withdraw
from apps.support.services.rating import rate
from apps.support.services.reporting import report

__all__ = ["decide_waiting", "decline", "rate", "reopen", "report", "uphold", "withdraw"]
