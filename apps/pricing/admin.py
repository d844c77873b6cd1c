from django.contrib import admin
from unfold.admin import ModelAdmin

from apps.pricing import models


@admin.register(models.FeeRule)
class FeeRuleAdmin(ModelAdmin):
    list_display = ("code", "label", "store_id", "flat_cents", "percent", "is_active")
    list_filter = ("is_active", "code")


@admin.register(models.EndingFee)
class EndingFeeAdmin(ModelAdmin):
    list_display = ("ending", "zone_id", "flat_cents")
    list_filter = ("ending",)


@admin.register(models.Surge)
class SurgeAdmin(ModelAdmin):
    list_display = ("zone_id", "percent", "ends_at", "reason")


@admin.register(models.Promotion)
class PromotionAdmin(ModelAdmin):
    list_display = ("label", "code", "percent", "amount_cents", "minimum_cents", "starts_at", "ends_at", "is_active")
    list_filter = ("is_active", "first_order_only")
    search_fields = ("code", "label")
    fieldsets = (
        (None, {"fields": ("label", "code", ("percent", "amount_cents", "currency"), "is_active")}),
        ("For whom", {"fields": ("minimum_cents", "per_customer_limit", "first_order_only", ("starts_at", "ends_at"))}),
        ("For what", {"fields": (("store_id", "retailer_id"), "departments", "item_codes")}),
    )


@admin.register(models.TaxRate)
class TaxRateAdmin(ModelAdmin):
    list_display = ("state", "postcode_prefix", "tax_category", "percent")
    list_filter = ("tax_category", "state")
    search_fields = ("state", "postcode_prefix")
