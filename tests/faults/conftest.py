"""Faults are tried on one Monday morning, against the payments sandbox over HTTP unless a test asks for the fake."""

from tests.orders.conftest import a_monday_morning
from tests.payments.fixtures import fake_gateway, sandbox, sandbox_server

__all__ = ["a_monday_morning", "fake_gateway", "sandbox", "sandbox_server"]
