"""The header's rules that no route of ours needs at present, and where answers lie."""

import pytest
from django.contrib.auth import get_user_model
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from apps.common.api import idempotency, openapi
from apps.common.models import ShopperAnswer, StoreAnswer
from sharding.moves import tables

pytestmark = pytest.mark.django_db(databases="__all__")


class Once(APIView):
    """Counts how often it is done: not repeatable by itself."""

    permission_classes = ()
    authentication_classes = ()
    schema = openapi.Schema()
    done = 0

    @idempotency.answered_once(idempotency.of_shopper, is_required=True)
    def post(self, request):
        Once.done += 1
        return Response({"done": Once.done}, status=201)


@pytest.fixture
def send(monkeypatch):
    monkeypatch.setattr(Once, "done", 0)

    def post(user_id=7, **headers):
        request = APIRequestFactory().post("/once", {}, format="json", headers=headers)
        force_authenticate(request, get_user_model()(pk=user_id))
        return Once.as_view()(request).render() if not headers else Once.as_view()(request)

    return post


def test_where_a_key_is_required_nothing_is_done_without_one(send):
    refused = send()
    assert (refused.status_code, refused.data["code"]) == (422, "idempotency_key_missing")
    assert Once.done == 0
    first, again = (send(**{"Idempotency-Key": "a"}) for _ in range(2))
    assert (first.status_code, first.content) == (again.status_code, again.content) == (201, b'{"done":1}')
    assert send(**{"Idempotency-Key": "b"}).content == b'{"done":2}'
    assert send(user_id=8, **{"Idempotency-Key": "a"}).content == b'{"done":3}'


def test_answers_move_with_their_bucket():
    for keyspace, model in (("store", StoreAnswer), ("shopper", ShopperAnswer)):
        assert model._meta.db_table in {table.name for table in tables.of_keyspace(keyspace)}
