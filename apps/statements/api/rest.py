"""A shopper's own statements, as JSON."""

from datetime import UTC, date
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.common import clock
from apps.common.api import actor
from apps.statements import domain, selectors
from apps.statements.errors import PeriodInvalid

SCOPE = "shopper"


class StatementBatchOutput(serializers.Serializer[Any]):
    batch_id = serializers.CharField(source="ref")
    at = serializers.DateTimeField(help_text="Of the last that was earned with it.")
    batch_pay_cents = serializers.IntegerField(source="cents.batch_pay")
    peak_pay_cents = serializers.IntegerField(source="cents.peak_pay")
    tip_cents = serializers.IntegerField(source="cents.tip")
    total_cents = serializers.IntegerField(source="net")


class StatementTransferOutput(serializers.Serializer[Any]):
    id = serializers.CharField(source="transfer_id")
    payout = serializers.CharField(help_text="The payment provider's name for it.")
    day = serializers.DateField()
    at = serializers.DateTimeField()
    amount_cents = serializers.IntegerField(source="cents", help_text="Below zero where it was taken back.")


class StatementOutput(serializers.Serializer[Any]):
    period = serializers.ChoiceField(source="span.period", choices=list(domain.PERIODS))
    first_day = serializers.DateField(source="span.first")
    last_day = serializers.DateField(source="span.last")
    opening_cents = serializers.IntegerField(source="opening", help_text="Owed to you when it begins.")
    earned_cents = serializers.IntegerField(source="net", help_text="In all, not on this page.")
    transferred_cents = serializers.IntegerField(source="moved")
    closing_cents = serializers.IntegerField(source="closing")
    currency = serializers.SerializerMethodField()
    batches = StatementBatchOutput(source="rows", many=True)
    transfers = StatementTransferOutput(source="moves", many=True)
    next_cursor = serializers.CharField(allow_null=True)

    def get_currency(self, statement: Any) -> str:
        return "USD"


class StatementView(APIView):
    required_scope = SCOPE

    @extend_schema(
        operation_id="shopper_statement",
        tags=["shopper"],
        parameters=[
            OpenApiParameter("period", str, enum=list(domain.PERIODS), description="`week` unless said otherwise."),
            OpenApiParameter("day", date, description="Any day of it, UTC; today unless said otherwise."),
            OpenApiParameter("after", str, description="`next_cursor` of the page before."),
        ],
        responses=StatementOutput,
    )
    def get(self, request: Request) -> Response:
        """What you earned in a day, week or month, batch by batch, and what you were sent. Days are UTC."""
        asked = request.query_params
        today = clock.now().astimezone(UTC).date()
        span = domain.span(asked.get("period") or "week", _day(asked["day"]) if asked.get("day") else today, UTC)
        found = selectors.of_shopper(
            shopper_id=actor.shopper_id(request), span=span, after=asked.get("after"), limit=50
        )
        return Response(StatementOutput(found).data)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PeriodInvalid("Write the day as 2026-03-02.") from None
