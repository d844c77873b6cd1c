"""Pages of the admin about rows that are written elsewhere, and about rows that are spread over databases."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from typing_extensions import override
from unfold.admin import ModelAdmin

from apps.common.money import Money


class ReadOnly(ModelAdmin):
    """What is here was decided elsewhere. Rows are looked at by whoever may view them."""

    list_per_page = 50
    list_max_show_all = 0
    moment_field = "changed_at"
    """The time of a row that its list begins with."""
    show_full_result_count = False

    @admin.display(description="When (UTC)")
    def when(self, row: Model) -> str:
        return f"{getattr(row, self.moment_field):%Y-%m-%d %H:%M}"

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Scattered(ReadOnly):
    """Rows of all shards, newest first, merged; a shard that does not answer is left out. An id is searched on its own

    shard, an order's id on all.
    """

    ordering = ("-id",)
    search_fields = ("order_id",)  # makes the search box appear; get_search_results does the searching
    search_help_text = "An order's id"

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        rows: QuerySet[Model] = self.model.objects.scatter(partial="return").order_by("-id")
        return rows

    @override
    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        if not object_id.isdigit():
            return None
        row: Model | None = self.model.objects.filter(pk=int(object_id)).first()
        return row

    @override
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # Django would open a transaction here, on a database that it cannot know before the row is read.
        page: HttpResponse = self._changeform_view(request, object_id, form_url, extra_context or {})
        return page

    @override
    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        raise PermissionDenied

    @override
    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        is_id = term.isascii() and term.isdigit() and len(term) < 19
        return queryset.filter(order_id=int(term) if is_id else -1), False


def money(cents: int | None, currency: str) -> str:
    return "" if cents is None else str(Money(cents, currency))


def order_link(order_id: int) -> SafeString:
    """The order's page of the back office."""
    return format_html('<a class="underline" href="/admin/orders/{}/">{}</a>', order_id, order_id)
