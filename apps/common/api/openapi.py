"""What every operation of the OpenAPI document has in common."""

from typing import Any

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


def with_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's post-processing hook: every operation may also answer with a problem document."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
    for operations in result.get("paths", {}).values():
        for operation in operations.values():
            operation["responses"].setdefault("default", _RESPONSE)
    return result
