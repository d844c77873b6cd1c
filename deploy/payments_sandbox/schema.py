"""Which parameters an endpoint takes, read from the request types of the installed Stripe SDK.

The SDK describes every request as nested TypedDicts. A request is checked and converted against those, so a
parameter that Stripe took away or renamed is refused as soon as the SDK's pin moves.
"""

import functools
import importlib
import re
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, ForwardRef, Literal
from urllib.parse import parse_qsl

import typing_extensions
from stripe._request_options import RequestOptions

from deploy.payments_sandbox.errors import ApiError, invalid, missing

_TRANSPORT = frozenset(RequestOptions.__annotations__)
_WITHDRAWN = "payment_method_types"


class Shape:
    """What one parameter may be: any of a nested object, a list, a free map, a number, a flag, a word."""

    def __init__(self) -> None:
        self.objects: list[type] = []
        self.item: Shape | None = None
        self.is_map = False
        self.scalars: set[type] = set()
        self.words: set[str] = set()
        self.takes_empty = False

    @functools.cached_property
    def fields(self) -> dict[str, "Shape"]:
        return {name: shape for kind in self.objects for name, shape in fields_of(kind)[0].items()}


@functools.cache
def fields_of(kind: type) -> tuple[dict[str, Shape], frozenset[str]]:
    """The parameters of one TypedDict and the names of those it requires."""
    module = vars(sys.modules[kind.__module__])
    fields = {}
    for name, annotation in kind.__annotations__.items():
        if name not in _TRANSPORT:
            fields[name] = Shape()
            _describe(annotation, module, fields[name])
    return fields, frozenset(kind.__required_keys__) & fields.keys()  # type: ignore[attr-defined]


def _describe(annotation: Any, module: dict[str, Any], shape: Shape) -> None:
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        annotation = eval(annotation, module)  # noqa: S307 - the SDK's own annotations
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.NotRequired, typing_extensions.NotRequired, typing.Required, typing.Union, types.UnionType):
        for arg in args:
            _describe(arg, module, shape)
    elif origin is Literal:
        shape.words |= {arg for arg in args if arg}
        shape.takes_empty |= "" in args
    elif origin is list:
        shape.item = Shape()
        _describe(args[0], module, shape.item)
    elif typing_extensions.is_typeddict(annotation):
        shape.objects.append(annotation)
    elif annotation in (int, float, bool, str):
        shape.scalars.add(annotation)
    else:
        shape.is_map = True


@functools.cache
def request_type(name: str) -> type:
    """`request_type("checkout.SessionCreateParams")`: the SDK's type of that name."""
    package, _, leaf = name.rpartition(".")
    found: type = getattr(importlib.import_module(f"stripe.params.{package}".rstrip(".")), leaf)
    return found


def parsed_form(text: str) -> dict[str, Any]:
    """`a[b][0]=c` as Stripe's nested form encoding means it. Lists stay dicts of positions until `checked`."""
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        path = key.replace("]", "").split("[")
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step or str(len(node)), {})
            if not isinstance(node, dict):
                raise invalid(f"Invalid parameter: {key}", param=key)
        node[path[-1] or str(len(node))] = value
    return tree


def checked(name: str, form: dict[str, Any], *, extra: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The form as typed values; refuses unknown, missing and malformed parameters. `extra` are taken as they are."""
    kind = request_type(name)
    fields, required = fields_of(kind)
    if _WITHDRAWN in form and _WITHDRAWN not in fields and name.startswith(("PaymentIntent", "SetupIntent")):
        raise invalid(
            "The parameter payment_method_types is no longer supported; use allowed_payment_method_types, "
            "excluded_payment_method_types or dynamic payment methods.",
            code="payment_method_types_no_longer_supported",
            param=_WITHDRAWN,
        )
    known = {key: value for key, value in form.items() if key not in extra}
    return {**_object(fields, required, known, ""), **{key: form[key] for key in extra & form.keys()}}


def _object(fields: Mapping[str, Shape], required: frozenset[str], form: dict[str, Any], path: str) -> dict[str, Any]:
    unknown = [key for key in form if key not in fields]
    if unknown:
        param = f"{path}[{unknown[0]}]" if path else unknown[0]
        raise invalid(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)
    for key in sorted(required - form.keys()):
        raise missing(f"{path}[{key}]" if path else key)
    return {key: _value(fields[key], value, f"{path}[{key}]" if path else key) for key, value in form.items()}


def _value(shape: Shape, value: Any, path: str) -> Any:
    if isinstance(value, dict):
        if shape.item is not None and all(key.isdigit() for key in value):
            return [_value(shape.item, value[key], f"{path}[{key}]") for key in sorted(value, key=int)]
        if shape.objects:
            required = fields_of(shape.objects[0])[1] if len(shape.objects) == 1 else frozenset()
            return _object(shape.fields, required, value, path)
        if shape.is_map:
            return value
        raise invalid(f"Invalid {path}: expected a single value", param=path)
    return _scalar(shape, value, path)


def _scalar(shape: Shape, value: str, path: str) -> Any:
    if value == "" and (shape.takes_empty or shape.is_map):
        return ""
    if bool in shape.scalars and value in ("true", "false"):
        return value == "true"
    if shape.words:
        if value in shape.words:
            return value
        raise invalid(f"Invalid {path}: must be one of {', '.join(sorted(shape.words))}", param=path)
    if int in shape.scalars:
        return _integer(value, path)
    if float in shape.scalars:
        if not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,12})?", value):
            raise invalid(f"Invalid decimal: {value}", param=path)
        return float(value)
    if str in shape.scalars:
        if value == "":
            raise invalid(
                f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a parameter; "
                f"however '{path}' cannot be unset.",
                code="parameter_invalid_empty",
                param=path,
            )
        return value
    if bool in shape.scalars:
        raise invalid(f"Invalid boolean: {value}", param=path)
    raise _wrong_kind(path)


def _integer(value: str, path: str) -> int:
    # Stripe's numbers are 64 bits wide, and so are SQLite's.
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=path)
    return int(value)


def _wrong_kind(path: str) -> ApiError:
    article = "an object" if not path.endswith("]") else "a different value"
    return invalid(f"Invalid {path}: expected {article}", param=path)
