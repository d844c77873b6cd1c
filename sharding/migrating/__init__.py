"""Migrating all databases of the map together: what others call."""

from sharding.migrating.ledger import AlreadyRunning, Run, last_run
from sharding.migrating.patience import Patience
from sharding.migrating.progress import Progress, State, pace, remaining_seconds
from sharding.migrating.runs import Options, look, migrate, pending
from sharding.plans import Group, Plan, groups

__all__ = [
    "AlreadyRunning",
    "Group",
    "Options",
    "Patience",
    "Plan",
    "Progress",
    "Run",
    "State",
    "groups",
    "last_run",
    "look",
    "migrate",
    "pace",
    "pending",
    "remaining_seconds",
]
