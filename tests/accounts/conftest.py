from contextlib import ExitStack, contextmanager

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext


@pytest.fixture
def assert_queries():
    """``with assert_queries(2): …`` counts over all databases together."""

    @contextmanager
    def check(expected):
        with ExitStack() as stack:
            counts = [stack.enter_context(CaptureQueriesContext(connection)) for connection in connections.all()]
            yield
        made = [query["sql"] for count in counts for query in count.captured_queries]
        assert len(made) == expected, made

    return check
