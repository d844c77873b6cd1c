"""What must hold over all databases and at the payment provider once everything is quiet."""

from instacart.invariants.counting import Score, score
from instacart.invariants.provider import Intent, at_provider
from instacart.invariants.reading import rows
from instacart.invariants.rules import violations

__all__ = ["Intent", "Score", "at_provider", "rows", "score", "violations"]
