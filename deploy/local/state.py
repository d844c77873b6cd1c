"""What the supervisor tells everybody else, in one small file: who runs, since when, and how it is."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.local.trees import Identity

WAITING, STARTING, RUNNING, DONE, BROKEN, FAILED, STOPPING, STOPPED = (
    "waiting",
    "starting",
    "running",
    "done",
    "restarting",
    "failed",
    "stopping",
    "stopped",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    name: str
    state: str
    identity: Identity | None
    is_step: bool
    seconds: float
    """How long it took from its start to be ready or done."""
    since: float
    """When the present state began, as a wall-clock time."""
    restarts: int
    address: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    run: str
    """Value of ``trees.RUN_VARIABLE`` in every process of this supervisor."""
    supervisor: Identity
    children: tuple[Child, ...]

    def is_complete(self) -> bool:
        return all(child.state in {RUNNING, DONE} for child in self.children)

    def failures(self) -> tuple[Child, ...]:
        return tuple(child for child in self.children if child.state == FAILED)


def write(path: Path, state: State) -> None:
    """Replace the file at once: a reader sees the old state or the new one."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(state)))
    os.replace(fresh, path)


def read(path: Path) -> State | None:
    """The last state written; its supervisor may be dead by now."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    children = [child | {"identity": _identity(child["identity"])} for child in found["children"]]
    return State(
        run=found["run"],
        supervisor=Identity(**found["supervisor"]),
        children=tuple(Child(**child) for child in children),
    )


def _identity(found: dict[str, float] | None) -> Identity | None:
    return Identity(int(found["pid"]), found["started"]) if found else None
