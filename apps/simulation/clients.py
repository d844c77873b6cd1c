"""The public interfaces as a phone app would use them: OAuth 2 sign-in, GraphQL, REST, the card provider.

Nothing here imports the marketplace; what it cannot do from outside, it does not do.
"""

import asyncio
import base64
import hashlib
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

TIMEOUT_S = 20
RETRIES = 5
FIRST_PAUSE_S = 0.2
_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Refused(Exception):
    """The marketplace said no, with its stable code."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class Unanswered(Exception):
    """The network or the server failed, however often we asked: whether it happened nobody knows."""


@dataclass
class Tokens:
    """An access token that renews itself shortly before it ends."""

    http: httpx.AsyncClient
    client_id: str
    access: str
    refresh: str
    ends_at: float
    sign_in_again: Callable[[], Awaitable["Tokens"]]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def header(self) -> dict[str, str]:
        async with self.lock:
            if time.monotonic() > self.ends_at - 30:
                await self._renew()
        return {"Authorization": f"Bearer {self.access}"}

    async def _renew(self) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh, "client_id": self.client_id}
        try:
            answer = await self.http.post("/oauth/token/", data=form)
            given = answer.raise_for_status().json()
        except httpx.HTTPError:  # a refresh token works once: after a lost answer only the password helps
            fresh = await self.sign_in_again()
            self.access, self.refresh, self.ends_at = fresh.access, fresh.refresh, fresh.ends_at
            await fresh.http.aclose()
        else:
            self.access, self.refresh = given["access_token"], given["refresh_token"]
            self.ends_at = time.monotonic() + given["expires_in"]


def client(base_url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=40, max_keepalive_connections=20)
    return httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT_S, limits=limits)


async def sign_in(base_url: str, *, email: str, password: str, app: str, scope: str, redirect: str) -> Tokens:
    """Authorization code with PKCE (RFC 7636), through the same sign-in page that people see."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    state = secrets.token_urlsafe(16)
    async with client(base_url) as browser:
        page = await _persistent(browser, "GET", "/sign-in/")
        found = _CSRF.search(page.text)
        if page.status_code != 200 or not found:
            raise Refused("sign_in_page_missing", f"GET /sign-in/ answered {page.status_code}")
        done = await browser.post(
            "/sign-in/",
            data={"email": email, "password": password, "csrfmiddlewaretoken": found.group(1)},
            headers={"Referer": f"{base_url}/sign-in/"},
        )
        if done.status_code != 302:
            raise Refused("sign_in_refused", f"{email} could not sign in")
        authorised = await browser.get(
            "/oauth/authorize/",
            params={
                "response_type": "code",
                "client_id": app,
                "redirect_uri": redirect,
                "scope": scope,
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            },
        )
        back = parse_qs(urlsplit(authorised.headers.get("Location", "")).query)
        if back.get("state") != [state] or "code" not in back:
            raise Refused("authorisation_refused", f"{email}: /oauth/authorize/ answered {authorised.status_code}")
    http = client(base_url)
    answer = await http.post(
        "/oauth/token/",
        data={
            "grant_type": "authorization_code",
            "code": back["code"][0],
            "redirect_uri": redirect,
            "client_id": app,
            "code_verifier": verifier,
        },
    )
    answer.raise_for_status()
    given = answer.json()
    return Tokens(
        http,
        app,
        given["access_token"],
        given["refresh_token"],
        ends_at=time.monotonic() + given["expires_in"],
        sign_in_again=partial(
            sign_in, base_url, email=email, password=password, app=app, scope=scope, redirect=redirect
        ),
    )


async def graphql(http: httpx.AsyncClient, query: str, tokens: Tokens | None = None, **variables: Any) -> Any:
    """The answer's ``data``. Raises ``Refused`` with the first error's code, ``Unanswered`` after asking five times."""
    headers = await tokens.header() if tokens else {}
    answer = await _persistent(
        http, "POST", "/graphql/", json={"query": query, "variables": variables}, headers=headers
    )
    body = _body(answer)
    if body.get("errors"):
        first = body["errors"][0]
        raise Refused(first.get("extensions", {}).get("code", "graphql"), first["message"])
    return body["data"]


async def rest(tokens: Tokens, method: str, path: str, json: Any = None) -> Any:
    """The answer's body. Raises ``Refused`` with the problem's code; a call sent again carries the same key."""
    headers = {**await tokens.header(), "Idempotency-Key": secrets.token_urlsafe(16)}
    answer = await _persistent(tokens.http, method, f"/api/v1/{path}", json=json, headers=headers)
    if answer.status_code >= 400:
        problem = _body(answer)
        raise Refused(problem.get("code", str(answer.status_code)), problem.get("detail", ""))
    return answer.json() if answer.content else None


async def card_token(api_base: str, publishable_key: str, number: str) -> str:
    """A payment method made at the provider, as its own phone library does; the card never meets the marketplace."""
    form = {
        "type": "card",
        "card[number]": number,
        "card[exp_month]": "12",
        "card[exp_year]": str(time.gmtime().tm_year + 3),
        "card[cvc]": "123",
    }
    async with client(api_base) as provider:
        answer = await provider.post("/v1/payment_methods", data=form, auth=(publishable_key, ""))
        answer.raise_for_status()
        return str(answer.json()["id"])


def _body(answer: httpx.Response) -> dict[str, Any]:
    """What the marketplace said; a page that is no JSON (a proxy's, a debug page) is a refusal by its status."""
    try:
        found: dict[str, Any] = answer.json()
    except ValueError:
        raise Refused(f"http_{answer.status_code}", f"{answer.request.method} {answer.request.url.path}") from None
    return found


async def _persistent(http: httpx.AsyncClient, method: str, path: str, **request: Any) -> httpx.Response:
    """Send it again when the network or the server fails: every write we send may be repeated."""
    failure = ""
    for attempt in range(RETRIES):
        if attempt:
            await asyncio.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
        try:
            answer = await http.request(method, path, **request)
        except httpx.TransportError as error:
            failure = repr(error)
            continue
        if answer.status_code < 500:
            return answer
        failure = str(answer.status_code)
    raise Unanswered(f"{method} {path}: {failure}")
