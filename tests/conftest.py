"""What every test stands on: servers and databases of their own, and the guard that no test may mix databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import TransactionTestCase
from pytest_django.plugin import DjangoDbBlocker

from deploy.local import testservers
from sharding import testing

_STARTED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="let the tests marked slow go all the way")


def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # not in the workers of pytest-xdist: their parent did it
        session.config.stash[_STARTED] = testservers.start()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.stash.get(_STARTED, False):
        testservers.stop()


@pytest.fixture
def media(settings: Any, tmp_path: Path) -> Path:
    """Where photos are kept, for one test alone: those that run beside it have theirs."""
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    }
    return tmp_path


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: DjangoDbBlocker,
    django_db_keepdb: bool,
) -> Iterator[None]:
    with django_db_blocker.unblock(), testing.databases(keep=django_db_keepdb):
        yield


@pytest.fixture(scope="session", autouse=True)
def emptied_quickly() -> Iterator[None]:
    def empty_all(case: type[TransactionTestCase]) -> None:
        for alias in case._databases_names(include_mirrors=False):  # type: ignore[attr-defined]
            testing.empty(alias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_all)
        yield


@pytest.fixture(autouse=True)
def one_database_at_a_time(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("crosses_databases"):
        yield
        return
    with testing.forbid_cross_database_transactions():
        yield
