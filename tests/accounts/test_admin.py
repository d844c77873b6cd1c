import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from apps.accounts import models, selectors, services
from tests.accounts.factories import PASSWORD, make_customer, make_staff

pytestmark = [
    pytest.mark.django_db(databases="__all__"),
    pytest.mark.urls("tests.accounts.admin_urls"),
]

USERS = "/admin/accounts/user/"
NO_ROLES = {"staff_roles-TOTAL_FORMS": "0", "staff_roles-INITIAL_FORMS": "0"}


@pytest.fixture
def boss():
    return make_staff(superuser=True, email="boss@example.com")


@pytest.fixture
def browser(boss):
    client = Client()
    client.force_login(models.User.objects.get(pk=boss))
    return client


def test_staff_sign_in_by_email():
    make_staff(superuser=True, email="a.very.long.address.of.somebody.important@a-long-domain.example.com")
    client = Client()
    form = {"username": "A.very.long.address.of.somebody.important@a-long-domain.example.com", "password": PASSWORD}
    assert client.post("/admin/login/?next=/admin/", form)["Location"] == "/admin/"


def test_customers_do_not_get_in():
    client = Client()
    client.force_login(models.User.objects.get(pk=make_customer()))
    assert client.get(USERS).status_code == 302
    assert client.get("/admin/").status_code == 302


def test_list_shows_no_personal_data_and_does_not_grow_in_queries(browser, assert_queries):
    make_customer(email="ada@example.com", name="Ada Lovelace")
    page = browser.get(USERS).content.decode()
    assert "ada@example.com" not in page
    assert "Ada Lovelace" not in page
    assert models.login_hash("ada@example.com") not in page
    with assert_queries(4):
        browser.get(USERS)
    for _ in range(10):
        make_customer()
    with assert_queries(4):
        browser.get(USERS)


@pytest.mark.parametrize("term", ["Ada@example.com", "{id}"])
def test_search_finds_by_whole_email_or_id(browser, term):
    ada = make_customer(email="ada@example.com")
    make_customer(email="adam@example.com")
    found = browser.get(USERS, {"q": term.format(id=ada)}).context["cl"].result_list
    assert [user.pk for user in found] == [ada]


@pytest.mark.parametrize("term", ["ada", "nobody@example.com", "999999999999999999999", "'", "٣"])
def test_search_finds_nobody_by_anything_else(browser, term):
    make_customer(email="ada@example.com")
    assert list(browser.get(USERS, {"q": term}).context["cl"].result_list) == []


def test_page_of_a_person_shows_email_but_no_password(browser):
    ada = make_customer(email="ada@example.com", name="Ada Lovelace")
    user = models.User.objects.get(pk=ada)
    page = browser.get(f"{USERS}{ada}/change/").content.decode()
    assert "ada@example.com" in page
    assert "Ada Lovelace" in page
    assert user.password not in page
    assert user.password.rpartition("$")[2] not in page
    assert user.login_hash not in page


def test_staff_are_made_by_email(browser):
    form = {"email": "Sam@example.com", "name": "Sam Vimes", "password": PASSWORD}
    assert browser.post(f"{USERS}add/", form).status_code == 302
    user = models.User.objects.get(pk=selectors.user_id_by_email(email="sam@example.com"))
    assert (user.is_staff, user.is_superuser, user.check_password(PASSWORD)) == (True, False, True)
    assert selectors.profile(customer_id=user.pk).name == "Sam Vimes"


@pytest.mark.parametrize(
    "changes", [{"email": "sam"}, {"email": "boss@example.com"}, {"password": "short"}, {"name": " "}]
)
def test_refused_staff_are_not_made(browser, changes):
    form = {"email": "sam@example.com", "name": "Sam Vimes", "password": PASSWORD} | changes
    answer = browser.post(f"{USERS}add/", form, follow=True)
    assert answer.status_code == 200
    assert models.User.objects.count() == 1


def test_new_password_signs_out(browser):
    ada = make_customer(email="ada@example.com")
    session = Client()
    session.force_login(models.User.objects.get(pk=ada))
    form = NO_ROLES | {"is_active": "on", "new_password": "a quite different phrase"}
    assert browser.post(f"{USERS}{ada}/change/", form).status_code == 302
    assert models.User.objects.get(pk=ada).check_password("a quite different phrase")
    assert session.get("/oauth/authorize/")["Location"].startswith("/sign-in/")


def test_weak_new_password_is_refused(browser):
    ada = make_customer()
    answer = browser.post(f"{USERS}{ada}/change/", NO_ROLES | {"is_active": "on", "new_password": "short"})
    assert answer.status_code == 200
    assert models.User.objects.get(pk=ada).check_password(PASSWORD)


def test_role_is_granted_on_the_page(browser):
    ada = make_customer()
    form = {
        "is_active": "on",
        "staff_roles-TOTAL_FORMS": "1",
        "staff_roles-INITIAL_FORMS": "0",
        "staff_roles-0-user": ada,
        "staff_roles-0-role": "store_staff",
        "staff_roles-0-store_id": "7",
    }
    assert browser.post(f"{USERS}{ada}/change/", form).status_code == 302
    assert selectors.staff_store_ids(user_id=ada) == (7,)
    without_store = form | {"staff_roles-0-store_id": ""}
    assert browser.post(f"{USERS}{make_customer()}/change/", without_store).status_code == 200
    assert models.StaffRole.objects.count() == 1


class TestStaffWithoutAllRights:
    @pytest.fixture
    def browser(self):
        user = models.User.objects.get(pk=make_staff())
        user.user_permissions.set(_permissions("view_user", "change_user", "add_user", "delete_user"))
        client = Client()
        client.force_login(user)
        return client

    def test_make_nobody_powerful(self, browser):
        ada = make_customer()
        form = {
            "is_active": "on",
            "is_staff": "on",
            "is_superuser": "on",
            "user_permissions": [p.pk for p in _permissions("delete_user")],
            "new_password": "a quite different phrase",
            "staff_roles-TOTAL_FORMS": "1",
            "staff_roles-INITIAL_FORMS": "0",
            "staff_roles-0-user": ada,
            "staff_roles-0-role": "operator",
        }
        assert browser.post(f"{USERS}{ada}/change/", form).status_code == 302
        user = models.User.objects.get(pk=ada)
        assert (user.is_staff, user.is_superuser, user.user_permissions.count()) == (False, False, 0)
        assert user.check_password(PASSWORD)
        assert not models.StaffRole.objects.exists()

    def test_do_not_touch_a_superuser(self, browser, boss):
        assert browser.post(f"{USERS}{boss}/change/", {}).status_code == 403
        assert models.User.objects.get(pk=boss).is_active

    def test_neither_add_nor_delete(self, browser):
        ada = make_customer()
        assert browser.get(f"{USERS}add/").status_code == 403
        assert browser.post(f"{USERS}{ada}/delete/", {"post": "yes"}).status_code == 403
        assert models.User.objects.filter(pk=ada).exists()

    def test_may_withdraw_a_sign_in(self, browser):
        ada = make_customer()
        assert browser.post(f"{USERS}{ada}/change/", {}).status_code == 302
        assert not models.User.objects.get(pk=ada).is_active


def _permissions(*codenames):
    return Permission.objects.filter(codename__in=codenames, content_type__app_label="accounts")


def test_nobody_is_deleted(browser):
    ada = make_customer()
    assert browser.post(f"{USERS}{ada}/delete/", {"post": "yes"}).status_code == 403
    browser.post(USERS, {"action": "delete_selected", "_selected_action": [ada], "post": "yes"})
    assert models.User.objects.filter(pk=ada).exists()


def test_taken_in_the_same_moment_is_said_and_nothing_made(browser, monkeypatch):
    make_customer(email="sam@example.com")
    monkeypatch.setattr(services, "check_sign_up", lambda **_: None)
    form = {"email": "sam@example.com", "name": "Sam Vimes", "password": PASSWORD}
    answer = browser.post(f"{USERS}add/", form, follow=True)
    assert "There is an account with this e-mail address" in answer.content.decode()
    assert models.User.objects.count() == 2
