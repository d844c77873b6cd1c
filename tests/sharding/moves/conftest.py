from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.sharding.moves.world import World, drop_templates, world


@pytest.fixture(scope="session")
def worlds() -> Iterator[Callable[[], AbstractContextManager[World]]]:
    """``with worlds() as world:`` gives databases and processes of the block's own."""
    yield world
    drop_templates()


@pytest.fixture
def shop(worlds: Callable[[], AbstractContextManager[World]]) -> Iterator[World]:
    with worlds() as found:
        yield found
