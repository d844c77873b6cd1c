from tests.payments.fixtures import fake_gateway

__all__ = ["fake_gateway"]
