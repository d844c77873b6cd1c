"""Picking and delivering one order. Every POST may be sent again: the second one finds it done and answers alike."""

import base64
import binascii
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

import sharding
from apps.common import clock, photos
from apps.common.api import actor, idempotency, ids
from apps.common.errors import PhotoInvalid
from apps.fulfilment import domain, selectors, services
from apps.fulfilment.types import ProofInput

SCOPE = "shopper"
TAGS = ["shopper"]
_MAX_BASE64 = photos.MAX_BYTES * 4 // 3 + 4


class ProposalOutput(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["proposed", "approved", "auto_approved", "rejected", "withdrawn"])
    is_withdrawn = serializers.BooleanField(help_text="You took it back; its status says whether that was in time.")
    item_id = serializers.CharField(allow_null=True)
    name = serializers.CharField()
    code = serializers.CharField()
    quantity = serializers.DecimalField(max_digits=12, decimal_places=3)
    cost_unit = serializers.CharField()
    unit_price_cents = serializers.IntegerField(source="unit_price.cents")


class PickLineOutput(serializers.Serializer[Any]):
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
    replacement_item_id = serializers.CharField(
        allow_null=True, help_text="What the customer wants instead, where the policy is item."
    )
    status = serializers.ChoiceField(choices=["not_picked", "found", "replaced", "to_refund"])
    found_quantity = serializers.DecimalField(max_digits=12, decimal_places=3)
    replacement = ProposalOutput(source="proposal", allow_null=True, help_text="What was proposed for it last.")
    reason = serializers.CharField(
        help_text="Why it is not brought; taken_out: by the customer; not_paid_for: leave it in the store."
    )


class ReceiptOutput(serializers.Serializer[Any]):
    attempt = serializers.IntegerField()
    entered_cents = serializers.IntegerField()
    state = serializers.ChoiceField(
        choices=[str(state) for state in domain.ReceiptState],
        help_text="recount: check the bags and enter it again; flagged: go on, an operator will look at it.",
    )


class StoreOrderOutput(serializers.Serializer[Any]):
    store_order_id = serializers.CharField(source="id")
    status = serializers.ChoiceField(choices=[str(status) for status in domain.Status])
    window_starts_at = serializers.DateTimeField()
    window_ends_at = serializers.DateTimeField()
    edits = serializers.IntegerField(help_text="How often the customer has changed the list; fetch it when this grows.")
    checks_receipt = serializers.BooleanField(
        source="is_receipt_wanted", help_text="Enter the till's receipt and count the bags before you leave the store."
    )
    receipt = ReceiptOutput(allow_null=True)
    bag_count = serializers.IntegerField(allow_null=True)
    lines = PickLineOutput(many=True)


class LineInput(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["found", "to_refund"])
    quantity = serializers.DecimalField(max_digits=12, decimal_places=3, required=False)
    reason = serializers.ChoiceField(
        choices=sorted(domain.NOT_BROUGHT), required=False, help_text="Of to_refund: why it is not brought."
    )

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["status"] == "found" and "quantity" not in attrs:
            raise serializers.ValidationError({"quantity": "Say how much was found."})
        if attrs["status"] == "to_refund" and "reason" not in attrs:
            raise serializers.ValidationError({"reason": f"Say why: {', '.join(sorted(domain.NOT_BROUGHT))}."})
        return attrs


class ProofField(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["pin", "photo"])
    pin = serializers.RegexField(r"^[0-9]{4,8}$", required=False)
    photo = serializers.CharField(
        required=False, max_length=_MAX_BASE64, help_text="A JPEG or PNG picture of at most 5 MB, in base64."
    )

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["kind"] not in attrs:
            raise serializers.ValidationError({attrs["kind"]: "This kind of proof needs it."})
        return attrs


class ReceiptInput(serializers.Serializer[Any]):
    total_cents = serializers.IntegerField(
        min_value=0, max_value=domain.MOST_RECEIPT_CENTS, help_text="Of the goods, before tax and deposits."
    )
    attempt = serializers.IntegerField(
        min_value=1, max_value=domain.MAX_ATTEMPTS, help_text="1 for what you read first, 2 after a recount, and so on."
    )
    photo = serializers.CharField(
        required=False, max_length=_MAX_BASE64, help_text="Of the receipt: a JPEG or PNG of at most 5 MB, in base64."
    )


class BagsInput(serializers.Serializer[Any]):
    count = serializers.IntegerField(min_value=1, max_value=domain.MAX_BAGS)


class DeliverInput(serializers.Serializer[Any]):
    proof = ProofField()


def at_the_store(request: Request, store_order_id: str, **_: str) -> sharding.Home:
    """Where it is decided: on the shard of the order."""
    return sharding.home_of_id("store", ids.parse(store_order_id))


class StoreOrderView(APIView):
    required_scope = SCOPE

    @extend_schema(operation_id="shopper_order", tags=TAGS, responses=StoreOrderOutput)
    def get(self, request: Request, store_order_id: str) -> Response:
        """One of your orders with its pick list, in the order of a walk through the aisles."""
        return order(request, store_order_id)


class StartPickingView(APIView):
    required_scope = SCOPE

    @extend_schema(operation_id="shopper_start_picking", tags=TAGS, request=None, responses=StoreOrderOutput)
    @idempotency.answered_once(at_the_store)
    def post(self, request: Request, store_order_id: str) -> Response:
        """You are in the store and begin."""
        services.start_picking(
            store_order_id=ids.parse(store_order_id), shopper_id=actor.shopper_id(request), now=clock.now()
        )
        return order(request, store_order_id)


class LineView(APIView):
    required_scope = SCOPE

    @extend_schema(
        operation_id="shopper_set_line",
        tags=TAGS,
        request=LineInput,
        responses=StoreOrderOutput,
        examples=[
            OpenApiExample("By weight", value={"status": "found", "quantity": "1.25"}, request_only=True),
            OpenApiExample("Not there", value={"status": "to_refund", "reason": "out_of_stock"}, request_only=True),
        ],
    )
    @idempotency.answered_once(at_the_store)
    def put(self, request: Request, store_order_id: str, line_id: str) -> Response:
        """What became of a line; until check-out a later word replaces an earlier one."""
        sent = LineInput(data=request.data)
        sent.is_valid(raise_exception=True)
        order_id, line, shopper_id = ids.parse(store_order_id), ids.parse(line_id), actor.shopper_id(request)
        outcome, now = sent.validated_data, clock.now()
        if outcome["status"] == "found":
            services.mark_found(
                store_order_id=order_id, line_id=line, shopper_id=shopper_id, quantity=outcome["quantity"], now=now
            )
        else:
            services.mark_refund(
                store_order_id=order_id, line_id=line, shopper_id=shopper_id, reason=outcome["reason"], now=now
            )
        return order(request, store_order_id)


class CheckOutView(APIView):
    required_scope = SCOPE

    @extend_schema(operation_id="shopper_check_out", tags=TAGS, request=None, responses=StoreOrderOutput)
    @idempotency.answered_once(at_the_store)
    def post(self, request: Request, store_order_id: str) -> Response:
        """Every line has its outcome; they are final now."""
        services.check_out(
            store_order_id=ids.parse(store_order_id), shopper_id=actor.shopper_id(request), now=clock.now()
        )
        return order(request, store_order_id)


class ReceiptView(APIView):
    required_scope = SCOPE

    @extend_schema(operation_id="shopper_enter_receipt", tags=TAGS, request=ReceiptInput, responses=StoreOrderOutput)
    @idempotency.answered_once(at_the_store, is_saga=True)  # a total that differs is refused, and remembered
    def post(self, request: Request, store_order_id: str) -> Response:
        """The total of the till's receipt. 409 `receipt_differs`: count again, then send the next attempt."""
        sent = ReceiptInput(data=request.data)
        sent.is_valid(raise_exception=True)
        services.enter_receipt(
            store_order_id=ids.parse(store_order_id),
            shopper_id=actor.shopper_id(request),
            total_cents=sent.validated_data["total_cents"],
            attempt=sent.validated_data["attempt"],
            photo=_decoded(sent.validated_data.get("photo", "")),
            now=clock.now(),
        )
        return order(request, store_order_id)


class BagsView(APIView):
    required_scope = SCOPE

    @extend_schema(operation_id="shopper_count_bags", tags=TAGS, request=BagsInput, responses=StoreOrderOutput)
    @idempotency.answered_once(at_the_store)
    def post(self, request: Request, store_order_id: str) -> Response:
        """How many bags the order is in."""
        sent = BagsInput(data=request.data)
        sent.is_valid(raise_exception=True)
        services.count_bags(
            store_order_id=ids.parse(store_order_id),
            shopper_id=actor.shopper_id(request),
            count=sent.validated_data["count"],
            now=clock.now(),
        )
        return order(request, store_order_id)


class StartDeliveryView(APIView):
    required_scope = SCOPE

    @extend_schema(operation_id="shopper_start_delivery", tags=TAGS, request=None, responses=StoreOrderOutput)
    @idempotency.answered_once(at_the_store)
    def post(self, request: Request, store_order_id: str) -> Response:
        """You leave the store with the order."""
        services.start_delivery(
            store_order_id=ids.parse(store_order_id), shopper_id=actor.shopper_id(request), now=clock.now()
        )
        return order(request, store_order_id)


class DeliverView(APIView):
    required_scope = SCOPE

    @extend_schema(
        operation_id="shopper_deliver",
        tags=TAGS,
        request=DeliverInput,
        responses=StoreOrderOutput,
        examples=[
            OpenApiExample("The customer's PIN", value={"proof": {"kind": "pin", "pin": "1234"}}, request_only=True),
            OpenApiExample(
                "A photo at the door", value={"proof": {"kind": "photo", "photo": "/9j/4AAQSkZJ…"}}, request_only=True
            ),
        ],
    )
    @idempotency.answered_once(at_the_store, is_saga=True)
    def post(self, request: Request, store_order_id: str) -> Response:
        """Hand the order over against a proof."""
        sent = DeliverInput(data=request.data)
        sent.is_valid(raise_exception=True)
        services.deliver(
            store_order_id=ids.parse(store_order_id),
            shopper_id=actor.shopper_id(request),
            proof=_proof(sent.validated_data["proof"]),
            now=clock.now(),
        )
        return order(request, store_order_id)


def order(request: Request, store_order_id: str) -> Response:
    """The shopper's order as it stands, with what each line was proposed to be replaced by."""
    found = selectors.store_order(store_order_id=ids.parse(store_order_id), shopper_id=actor.shopper_id(request))
    return Response(StoreOrderOutput(found).data)


def _proof(sent: dict[str, Any]) -> ProofInput:
    if sent["kind"] == "pin":
        return ProofInput(kind="pin", pin=sent["pin"])
    return ProofInput(kind="photo", photo=_decoded(sent["photo"]))


def _decoded(photo: str) -> bytes:
    try:
        return base64.b64decode(photo, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PhotoInvalid("The photo is not base64.") from error
