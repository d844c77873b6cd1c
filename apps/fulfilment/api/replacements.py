"""Proposing something else for a line that is out. The answer is in the order's pick list, as ``replacement``."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from apps.common import clock
from apps.common.api import actor, idempotency, ids
from apps.fulfilment import selectors, services
from apps.fulfilment.api import rest


class ReplacementInput(serializers.Serializer[Any]):
    item_id = serializers.CharField(required=False, help_text="An item of this store; or else name and price_cents.")
    name = serializers.CharField(max_length=200, required=False, help_text="Of something the catalogue does not know.")
    price_cents = serializers.IntegerField(min_value=1, required=False, help_text="Of one of those.")
    code = serializers.CharField(max_length=64, required=False, allow_blank=True, default="", help_text="On its label.")
    quantity = serializers.DecimalField(max_digits=12, decimal_places=3, help_text="Pieces, or what the scale says.")

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("item_id" in attrs) == ("name" in attrs):
            raise serializers.ValidationError({"item_id": "Send either item_id, or name and price_cents."})
        if "name" in attrs and "price_cents" not in attrs:
            raise serializers.ValidationError({"price_cents": "Say what one of them costs."})
        return attrs


class SuggestionOutput(serializers.Serializer[Any]):
    item_id = serializers.CharField(source="id")
    name = serializers.CharField()
    size = serializers.CharField()
    aisle = serializers.CharField()
    cost_unit = serializers.CharField()
    sold_by = serializers.ChoiceField(choices=["count", "weight"])
    unit_price_cents = serializers.IntegerField(source="price.cents")


class SuggestionsOutput(serializers.Serializer[Any]):
    suggestions = SuggestionOutput(many=True)


class SuggestionsView(APIView):
    required_scope = rest.SCOPE

    @extend_schema(operation_id="shopper_suggestions", tags=rest.TAGS, responses=SuggestionsOutput)
    def get(self, request: Request, store_order_id: str, line_id: str) -> Response:
        """What you may bring instead of a line and is in stock: what the customer chose first, then what is near."""
        found = selectors.suggestions(
            store_order_id=ids.parse(store_order_id),
            line_id=ids.parse(line_id),
            shopper_id=actor.shopper_id(request),
        )
        return Response(SuggestionsOutput({"suggestions": found}).data)


class ReplacementView(APIView):
    required_scope = rest.SCOPE

    @extend_schema(
        operation_id="shopper_propose_replacement",
        tags=rest.TAGS,
        request=ReplacementInput,
        responses=rest.StoreOrderOutput,
        examples=[
            OpenApiExample("An item of this store", value={"item_id": "4711", "quantity": "2"}, request_only=True),
            OpenApiExample(
                "Something the catalogue does not know",
                value={"name": "Oat milk, 1 qt", "price_cents": 449, "code": "0041234567890", "quantity": "1"},
                request_only=True,
            ),
        ],
    )
    @idempotency.answered_once(rest.at_the_store, is_saga=True, is_required=True)
    def post(self, request: Request, store_order_id: str, line_id: str) -> Response:
        """Ask the customer whether you may bring something else. The line stays open until the answer is here."""
        sent = ReplacementInput(data=request.data)
        sent.is_valid(raise_exception=True)
        offered = sent.validated_data
        line: dict[str, Any] = {
            "store_order_id": ids.parse(store_order_id),
            "line_id": ids.parse(line_id),
            "shopper_id": actor.shopper_id(request),
            "quantity": offered["quantity"],
            "key": idempotency.given_key(request) or "",
            "now": clock.now(),
        }
        if "item_id" in offered:
            services.propose(**line, item_id=ids.parse(offered["item_id"]))
        else:
            services.propose_own(**line, name=offered["name"], price_cents=offered["price_cents"], code=offered["code"])
        return rest.order(request, store_order_id)

    @extend_schema(
        operation_id="shopper_withdraw_replacement", tags=rest.TAGS, request=None, responses=rest.StoreOrderOutput
    )
    @idempotency.answered_once(rest.at_the_store)
    def delete(self, request: Request, store_order_id: str, line_id: str) -> Response:
        """Take your proposal back. Where the customer was faster their answer counts: look at the line again."""
        services.withdraw(
            store_order_id=ids.parse(store_order_id),
            line_id=ids.parse(line_id),
            shopper_id=actor.shopper_id(request),
            now=clock.now(),
        )
        return rest.order(request, store_order_id)
