"""Changing rows in batches, on all databases, while everybody works: what others call."""

from sharding.backfilling.batches import NeverEnding, NotApplied, Progress, State
from sharding.backfilling.books import AlreadyRunning, want, wanted
from sharding.backfilling.jobs import BackfillJob, job, jobs
from sharding.backfilling.runs import Options, cancel, forget, places, run, status

__all__ = [
    "AlreadyRunning",
    "BackfillJob",
    "NeverEnding",
    "NotApplied",
    "Options",
    "Progress",
    "State",
    "cancel",
    "forget",
    "job",
    "jobs",
    "places",
    "run",
    "status",
    "want",
    "wanted",
]
