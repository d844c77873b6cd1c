"""Take over a list of real stores."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import sharding
from apps.common import tables
from apps.common.geo import Point
from apps.common.tables import RowError
from apps.stores import domain, models
from apps.stores.types import DirectoryReport, ListedStore

COLUMNS = frozenset({"chain", "store_no", "name", "address", "city", "state", "zip", "lat", "lon"})
_TAKEN_OVER = ("name", "address", "city", "state", "postcode", "lat", "lng")

Place = tuple[str, str, str]
"""Retailer, address, postcode: where one store, and only one, stands."""


@dataclass(slots=True)
class _Reading:
    rows: int = 0
    elsewhere: int = 0
    stores: list[ListedStore] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)


def import_directory(
    *, rows: Iterable[tables.Row | tables.BadLine], only_metro: domain.Metro | None = None
) -> DirectoryReport:
    """Create or update the stores in ``rows``; lines that are wrong are reported and the others taken.

    A store is known again by its place and then by its code ``<chain>-<number>``; a number that the
    chain gave out twice (ALDI's regions count for themselves) gets the postcode behind it. Repeating
    an import changes nothing. New stores get the usual hours, radius and minimum basket; what was
    edited here of those stays. Raises ``tables.Unreadable`` for a file without the columns.
    """
    reading = _read(rows, only_metro)
    with sharding.atomic("default"):
        retailers = _retailers(reading.stores)
        zones = _zones(reading.stores)
        known = {row.code: row for row in models.Store.objects.select_for_update().select_related("retailer")}
        codes = _codes(reading, known)
        created, updated = [], []
        assumed = set()
        for code, listed in codes.items():
            row = known.get(code) or _new_store(code)
            if domain.timezone_of(listed.state) is None:
                assumed.add(listed.state)
            if _take_over(row, listed) and row.pk:
                updated.append(row)
            if not row.pk:
                row.retailer_id = retailers[listed.chain]
                row.zone_id = zones[_zone_name(listed)]
                created.append(row)
        models.Store.objects.bulk_create(created, batch_size=1000)
        models.Store.objects.bulk_update(updated, _TAKEN_OVER, batch_size=1000)
        opens, closes = domain.USUAL_HOURS
        models.StoreHours.objects.bulk_create(
            (
                models.StoreHours(store=row, weekday=weekday, opens=opens, closes=closes)
                for row in created
                for weekday in range(7)
            ),
            batch_size=5000,
        )
    return DirectoryReport(
        rows=reading.rows,
        created=len(created),
        updated=len(updated),
        unchanged=len(codes) - len(created) - len(updated),
        elsewhere=reading.elsewhere,
        assumed_timezones=tuple(sorted(assumed)),
        errors=tuple(sorted(reading.errors, key=lambda error: error.line)),
    )


def _read(rows: Iterable[tables.Row | tables.BadLine], only_metro: domain.Metro | None) -> _Reading:
    reading = _Reading()
    for row in rows:
        if not reading.rows and isinstance(row, tables.Row) and not row.cells.keys() >= COLUMNS:
            raise tables.Unreadable(f"Columns are missing: {', '.join(sorted(COLUMNS - row.cells.keys()))}.")
        reading.rows += 1
        if isinstance(row, tables.BadLine):
            reading.errors.append(RowError(line=row.line, column="", value="", reason=row.reason))
            continue
        listed = domain.listed_store(row.line, row.cells)
        if not isinstance(listed, ListedStore):
            reading.errors += listed
        elif only_metro and domain.metro_at(listed.point) != only_metro:
            reading.elsewhere += 1
        elif only_metro and listed.state not in only_metro.states:
            reason = f"is not a state of {only_metro.name}, where its coordinates are"
            reading.errors.append(RowError(line=row.line, column="state", value=listed.state, reason=reason))
        else:
            reading.stores.append(listed)
    return reading


def _codes(reading: _Reading, known: dict[str, models.Store]) -> dict[str, ListedStore]:
    """Each listed store under the code it has or is to get."""
    code_at: dict[Place, str] = {(row.retailer.name, row.address, row.postcode): code for code, row in known.items()}
    codes: dict[str, ListedStore] = {}
    unknown: list[ListedStore] = []
    seen: dict[Place, int] = {}
    for listed in reading.stores:
        place = (listed.chain, listed.address, listed.postcode)
        if place in seen:
            reason = f"is the same place as line {seen[place]}"
            reading.errors.append(
                RowError(line=listed.line, column="address", value=tables.harmless(listed.address), reason=reason)
            )
            continue
        seen[place] = listed.line
        if place in code_at:
            codes[code_at[place]] = listed
        else:
            unknown.append(listed)
    for listed in unknown:
        plain = f"{domain.slug(listed.chain)}-{domain.slug(listed.number)}"
        long = f"{plain}-{domain.slug(listed.postcode)}"
        free = next((code for code in (plain, long) if code not in codes), None)
        if free is None:
            reason = f"is taken by line {codes[long].line}, in the same postcode"
            value = tables.harmless(listed.number)
            reading.errors.append(RowError(line=listed.line, column="store_no", value=value, reason=reason))
        else:
            codes[free] = listed
    return codes


def _retailers(listed: Iterable[ListedStore]) -> dict[str, int]:
    names = {store.chain for store in listed}
    models.Retailer.objects.bulk_create((models.Retailer(name=name) for name in sorted(names)), ignore_conflicts=True)
    return dict(models.Retailer.objects.filter(name__in=names).values_list("name", "id"))


def _zones(listed: Iterable[ListedStore]) -> dict[str, int]:
    """The zones of ``listed`` by name: a metro we know, else the whole state as one market."""
    places: dict[str, list[Point]] = {}
    for store in listed:
        places.setdefault(_zone_name(store), []).append(store.point)
    metros = {metro.name: metro for metro in domain.METROS.values()}
    new = []
    for name, points in sorted(places.items()):
        if name in metros:
            centre, radius_m = metros[name].point, metros[name].radius_m
        else:
            centre = Point(sum(p.lat for p in points) / len(points), sum(p.lng for p in points) / len(points))
            radius_m = int(max(domain.distance_m(centre, point) for point in points)) + domain.DEFAULT_RADIUS_M
        new.append(models.Zone(name=name, lat=centre.lat, lng=centre.lng, radius_m=radius_m))
    models.Zone.objects.bulk_create(new, ignore_conflicts=True)
    return dict(models.Zone.objects.filter(name__in=places).values_list("name", "id"))


def _zone_name(listed: ListedStore) -> str:
    metro = domain.metro_at(listed.point)
    return metro.name if metro else listed.state


def _new_store(code: str) -> models.Store:
    return models.Store(
        code=code,
        delivery_radius_m=domain.DEFAULT_RADIUS_M,
        minimum_basket_cents=domain.DEFAULT_MINIMUM_BASKET_CENTS,
    )


def _take_over(row: models.Store, listed: ListedStore) -> bool:
    """Copy what the directory says into ``row``; True when that changed it."""
    before = tuple(getattr(row, name) for name in _TAKEN_OVER)
    row.name = listed.name if _names_chain(listed) else f"{listed.chain} {listed.name or listed.city}"
    row.address, row.city, row.state, row.postcode = listed.address, listed.city, listed.state, listed.postcode
    row.lat, row.lng = listed.point.lat, listed.point.lng
    if not row.pk:
        row.timezone = domain.timezone_of(listed.state) or domain.DEFAULT_TIMEZONE
        row.currency = domain.currency_of(listed.state)
    return before != tuple(getattr(row, name) for name in _TAKEN_OVER)


def _names_chain(listed: ListedStore) -> bool:
    return listed.name.lower().startswith(listed.chain.lower())
