"""Moving buckets between databases while they are read and written.

``start`` enters a move in the directory and ``run`` carries it out, or on after any interruption; ``rollback`` undoes
it and ``cleanup`` ends the time in which that is possible. ``plan`` says what to move, ``status`` how far it has come.
``verify`` looks through all databases, ``compare`` at a move's two copies. ``steps`` is the list of what happens.
"""

from sharding.moves.planning import Plan, Proposal, plan
from sharding.moves.progress import Status, part_done, status, status_of
from sharding.moves.running import (
    cleanup,
    compare,
    due_for_cleanup,
    look_after,
    refuse_migrating,
    resume_abandoned,
    rollback,
    run,
    start,
)
from sharding.moves.verifying import Finding, verify

__all__ = [
    "Finding",
    "Plan",
    "Proposal",
    "Status",
    "cleanup",
    "compare",
    "due_for_cleanup",
    "look_after",
    "part_done",
    "plan",
    "refuse_migrating",
    "resume_abandoned",
    "rollback",
    "run",
    "start",
    "status",
    "status_of",
    "verify",
]
