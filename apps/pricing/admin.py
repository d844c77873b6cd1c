from django.contrib import admin
from unfold.admin import ModelAdmin

from apps.pricing import models


@admin.register(models.FeeRule)
class FeeRuleAdmin(ModelAdmin):
    list_display = ("code", "label", "store_id", "flat_cents", "percent", "is_active")
    list_filter = ("is_active", "code")


@admin.register(models.Surge)
class SurgeAdmin(ModelAdmin):
    list_display = ("zone_id", "percent", "ends_at", "reason")


@admin.register(models.TaxRate)
class TaxRateAdmin(ModelAdmin):
    list_display = ("state", "postcode_prefix", "tax_category", "percent")
    list_filter = ("tax_category", "state")
    search_fields = ("state", "postcode_prefix")
