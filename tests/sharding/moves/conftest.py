from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.sharding.moves.world import World, end, world


@pytest.fixture(scope="session")
def worlds() -> Iterator[Callable[..., AbstractContextManager[World]]]:
    """``with worlds() as world:`` gives databases and processes of the block's own."""
    yield world
    end()


@pytest.fixture
def shop(worlds: Callable[..., AbstractContextManager[World]], request: pytest.FixtureRequest) -> Iterator[World]:
    """As ``worlds()``; a test that changes tables says so with ``pytest.mark.changes_tables``."""
    with worlds(is_changed=request.node.get_closest_marker("changes_tables") is not None) as found:
        yield found
