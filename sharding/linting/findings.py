"""Walking through migrations as a release would run them, and saying what it would do to a database in use."""

import sysconfig
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.apps import apps
from django.db.migrations import Migration
from django.db.migrations.operations import CreateModel, RenameModel, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from typing_extensions import override

from sharding.errors import ShardingError
from sharding.linting import checks
from sharding.linting.rules import RULES
from sharding.linting.scenes import Release, Scene
from sharding.plans import Key, Plan, key_of, name_of


class Unsafe(ShardingError):
    """What is to be migrated is not safe on a database in use."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One operation that breaks one rule."""

    migration: str
    number: int
    """Of the operation in its migration, from 1."""
    operation: str
    rule: str
    because: str = ""
    """Why it may nevertheless run, as the migration says with ``unsafe``; empty where it says nothing."""

    @override
    def __str__(self) -> str:
        where = f"{self.migration}, operation {self.number} ({self.operation}): {self.rule}"
        if self.because:
            return f"{where}: allowed, because {self.because}"
        rule = RULES[self.rule]
        return f"{where}: {rule.harm}; use {rule.instead}"


def refuse(plan: Plan, lacking: Iterable[Sequence[Migration]]) -> None:
    """Raise ``Unsafe`` if one of the databases, each given by what it lacks, could not be in use meanwhile."""
    releases = {tuple(key_of(migration) for migration in one): one for one in lacking}
    refused = {str(one): None for release in releases.values() for one in findings(plan, release) if not one.because}
    if refused:
        raise Unsafe(
            "\n".join(refused)
            + "\nnothing was migrated; write it safely, or wrap an operation that keeps nobody waiting in "
            "sharding.operations.unsafe(…, because=…), or give --unsafe REASON for this run"
        )


def findings(plan: Plan, release: Collection[Migration]) -> list[Finding]:
    """What running ``release`` at once would do to a database that has all migrations but these."""
    return list(_walk(plan, {key_of(migration) for migration in release}, is_one_release=True))


def of_files(plan: Plan, app_labels: Collection[str] = ()) -> list[Finding]:
    """What each migration of the project's own apps, or of ``app_labels``, would do as a release of its own."""
    wanted = set(app_labels) or _own_apps()
    return list(_walk(plan, {key_of(one) for one in plan.migrations if one.app_label in wanted}, is_one_release=False))


def _own_apps() -> set[str]:
    installed = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    return {
        config.label for config in apps.get_app_configs() if not any(config.path.startswith(path) for path in installed)
    }


def _walk(plan: Plan, wanted: set[Key], *, is_one_release: bool) -> Iterator[Finding]:
    state = plan.initial_state()
    release: Release | None = None
    for migration in plan.migrations:
        if key_of(migration) not in wanted:
            state = migration.mutate_state(state, preserve=False)
            continue
        if release is None or not is_one_release:
            release = Release(state.clone())
        is_holding_locks = False
        for number, operation in enumerate(migration.operations, 1):
            after = _after(operation, migration, state)
            scene = Scene(operation, migration, state, after, release, is_holding_locks)
            because = getattr(operation, "unsafe_because", "")
            for rule in dict.fromkeys(_broken(scene)):
                yield Finding(name_of(migration), number, operation.describe(), rule, because)
            is_holding_locks = is_holding_locks or _locks(scene)
            _note_created(scene)
            state = after


def _broken(scene: Scene) -> Iterator[str]:
    operation = scene.operation
    if not isinstance(operation, SeparateDatabaseAndState):
        yield from checks.rules_broken(operation, scene)
        return
    for part in _parts(scene, operation.database_operations):
        if not getattr(part.operation, "unsafe_because", ""):
            yield from checks.rules_broken(part.operation, part)
    for part in _parts(scene, operation.state_operations):
        if not getattr(part.operation, "unsafe_because", ""):
            yield from checks.left_behind(part.operation, part)


def _parts(scene: Scene, operations: Sequence[Operation]) -> Iterator[Scene]:
    before = scene.before
    for operation in operations:
        after = _after(operation, scene.migration, before)
        yield Scene(operation, scene.migration, before, after, scene.release, scene.is_holding_locks)
        before = after


def _locks(scene: Scene) -> bool:
    """Whether the transaction holds a lock on a table in use from here on."""
    operation = scene.operation
    if isinstance(operation, CreateModel):
        return False
    name = getattr(operation, "model_name", None) or getattr(operation, "name", None)
    if isinstance(operation, SeparateDatabaseAndState):
        return any(_locks(part) for part in _parts(scene, operation.database_operations))
    return not isinstance(name, str) or scene.is_in_use(name)


def _note_created(scene: Scene) -> None:
    operations = [scene.operation]
    if isinstance(scene.operation, SeparateDatabaseAndState):
        operations = list(scene.operation.database_operations)
    for operation in operations:
        if isinstance(operation, CreateModel):
            scene.release.created.add((scene.app_label, operation.name_lower))
        elif isinstance(operation, RenameModel) and not scene.is_in_use(operation.old_name):
            scene.release.created.add((scene.app_label, operation.new_name_lower))


def _after(operation: Operation, migration: Migration, before: ProjectState) -> ProjectState:
    after = before.clone()
    operation.state_forwards(migration.app_label, after)
    return after
