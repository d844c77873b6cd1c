from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from typing_extensions import override

from apps.accounts import selectors as accounts
from apps.common.api.admin import ReadOnly, Scattered, asked_once, money, order_link
from apps.ledger import models


class _ForOperators(ReadOnly):
    moment_field = "at"

    @override
    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        user_id = int(request.user.pk or 0)
        if request.user.is_superuser or not user_id:
            return bool(user_id)
        return asked_once(request, "operator", lambda: accounts.has_role(user_id=user_id, role="operator"))

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.display(description="Amount")
    def amount(self, row: models.LedgerEntry | models.PartyEntry) -> str:
        return money(row.amount_cents, row.currency)


@admin.register(models.LedgerEntry)
class LedgerEntryAdmin(Scattered, _ForOperators):
    list_display = ("when", "of_order", "cause", "kind", "credit", "debit", "amount")
    list_filter = ("cause", "debit", "credit")

    @admin.display(description="Order")
    def of_order(self, row: models.LedgerEntry) -> SafeString:
        return order_link(row.order_id)


@admin.register(models.PartyEntry)
class PartyEntryAdmin(_ForOperators):
    list_display = ("when", "party_kind", "party_id", "cause", "credit", "debit", "amount")
    list_filter = ("cause", "party_kind")
    search_fields = ("=party_id",)
    search_help_text = "A store's or shopper's id"
    ordering = ("-id",)
