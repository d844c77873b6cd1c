from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from apps.stores import models


class StoreHoursInline(TabularInline):
    model = models.StoreHours
    extra = 0


@admin.register(models.Retailer)
class RetailerAdmin(ModelAdmin):
    list_display = ("name",)
    search_fields = ("name",)


@admin.register(models.Zone)
class ZoneAdmin(ModelAdmin):
    list_display = ("name", "lat", "lng", "radius_m")
    search_fields = ("name",)


@admin.register(models.Store)
class StoreAdmin(ModelAdmin):
    list_display = ("code", "name", "city", "zone", "is_paused")
    list_filter = ("is_paused", "zone", "retailer")
    list_select_related = ("zone",)
    search_fields = ("code", "name", "address", "postcode")
    autocomplete_fields = ("retailer", "zone")
    inlines = (StoreHoursInline,)
