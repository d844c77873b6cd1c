from datetime import timedelta

import pytest
from django.test import Client
from oauth2_provider.models import AccessToken, Application, Grant, RefreshToken

from apps.accounts import models, services
from apps.accounts.api import jwt
from tests.accounts.factories import make_customer
from tests.accounts.oauth import REDIRECT, App, returned

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def customer_id():
    services.create_oauth_apps()
    return make_customer(email="ada@example.com")


@pytest.fixture
def app(customer_id):
    client = Client()
    client.force_login(models.User.objects.get(pk=customer_id))
    return App(client)


def is_refused(response, error="invalid_grant"):
    return response.status_code == 400 and response.json()["error"] == error


def is_good(token):
    request = type("Request", (), {"headers": {"Authorization": f"Bearer {token}"}})
    try:
        return jwt.user_from_bearer(request) is not None
    except jwt.TokenInvalid:
        return False


def test_code_and_verifier_become_tokens(app, customer_id, settings):
    sent_back = returned(app.authorize())
    assert sent_back["state"] == "xyz"
    assert sent_back["iss"] == settings.PUBLIC_URL

    answer = app.exchange(sent_back["code"])
    tokens = answer.json()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 600, "customer")
    claims = jwt.verified(tokens["access_token"])
    assert claims == jwt.Claims(user_id=customer_id, client_id="customer-app", scopes=frozenset({"customer"}))
    assert is_good(tokens["access_token"])
    assert "." not in tokens["refresh_token"]


def test_no_token_is_stored(app):
    tokens = app.tokens()
    assert AccessToken.objects.get().token == ""
    assert RefreshToken.objects.get().token == ""
    assert not Grant.objects.exists()
    assert tokens["access_token"] != tokens["refresh_token"]


def test_anonymous_is_sent_to_sign_in(customer_id):
    answer = App(Client()).authorize()
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/?next=/oauth/authorize/")
    assert not Grant.objects.exists()


@pytest.mark.parametrize("verifier", ["wrong" * 10, "", None])
def test_wrong_verifier_is_refused(app, verifier):
    code = app.code()
    form = {"code_verifier": verifier} if verifier is not None else {"code_verifier": "x"}
    answer = app.exchange(code, **form)
    assert answer.status_code == 400
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "S1"},
    ],
)
def test_nothing_but_s256_is_accepted(app, changes):
    sent_back = returned(app.authorize(**changes))
    assert sent_back["error"] == "invalid_request"
    assert "code" not in sent_back
    assert not Grant.objects.exists()


@pytest.mark.parametrize("response_type", ["token", "id_token", "code token"])
def test_no_token_travels_in_an_address(app, response_type):
    answer = app.authorize(response_type=response_type)
    assert "access_token" not in answer.get("Location", "")
    assert not AccessToken.objects.exists()
    assert not Grant.objects.exists()


def test_code_works_once(app):
    code = app.code()
    assert app.exchange(code).status_code == 200
    assert is_refused(app.exchange(code))
    assert AccessToken.objects.count() == 1


def test_old_code_is_refused(app):
    code = app.code()
    Grant.objects.update(expires=Grant.objects.get().expires - timedelta(seconds=61))
    assert is_refused(app.exchange(code))
    assert not AccessToken.objects.exists()


def test_code_is_refused_to_another_app(app):
    code = app.code()
    thief = App(Client(), "shopper-app")
    assert is_refused(thief.exchange(code, code_verifier=app.verifier))
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://evil.example/oauth/done/",
        REDIRECT + "x",
        REDIRECT.rstrip("/"),
        REDIRECT + "?next=https://evil.example",
        REDIRECT + "#",
        REDIRECT.replace("://", "://evil@"),
        "javascript:alert(1)",
    ],
)
def test_redirect_must_be_the_registered_one(app, redirect_uri):
    answer = app.authorize(redirect_uri=redirect_uri)
    assert answer.status_code == 400
    assert "Location" not in answer
    assert not Grant.objects.exists()


@pytest.mark.parametrize("scope", ["shopper", "customer shopper", "admin"])
def test_another_apps_scope_is_refused(app, scope):
    assert returned(app.authorize(scope=scope))["error"] == "invalid_scope"
    assert not Grant.objects.exists()


def test_shopper_app_gets_the_shopper_scope(app):
    shopper_app = App(app.client, "shopper-app")
    tokens = shopper_app.tokens()
    assert tokens["scope"] == "shopper"
    assert jwt.verified(tokens["access_token"]).scopes == {"shopper"}


@pytest.mark.parametrize("grant_type", ["password", "client_credentials", "implicit", "magic"])
def test_other_grants_are_refused(app, grant_type):
    form = {"client_id": "customer-app", "username": "ada@example.com", "password": "correct horse battery staple"}
    answer = app.client.post("/oauth/token/", {"grant_type": grant_type} | form)
    assert answer.status_code in {400, 401}
    assert not AccessToken.objects.exists()


def test_refreshing_gives_new_tokens_and_ends_the_old(app):
    old = app.tokens()
    new = app.refresh(old["refresh_token"]).json()
    assert new["access_token"] != old["access_token"]
    assert new["refresh_token"] != old["refresh_token"]
    assert is_good(new["access_token"])
    assert not is_good(old["access_token"])


def test_old_refresh_token_is_refused_and_ends_its_family(app):
    old = app.tokens()
    new = app.refresh(old["refresh_token"]).json()
    assert is_refused(app.refresh(old["refresh_token"]))
    assert not is_good(new["access_token"])
    assert is_refused(app.refresh(new["refresh_token"]))


def test_refresh_token_is_refused_to_another_app(app):
    tokens = app.tokens()
    assert is_refused(App(app.client, "shopper-app").refresh(tokens["refresh_token"]))
    assert is_good(tokens["access_token"])


def test_refresh_token_ends_after_thirty_days(app):
    tokens = app.tokens()
    AccessToken.objects.update(expires=AccessToken.objects.get().expires - timedelta(days=30, minutes=11))
    assert is_refused(app.refresh(tokens["refresh_token"]))


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_ends_both(app, which):
    tokens = app.tokens()
    assert app.revoke(tokens[which]).status_code == 200
    assert not is_good(tokens["access_token"])
    assert is_refused(app.refresh(tokens["refresh_token"]))


def test_new_password_ends_every_token_and_session(app, customer_id):
    tokens, code = app.tokens(), app.code()
    services.change_password(user_id=customer_id, password="a quite different phrase")
    assert not is_good(tokens["access_token"])
    assert is_refused(app.refresh(tokens["refresh_token"]))
    assert is_refused(app.exchange(code))
    assert app.authorize()["Location"].startswith("/sign-in/")


def test_who_may_not_sign_in_uses_no_token(app, customer_id):
    tokens, code = app.tokens(), app.code()
    models.User.objects.filter(pk=customer_id).update(is_active=False)
    assert not is_good(tokens["access_token"])
    assert is_refused(app.refresh(tokens["refresh_token"]))
    assert is_refused(app.exchange(code))
    assert AccessToken.objects.count() == 1


def test_apps_are_public_ask_nobody_and_are_made_once(settings):
    assert services.create_oauth_apps() == ("customer-app", "shopper-app")
    settings.PUBLIC_URL = "https://shop.example"
    services.create_oauth_apps()
    found = Application.objects.order_by("client_id")
    assert [(app.client_id, app.client_type, app.skip_authorization, app.redirect_uris) for app in found] == [
        ("customer-app", "public", True, "https://shop.example/oauth/done/"),
        ("shopper-app", "public", True, "https://shop.example/oauth/done/"),
    ]


def test_last_page_leaks_no_code(client):
    answer = client.get("/oauth/done/?code=secret")
    assert answer.status_code == 200
    assert b"secret" not in answer.content
    assert answer["Referrer-Policy"] == "no-referrer"
    assert client.post("/oauth/done/").status_code == 405
