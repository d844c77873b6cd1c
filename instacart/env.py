"""The process environment, read once and typed.

With nothing set, the project runs from a clean checkout on servers of its own, their files under
``var/``; ``./dev up`` starts those servers and hands their addresses on through these same
variables. In production (``INSTACART_ENV=production``) whatever has no safe default must be given.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent

BUCKETS = 10_000
KEYSPACES = ("customer", "store", "shopper")
"""Keyspaces that are split over shards. Everything else lives in the database ``default``."""

EMBEDDED_MAIL = "files:"
"""Stands for a mail server where there is none."""

TRAVEL_SOURCES = ("roads", "valhalla", "osrm", "google")

Ranges = tuple[tuple[int, int, str], ...]
"""``(first bucket, last bucket, database alias)``, without gaps from 0 to 9999."""


class SettingMissing(RuntimeError):
    """A variable that has no safe default was not given; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """All of it. Its repr, which may end in a log, leaves out every secret and every address that may hold one."""

    production: bool
    secret_key: str = field(repr=False)
    field_key: str = field(repr=False)
    """Secret from which the keys of encrypted columns and keyed hashes are derived."""
    jwt_key: str = field(repr=False)
    """Secret that signs access tokens."""
    database_urls: dict[str, str] = field(repr=False)
    """PostgreSQL address by alias; ``default`` is the global database."""
    shard_map: dict[str, Ranges]
    """Bucket ranges by keyspace, to begin with: once the directory has a map, that one counts."""
    spares: dict[str, tuple[str, ...]]
    """By keyspace: databases of it that the map leaves empty, for buckets to be moved to."""
    replicas: dict[str, tuple[str, ...]]
    """By alias of a database: the aliases of its read-only copies."""
    metrics_token: str = field(repr=False)
    """Secret that opens ``/metrics``; empty: there is no such page."""
    redis_url: str = field(repr=False)
    stripe_secret_key: str = field(repr=False)
    stripe_publishable_key: str
    stripe_webhook_secret: str = field(repr=False)
    stripe_api_base: str | None
    """Address of the payments sandbox, or None for Stripe itself."""
    travel_times: str
    """Where travel times come from: one of ``TRAVEL_SOURCES``."""
    travel_url: str = field(repr=False)
    """Address of the road server, without a slash at the end; empty: the source's own, where it has one."""
    travel_key: str = field(repr=False)
    """Google's key."""
    public_url: str
    """Where people reach the pages, without a slash at the end."""
    websocket_url: str
    """Where browsers open WebSockets, without a slash at the end."""
    allowed_hosts: tuple[str, ...]
    email_url: str = field(repr=False)
    """Address of the mail server; ``EMBEDDED_MAIL``: letters become files, which the demo shows."""
    email_from: str
    """Whom letters are from."""
    site_name: str
    """What the marketplace calls itself on its pages."""
    demo: bool
    """The demo city, its one-tap sign-ins and its banner."""
    demo_past_orders: int
    """How many delivered orders a new demo city has behind it."""
    demo_password: str = field(repr=False)
    """Password of every demo account; random for each installation."""
    var: Path
    """Folder for everything that is written at run time."""
    log_level: str

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Env":
        """The environment as the project understands it; raises ``SettingMissing`` with every name that is missing."""
        production = _is_production(environ.get("INSTACART_ENV", ""))
        given = {name: environ.get(name) or embedded for name, embedded in _embedded().items()}
        missing = [name for name in given if not environ.get(name)]
        if production and missing:
            raise SettingMissing(f"production needs these variables and guesses none of them: {', '.join(missing)}")
        database_urls = _database_urls(given["DATABASE_URLS"])
        replicas = _replicas(environ.get("REPLICAS"), database_urls)
        copies = {copy for found in replicas.values() for copy in found}
        shards = {alias: url for alias, url in database_urls.items() if alias not in copies}
        shard_map = _shard_map(environ.get("SHARD_MAP"), shards)
        env = cls(
            production=production,
            secret_key=given["SECRET_KEY"],
            field_key=given["FIELD_KEY"],
            jwt_key=given["JWT_KEY"],
            database_urls=database_urls,
            shard_map=shard_map,
            spares=_spares(shard_map, shards),
            replicas=replicas,
            metrics_token=environ.get("METRICS_TOKEN", ""),
            redis_url=given["REDIS_URL"],
            stripe_secret_key=given["STRIPE_SECRET_KEY"],
            stripe_publishable_key=given["STRIPE_PUBLISHABLE_KEY"],
            stripe_webhook_secret=given["STRIPE_WEBHOOK_SECRET"],
            stripe_api_base=environ.get("STRIPE_API_BASE") or None,
            travel_times=environ.get("TRAVEL_TIMES") or "roads",
            travel_url=(environ.get("TRAVEL_URL") or "").rstrip("/"),
            travel_key=environ.get("TRAVEL_KEY") or "",
            public_url=given["PUBLIC_URL"].rstrip("/"),
            websocket_url=given["WEBSOCKET_URL"].rstrip("/"),
            allowed_hosts=tuple(given["ALLOWED_HOSTS"].split(",")),
            email_url=given["EMAIL_URL"],
            email_from=given["EMAIL_FROM"],
            site_name=environ.get("SITE_NAME") or "Larder",
            demo=not production and (environ.get("INSTACART_DEMO") or "1") == "1",
            demo_past_orders=_whole("DEMO_PAST_ORDERS", environ.get("DEMO_PAST_ORDERS") or "200"),
            demo_password=environ.get("DEMO_PASSWORD", ""),
            var=Path(environ.get("INSTACART_VAR") or ROOT / "var"),
            log_level=environ.get("LOG_LEVEL") or "INFO",
        )
        _refuse_mixed_payments(env)
        _check_travel(env)
        _check_mail(env)
        return env


def _is_production(text: str) -> bool:
    """A misspelt ``production`` must not start with the secrets of a checkout, which everybody knows."""
    if text not in ("", "production"):
        raise SettingMissing(f"INSTACART_ENV is {text!r}; it is either production or not set")
    return text == "production"


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise SettingMissing(f"{name} is {text!r}; it is a whole number")
    return int(text)


def _embedded() -> dict[str, str]:
    """What a checkout does without, and production may not: every variable that has no safe default."""
    return {
        "SECRET_KEY": "embedded-only-" + "0" * 40,
        "FIELD_KEY": "embedded-only-" + "1" * 40,
        "JWT_KEY": "embedded-only-" + "2" * 40,
        "DATABASE_URLS": ",".join(_embedded_urls()),
        "REDIS_URL": "redis://127.0.0.1:6379/0",
        "STRIPE_SECRET_KEY": "sk_test_embedded",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_embedded",
        "STRIPE_WEBHOOK_SECRET": "whsec_embedded",
        "PUBLIC_URL": "http://127.0.0.1:8000",
        "WEBSOCKET_URL": "ws://127.0.0.1:8001",
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        "EMAIL_URL": EMBEDDED_MAIL,
        "EMAIL_FROM": "orders@larder.example",
    }


def _embedded_urls() -> list[str]:
    """Databases of a checkout whose servers nobody has named: three of each keyspace on sockets under ``var/``."""
    urls = [f"default=postgresql://postgres@/global?host={ROOT}/var/postgres/0"]
    urls += [
        f"{keyspace}_{n}=postgresql://postgres@/{keyspace}_{n}?host={ROOT}/var/postgres/{n}"
        for keyspace in KEYSPACES
        for n in range(3)
    ]
    return urls


def _database_urls(text: str) -> dict[str, str]:
    urls: dict[str, str] = {}
    entries = filter(None, (part.strip() for part in text.replace("\n", ",").split(",")))
    for position, entry in enumerate(entries, start=1):
        alias, _, url = entry.partition("=")
        alias = alias.strip()
        if not alias.isidentifier() or not url.startswith(("postgresql://", "postgres://")):
            # By position: what stands there may be a piece of a password.
            raise SettingMissing(
                f"DATABASE_URLS: entry {position} is not of the form alias=postgresql://user@host/name"
            )
        if alias in urls:
            raise SettingMissing(f"DATABASE_URLS: {alias} is given twice")
        urls[alias] = url
    if "default" not in urls:
        raise SettingMissing("DATABASE_URLS: the global database is missing; add default=postgresql://…")
    return urls


def _replicas(text: str | None, database_urls: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """``customer_0=customer_0_copy,customer_0=customer_0_far,store_1=…``: no shards of their own."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in filter(None, (part.strip() for part in (text or "").split(","))):
        alias, _, copy = entry.partition("=")
        for one in (alias, copy):
            if one not in database_urls:
                raise SettingMissing(f"REPLICAS: {entry!r} names {one!r}, which DATABASE_URLS does not have")
        found[alias] = (*found.get(alias, ()), copy)
    copies = [copy for named in found.values() for copy in named]
    if len(set(copies)) < len(copies) or set(copies) & {*found, "default"}:
        raise SettingMissing("REPLICAS: a copy is of one database, is not copied again, and is not default")
    return found


def _shard_map(text: str | None, database_urls: Mapping[str, str]) -> dict[str, Ranges]:
    """``customer:0-4999=customer_0,5000-9999=customer_1;store:…``; unsaid, each keyspace is split evenly."""
    shard_map = {keyspace: _even_ranges(keyspace, database_urls) for keyspace in KEYSPACES}
    for part in filter(None, (text or "").split(";")):
        keyspace, _, ranges = part.strip().partition(":")
        if keyspace not in KEYSPACES:
            raise SettingMissing(f"SHARD_MAP: there is no keyspace {keyspace!r}; there are {', '.join(KEYSPACES)}")
        shard_map[keyspace] = tuple(_range(keyspace, entry.strip()) for entry in ranges.split(","))
    for keyspace, found in shard_map.items():
        _check_ranges(keyspace, found, database_urls)
    return shard_map


def _spares(shard_map: Mapping[str, Ranges], database_urls: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {
        keyspace: tuple(
            alias
            for alias in database_urls
            if alias.startswith(f"{keyspace}_") and alias not in {holder for _, _, holder in ranges}
        )
        for keyspace, ranges in shard_map.items()
    }


def _range(keyspace: str, text: str) -> tuple[int, int, str]:
    found = re.fullmatch(r"([0-9]{1,4})-([0-9]{1,4})=(\w+)", text)
    if found is None:
        raise SettingMissing(f"SHARD_MAP: {keyspace} has {text!r} where a range such as 0-4999={keyspace}_0 belongs")
    return int(found[1]), int(found[2]), found[3]


def _even_ranges(keyspace: str, database_urls: Mapping[str, str]) -> Ranges:
    aliases = [alias for alias in database_urls if alias.startswith(f"{keyspace}_")]
    if not aliases:
        raise SettingMissing(f"DATABASE_URLS: keyspace {keyspace} has no database; add {keyspace}_0=postgresql://…")
    starts = [n * BUCKETS // len(aliases) for n in range(len(aliases))]
    if len(aliases) == 3:
        starts = [0, 3000, 6000]  # round numbers are easier to talk about
    ends = [start - 1 for start in starts[1:]] + [BUCKETS - 1]
    return tuple(zip(starts, ends, aliases, strict=True))


def _check_ranges(keyspace: str, ranges: Ranges, database_urls: Mapping[str, str]) -> None:
    expected = 0
    for first, last, alias in ranges:
        if first != expected or last < first:
            raise SettingMissing(f"SHARD_MAP: {keyspace} must cover 0-9999 without gaps; look at {first}-{last}")
        if alias not in database_urls:
            raise SettingMissing(f"SHARD_MAP: {keyspace} names {alias!r}, which DATABASE_URLS does not have")
        expected = last + 1
    if expected != BUCKETS:
        raise SettingMissing(f"SHARD_MAP: {keyspace} must end at bucket 9999, not {expected - 1}")


def _refuse_mixed_payments(env: Env) -> None:
    """A live key never meets the sandbox, and production never pays into one."""
    if env.stripe_api_base is None:
        return
    if env.stripe_secret_key.startswith(("sk_live_", "rk_live_")):
        raise SettingMissing("STRIPE_API_BASE must not be set together with a live Stripe key")
    if env.production:
        raise SettingMissing("STRIPE_API_BASE must not be set in production: payments would go to a stand-in")


def _check_travel(env: Env) -> None:
    """None of the messages repeats an address or a key: either may be, or hold, a secret."""
    if env.travel_times not in TRAVEL_SOURCES:
        raise SettingMissing(f"TRAVEL_TIMES is {env.travel_times!r}; it is one of {', '.join(TRAVEL_SOURCES)}")
    if env.travel_times in ("valhalla", "osrm") and not env.travel_url:
        raise SettingMissing(f"TRAVEL_TIMES={env.travel_times} needs TRAVEL_URL, such as http://127.0.0.1:8002")
    if env.travel_url and not re.fullmatch(r"https?://[\w.-]+(:[0-9]{1,5})?(/[\w./-]*)?", env.travel_url, re.ASCII):
        raise SettingMissing("TRAVEL_URL is not of the form http://host:port or https://host; it takes no password")
    if env.travel_times == "google" and not re.fullmatch(r"[!-~]+", env.travel_key):
        raise SettingMissing("TRAVEL_TIMES=google needs TRAVEL_KEY, a key for the Routes API without white space")


def _check_mail(env: Env) -> None:
    """Neither message repeats the address, which may hold a password."""
    if env.email_url == EMBEDDED_MAIL:
        if env.production:
            raise SettingMissing(f"EMAIL_URL={EMBEDDED_MAIL} sends nothing; production names a mail server")
    elif not re.fullmatch(r"(smtp|smtps|smtp\+starttls)://([^@/\s]+@)?[\w.-]+(:[0-9]{1,5})?", env.email_url, re.ASCII):
        raise SettingMissing("EMAIL_URL is not of the form smtp+starttls://user:password@host:587, smtps:// or smtp://")
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+|[^<>\r\n]+ <[^@\s<>]+@[^@\s<>]+>", env.email_from):
        raise SettingMissing("EMAIL_FROM is not an address such as orders@example.com or Larder <orders@example.com>")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """What Django's settings say of it."""

    backend: str
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = field(default="", repr=False)
    is_tls_at_once: bool = False
    is_tls_asked_for: bool = False


def mail_server(url: str) -> MailServer:
    if url == EMBEDDED_MAIL:
        return MailServer(backend="apps.notifications.demo_outbox.OutboxBackend")
    parts = urlsplit(url)
    usual = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
    return MailServer(
        backend="django.core.mail.backends.smtp.EmailBackend",
        host=parts.hostname or "",
        port=parts.port or usual[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        is_tls_at_once=parts.scheme == "smtps",
        is_tls_asked_for=parts.scheme == "smtp+starttls",
    )


def django_database(url: str) -> dict[str, object]:
    """``url`` as an entry of Django's DATABASES. A socket folder is given as ``?host=/path``."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "sharding.backend",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": options.pop("port", str(parts.port or "")),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 2, **options},
    }
