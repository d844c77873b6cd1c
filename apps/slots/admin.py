import dataclasses
from typing import Any

from django import forms
from django.contrib import admin
from typing_extensions import override
from unfold.admin import ModelAdmin, TabularInline

from apps.slots import models
from apps.slots.types import Plan
from apps.stores import selectors as stores


class WindowPlanForm(forms.ModelForm):  # type: ignore[type-arg]
    store_id = forms.TypedChoiceField(label="Store", coerce=int)

    class Meta:
        model = models.WindowPlan
        fields = ("store_id", *(field.name for field in dataclasses.fields(Plan) if field.name != "shifts"))

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["store_id"].choices = [(store.id, store.name) for store in stores.every_store()]  # type: ignore[attr-defined]


class ShopperShiftInline(TabularInline):
    model = models.ShopperShift
    extra = 0


@admin.register(models.WindowPlan)
class WindowPlanAdmin(ModelAdmin):
    form = WindowPlanForm
    list_display = ("store_name", "length_minutes", "fee_cents", "priority_fee_cents", "shoppers")
    inlines = (ShopperShiftInline,)

    @admin.display(description="store", ordering="store_id")
    def store_name(self, row: models.WindowPlan) -> str:
        store = stores.stores(store_ids=[row.store_id]).get(row.store_id)
        return store.name if store else f"no. {row.store_id}"
