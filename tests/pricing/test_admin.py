"""The forms in which people set fees, surges and promotions."""

import pytest
from django.contrib.admin import AdminSite

from apps.accounts.models import User
from apps.pricing import admin, models

pytestmark = pytest.mark.django_db(databases=["default"])

PROMOTION = {
    "label": "Spring",
    "code": "save10",
    "percent": "10",
    "amount_cents": "0",
    "currency": "USD",
    "is_active": "on",
    "minimum_cents": "0",
    "starts_at_0": "2026-03-02",
    "starts_at_1": "00:00",
    "departments": "dairy,bakery",
    "item_codes": "",
}


@pytest.fixture
def form(rf):
    def make(kind, model, data):
        request = rf.get("/")
        request.user = User(is_staff=True, is_superuser=True)
        return kind(model, AdminSite()).get_form(request)(data)

    return make


def test_a_promotion_is_typed_in(form):
    filled = form(admin.PromotionAdmin, models.Promotion, PROMOTION)
    assert filled.is_valid(), filled.errors
    made = filled.save()
    assert (made.code, made.departments, made.item_codes) == ("SAVE10", ["dairy", "bakery"], [])


@pytest.mark.parametrize(
    "wrong", [{"amount_cents": "5"}, {"code": "a b"}, {"first_order_only": "on"}, {"minimum_cents": "-1"}]
)
def test_a_promotion_that_cannot_be_is_said_in_the_form(form, wrong):
    assert not form(admin.PromotionAdmin, models.Promotion, PROMOTION | wrong).is_valid()
    assert not models.Promotion.objects.exists()


def test_a_surge_above_the_cap_is_said_in_the_form(form):
    surge = {"zone_id": "1", "percent": "30.01", "ends_at_0": "2026-03-02", "ends_at_1": "00:00"}
    refused = form(admin.SurgeAdmin, models.Surge, surge)
    assert list(refused.errors) == ["__all__"]
    assert form(admin.SurgeAdmin, models.Surge, surge | {"percent": "30"}).is_valid()
