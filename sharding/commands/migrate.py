"""``shard migrate`` and ``shard lint``: bring every database up to date, and look beforehand what that would do."""

import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.core.management.base import OutputWrapper

from sharding import linting, migrating
from sharding.commands import Failed, Subcommand, boards
from sharding.commands.boards import Column, Layout
from sharding.migrating import Group, Options, Patience, Plan, Progress, State

DEFAULTS = Options()


def add_migrate_arguments(parser: ArgumentParser) -> None:
    default, patience = DEFAULTS, DEFAULTS.patience
    parser.add_argument(
        "--workers", type=int, default=default.workers, help=f"databases at the same time (default {default.workers})"
    )
    parser.add_argument("--database", action="append", default=[], metavar="ALIAS", help="only this one; repeatable")
    parser.add_argument(
        "--canary",
        action="append",
        default=[],
        metavar="ALIAS",
        help="goes first, before the others of its keyspace; repeatable; auto, the default, takes the one with the "
        "fewest buckets",
    )
    parser.add_argument("--no-canary", action="store_true", help="all at once")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run that was interrupted, without its canaries"
    )
    parser.add_argument("--plan", "--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument(
        "--lock-timeout",
        type=int,
        default=patience.lock_timeout_ms,
        metavar="MS",
        help=f"how long others may have to wait behind a migration that waits (default {patience.lock_timeout_ms})",
    )
    parser.add_argument(
        "--retries",
        type=int,
        default=patience.retries,
        help=f"how often to try again when a lock cannot be had (default {patience.retries})",
    )
    parser.add_argument("--unsafe", default="", metavar="REASON", help="migrate in spite of what the lint says")


def migrate(
    out: OutputWrapper,
    *,
    workers: int,
    database: list[str],
    canary: list[str],
    no_canary: bool,
    resume: bool,
    plan: bool,
    lock_timeout: int,
    retries: int,
    unsafe: str,
    verbosity: int,
    **_: Any,
) -> None:
    if resume and database:
        raise Failed("--resume goes on with the databases of the interrupted run; leave out --database")
    groups = migrating.groups(database)
    named = [alias for alias in canary if alias != "auto"]
    migrating.groups(named)  # refuses names that are none
    if plan:
        _show_plan(out, groups, workers)
        return
    options = Options(
        workers=workers,
        canary=not no_canary,
        canaries=named,
        resume=resume,
        unsafe=unsafe,
        patience=Patience(lock_timeout_ms=lock_timeout, retries=retries),
    )
    started = time.monotonic()
    with boards.shown(out, _layout(workers), verbosity=verbosity) as board:
        progress = migrating.migrate(groups, options, report=board.report, begun=board.begun)
    failed = [one for one in progress.values() if one.error]
    for one in failed:
        out.write(f"{one.alias}, at {one.step or 'nothing'}: {type(one.error).__name__}: {one.error}")
    if failed:
        others = Counter(one.state for one in progress.values())
        out.write(", ".join(f"{count} {state}" for state, count in sorted(others.items())))
        raise Failed(f"not migrated: {', '.join(one.alias for one in failed)}") from failed[0].error
    out.write(f"{len(progress)} databases in {time.monotonic() - started:.1f} s")


def _layout(workers: int) -> Layout[Progress]:
    return Layout(
        (
            Column("database", 24, lambda one, _: one.alias + (" (canary)" if one.is_canary else "")),
            Column("keyspace", 12, lambda one, _: one.group),
            Column("state", 11, lambda one, _: str(one.state)),
            Column("applied", 9, lambda one, _: f"{one.applied}/{one.total}", is_number=True),
            Column("retries", 7, lambda one, _: str(one.retries), is_number=True),
            Column("seconds", 8, lambda one, _: f"{one.seconds:.2f}", is_number=True),
            Column("left", 6, _left, is_number=True),
            Column("step", 0, lambda one, _: one.step if one.state is not State.DONE else ""),
        ),
        left_seconds=lambda everyone: migrating.remaining_seconds(everyone, workers),
        step=lambda one: one.step,
    )


def _left(one: Progress, everyone: Sequence[Progress]) -> str:
    per_migration = migrating.pace(everyone) if one.is_at_work else None
    return f"{(one.total - one.applied) * per_migration:.0f} s" if per_migration else ""


def _show_plan(out: OutputWrapper, groups: Sequence[Group], workers: int) -> None:
    plan = Plan()
    progress = migrating.look(plan, groups, workers)
    for group in groups:
        ones = [progress[alias] for alias in group.aliases]
        lacking = {(migration.app_label, migration.name) for one in ones for migration in one.lacking}
        new = sum(1 for one in ones if one.is_new)
        behind = sum(1 for one in ones if one.lacking)
        out.write(f"{group.name}: {len(ones)} databases, {behind} of them behind, {new} of them new")
        for migration in plan.migrations:
            if (migration.app_label, migration.name) in lacking:
                out.write(f"  {migration.app_label}.{migration.name}{'' if migration.atomic else ' (step by step)'}")
                for operation in migration.operations:
                    out.write(f"    {operation.formatted_description()}")
    releases = {tuple(one.lacking) for one in progress.values() if not one.is_new}
    for text in dict.fromkeys(str(finding) for release in releases for finding in linting.findings(plan, release)):
        out.write(text)


def add_lint_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "apps", nargs="*", metavar="APP", help="whose migrations; all that are not installed packages if none is given"
    )
    parser.add_argument(
        "--pending", action="store_true", help="what the databases lack, taken together, as shard migrate would run it"
    )


def lint(out: OutputWrapper, *, apps: list[str], pending: bool, **_: Any) -> None:
    plan = Plan()
    if pending:
        progress = migrating.look(plan, migrating.groups())
        releases = {tuple(one.lacking) for one in progress.values() if not one.is_new}
        found = list(dict.fromkeys(finding for release in releases for finding in linting.findings(plan, release)))
    else:
        found = linting.of_files(plan, apps)
    for finding in found:
        out.write(str(finding))
    refused = [finding for finding in found if not finding.because]
    if refused:
        raise Failed(f"{len(refused)} operations are not safe on a database in use")
    out.write(f"no operation is unsafe, {len(found)} allowed with a reason" if found else "no operation is unsafe")


SUBCOMMANDS = (
    Subcommand("migrate", "bring every database up to date, a canary first", migrate, add_migrate_arguments),
    Subcommand("lint", "which migrations are not safe on a database in use", lint, add_lint_arguments),
)
