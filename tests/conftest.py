"""What every test stands on: servers of their own, shared by all test processes of one run."""

import pytest

from deploy.local import testservers


def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # not in the workers of pytest-xdist: their parent did it
        session.config.stash[_STARTED] = testservers.start()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.stash.get(_STARTED, False):
        testservers.stop()


_STARTED = pytest.StashKey[bool]()
