"""The README's quick start does what it says when it is pasted into a shell."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connections
from psycopg import sql

import sharding
from deploy.local import postgres

PACKAGE = Path(sharding.__file__).parent
DATABASES = ("shop_directory", "shop_0", "shop_1")


@pytest.fixture
def server() -> Iterator[dict[str, object]]:
    parameters = connections["default"].get_connection_params()
    place = {name: parameters[name] for name in ("host", "port", "user") if parameters.get(name)}

    def drop() -> None:
        with psycopg.connect(**place, dbname="postgres", autocommit=True) as connection:
            for name in DATABASES:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    drop()
    yield place
    drop()


def test_the_quick_start_works_as_it_stands(server, tmp_path):
    (script,) = re.findall(r"^```sh\n(.*?)^```", (PACKAGE / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    programs = [str(Path(sys.executable).parent), str(postgres.wheel_folder() / postgres.PROGRAMS)]
    environ = {f"PG{name.upper()}": str(value) for name, value in server.items()}
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**environ, "PATH": os.pathsep.join([*programs, os.environ["PATH"]]), "SHARDING": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *_, first, second, shard, mine, refusal, everywhere = done.stdout.strip().splitlines()
    assert (first, second) == ("placed 7", "placed 9007")
    assert shard == "customer_1"
    assert mine == "1"
    assert refusal.startswith("shop.Order: nothing in this query names a shard; filter by customer=")
    assert everywhere == "2"
