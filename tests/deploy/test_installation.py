"""What processes are told: random secrets, embedded addresses, and those configured in their place."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from celery_app.conf import kombu_url
from deploy.local import installation as installations
from deploy.local.installation import SECRETS, Installation, WrongPort, beside_running_servers
from instacart.env import Env

CUSTOMERS_ELSEWHERE = ",".join(
    f"{alias}=postgresql://db.example/{alias}" for alias in ("default", "customer_0", "store_0", "shopper_0")
)


@pytest.fixture
def var(tmp_path: Path) -> dict[str, str]:
    return {"INSTACART_VAR": str(tmp_path / "var")}


def test_secrets_are_private_random_and_kept(var, tmp_path: Path):
    first = Installation.read(var)
    assert stat.S_IMODE(first.layout.secrets.stat().st_mode) == 0o600
    assert Installation.read(var).environ == first.environ
    values = {first.environ[name] for name in SECRETS}
    assert len(values) == len(SECRETS)
    other = Installation.read({"INSTACART_VAR": str(tmp_path / "other")})
    assert values.isdisjoint(other.environ[name] for name in SECRETS)


def test_processes_that_start_together_agree_on_the_secrets(var):
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(Installation.read, var) for _ in range(8)]
    assert len({future.result().environ["SECRET_KEY"] for future in found}) == 1
    assert [path.name for path in Path(var["INSTACART_VAR"]).glob(".secrets-*")] == []


def test_nothing_configured_means_three_servers_with_every_keyspace(var):
    env = Env.read(Installation.read(var).environ)
    folder = f"{var['INSTACART_VAR']}/postgres"
    assert env.database_urls["default"].endswith(f"/global?host={folder}/0")
    assert env.database_urls["shopper_2"].endswith(f"/shopper_2?host={folder}/2")
    assert len(env.database_urls) == 10
    assert env.shard_map["customer"] == (
        (0, 2999, "customer_0"),
        (3000, 5999, "customer_1"),
        (6000, 9999, "customer_2"),
    )
    assert env.stripe_api_base == "http://127.0.0.1:8003"
    assert env.demo is True


def test_reading_its_own_environment_changes_nothing(var):
    first = Installation.read(var)
    assert Installation.read(first.environ) == first


@pytest.mark.parametrize(
    ("given", "postgres", "redis", "sandbox"),
    [
        ({}, 3, True, True),
        ({"DATABASE_URLS": CUSTOMERS_ELSEWHERE}, 0, True, True),
        ({"REDIS_URL": "redis://cache.example/0"}, 3, False, True),
        ({"STRIPE_SECRET_KEY": "sk_test_1"}, 3, True, False),
        ({"STRIPE_API_BASE": "http://127.0.0.1:9"}, 3, True, False),
        ({"DATABASE_URLS": ""}, 3, True, True),
    ],
)
def test_each_configured_server_replaces_its_embedded_one(var, given, postgres, redis, sandbox):
    found = Installation.read(var | given)
    assert len(found.postgres) == postgres
    assert (found.redis is not None) is redis
    assert (found.sandbox_port is not None) is sandbox
    for name, value in given.items():
        if value:
            assert found.environ[name] == value
    assert ("STRIPE_API_BASE" in found.environ) is ("STRIPE_SECRET_KEY" not in given)


def test_ports_move_the_addresses_with_them(var):
    found = Installation.read(var | {"PORT": "9000", "WS_PORT": "9001", "SANDBOX_PORT": "9003"})
    assert found.environ["PUBLIC_URL"] == "http://127.0.0.1:9000"
    assert found.environ["WEBSOCKET_URL"] == "ws://127.0.0.1:9001"
    assert found.environ["STRIPE_API_BASE"] == "http://127.0.0.1:9003"


@pytest.mark.parametrize("port", ["0", "65536", "web", "-1", "80 80"])
def test_a_port_that_is_none_is_refused_by_name(var, port):
    with pytest.raises(WrongPort, match=f"WS_PORT={port} is not a port"):
        Installation.read(var | {"WS_PORT": port})
    assert not Path(var["INSTACART_VAR"]).exists()


def test_one_port_cannot_serve_two(var):
    with pytest.raises(WrongPort, match="PORT and WS_PORT are both 8001"):
        Installation.read(var | {"PORT": "8001"})


def test_a_command_beside_the_servers_finds_their_ports(var):
    running = Installation.read(var | {"PORT": "9000"})
    running.remember_ports()
    assert beside_running_servers(var)["PUBLIC_URL"] == "http://127.0.0.1:9000"
    assert beside_running_servers(var | {"PORT": "9100"})["PUBLIC_URL"] == "http://127.0.0.1:9100"


@pytest.mark.parametrize("given", [{}, {"INSTACART_ENV": "production"}])
def test_a_command_on_its_own_invents_nothing(var, given):
    if given:
        Installation.read(var)
    assert beside_running_servers(var | given) == var | given


def test_a_newer_version_adds_its_secret_and_keeps_the_old(var, monkeypatch):
    before = Installation.read(var).environ
    monkeypatch.setattr(installations, "SECRETS", (*SECRETS, "NEW_KEY"))
    after = Installation.read(var)
    assert {name: after.environ[name] for name in SECRETS} == {name: before[name] for name in SECRETS}
    assert json.loads(after.layout.secrets.read_text()).keys() == {*SECRETS, "NEW_KEY"}


@pytest.mark.parametrize(
    ("ours", "celerys"),
    [
        ("unix:///srv/redis.sock?db=0", "redis+socket:///srv/redis.sock?virtual_host=0"),
        ("redis://:secret@cache.example:6379/1", "redis://:secret@cache.example:6379/1"),
        ("rediss://cache.example/0", "rediss://cache.example/0"),
    ],
)
def test_celery_is_told_the_address_in_its_own_words(ours, celerys):
    assert kombu_url(ours) == celerys
