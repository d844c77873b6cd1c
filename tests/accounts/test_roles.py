import pytest

from apps.accounts import errors, models, selectors, services
from tests.accounts.factories import make_customer

pytestmark = pytest.mark.django_db(databases="__all__")


def test_roles_at_stores_are_listed_once_each_in_order(assert_queries):
    user_id = make_customer()
    for store_id in (9, 7, 7):
        services.grant_role(user_id=user_id, role="store_staff", store_id=store_id)
    services.grant_role(user_id=user_id, role="store_manager", store_id=7)
    for _ in range(2):
        services.grant_role(user_id=user_id, role="support")
    with assert_queries(1):
        assert selectors.staff_store_ids(user_id=user_id) == (7, 9)
    assert models.StaffRole.objects.count() == 4


def test_nobody_else_has_the_role():
    services.grant_role(user_id=make_customer(), role="store_staff", store_id=7)
    assert selectors.staff_store_ids(user_id=make_customer()) == ()


def test_who_may_not_sign_in_has_no_store():
    user_id = make_customer()
    services.grant_role(user_id=user_id, role="store_staff", store_id=7)
    models.User.objects.filter(pk=user_id).update(is_active=False)
    assert selectors.staff_store_ids(user_id=user_id) == ()


@pytest.mark.parametrize(("role", "store_id"), [("store_staff", None), ("support", 7), ("king", None)])
def test_role_that_cannot_be_is_refused(role, store_id):
    user_id = make_customer()
    with pytest.raises(errors.RoleInvalid):
        services.grant_role(user_id=user_id, role=role, store_id=store_id)
    assert not models.StaffRole.objects.exists()


def test_nobody_gets_no_role():
    with pytest.raises(errors.UserNotFound):
        services.grant_role(user_id=404, role="support")
    with pytest.raises(errors.UserNotFound):
        services.make_staff(user_id=404)
    assert not models.StaffRole.objects.exists()
