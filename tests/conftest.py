"""Databases for the whole suite, and the guard that no test may mix them."""

from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from sharding import testing


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: DjangoDbBlocker,
    django_db_keepdb: bool,
) -> Iterator[None]:
    with django_db_blocker.unblock(), testing.databases(keep=django_db_keepdb):
        yield


@pytest.fixture(autouse=True)
def one_database_at_a_time() -> Iterator[None]:
    with testing.forbid_cross_database_transactions():
        yield
