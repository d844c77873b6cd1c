import pytest

pytest.register_assert_rewrite("tests.flows.world")  # what was written although nothing should be is shown
