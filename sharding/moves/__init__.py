"""Moving buckets between databases while they are read and written.

``start`` enters a move in the directory and ``run`` carries it out, or on after any interruption; ``rollback`` undoes it
and ``cleanup`` ends the time in which that is possible. ``verify`` looks through all databases, ``compare`` at the two
copies of a move. ``steps`` is the list of what happens.
"""

from sharding.moves.running import cleanup, compare, rollback, run, start
from sharding.moves.verifying import Finding, verify

__all__ = ["Finding", "cleanup", "compare", "rollback", "run", "start", "verify"]
