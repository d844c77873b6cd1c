"""What customers said, to be looked through. Reports are decided on their own pages of the back office."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from typing_extensions import override

from apps.accounts.api.operators import helps_customers
from apps.common.api.admin import Scattered, money, order_link
from apps.support import models


class _ForHelpers(Scattered):
    @override
    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return helps_customers(request)

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return helps_customers(request)

    @admin.display(description="Order")
    def of_order(self, row: models.Rating | models.OrderIssue) -> SafeString:
        return order_link(row.order_id)


@admin.register(models.Rating)
class RatingAdmin(_ForHelpers):
    list_display = ("when", "of_order", "shopper_id", "stars", "tags", "words", "counts")
    list_filter = ("counts",)


@admin.register(models.OrderIssue)
class OrderIssueAdmin(_ForHelpers):
    list_display = ("when", "of_order", "kind", "line_name", "status", "reason", "refunded", "fault")
    list_filter = ("status", "kind", "fault")
    moment_field = "opened_at"
    exclude = ("key", "fingerprint")

    @admin.display(description="Refunded")
    def refunded(self, row: models.OrderIssue) -> str:
        return money(row.refund_cents, row.currency)
