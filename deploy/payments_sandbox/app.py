"""From a request to an answer, without any socket: Stripe's API, the controls and the pages."""

import base64
import binascii
import json
import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from stripe._api_version import _ApiVersion

from deploy.payments_sandbox import clock, control, faults, pages, reading, routes, schema
from deploy.payments_sandbox.call import Call
from deploy.payments_sandbox.errors import ApiError
from deploy.payments_sandbox.faults import Fault, Faults
from deploy.payments_sandbox.idempotency import Keys
from deploy.payments_sandbox.state import Object, Store
from deploy.payments_sandbox.webhooks import Sender

logger = logging.getLogger(__name__)

_KEY_PREFIXES = ("sk_test_", "rk_test_", "pk_test_")


@dataclass(frozen=True)
class Request:
    """Header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def base_url(self) -> str:
        return f"http://{self.headers.get('host', '127.0.0.1')}"


@dataclass
class Answer:
    """`cut` says how the connection breaks instead: one of faults.CUTS."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: str | None = None


@dataclass(frozen=True)
class _Asked:
    """A request to Stripe's API of which all is known but what it asks for."""

    request: Request
    route: routes.Route
    object_id: str
    is_publishable: bool
    api_key: str
    account: str
    fault: Fault
    request_id: str


class App:
    def __init__(self, store: Store, *, webhook_url: str | None, webhook_secrets: list[str]) -> None:
        self.store = store
        self.faults = Faults()
        self._keys = Keys(store)
        with store.transaction():
            store.set_setting("api_version", _ApiVersion.CURRENT)
            endpoint = {"id": "we_default", "enabled_events": ["*"], "url": webhook_url, "secrets": webhook_secrets}
            store.set_setting("endpoints", [endpoint] if webhook_url else [])
        self.sender = Sender(store)
        for route in routes.ROUTES:
            schema.fields_of(schema.request_type(route.request))

    def close(self) -> None:
        self.sender.stop()
        self.store.db.close()

    def answer(self, request: Request) -> Answer:
        try:
            if request.path.startswith("/v1/"):
                return self._api(request)
            if _is_foreign(request):
                return _json(403, {"detail": "Only from this server's own pages, or from a program."})
            if request.path.startswith("/_sandbox/"):
                return self._control(request)
            return self._page(request)
        except ApiError as error:
            return _json(error.status, error.body)
        except Exception:
            logger.exception("The stand-in itself failed")
            return _json(
                500, {"error": {"type": "api_error", "message": "The payments sandbox has a bug; see its log."}}
            )
        finally:
            if request.method != "GET":
                self.sender.wake()

    # Stripe's API

    def _api(self, request: Request) -> Answer:
        request_id = f"req_{time.time_ns():x}"
        headers = {
            "Request-Id": request_id,
            "Stripe-Version": "".join(request.headers.get("stripe-version", _ApiVersion.CURRENT).split()),
        }
        found = routes.found(request.method, request.path)
        if found is None:
            message = f"Unrecognized request URL ({request.method}: {request.path})."
            return _json(404, ApiError(404, message).body, headers)
        route, object_id = found
        fault = self.faults.next_for(route.endpoint) or Fault(route.endpoint, "none")
        if fault.kind in ("refuse", "drop_before"):
            return Answer(cut=fault.kind)
        try:
            api_key = _api_key(request.headers.get("authorization", ""))
            is_publishable = api_key.startswith("pk_")
            if is_publishable and not route.is_open:
                message = "This API call cannot be made with a publishable API key. Please use a secret API key."
                raise ApiError(403, message, code="secret_key_required")
            account = self._account(request.headers.get("stripe-account", ""), route)
            if fault.kind in ("429", "500_before", "503_before"):
                raise faults.failure(fault.kind)
            asked = _Asked(request, route, object_id, is_publishable, api_key, account, fault, request_id)
            status, body, is_replay = self._once(asked)
        except ApiError as error:
            return _json(error.status, error.body, headers)
        if is_replay:
            headers["Idempotent-Replayed"] = "true"
        if status >= 500:
            # The kept answer would only be replayed.
            headers["Stripe-Should-Retry"] = "false"
        if fault.kind == "slow_after":
            time.sleep(fault.seconds)
        if fault.kind == "503_after":
            return _json(503, faults.failure(fault.kind).body, headers)
        cut = fault.kind if fault.kind in faults.CUTS else None
        return Answer(status, body.encode(), headers | {"Content-Type": "application/json"}, cut)

    def _account(self, account_id: str, route: routes.Route) -> str:
        """In whose name the platform asks; empty for its own."""
        if not account_id:
            return ""
        if not route.of_accounts:
            raise ApiError(400, f"{route.endpoint} is not played for connected accounts here.", param="Stripe-Account")
        with self.store.transaction():
            found = self.store.find(account_id)
        if found is None or found["object"] != "account":
            message = f"The provided key does not have access to account '{account_id}' (or it does not exist)."
            raise ApiError(403, message, code="account_invalid")
        return account_id

    def _once(self, asked: "_Asked") -> tuple[int, str, bool]:
        """The answer and whether it is the one kept for this idempotency key; raises before work begins."""
        request, route, fault = asked.request, asked.route, asked.fault
        given_key = request.headers.get("idempotency-key") if request.method == "POST" else None
        key = f"{asked.api_key}{asked.account} {given_key}" if given_key else None
        with ExitStack() as stack:
            if key:
                stack.enter_context(self._keys.held(key))
            if fault.kind == "slow":
                time.sleep(fault.seconds)
            stack.enter_context(self.store.transaction())
            clock.strike(self.store)
            kept = self._keys.known(key, request.path, request.body) if key else None
            if kept is not None:
                return *kept, True
            text = request.query if request.method == "GET" else request.body.decode(errors="replace")
            params = schema.checked(route.request, schema.parsed_form(text), extra=route.extra)
            expand = params.pop("expand", [])
            self.store.origin = {"id": asked.request_id, "idempotency_key": given_key}
            url = request.base_url
            call = Call(self.store, params, asked.object_id, asked.is_publishable, request.path, url, asked.account)
            try:
                status, done = 200, reading.rendered(self.store, route.handler(call))
            except ApiError as error:
                status, done = error.status, error.body
            else:
                done = reading.expanded(self.store, done, expand)
            if fault.kind == "500_after":
                status, done = 500, faults.failure(fault.kind).body
            body = json.dumps(done)
            if key:
                self._keys.keep(key, request.path, request.body, (status, body))
            return status, body, False

    # Controls and pages

    def _control(self, request: Request) -> Answer:
        given = _given(request)
        status, body = control.answer(self.store, self.faults, f"{request.method} {request.path}", given)
        if "text/html" in request.headers.get("accept", "") and request.method == "POST":
            return Answer(303, headers={"Location": "/"})
        return _json(status, body)

    def _page(self, request: Request) -> Answer:
        with self.store.transaction():
            clock.strike(self.store)
            page = pages.page(self.store, self.faults, request.method, request.path, _given(request), request.base_url)
        if page.location:
            return Answer(303, headers={"Location": page.location})
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }
        return Answer(page.status, page.html.encode(), headers)


def _api_key(authorization: str) -> str:
    scheme, _, given = authorization.partition(" ")
    key = given.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if not key:
        raise ApiError(
            401, "You did not provide an API key. You need to provide your API key in the Authorization header."
        )
    if not key.startswith(_KEY_PREFIXES):
        raise ApiError(401, f"Invalid API Key provided: {key[:7]}***. Only test keys are accepted here.")
    return key


def _is_foreign(request: Request) -> bool:
    """A page of another site, in the browser of whoever runs this, must not press our buttons."""
    host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
    origin = request.headers.get("origin")
    is_ours = origin is None or origin == request.base_url
    return host not in ("127.0.0.1", "localhost", "[::1]") or (request.method != "GET" and not is_ours)


def _given(request: Request) -> Object:
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            given = json.loads(request.body or b"{}")
        except ValueError as error:
            raise ApiError(400, f"Not JSON: {error}") from error
        if not isinstance(given, dict):
            raise ApiError(400, "Expected a JSON object.")
        return given
    text = request.query if request.method == "GET" else request.body.decode(errors="replace")
    return dict(parse_qsl(text))


def _json(status: int, body: Object, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})
