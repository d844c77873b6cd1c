"""What moved money, to be looked at. Nothing is changed here: money moves by services, booked with its change."""

from django.contrib import admin
from django.utils.safestring import SafeString

from apps.accounts.api.operators import ForOperators
from apps.common.api.admin import Scattered, money, order_link
from apps.payments import models


class _OfOrders(Scattered, ForOperators):
    @admin.display(description="Order")
    def of_order(self, row: models.Payment | models.Refund | models.Dispute) -> SafeString:
        return order_link(row.order_id)


@admin.register(models.Payment)
class PaymentAdmin(_OfOrders):
    list_display = ("when", "of_order", "step", "status", "amount", "captured", "refunded", "failure_code")
    list_filter = ("status",)
    exclude = ("action_url", "return_url")

    @admin.display(description="Amount")
    def amount(self, row: models.Payment) -> str:
        return money(row.amount_cents, row.currency)

    @admin.display(description="Captured")
    def captured(self, row: models.Payment) -> str:
        return money(row.captured_cents, row.currency)

    @admin.display(description="Refunded")
    def refunded(self, row: models.Payment) -> str:
        return money(row.refunded_cents, row.currency)


@admin.register(models.Refund)
class RefundAdmin(_OfOrders):
    list_display = ("when", "of_order", "number", "cents", "reason", "status", "failure_code")
    list_filter = ("status",)
    exclude = ("payment",)

    @admin.display(description="Cents")
    def cents(self, row: models.Refund) -> str:
        return f"{row.amount_cents:,}"


@admin.register(models.Dispute)
class DisputeAdmin(_OfOrders):
    list_display = ("when", "of_order", "cents", "reason", "status", "closed_at")
    moment_field = "opened_at"
    list_filter = ("status",)
    exclude = ("payment",)

    @admin.display(description="Cents")
    def cents(self, row: models.Dispute) -> str:
        return f"{row.amount_cents:,}"


@admin.register(models.PayoutAccount)
class PayoutAccountAdmin(ForOperators):
    list_display = ("when", "party_kind", "party_id", "status", "account_id", "paid_day")
    list_filter = ("status", "party_kind")
    search_fields = ("=party_id", "=account_id")
    search_help_text = "A store's or shopper's id, or the provider's name for the account"
    ordering = ("-id",)


@admin.register(models.Transfer)
class TransferAdmin(ForOperators):
    list_display = ("when", "account", "day", "amount", "taken_back", "status", "failure_code")
    list_filter = ("status", "day")
    list_select_related = ("account",)
    search_fields = ("=account__party_id", "=sent_id")
    search_help_text = "A store's or shopper's id, or the provider's name for the transfer"
    ordering = ("-id",)

    @admin.display(description="Amount")
    def amount(self, row: models.Transfer) -> str:
        return money(row.amount_cents, row.currency)

    @admin.display(description="Taken back")
    def taken_back(self, row: models.Transfer) -> str:
        return money(row.reversed_cents, row.currency)


@admin.register(models.Payout)
class PayoutAdmin(ForOperators):
    list_display = ("when", "account", "amount", "status", "failure_code", "arrives_on")
    list_filter = ("status", "arrives_on")
    list_select_related = ("account",)
    search_fields = ("=account__party_id", "=payout_id")
    search_help_text = "A store's or shopper's id, or the provider's name for the payout"
    ordering = ("-id",)

    @admin.display(description="Amount")
    def amount(self, row: models.Payout) -> str:
        return money(row.amount_cents, row.currency)


@admin.register(models.StripeEvent)
class StripeEventAdmin(ForOperators):
    list_display = ("id", "type", "received_at", "handled_at")
    list_filter = ("type",)
    search_fields = ("=id",)
    ordering = ("-received_at",)
