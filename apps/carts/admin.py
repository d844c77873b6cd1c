from django.contrib import admin
from unfold.admin import ModelAdmin

from apps.carts import models


@admin.register(models.AlcoholRule)
class AlcoholRuleAdmin(ModelAdmin):
    list_display = ("state", "postcode_prefix", "is_allowed")
    list_filter = ("state", "is_allowed")
