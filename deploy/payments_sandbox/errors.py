"""Refusals in the shape Stripe gives them."""

from typing import Any

_NAMES = {"payment_method": "PaymentMethod", "setup_intent": "setupintent"}


class ApiError(Exception):
    """Becomes `{"error": {…}}`."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, kind: str = "invalid_request_error", **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {key: value for key, value in {"code": code, **more}.items() if value is not None}
            | {"message": message, "type": kind}
        }
        if code:
            self.body["error"]["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"


def invalid(message: str, *, code: str | None = None, param: str | None = None, **more: Any) -> ApiError:
    return ApiError(400, message, code=code, param=param, **more)


def missing(param: str) -> ApiError:
    return invalid(f"Missing required param: {param}.", code="parameter_missing", param=param)


def no_such(kind: str, object_id: str, *, param: str = "id", status: int = 404) -> ApiError:
    message = f"No such {_NAMES.get(kind, kind)}: '{object_id}'"
    return ApiError(status, message, code="resource_missing", param=param)


def card_error(code: str, message: str, **more: Any) -> ApiError:
    return ApiError(402, message, code=code, kind="card_error", **more)


def unexpected_state(kind: str, action: str, status: str, **more: Any) -> ApiError:
    """`kind` is payment_intent or setup_intent; the intent itself goes along in the error, as Stripe does it."""
    name = {"payment_intent": "PaymentIntent", "setup_intent": "SetupIntent"}[kind]
    return invalid(
        f"You cannot {action} this {name} because it has a status of {status}.",
        code=f"{kind}_unexpected_state",
        **more,
    )
