from django.contrib import admin
from django.utils.safestring import SafeString

from apps.accounts.api.operators import ForOperators
from apps.common.api.admin import Scattered, money, order_link
from apps.ledger import models


class _Entries(ForOperators):
    moment_field = "at"

    @admin.display(description="Amount")
    def amount(self, row: models.LedgerEntry | models.PartyEntry) -> str:
        return money(row.amount_cents, row.currency)


@admin.register(models.LedgerEntry)
class LedgerEntryAdmin(Scattered, _Entries):
    list_display = ("when", "of_order", "cause", "kind", "credit", "debit", "amount")
    list_filter = ("cause", "debit", "credit")

    @admin.display(description="Order")
    def of_order(self, row: models.LedgerEntry) -> SafeString:
        return order_link(row.order_id)


@admin.register(models.PartyEntry)
class PartyEntryAdmin(_Entries):
    list_display = ("when", "party_kind", "party_id", "cause", "credit", "debit", "amount")
    list_filter = ("cause", "party_kind")
    search_fields = ("=party_id",)
    search_help_text = "A store's or shopper's id"
    ordering = ("-id",)
