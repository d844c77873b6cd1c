from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from django.db.models import BigIntegerField, Case, Count, F, Func, IntegerField, Min, Q, QuerySet, When, Window
from django.db.models.functions import RowNumber

import sharding
from apps.catalog import domain, models
from apps.catalog.domain import cursors, sizes
from apps.catalog.domain import handling as rules
from apps.catalog.errors import ItemNotFound
from apps.catalog.types import Department, Handling, Item, Page
from apps.common import clock
from apps.common.money import Money
from apps.stores import selectors as stores

MAX_PAGE = 100
_MAX_WORDS = 6
_ORDER = ("department_slug", "aisle", "rank", "name", "id")


def departments(*, store_id: int) -> tuple[Department, ...]:
    """What the store's shelves are called, by name; empty ones are left out. 1 query."""
    return departments_of(store_ids=[store_id]).get(store_id, ())


def departments_of(*, store_ids: Collection[int]) -> Mapping[int, tuple[Department, ...]]:
    """``departments`` of many stores by store id. 1 query per shard that holds one of them."""
    found: dict[int, list[Department]] = {}
    for alias, ids in _by_alias(store_ids).items():
        rows = (
            models.Item.objects.using(alias)
            .filter(store_id__in=ids, in_assortment=True)
            .values_list("store_id", "department_slug")
            .annotate(title=Min("department"), count=Count("id"))
            .order_by("title", "department_slug")
        )
        for store_id, slug, name, count in rows:
            found.setdefault(store_id, []).append(Department(slug=slug, name=name, item_count=count))
    return {store_id: tuple(departments) for store_id, departments in found.items()}


def items(
    *,
    store_id: int,
    department: str | None = None,
    text: str | None = None,
    after: str | None = None,
    limit: int = 48,
) -> Page:
    """What the store sells, in shelf order, at most ``MAX_PAGE`` at once. 2 queries (1 for the store's currency).

    ``text``: every word occurs in the name or the brand. ``after``: the ``next_cursor`` of the page
    before; raises ``CursorInvalid`` for anything else. An unknown store has an empty page.
    """
    rows = _shelf(department=department, text=text).filter(store_id=store_id)
    if after is not None:
        rows = rows.filter(_later_than(cursors.decode(after)))
    found = list(rows.order_by(*_ORDER)[: _limited(limit) + 1])
    return _page(found, limit=_limited(limit), currencies=_currencies([store_id]))


def first_pages(
    *, store_ids: Collection[int], department: str | None = None, text: str | None = None, limit: int = 48
) -> dict[int, Page]:
    """The first page of ``items`` of each store by its id. 1 query per shard that holds one of them, and 1."""
    currencies = _currencies(store_ids)
    found: dict[int, list[models.Item]] = {store_id: [] for store_id in store_ids}
    for alias, ids in _by_alias(store_ids).items():
        rows = (
            _shelf(department=department, text=text)
            .using(alias)
            .filter(store_id__in=ids)
            .annotate(place=Window(RowNumber(), partition_by=F("store_id"), order_by=_ORDER))
            .filter(place__lte=_limited(limit) + 1)
            .order_by("store_id", "place")
        )
        for row in rows:
            found[row.store_id].append(row)
    return {store_id: _page(rows, limit=_limited(limit), currencies=currencies) for store_id, rows in found.items()}


def items_by_id(*, store_id: int, item_ids: Collection[int]) -> dict[int, Item]:
    """Those of ``item_ids`` that are this store's, by id, also if ``in_assortment`` is false by now. 2 queries."""
    wanted = [item_id for item_id in item_ids if 0 < item_id < 2**63]
    # Pinned: ids of items elsewhere must not lead there.
    alias = sharding.alias_for("store", store_id)
    rows = models.Item.objects.using(alias).filter(store_id=store_id, pk__in=wanted)
    return {item.id: item for item in _items(rows, _currencies([store_id]))}


def similar(*, store_id: int, item_id: int, limit: int = 12) -> tuple[Item, ...]:
    """What the store sells instead of an item of its own, nearest first: of its department, sold by the same unit.

    Near is the same aisle, then the price. Nothing alcoholic instead of what is not. Empty for an unknown item.
    3 queries.
    """
    this = items_by_id(store_id=store_id, item_ids=[item_id]).get(item_id)
    if this is None:
        return ()
    rows = models.Item.objects.filter(
        store_id=store_id, in_assortment=True, department_slug=this.department_slug, cost_unit=this.cost_unit
    ).exclude(pk=item_id)
    if not this.alcoholic:
        rows = rows.filter(alcoholic=False)
    near = rows.annotate(
        elsewhere=Case(When(aisle=this.aisle, then=0), default=1, output_field=IntegerField()),
        difference=Func(F("price_cents") - this.list_price.cents, function="ABS", output_field=BigIntegerField()),
    ).order_by("elsewhere", "difference", "pk")
    return tuple(_items(near[: _limited(limit)], {store_id: this.price.currency}))


def handling(*, store_id: int, quantities: Collection[tuple[int, Decimal]]) -> Handling:
    """What it takes to carry ``(item id, quantity)`` of the store's. Unknown items count as pieces. 2 queries."""
    known = items_by_id(store_id=store_id, item_ids={item_id for item_id, _ in quantities})
    weights = (
        rules.kilograms(known[item_id], quantity) if item_id in known else quantity * rules.USUAL_PIECE
        for item_id, quantity in quantities
    )
    return Handling(
        kilograms=sum(weights, Decimal(0)),
        has_alcohol=any(item.alcoholic for item in known.values()),
        is_cold=any(rules.is_cold(item) for item in known.values()),
    )


def item(*, store_id: int, item_id: int) -> Item:
    """Raises ``ItemNotFound`` for an item of another store and for one that is not sold at present. 2 queries."""
    found = items_by_id(store_id=store_id, item_ids=[item_id]).get(item_id)
    if found is None or not found.in_assortment:
        raise ItemNotFound("This store does not sell such an item.")
    return found


def _shelf(*, department: str | None, text: str | None) -> QuerySet[models.Item]:
    rows: QuerySet[models.Item] = models.Item.objects.filter(in_assortment=True)
    if department is not None:
        rows = rows.filter(department_slug=domain.slug(department))
    for word in _printable(text or "").split()[:_MAX_WORDS]:
        rows = rows.filter(Q(name__icontains=word) | Q(brand__icontains=word))
    return rows


def _printable(text: str) -> str:
    """``text`` with blanks where it has what no name has and not every database takes."""
    return "".join(character if character.isprintable() else " " for character in text)


def _later_than(key: cursors.Key) -> Q:
    """Rows behind ``key`` in ``_ORDER``: equal in the first n columns and greater in the next."""
    later = Q()
    equal: dict[str, object] = {}
    for column, value in zip(_ORDER, key, strict=True):
        later |= Q(**equal, **{f"{column}__gt": value})
        equal[column] = value
    return Q(department_slug__gte=key[0]) & later


def _page(rows: list[models.Item], *, limit: int, currencies: Mapping[int, str]) -> Page:
    shown = rows[:limit]
    more = len(rows) > limit
    last = shown[-1] if more else None
    key = (last.department_slug, last.aisle, last.rank, last.name, last.pk) if last else None
    return Page(items=tuple(_items(shown, currencies)), next_cursor=cursors.encode(key) if key else None)


def _limited(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))


def _by_alias(store_ids: Collection[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for store_id in sorted(set(store_ids)):
        found.setdefault(sharding.alias_for("store", store_id), []).append(store_id)
    return found


def _currencies(store_ids: Collection[int]) -> dict[int, str]:
    return {store.id: store.currency for store in stores.stores(store_ids=store_ids).values()}


def _items(rows: Iterable[models.Item], currencies: Mapping[int, str]) -> list[Item]:
    return [_item(row, currencies.get(row.store_id, "USD")) for row in rows]


def _item(row: models.Item, currency: str) -> Item:
    list_price = Money(row.price_cents, currency)
    is_on_sale = row.sale_price_cents is not None and domain.is_between(
        row.sale_starts_at, clock.now(), row.sale_ends_at
    )
    price = Money(row.sale_price_cents, currency) if is_on_sale and row.sale_price_cents else list_price
    return Item(
        id=row.pk,
        store_id=row.store_id,
        product_id=row.product_id,
        lookup_code=row.lookup_code,
        name=row.name,
        brand=row.brand,
        size=row.size,
        department=row.department,
        department_slug=row.department_slug,
        aisle=row.aisle,
        rank=row.rank,
        cost_unit=row.cost_unit,
        sold_by=domain.sold_by(row.cost_unit),
        price=price,
        list_price=list_price,
        sale_ends_at=row.sale_ends_at if is_on_sale else None,
        unit_grams=sizes.unit_grams(cost_unit=row.cost_unit, size=row.size),
        par_weight=row.par_weight,
        max_in_cart=row.max_in_cart,
        tax_category=row.tax_category,
        deposit=Money(row.deposit_cents, currency),
        alcoholic=row.alcoholic,
        snap=row.snap,
        in_assortment=row.in_assortment,
        unit_price_text=sizes.unit_price_text(price=price, cost_unit=row.cost_unit, size=row.size),
    )
