"""Pages about the map, in Django's admin. They read; changing the map is ``manage.py shard``'s."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from typing_extensions import override

from sharding import breakers, doctor, migrating, moves, topology
from sharding.ids import BUCKETS
from sharding.models import MapVersion, Move

LINE = mark_safe("<br>")


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """What is here was decided elsewhere."""

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Row:
    """One database of a keyspace, as the map sees it."""

    alias: str
    buckets: int
    ranges: str
    copies: str
    breaker: str

    @property
    def percent(self) -> float:
        return 100 * self.buckets / BUCKETS


@admin.register(MapVersion)
class MapVersionAdmin(ReadOnly):
    """Every version of the map, and an overview of the one that counts."""

    list_display = ("epoch", "reason", "created_at")
    search_fields = ("reason",)
    fields = ("epoch", "reason", "created_at", "changed", "ranges")
    readonly_fields = ("changed", "ranges")

    @override
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.overview)
        return [path("overview/", view, name="sharding_overview"), *super().get_urls()]

    def overview(self, request: HttpRequest) -> HttpResponse:
        """The map at one glance. Asks no shard, unless somebody presses "Examine": then each gets about ten queries."""
        shard_map = topology.current()
        findings = None
        if request.method == "POST":
            plan = migrating.Plan()
            findings = [
                *doctor.examine_map(),
                *(f for alias in shard_map.all_aliases() for f in doctor.examine(alias, plan)),
            ]
        context = {
            **self.admin_site.each_context(request),
            "title": "Databases",
            "epoch": shard_map.epoch,
            "keyspaces": [(keyspace.name, _rows(keyspace)) for keyspace in shard_map.keyspaces.values()],
            "findings": findings,
            "examined": len(shard_map.all_aliases()),
        }
        return render(request, "sharding/overview.html", context)

    @admin.display(description="What this version changed")
    def changed(self, version: MapVersion) -> str | SafeString:
        before = MapVersion.objects.filter(epoch__lt=version.epoch).first()
        lines = _differences(before.document if before else None, version.document)
        return format_html_join(LINE, "{}", ((line,) for line in lines)) or "No bucket changed hands."

    @admin.display(description="Buckets")
    def ranges(self, version: MapVersion) -> SafeString:
        lines = [
            (f"{name} {first}-{last}", alias)
            for name, keyspace in version.document["keyspaces"].items()
            for first, last, alias in keyspace["ranges"]
        ]
        return format_html_join(LINE, "<code>{}</code> {}", lines)


@admin.register(Move)
class MoveAdmin(ReadOnly):
    """Buckets on their way. ``manage.py shard`` moves them, and gives up or goes on."""

    list_display = ("pk", "buckets", "source", "target", "phase", "step", "done", "note", "changed_at")
    list_filter = ("phase", "keyspace")
    ordering = ("-id",)
    fields = (
        "buckets", "source", "target", "phase", "now", "waits_for", "what_to_do",
        "started_at", "stepped_at", "switched_at", "changed_at",
    )  # fmt: skip
    readonly_fields = ("buckets", "now", "waits_for", "what_to_do")

    @override
    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Move | None:
        move: Move | None = super().get_object(request, object_id, from_field)
        if move is not None:
            move.seen = moves.status_of(move)  # type: ignore[attr-defined]  # for the columns below, once a page
        return move

    @admin.display(description="Buckets", ordering="first")
    def buckets(self, move: Move) -> str:
        return f"{move.keyspace} {move.first}-{move.last}"

    @admin.display(description="Of this phase")
    def done(self, move: Move) -> str:
        return f"{moves.part_done(move):.0%}"

    @admin.display(description="At this moment")
    def now(self, move: Any) -> str:
        return f"{move.seen.told}. {move.seen.note}".strip()

    @admin.display(description="Waits for")
    def waits_for(self, move: Any) -> str | SafeString:
        return format_html_join(LINE, "{}", ((who,) for who in move.seen.waits_for)) or "nobody"

    @admin.display(description="What can be done")
    def what_to_do(self, move: Any) -> str | SafeString:
        commands = {
            f"manage.py shard move --resume {move.pk}": move.seen.is_abandoned,
            f"manage.py shard rollback {move.pk}": move.phase in (Move.Phase.MOVING, Move.Phase.KEPT),
            f"manage.py shard cleanup --now {move.pk}": move.phase == Move.Phase.KEPT,
        }
        offered = [(command,) for command, is_possible in commands.items() if is_possible]
        return format_html_join(LINE, "<code>{}</code>", offered) or "nothing: it is over, or somebody is at it"


def _rows(keyspace: topology.Keyspace) -> list[Row]:
    return [
        Row(
            alias,
            sum(last - first + 1 for first, last in keyspace.owned(alias)),
            ", ".join(f"{first}-{last}" for first, last in keyspace.owned(alias)) or "none",
            ", ".join(f"{first}-{last}" for first, last, holder in keyspace.copies if holder == alias),
            breakers.state(alias),
        )
        for alias in keyspace.databases
    ]


def _differences(before: Any, after: Any) -> list[str]:
    """``customer 10-19: customer_0 → customer_1``, for each run of buckets that changed hands."""
    if before is None:
        return ["The first map."]
    lines = []
    for name, keyspace in after["keyspaces"].items():
        if name not in before["keyspaces"]:
            lines.append(f"{name}: a new keyspace")
            continue
        old, new = _holders(before["keyspaces"][name]), _holders(keyspace)
        bucket = 0
        while bucket < BUCKETS:
            start, pair = bucket, (old[bucket], new[bucket])
            while bucket < BUCKETS and (old[bucket], new[bucket]) == pair:
                bucket += 1
            if pair[0] != pair[1]:
                lines.append(f"{name} {start}-{bucket - 1}: {pair[0]} → {pair[1]}")
    return lines


def _holders(keyspace: Any) -> list[str]:
    holders = [""] * BUCKETS
    for first, last, alias in keyspace["ranges"]:
        holders[first : last + 1] = [alias] * (last - first + 1)
    return holders
