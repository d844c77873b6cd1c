"""This checkout as an installation: its random secrets, its ports, and which servers it has to bring itself.

Whatever the environment names is used; what it does not name is embedded, piece by piece: with
``DATABASE_URLS`` no PostgreSQL is started, with ``REDIS_URL`` no Redis, with ``STRIPE_SECRET_KEY`` no payments sandbox.
"""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.layout import Layout
from deploy.local.postgres import Server as PostgresServer
from deploy.local.redis import Server as RedisServer

SERVERS = 3
KEYSPACES = ("customer", "store", "shopper")
SECRETS = ("SECRET_KEY", "FIELD_KEY", "JWT_KEY", "STRIPE_WEBHOOK_SECRET", "DEMO_PASSWORD")
PORTS = {"PORT": 8000, "WS_PORT": 8001, "SANDBOX_PORT": 8003}


class WrongPort(ValueError):
    """A port variable does not hold a port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    layout: Layout
    environ: dict[str, str]
    """The whole environment of every process of this installation."""
    postgres: tuple[PostgresServer, ...]
    """Servers of our own; none when ``DATABASE_URLS`` names others."""
    redis: RedisServer | None
    web_port: int
    websocket_port: int
    sandbox_port: int | None
    """None when payments go to Stripe."""
    demo: bool

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Installation":
        """The installation described by ``environ``; makes the secrets at the first call.

        Reading its own ``environ`` again gives the same: an embedded address is known as such when met.
        """
        layout = Layout.read(environ)
        ports = _ports(environ)
        servers = tuple(PostgresServer(directory=layout.postgres / str(n)) for n in range(SERVERS))
        redis_server = RedisServer(directory=layout.redis)
        embedded = {
            **_secrets(layout),
            "INSTACART_VAR": str(layout.var),
            "PUBLIC_URL": f"http://127.0.0.1:{ports['PORT']}",
            "WEBSOCKET_URL": f"ws://127.0.0.1:{ports['WS_PORT']}",
            "DATABASE_URLS": _database_urls(servers),
            "REDIS_URL": redis_server.url(),
            "INSTACART_DEMO": "1",
            **{name: str(port) for name, port in ports.items()},
        }
        if not environ.get("STRIPE_SECRET_KEY"):
            embedded["STRIPE_API_BASE"] = f"http://127.0.0.1:{ports['SANDBOX_PORT']}"
        complete = embedded | {name: value for name, value in environ.items() if value or name not in embedded}

        def is_embedded(name: str) -> bool:
            return name in embedded and complete[name] == embedded[name]

        return cls(
            layout=layout,
            environ=complete,
            postgres=servers if is_embedded("DATABASE_URLS") else (),
            redis=redis_server if is_embedded("REDIS_URL") else None,
            web_port=ports["PORT"],
            websocket_port=ports["WS_PORT"],
            sandbox_port=ports["SANDBOX_PORT"] if is_embedded("STRIPE_API_BASE") else None,
            demo=complete["INSTACART_DEMO"] == "1",
        )

    def servers(self) -> list[PostgresServer | RedisServer]:
        return [*self.postgres, *([self.redis] if self.redis else [])]

    def databases(self) -> dict[str, PostgresServer]:
        """Our own server of each database name."""
        if not self.postgres:
            return {}
        split = {f"{keyspace}_{n}": server for keyspace in KEYSPACES for n, server in enumerate(self.postgres)}
        return {"global": self.postgres[0], **split}

    def remember_ports(self) -> None:
        """For commands that are run beside the servers and were not told the ports again."""
        ports = {"PORT": self.web_port, "WS_PORT": self.websocket_port}
        if self.sandbox_port:
            ports["SANDBOX_PORT"] = self.sandbox_port
        _ports_file(self.layout).write_text(json.dumps({name: str(port) for name, port in ports.items()}))


def beside_running_servers(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a command on its own, such as ``manage.py shell``: what ``./dev up`` gave its processes.

    ``environ`` itself in production, and where ``./dev up`` never ran.
    """
    layout = Layout.read(environ)
    if environ.get("INSTACART_ENV") == "production" or not layout.secrets.exists():
        return dict(environ)
    try:
        ports = json.loads(_ports_file(layout).read_text())
    except (FileNotFoundError, ValueError):
        ports = {}
    return Installation.read({**ports, **environ}).environ


def _ports_file(layout: Layout) -> Path:
    return layout.run / "ports.json"


def _ports(environ: Mapping[str, str]) -> dict[str, int]:
    ports = {name: _port(environ, name) for name in PORTS}
    for name, port in ports.items():
        if same := [other for other in ports if other != name and ports[other] == port]:
            raise WrongPort(f"{name} and {same[0]} are both {port}: each needs a port of its own")
    return ports


def _port(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name) or str(PORTS[name])
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65_535:
        raise WrongPort(f"{name}={text} is not a port: give a number from 1 to 65535")
    return int(text)


def _database_urls(servers: tuple[PostgresServer, ...]) -> str:
    urls = [f"default={servers[0].url('global')}"]
    for keyspace in KEYSPACES:
        urls += [f"{keyspace}_{n}={server.url(f'{keyspace}_{n}')}" for n, server in enumerate(servers)]
    return ",".join(urls)


def _secrets(layout: Layout) -> dict[str, str]:
    """Random once, then the same for ever: whoever loses FIELD_KEY loses what is encrypted with it."""
    kept: dict[str, str] = json.loads(layout.secrets.read_text()) if layout.secrets.exists() else {}
    if kept.keys() >= set(SECRETS):
        return kept
    made = {name: secrets.token_urlsafe(48) for name in SECRETS}
    made["STRIPE_WEBHOOK_SECRET"] = f"whsec_{secrets.token_urlsafe(32)}"
    made["DEMO_PASSWORD"] = secrets.token_urlsafe(12)
    layout.make()
    descriptor, name = tempfile.mkstemp(dir=layout.var, prefix=".secrets-")  # mode 0600 from the first byte
    with os.fdopen(descriptor, "w") as file:
        json.dump(made | kept, file, indent=1)
    if kept:
        os.replace(name, layout.secrets)
    else:
        try:
            os.link(name, layout.secrets)  # unlike a rename, never over the secrets of somebody who was faster
        except FileExistsError:
            return _secrets(layout)
        finally:
            os.unlink(name)
    return made | kept
