"""The shopper's own side: being there, and what was earned."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.common import clock
from apps.common.api import actor, idempotency
from apps.common.geo import Point
from apps.shoppers import domain, selectors, services
from apps.shoppers.types import Shopper

SCOPE = "shopper"
TAGS = ["shopper"]
MAX_POSITIONS = 500


class ShopperOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    zone_id = serializers.CharField()
    vehicle = serializers.CharField()
    state = serializers.ChoiceField(choices=["active", "paused"])
    is_online = serializers.BooleanField()
    online_since = serializers.DateTimeField(allow_null=True)
    shift_ends_at = serializers.DateTimeField(
        allow_null=True, help_text="No offer has you pick anything up later; then you go offline by yourself."
    )
    rating = serializers.SerializerMethodField(
        help_text="Stars, 1 to 5, with two decimals: the mean of your last 100 rated deliveries and of ten usual ones. "
        "Low ratings that were not about you are left out; null until a customer rated you."
    )
    ratings = serializers.IntegerField(help_text="How many rated deliveries are in it, 100 at most.")

    def get_rating(self, shopper: Shopper) -> float | None:
        return round(shopper.rating, 2) if shopper.ratings else None


class PointInput(serializers.Serializer[Any]):
    lat = serializers.FloatField(min_value=-90, max_value=90)
    lng = serializers.FloatField(min_value=-180, max_value=180)


class OnlineInput(PointInput):
    until = serializers.DateTimeField(
        required=False,
        help_text="When your shift ends, 16 hours ahead at most. Unsaid, it stays as it is, or is eight hours.",
    )


class PositionInput(PointInput):
    at = serializers.DateTimeField()


class PositionsInput(serializers.Serializer[Any]):
    positions = serializers.ListField(child=PositionInput(), allow_empty=False, max_length=MAX_POSITIONS)


class PositionsOutput(serializers.Serializer[Any]):
    is_used = serializers.BooleanField(help_text="False when every position was too old to say where you are.")


class EarningOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    batch_id = serializers.CharField()
    order_id = serializers.CharField(allow_null=True)
    kind = serializers.ChoiceField(
        choices=["batch_pay", "peak_pay", "work_pay", "tip", "tip_lowered"],
        help_text="work_pay: for a batch that was taken away or canceled. tip_lowered: below zero.",
    )
    amount_cents = serializers.IntegerField(source="amount.cents")
    currency = serializers.CharField(source="amount.currency")
    earned_at = serializers.DateTimeField()


class EarningsOutput(serializers.Serializer[Any]):
    total_cents = serializers.IntegerField(source="total.cents")
    tips_cents = serializers.IntegerField(source="tips.cents", help_text="Of the total, what customers tipped.")
    currency = serializers.CharField(source="total.currency")
    earnings = EarningOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class MeView(APIView):
    required_scope = SCOPE

    @extend_schema(operation_id="shopper_me", tags=TAGS, responses=ShopperOutput)
    def get(self, request: Request) -> Response:
        """Who you are as a shopper."""
        return _me(request)


class OnlineView(APIView):
    required_scope = SCOPE

    @extend_schema(
        operation_id="shopper_go_online",
        tags=TAGS,
        request=OnlineInput,
        responses=ShopperOutput,
        examples=[
            OpenApiExample(
                "Downtown Columbus",
                value={"lat": 39.9612, "lng": -82.9988, "until": "2026-05-04T22:00:00Z"},
                request_only=True,
            )
        ],
    )
    @idempotency.answered_once(idempotency.of_shopper)
    def post(self, request: Request) -> Response:
        """Take offers from now on. Report your position at least every two minutes to go on getting them."""
        sent = OnlineInput(data=request.data)
        sent.is_valid(raise_exception=True)
        place, until = Point(sent.validated_data["lat"], sent.validated_data["lng"]), sent.validated_data.get("until")
        services.go_online(shopper_id=actor.shopper_id(request), point=place, until=until, now=clock.now())
        return _me(request)


class OfflineView(APIView):
    required_scope = SCOPE

    @extend_schema(operation_id="shopper_go_offline", tags=TAGS, request=None, responses=ShopperOutput)
    @idempotency.answered_once(idempotency.of_shopper)
    def post(self, request: Request) -> Response:
        """No more offers. A batch you have accepted stays yours."""
        services.go_offline(shopper_id=actor.shopper_id(request))
        return _me(request)


class PositionsView(APIView):
    required_scope = SCOPE

    @extend_schema(
        operation_id="shopper_report_positions",
        tags=TAGS,
        request=PositionsInput,
        responses=PositionsOutput,
        examples=[
            OpenApiExample(
                "Two at once",
                value={
                    "positions": [
                        {"lat": 39.9612, "lng": -82.9988, "at": "2026-05-04T16:00:00Z"},
                        {"lat": 39.9625, "lng": -82.9979, "at": "2026-05-04T16:00:15Z"},
                    ]
                },
                request_only=True,
            )
        ],
    )
    @idempotency.answered_once(idempotency.of_shopper)
    def post(self, request: Request) -> Response:
        """Where you were, in any order and also late: the newest that still says something counts."""
        sent = PositionsInput(data=request.data)
        sent.is_valid(raise_exception=True)
        now = clock.now()
        reported = [(entry["at"], Point(entry["lat"], entry["lng"])) for entry in sent.validated_data["positions"]]
        newest = domain.latest_fresh(reported, now=now) or max(reported, key=lambda entry: entry[0])
        is_used = services.report_position(shopper_id=actor.shopper_id(request), point=newest[1], at=newest[0], now=now)
        return Response(PositionsOutput({"is_used": is_used}).data)


class EarningsView(APIView):
    required_scope = SCOPE

    @extend_schema(
        operation_id="shopper_earnings",
        tags=TAGS,
        parameters=[OpenApiParameter("after", str, description="`next_cursor` of the page before.")],
        responses=EarningsOutput,
    )
    def get(self, request: Request) -> Response:
        """What you earned, newest first; the total is of everything."""
        page = selectors.earnings(shopper_id=actor.shopper_id(request), after=request.query_params.get("after"))
        return Response(EarningsOutput(page).data)


def _me(request: Request) -> Response:
    return Response(ShopperOutput(selectors.shopper(shopper_id=actor.shopper_id(request))).data)
