"""What every operation of the OpenAPI document has in common."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from typing_extensions import override

from apps.common.api import idempotency

_PROBLEM = {
    "type": "object",
    "description": "A refusal (RFC 9457). `code` is stable; `detail` is for people.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {"type": "object", "description": "By field, when what was sent is not valid."},
    },
    "required": ["type", "title", "status", "code", "detail"],
    "example": {
        "type": "about:blank",
        "title": "Not possible now",
        "status": 409,
        "code": "offer_gone",
        "detail": "This offer is no longer available.",
    },
}
_RESPONSE = {
    "description": "Refused; `code` says why.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_REPEATED = {
    "description": "Not valid, or (`idempotency_conflict`) the key was sent before with another request, or "
    "(`idempotency_key_missing`) it is none; `code` says which.",
    "content": _RESPONSE["content"],
}
_REPLAYED = {
    "description": "`true` when this is the first answer, sent again.",
    "schema": {"type": "string", "enum": ["true"]},
}


class Schema(AutoSchema):
    """Says of each write that it takes an idempotency key."""

    @override
    def get_override_parameters(self) -> list[Any]:
        rule = idempotency.rule_of(getattr(self.view, self.method.lower(), None))
        return [*super().get_override_parameters(), *([_key(rule)] if rule else [])]


def _key(rule: idempotency.Rule) -> OpenApiParameter:
    return OpenApiParameter(
        idempotency.HEADER,
        {"type": "string", "minLength": 1, "maxLength": idempotency.MAX_LENGTH},
        OpenApiParameter.HEADER,
        required=rule.is_required,
        description="A key of your own, such as a UUID, for this request. Sent again within 24 hours with the same "
        "key, it happens once and is answered as it was the first time.",
    )


def with_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's post-processing hook: every operation may also answer with a problem document."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
    for operations in result.get("paths", {}).values():
        for operation in operations.values():
            responses = operation["responses"]
            responses.setdefault("default", _RESPONSE)
            if any(parameter["name"] == idempotency.HEADER for parameter in operation.get("parameters", ())):
                responses.setdefault("422", _REPEATED)
                for status, response in responses.items():
                    if status.startswith("2"):
                        response.setdefault("headers", {})[idempotency.REPLAYED] = _REPLAYED
    return result
