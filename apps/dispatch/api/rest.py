"""Offers, and the batch that comes of one."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import sharding
from apps.common import clock
from apps.common.api import actor, idempotency, ids
from apps.dispatch import selectors, services
from apps.shoppers import selectors as shoppers

SCOPE = "shopper"
TAGS = ["shopper"]

_OFFER = {
    "id": "128849018880004608",
    "batch_id": "128849018880004609",
    "store": {
        "id": "17",
        "name": "ALDI",
        "address": "1247 N High St",
        "city": "Columbus",
        "state": "OH",
        "postcode": "43201",
        "lat": 39.9857,
        "lng": -83.0049,
    },
    "order_count": 2,
    "items": 9,
    "units": 14,
    "distance_m": 5230,
    "pay_cents": 1215,
    "peak_pay_cents": 200,
    "tips_cents": 700,
    "currency": "USD",
    "sent_at": "2026-05-04T16:00:00Z",
    "expires_at": "2026-05-04T16:01:00Z",
}


_CELL = {
    "index": "872a956a9ffffff",
    "level": 2,
    "extra_pay_cents": 200,
    "currency": "USD",
    "boundary": [
        {"lat": 39.97251, "lng": -82.98484},
        {"lat": 39.96494, "lng": -82.99794},
        {"lat": 39.95288, "lng": -82.99516},
        {"lat": 39.94839, "lng": -82.97928},
        {"lat": 39.95595, "lng": -82.96618},
        {"lat": 39.96801, "lng": -82.96895},
    ],
}


class BatchStoreOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    address = serializers.CharField()
    city = serializers.CharField()
    state = serializers.CharField()
    postcode = serializers.CharField()
    lat = serializers.FloatField(source="point.lat")
    lng = serializers.FloatField(source="point.lng")


class OfferOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    batch_id = serializers.CharField()
    store = BatchStoreOutput()
    order_count = serializers.IntegerField()
    items = serializers.IntegerField(help_text="Lines to pick.")
    units = serializers.IntegerField(help_text="Things to take off shelves.")
    distance_m = serializers.IntegerField(help_text="From where you were to the last door.")
    pay_cents = serializers.IntegerField(source="pay.cents", help_text="All that is promised, tips aside.")
    peak_pay_cents = serializers.IntegerField(
        source="peak.cents", help_text="The part of the pay that is paid because shoppers are short there."
    )
    tips_cents = serializers.IntegerField(source="tips.cents")
    currency = serializers.CharField(source="pay.currency")
    sent_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class CornerOutput(serializers.Serializer[Any]):
    lat = serializers.FloatField()
    lng = serializers.FloatField()


class OffersOutput(serializers.Serializer[Any]):
    offers = OfferOutput(many=True)


class AcceptedOutput(serializers.Serializer[Any]):
    offer_id = serializers.CharField()
    batch_id = serializers.CharField()
    store_id = serializers.CharField()


class EtaOutput(serializers.Serializer[Any]):
    earliest = serializers.DateTimeField(help_text="One order in ten is there before.")
    likely = serializers.DateTimeField()
    latest = serializers.DateTimeField(help_text="One order in ten is there after.")


class StopOutput(serializers.Serializer[Any]):
    sequence = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=["pick", "drop"])
    store_order_id = serializers.CharField()
    lat = serializers.FloatField(source="point.lat", allow_null=True)
    lng = serializers.FloatField(source="point.lng", allow_null=True)
    state = serializers.ChoiceField(choices=["pending", "done", "dropped"])
    eta = EtaOutput(
        allow_null=True, help_text="When the order will be at this door, as told when the batch entered its stage."
    )


class BatchLineOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    item_id = serializers.CharField()
    name = serializers.CharField()
    department = serializers.CharField()
    aisle = serializers.CharField()
    quantity = serializers.DecimalField(max_digits=12, decimal_places=3)
    cost_unit = serializers.CharField()
    sold_by = serializers.ChoiceField(choices=["count", "weight"])
    unit_price_cents = serializers.IntegerField(source="unit_price.cents")
    note = serializers.CharField()
    replacement_policy = serializers.CharField()
    status = serializers.ChoiceField(choices=["not_picked", "found", "to_refund"])
    found_quantity = serializers.DecimalField(max_digits=12, decimal_places=3)


class DropOffOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    line1 = serializers.CharField()
    line2 = serializers.CharField()
    city = serializers.CharField()
    state = serializers.CharField()
    postcode = serializers.CharField()
    instructions = serializers.CharField()
    lat = serializers.FloatField(source="point.lat")
    lng = serializers.FloatField(source="point.lng")


class BatchOrderOutput(serializers.Serializer[Any]):
    store_order_id = serializers.CharField(source="order.id")
    order_id = serializers.CharField(source="order.order_id", help_text="The number on the customer's receipt.")
    status = serializers.CharField(source="order.status")
    window_starts_at = serializers.DateTimeField(source="order.window_starts_at")
    window_ends_at = serializers.DateTimeField(source="order.window_ends_at")
    tip_cents = serializers.IntegerField(source="order.tip.cents")
    lines = BatchLineOutput(source="order.lines", many=True)
    drop_off = DropOffOutput(allow_null=True, help_text="Gone once the order is handed over.")


class CurrentBatchOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    status = serializers.ChoiceField(choices=["acknowledged", "picking"])
    store = BatchStoreOutput()
    pay_cents = serializers.IntegerField(source="pay.cents", help_text="All that is promised, tips aside.")
    peak_pay_cents = serializers.IntegerField(
        source="peak.cents", help_text="The part of the pay that is paid because shoppers are short there."
    )
    tips_cents = serializers.IntegerField(source="tips.cents")
    currency = serializers.CharField(source="pay.currency")
    distance_m = serializers.IntegerField()
    stops = StopOutput(many=True)
    orders = BatchOrderOutput(many=True)


class BatchEnvelopeOutput(serializers.Serializer[Any]):
    batch = CurrentBatchOutput(allow_null=True)


class CellOutput(serializers.Serializer[Any]):
    index = serializers.CharField(help_text="The H3 index (h3geo.org) of the cell, resolution 7.")
    level = serializers.IntegerField(help_text="From 0 (enough shoppers) to 5 (far too few).")
    extra_pay_cents = serializers.IntegerField(
        source="extra_pay.cents", help_text="What a batch of a store in the cell pays more at the moment."
    )
    currency = serializers.CharField(source="extra_pay.currency")
    boundary = CornerOutput(many=True, help_text="The corners, anticlockwise.")


class HeatMapOutput(serializers.Serializer[Any]):
    cells = CellOutput(many=True)


def _at_the_store(request: Request, offer_id: str, **_: str) -> sharding.Home:
    """Where it is decided."""
    return sharding.home_of_id("store", ids.parse(offer_id))


class OffersView(APIView):
    required_scope = SCOPE

    @extend_schema(
        operation_id="shopper_offers",
        tags=TAGS,
        responses=OffersOutput,
        examples=[OpenApiExample("One offer", value={"offers": [_OFFER]}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """What you are asked to take at the moment."""
        offers = selectors.offers_of(shopper_id=actor.shopper_id(request), now=clock.now())
        return Response(OffersOutput({"offers": offers}).data)


class AcceptView(APIView):
    required_scope = SCOPE

    @extend_schema(operation_id="shopper_accept_offer", tags=TAGS, request=None, responses=AcceptedOutput)
    @idempotency.answered_once(_at_the_store, is_saga=True)
    def post(self, request: Request, offer_id: str) -> Response:
        """Take the batch. Sent again, it is answered the same; too late, it is `offer_gone`."""
        accepted = services.accept(offer_id=ids.parse(offer_id), shopper_id=actor.shopper_id(request), now=clock.now())
        return Response(AcceptedOutput(accepted).data)


class DeclineView(APIView):
    required_scope = SCOPE

    @extend_schema(operation_id="shopper_decline_offer", tags=TAGS, request=None, responses={204: None})
    @idempotency.answered_once(_at_the_store)
    def post(self, request: Request, offer_id: str) -> Response:
        """Leave the batch to others."""
        services.decline(offer_id=ids.parse(offer_id), shopper_id=actor.shopper_id(request), now=clock.now())
        return Response(status=204)


class HeatMapView(APIView):
    required_scope = SCOPE

    @extend_schema(
        operation_id="shopper_heat_map",
        tags=TAGS,
        responses=HeatMapOutput,
        examples=[OpenApiExample("One cell", value={"cells": [_CELL]}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """Where in your zone shoppers are short, and what batches there pay more; renewed every minute.

        A batch pays what its offer says, whatever happens to the map afterwards.
        """
        me = shoppers.shopper(shopper_id=actor.shopper_id(request))
        cells = selectors.heat_map(zone_id=me.zone_id, now=clock.now())
        return Response(HeatMapOutput({"cells": cells}).data)


class BatchView(APIView):
    required_scope = SCOPE

    @extend_schema(operation_id="shopper_batch", tags=TAGS, responses=BatchEnvelopeOutput)
    def get(self, request: Request) -> Response:
        """The batch you are working on, with its stops and pick lists; `null` when there is none."""
        batch = selectors.current_batch(shopper_id=actor.shopper_id(request))
        return Response(BatchEnvelopeOutput({"batch": batch}).data)
