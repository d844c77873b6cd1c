import pytest
from django.test import Client

from apps.accounts import selectors as accounts
from apps.accounts import services
from tests.accounts.factories import PASSWORD, make_customer
from tests.orders.factories import MORNING
from tests.orders.snapshots import changed, snapshot
from tests.web.pages import without_tokens

pytestmark = pytest.mark.django_db(databases="__all__")

EMAIL = "nora@example.org"
FORM = {"name": "Nora New", "email": EMAIL, "password": PASSWORD}
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "javascript:alert(1)",
    ".evil.example/",
    "@evil.example/",
    "evil",
    " //evil.example",
    "http:///evil.example/",
]


def who(client):
    return int(client.session["_auth_user_id"]) if "_auth_user_id" in client.session else None


def test_a_newcomer_is_signed_in_at_once():
    client = Client()
    response = client.post("/sign-up/", FORM)
    assert (response.status_code, response["Location"]) == (302, "/stores/")
    assert who(client) == accounts.user_id_by_email(email=EMAIL)
    assert accounts.profile(customer_id=who(client)).name == "Nora New"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"password": "short"}, "This password is too short. It must contain at least 8 characters."),
        ({"password": "password123"}, "This password is too common."),
        ({"password": "8315207946"}, "This password is entirely numeric."),
        ({"password": "nora@example.org"}, "The password is too similar to the email."),
        ({"password": ""}, "This field is required."),
        ({"email": "nora"}, "Enter a valid email address."),
        ({"email": "nora@bücher.example"}, "That is not an e-mail address."),
        ({"email": ""}, "This field is required."),
        ({"name": ""}, "This field is required."),
        ({"name": "x" * 81}, "Ensure this value has at most 80 characters (it has 81)."),
        ({"name": "a\u2028b\u0007"}, "A name has no control characters."),
    ],
)
def test_what_cannot_be_an_account_is_refused_with_the_reason(changes, sentence):
    client, before = Client(), snapshot()
    response = client.post("/sign-up/", FORM | changes)
    assert response.status_code == 200
    assert sentence in response.content.decode()
    assert PASSWORD not in response.content.decode()
    assert who(client) is None
    assert changed(before, snapshot()) == set()


@pytest.mark.parametrize("spelling", [EMAIL, "NORA@Example.org"])
def test_a_taken_address_is_refused_and_leaves_nothing(spelling):
    make_customer(email=EMAIL)
    client, before = Client(), snapshot()
    response = client.post("/sign-up/", FORM | {"email": spelling})
    assert "There is an account with this e-mail address. Sign in instead." in response.content.decode()
    assert who(client) is None
    assert changed(before, snapshot()) == set()


def test_a_wrong_password_and_an_unknown_person_get_the_same_answer():
    make_customer(email=EMAIL)
    client = Client()
    wrong = client.post("/sign-in/", {"email": EMAIL, "password": "not-this-one-77"})
    unknown = client.post("/sign-in/", {"email": "nina@example.org", "password": "not-this-one-77"})
    assert "That e-mail and password do not belong together." in wrong.content.decode()
    assert without_tokens(wrong).replace(EMAIL, "") == without_tokens(unknown).replace("nina@example.org", "")
    assert (wrong.status_code, unknown.status_code, who(client)) == (200, 200, None)


def test_blanks_belong_to_a_password():
    user_id = services.sign_up(email=EMAIL, password=f" {PASSWORD} ", name="N", now=MORNING)
    for password, expected in ((PASSWORD, None), (f" {PASSWORD} ", user_id)):
        client = Client()
        client.post("/sign-in/", {"email": EMAIL, "password": password})
        assert who(client) == expected


def test_signing_in_leads_where_one_wanted_to_go():
    user_id = make_customer(email=EMAIL)
    client = Client()
    page = client.get("/sign-in/?next=/orders/?after=5")
    assert 'name="next" value="/orders/?after=5"' in page.content.decode()
    response = client.post("/sign-in/", {"email": EMAIL, "password": PASSWORD, "next": "/orders/"})
    assert (response.status_code, response["Location"], who(client)) == (302, "/orders/", user_id)


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_nobody_is_led_elsewhere(elsewhere):
    make_customer(email=EMAIL)
    page = Client().get("/sign-in/", {"next": elsewhere})
    assert 'name="next" value="/stores/"' in page.content.decode()
    answers = [
        Client().post("/sign-in/", {"email": EMAIL, "password": PASSWORD, "next": elsewhere}),
        Client().post("/sign-up/", FORM | {"email": "nina@example.org", "next": elsewhere}),
    ]
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, "/stores/")] * 2


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_the_providers_page_leads_back_to_us(elsewhere, settings, provider, monkeypatch):
    settings.PUBLIC_URL = "https://shop.example"
    asked = {}
    card_page = provider.card_page
    monkeypatch.setattr(provider, "card_page", lambda **given: asked.update(given) or card_page(**given))
    client = Client()
    client.post("/sign-up/", FORM)
    assert client.get("/cards/add/", {"next": elsewhere}).status_code == 302
    assert asked["cancel_url"] == "https://shop.example/account/"
    assert asked["success_url"] == ("https://shop.example/cards/done/?next=%2Faccount%2F&session={CHECKOUT_SESSION_ID}")


def test_signing_out_forgets_the_session():
    client = Client()
    client.post("/sign-up/", FORM)
    response = client.post("/sign-out/")
    assert (response["Location"], who(client)) == ("/stores/", None)
