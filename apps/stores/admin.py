from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from typing_extensions import override
from unfold.admin import ModelAdmin, TabularInline

from apps.stores import models, services


class StoreHoursInline(TabularInline):
    model = models.StoreHours
    extra = 0


class SpecialDayInline(TabularInline):
    model = models.SpecialDay
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
    list_display = ("code", "name", "city", "zone", "is_paused", "paused_until")
    list_filter = ("is_paused", "zone", "retailer")
    list_select_related = ("zone",)
    search_fields = ("code", "name", "address", "postcode")
    autocomplete_fields = ("retailer", "zone")
    inlines = (StoreHoursInline, SpecialDayInline)

    @override
    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:  # type: ignore[type-arg]
        super().save_related(request, form, formsets, change)
        if any(formset.has_changed() for formset in formsets):
            services.note_hours_changed(store_id=form.instance.pk)
