"""What operators set in the admin: a store's plan, and the dates on which it is closed."""

from datetime import date

import pytest

from apps.common.models import OutboxMessage
from apps.slots import models, selectors
from apps.slots.types import Plan, Shift
from apps.stores import selectors as stores
from apps.stores.types import SpecialDay
from tests.accounts.factories import make_staff
from tests.stores.factories import make_store
from tests.web.pages import signed_in

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def root():
    return signed_in(make_staff(superuser=True))


def filled(page, **changes):
    """What a browser would send back of a form that was opened."""
    form = page.context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    for formset in page.context["inline_admin_formsets"]:
        management = formset.formset.management_form
        values |= {f"{management.prefix}-{name}": management[name].value() for name in management.fields}
        for row in formset.formset.forms:
            values |= {row.add_prefix(name): row[name].value() for name in row.fields}
    return {name: "" if value is None else value for name, value in (values | changes).items()}


def test_a_plan_is_made_with_its_shifts(root):
    store = make_store()
    page = root.get("/admin/slots/windowplan/add/")
    sent = filled(page, store_id=store.id, shoppers=3, length_minutes=90)
    shift = {"weekday": 5, "from_hour": 17, "to_hour": 24, "shoppers": 9}
    sent |= {f"shifts-0-{name}": value for name, value in shift.items()} | {"shifts-TOTAL_FORMS": 1}
    assert root.post("/admin/slots/windowplan/add/", sent).status_code == 302
    assert selectors.plan(store_id=store.id) == Plan(shoppers=3, length_minutes=90, shifts=(Shift(**shift),))
    assert store.name in root.get("/admin/slots/windowplan/").content.decode()


def test_a_plan_that_promises_more_than_there_is_is_refused(root):
    page = root.get("/admin/slots/windowplan/add/")
    sent = filled(page, store_id=make_store().id, immediate_percent=60, priority_percent=41)
    answer = root.post("/admin/slots/windowplan/add/", sent)
    assert "the two shares are 100 % at most" in answer.content.decode()
    assert not models.WindowPlan.objects.exists()


def test_a_special_day_that_is_set_there_is_told(root):
    store = make_store()
    where = f"/admin/stores/store/{store.id}/change/"
    sent = filled(root.get(where))
    assert root.post(where, sent).status_code == 302
    told = OutboxMessage.objects.using("default").filter(name="stores.hours_changed")
    assert not told.exists()  # nothing about its hours was changed
    sent |= {"special_days-TOTAL_FORMS": 1, "special_days-0-date": "2026-12-25", "special_days-0-reason": "Christmas"}
    sent |= {"special_days-0-store": store.id, "special_days-0-id": ""}
    assert root.post(where, sent).status_code == 302
    closed = SpecialDay(date=date(2026, 12, 25), opens=None, closes=None, reason="Christmas")
    assert stores.special_days(store_id=store.id, since=closed.date) == (closed,)
    assert [message.payload for message in told] == [{"store_id": store.id}]
