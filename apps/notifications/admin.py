from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from typing_extensions import override

from apps.accounts.api.operators import ForOperators, is_operator
from apps.common.api.admin import Scattered
from apps.notifications import models, services


@admin.register(models.Notification)
class NotificationAdmin(Scattered, ForOperators):
    """What customers were told; those that failed call for a person."""

    moment_field = "created_at"
    list_display = ("when", "customer_id", "kind", "status", "reason", "copies", "tries")
    list_filter = ("status", "kind")
    search_help_text = "A customer's number"

    @override
    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        is_id = term.isascii() and term.isdigit() and len(term) < 19
        return queryset.filter(customer_id=int(term) if is_id else -1), False


@admin.register(models.RefusedAddress)
class RefusedAddressAdmin(Scattered, ForOperators):
    """Addresses that take no mail. The action writes to them again."""

    moment_field = "since"
    list_display = ("when", "id", "reason")
    actions = ("write_again",)

    @admin.action(description="Write to these addresses again")
    def write_again(self, request: HttpRequest, queryset: QuerySet[models.RefusedAddress]) -> None:
        if not is_operator(request):
            return
        lifted = sum(services.lift_refusal(customer_id=row.pk) for row in queryset)
        messages.success(request, f"Letters go to {lifted} of them again, from the next one on.")
