from tests.payments.fixtures import fake_gateway, sandbox, sandbox_server

__all__ = ["fake_gateway", "sandbox", "sandbox_server"]
