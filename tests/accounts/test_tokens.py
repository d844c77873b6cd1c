"""What is not exactly one of our access tokens is none."""

import base64
import json
from datetime import timedelta
from importlib import import_module

import jwt as pyjwt
import pytest
from django.test import Client, RequestFactory
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from apps.accounts import models, services
from apps.accounts.api import jwt
from apps.accounts.errors import ScopeMissing, TokenInvalid
from apps.common import clock
from tests.accounts.factories import make_customer
from tests.accounts.oauth import App


def claims(settings, **changes):
    now = clock.now()
    usual = {
        "iss": settings.PUBLIC_URL,
        "aud": f"{settings.PUBLIC_URL}/api/",
        "sub": "7",
        "client_id": "customer-app",
        "scope": "customer",
        "iat": now,
        "exp": now + timedelta(minutes=10),
        "jti": "one",
    } | changes
    return {name: value for name, value in usual.items() if value is not None}


def signed(settings, *, key=None, algorithm="HS256", headers=None, **changes):
    return pyjwt.encode(
        claims(settings, **changes), key or settings.JWT_KEY, algorithm=algorithm, headers=headers or {"typ": "at+jwt"}
    )


def raw(header, payload, signature=b""):
    parts = [json.dumps(header).encode(), json.dumps(payload, default=lambda time: int(time.timestamp())).encode()]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in [*parts, signature])


def tampered(settings):
    head, _, signature = signed(settings).split(".")
    _, other, _ = signed(settings, sub="8").split(".")
    return f"{head}.{other}.{signature}"


def ago(**time):
    return clock.now() - timedelta(**time)


def ahead(**time):
    return clock.now() + timedelta(**time)


GOOD = {
    "as issued": signed,
    "5 s over, within the leeway": lambda s: signed(s, exp=ago(seconds=5)),
    "5 s early, within the leeway": lambda s: signed(s, iat=ahead(seconds=5)),
}

BAD = {
    "alg none": lambda s: raw({"alg": "none", "typ": "at+jwt"}, claims(s)),
    "alg none, our signature": lambda s: raw({"alg": "none", "typ": "at+jwt"}, claims(s)) + signed(s).split(".")[2],
    "alg NoNe": lambda s: raw({"alg": "NoNe", "typ": "at+jwt"}, claims(s)),
    "no alg": lambda s: raw({"typ": "at+jwt"}, claims(s)),
    "HS512, our key": lambda s: signed(s, algorithm="HS512", key=s.JWT_KEY + "x" * 64),
    "HS384, our key": lambda s: pyjwt.encode(claims(s), s.JWT_KEY, algorithm="HS384", headers={"typ": "at+jwt"}),
    "another key": lambda s: signed(s, key="another key of more than 32 bytes, surely"),
    "SECRET_KEY": lambda s: signed(s, key=s.SECRET_KEY),
    "kid, jku and x5u": lambda s: signed(
        s,
        key="the attacker's key, more than 32 bytes",
        headers={"typ": "at+jwt", "kid": "../../dev/null", "jku": "https://evil.example/", "x5u": "file:///"},
    ),
    "jwk in the header": lambda s: signed(
        s, key="k" * 32, headers={"typ": "at+jwt", "jwk": {"kty": "oct", "k": "a2tra2tr"}}
    ),
    "another type": lambda s: signed(s, headers={"typ": "JWT"}),
    "crit": lambda s: signed(s, headers={"typ": "at+jwt", "crit": ["exp"]}),
    "no exp": lambda s: signed(s, exp=None),
    "no iat": lambda s: signed(s, iat=None),
    "no aud": lambda s: signed(s, aud=None),
    "no iss": lambda s: signed(s, iss=None),
    "no sub": lambda s: signed(s, sub=None),
    "no jti": lambda s: signed(s, jti=None),
    "expired 31 s ago": lambda s: signed(s, exp=ago(seconds=31)),
    "expired for ever": lambda s: signed(s, exp=0),
    "exp is text": lambda s: signed(s, exp="tomorrow"),
    "from the future": lambda s: signed(s, iat=ahead(seconds=31)),
    "not before tomorrow": lambda s: signed(s, nbf=ahead(days=1)),
    "other aud": lambda s: signed(s, aud="https://other.example/api/"),
    "aud without path": lambda s: signed(s, aud=s.PUBLIC_URL),
    "other iss": lambda s: signed(s, iss="https://other.example"),
    "sub is a number": lambda s: signed(s, sub=7),
    "sub is not an id": lambda s: signed(s, sub="root"),
    "tampered payload": tampered,
    "signature cut off": lambda s: signed(s).rpartition(".")[0] + ".",
    "signature with a bit flipped": lambda s: _flipped(signed(s)),
    "two tokens": lambda s: f"{signed(s)} {signed(s)}",
    "four parts": lambda s: signed(s) + ".x",
    "payload is a list": lambda s: pyjwt.api_jws.encode(b"[]", s.JWT_KEY, "HS256", headers={"typ": "at+jwt"}),
    "empty": lambda s: "",
    "dots": lambda s: "..",
    "not ASCII": lambda s: "é.é.é",
    "a megabyte": lambda s: "a" * 1_000_000,
    "deep JSON": lambda s: raw({"alg": "HS256"}, {}).replace(".", "." + base64.urlsafe_b64encode(b"[" * 1400).decode()),
}


def _flipped(token):
    head, _, signature = token.rpartition(".")
    wrong = bytearray(base64.urlsafe_b64decode(signature + "=="))
    wrong[0] ^= 1
    return f"{head}.{base64.urlsafe_b64encode(wrong).rstrip(b'=').decode()}"


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_genuine_token_is_read(settings, make):
    assert jwt.verified(make(settings)) == jwt.Claims(
        user_id=7, client_id="customer-app", scopes=frozenset({"customer"})
    )


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_anything_else_is_refused(settings, make):
    with pytest.raises(TokenInvalid) as refusal:
        jwt.verified(make(settings))
    assert (refusal.value.code, refusal.value.status) == ("token_invalid", 401)


def test_our_own_token_is_one(settings):
    token = jwt.issued(user_id=2**62, client_id="customer-app", scopes=["customer"], now=clock.now())
    assert jwt.verified(token).user_id == 2**62
    assert pyjwt.decode(token, options={"verify_signature": False})["sub"] == str(2**62)


def test_no_two_tokens_are_the_same():
    now = clock.now()
    tokens = {jwt.issued(user_id=7, client_id="customer-app", scopes=[], now=now) for _ in range(5)}
    assert len(tokens) == 5


class View(APIView):
    required_scope = "customer"

    def get(self, request):
        return Response({"user": request.user.pk})


class UnscopedView(View):
    required_scope = None


@pytest.fixture
def customer_id(db):
    services.create_oauth_apps()
    return make_customer()


@pytest.fixture
def token(customer_id):
    client = Client()
    client.force_login(models.User.objects.get(pk=customer_id))
    return App(client).tokens()["access_token"]


def ask(view, header=None):
    headers = {} if header is None else {"Authorization": header}
    return view.as_view()(APIRequestFactory().get("/", headers=headers))


@pytest.mark.django_db(databases="__all__")
class TestAtTheEdges:
    def test_rest_knows_the_holder_in_one_query(self, token, customer_id, assert_queries):
        with assert_queries(1):
            answer = ask(View, f"Bearer {token}")
        assert (answer.status_code, answer.data) == (200, {"user": customer_id})

    def test_genuine_but_never_issued_is_refused(self, customer_id, settings):
        forged = signed(settings, sub=str(customer_id))
        assert jwt.verified(forged).user_id == customer_id
        assert ask(View, f"Bearer {forged}").status_code == 401

    @pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer x", "Basic YTpi", "bearer\tx", "é"])
    def test_rest_refuses_bad_headers_in_its_own_words(self, customer_id, header):
        answer = ask(View, header)
        assert answer.status_code == 401
        assert answer.data["code"] == "token_invalid"
        assert answer["WWW-Authenticate"] == "Bearer"
        assert answer.render()["Content-Type"] == "application/problem+json"

    def test_rest_without_token_asks_for_one(self, customer_id):
        answer = ask(View)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Bearer"

    def test_rest_view_for_another_scope_is_closed(self, token):
        shopper_view = type("ShopperView", (View,), {"required_scope": "shopper"})
        answer = ask(shopper_view, f"Bearer {token}")
        assert (answer.status_code, answer.data["code"]) == (403, "scope_missing")

    def test_rest_view_that_names_no_scope_lets_nobody_in(self, token):
        assert ask(UnscopedView, f"Bearer {token}").status_code == 403

    def test_plain_views_know_the_holder(self, token, customer_id):
        request = RequestFactory().post("/graphql/", headers={"Authorization": f"Bearer {token}"})
        assert jwt.user_from_bearer(request).pk == customer_id
        with pytest.raises(ScopeMissing):
            jwt.user_from_bearer(request, scope="shopper")

    def test_plain_views_refuse_no_token(self):
        with pytest.raises(TokenInvalid):
            jwt.user_from_bearer(RequestFactory().post("/graphql/"))


def test_openapi_says_how_to_sign_in():
    import_module("apps.accounts.api.urls")  # brings the extension along
    document = SchemaGenerator(patterns=[path("things/", View.as_view())]).get_schema(request=None, public=True)
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    assert document["paths"]["/things/"]["get"]["security"] == [{"bearer": []}]
