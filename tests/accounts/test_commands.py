import io

import pytest
from django.core.management import CommandError, call_command
from oauth2_provider.models import Application

from apps.accounts import models, selectors
from tests.accounts.factories import PASSWORD, make_customer

pytestmark = pytest.mark.django_db(databases="__all__")


def create_staff(monkeypatch, *arguments, password=PASSWORD):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    out = io.StringIO()
    call_command("create_staff", "--email", "sam@example.com", *arguments, stdout=out)
    return models.User.objects.get(pk=int(out.getvalue()))


def test_superuser_is_made_with_the_password_given(monkeypatch):
    user = create_staff(monkeypatch, "--superuser", "--name", "Sam Vimes")
    assert (user.is_staff, user.is_superuser, user.check_password(PASSWORD)) == (True, True, True)
    assert selectors.profile(customer_id=user.pk).name == "Sam Vimes"


def test_plain_staff_are_no_superusers(monkeypatch):
    user = create_staff(monkeypatch, "--role", "support")
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert list(user.staff_roles.values_list("role", "store_id")) == [("support", None)]


def test_store_staff_stay_out_of_the_admin(monkeypatch):
    user = create_staff(monkeypatch, "--store", "7", "--role", "store_staff")
    assert (user.is_staff, user.is_superuser) == (False, False)
    assert selectors.staff_store_ids(user_id=user.pk) == (7,)


def test_who_has_an_account_keeps_it_and_its_password(monkeypatch):
    user_id = make_customer(email="sam@example.com")
    user = create_staff(monkeypatch, password="some other password")
    assert (user.pk, user.is_staff, user.check_password(PASSWORD)) == (user_id, True, True)


@pytest.mark.parametrize(
    ("arguments", "password"),
    [(("--role", "store_staff"), PASSWORD), (("--store", "7"), PASSWORD), ((), "short"), ((), "")],
)
def test_refused_command_makes_nobody(monkeypatch, arguments, password):
    with pytest.raises(CommandError):
        create_staff(monkeypatch, *arguments, password=password)
    assert not models.User.objects.exists()


def test_oauth_apps_are_made_and_named(capsys):
    call_command("create_oauth_apps")
    assert capsys.readouterr().out.split() == ["customer-app", "shopper-app"]
    assert Application.objects.count() == 2
