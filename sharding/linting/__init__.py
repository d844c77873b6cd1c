"""Which migrations would keep a database in use waiting, or break the code that still runs: what others call."""

from sharding.linting.findings import Finding, Unsafe, findings, of_files, refuse
from sharding.linting.rules import RULES

__all__ = ["RULES", "Finding", "Unsafe", "findings", "of_files", "refuse"]
