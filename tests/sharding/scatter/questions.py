"""Random questions: one of every kind that a queryset can be asked."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.db.models import Avg, Count, Max, Min, QuerySet, Sum
from django.db.models.functions import TruncHour, TruncMonth

from tests.sharding import samples
from tests.sharding.samples import TOGETHER, Detail, Owner, Sample
from tests.sharding.scatter.terms import IDS, Terms

Question = Callable[[QuerySet[Any]], Any]
"""Asked of a queryset over the shards and of one over the single database."""


class Drawer(Terms):
    """Draws one question; what it drew is in ``said``."""

    KINDS = (
        "models", "models", "values", "values", "groups", "groups", "groups", "total", "total", "number", "single",
        "distinct", "distinct_on", "dates", "related", "whole", "streamed",
    )  # fmt: skip

    def question(self) -> Question:
        name = self.pick(self.KINDS)
        self.said.append(name)
        filtered = self.filtered()
        ask: Question = getattr(self, f"_{name}")()
        return lambda queryset: ask(filtered(queryset))

    def _arranged(self, annotations: dict[str, Any]) -> Callable[[QuerySet[Any]], QuerySet[Any]]:
        # (Django writes ORDER BY 5 for a constant, which means the fifth column.)
        ordering = self.order([*self.ORDERS, *(name for name in annotations if name != "constant")], last=["id"])
        cut = self.cut()
        self.said += [f"annotate({annotations})", f"order_by({ordering})"]
        return lambda queryset: cut(queryset.annotate(**annotations).order_by(*ordering))

    def _models(self) -> Question:
        annotations = self.annotations()
        arranged = self._arranged(annotations)
        less = self.pick([[], [], ["data", "at"], ["owner"]])
        joined = self.chance(0.3) and "owner" not in less
        backwards = self.chance(0.15)
        chunk = self.pick([None, None, None, 2])
        placed = "rank" in annotations and self.chance(0.5)

        def ask(queryset: QuerySet[Any]) -> Any:
            queryset = arranged(queryset).defer(*less)
            queryset = queryset.select_related("owner", "like") if joined else queryset
            if backwards and not queryset.query.is_sliced:
                queryset = queryset.reverse()
            if placed and not queryset.query.is_sliced:
                queryset = queryset.filter(rank__lte=2)
            found = queryset if chunk is None else queryset.iterator(chunk)
            return [
                [{name: row.__dict__.get(name, "deferred") for name in (*self.PLAIN, *annotations)}]
                + ([row.owner.name, row.like and row.like.kind] if joined else [])
                for row in found
            ]

        return ask

    def _streamed(self) -> Question:
        arranged = self._arranged({})
        size = self.pick([1, 3, 100])
        return lambda queryset: [row.pk for row in arranged(queryset).iterator(chunk_size=size)]

    def _values(self) -> Question:
        annotations = self.annotations()
        arranged = self._arranged(annotations)
        names = self.some([*self.PLAIN, "owner__name", "like__owner__rank", *annotations], 1, 4)
        shape = self.pick(["dicts", "tuples", "named", "flat"])
        self.said.append(f"{shape} of {names}")

        def ask(queryset: QuerySet[Any]) -> Any:
            queryset = arranged(queryset)
            if shape == "dicts":
                return list(queryset.values(*names))
            if shape == "tuples":
                return list(queryset.values_list(*names))
            if shape == "named":
                return [row._asdict() for row in queryset.values_list(*names, named=True)]
            return list(queryset.values_list(names[0], flat=True))

        return ask

    GROUPS = (
        "number", "small", "is_good", "day", "at", "clock", "took", "uuid", "kind", "code", "price", "weight", "cents",
        "like", "like__number", "owner", "owner__name", "owner__rank", "month", "hour",
    )  # fmt: skip

    def _groups(self) -> Question:
        by = self.some(self.GROUPS, 1, 2)
        if self.chance(0.04):
            by.append("data")
        made = {"month": TruncMonth("day"), "hour": TruncHour("at", tzinfo=samples.BERLIN)}
        aggregates = self.aggregates()
        kept = self.pick([None, None, *aggregates]) if self.chance(0.3) else None
        bound = self.rng.choice([0, 1, 2, 0.5, Decimal("1.5")])
        having = {f"{kept}__{self.pick(['gt', 'gte', 'lt', 'lte', 'exact'])}": bound} if self._is_number(kept) else {}
        negated = self.chance(0.3)
        orderable = all(name not in ("kind", "owner__name", "data") for name in by)
        ordering = self.order([*by, *aggregates], last=by) if orderable else []
        cut = self.cut() if orderable else lambda queryset: queryset
        only = self.some(aggregates, 1, 2) if self.chance(0.2) and not orderable else []
        self.said += [f"by {by}", f"having {'not ' * negated}{having}", f"order_by({ordering})", f"only {only}"]

        def ask(queryset: QuerySet[Any]) -> Any:
            used = {name: made[name] for name in by if name in made}
            queryset = queryset.order_by().annotate(**used).values(*by).annotate(**aggregates)
            if having:
                queryset = queryset.exclude(**having) if negated else queryset.filter(**having)
            if only:
                queryset = queryset.values(*only)
            found = list(cut(queryset.order_by(*ordering)))
            return found if orderable else _unordered(found)

        return ask

    @staticmethod
    def _is_number(name: str | None) -> bool:
        return (
            name is not None
            and name[0] in "nsalgr"
            and not name.endswith(("took", "day", "at", "code", "kind", "cents", "weight"))
        )

    def _total(self) -> Question:
        aggregates = self.aggregates()
        annotations = {"details_n": Count("details")} if self.chance(0.2) else {}
        if annotations:
            aggregates["over"] = self.pick([Sum, Max, Avg])("details_n")
        distinct = self.chance(0.15)

        def ask(queryset: QuerySet[Any]) -> Any:
            queryset = queryset.annotate(**annotations)
            return (queryset.distinct() if distinct else queryset).aggregate(**aggregates)

        return ask

    def _number(self) -> Question:
        annotations = self.annotations()
        arranged = self._arranged(annotations)
        names = self.some(["number", "small", "kind", "price"], 1, 2)
        return self.pick(
            [
                lambda queryset: arranged(queryset).count(),
                lambda queryset: arranged(queryset).exists(),
                lambda queryset: len(arranged(queryset)),
                lambda queryset: bool(arranged(queryset)),
                lambda queryset: queryset.distinct().count(),
                lambda queryset: queryset.values(*names).distinct().count(),
                lambda queryset: queryset.values(*names).annotate(n=Count("pk")).count(),
                lambda queryset: queryset.order_by().values(*names).annotate(n=Count("pk")).filter(n__gt=2).exists(),
                lambda queryset: queryset.annotate(n=Count("details")).filter(n__gt=1).count(),
            ]
        )

    def _single(self) -> Question:
        ordering = self.order(self.ORDERS, last=["id"])
        n = self.rng.randint(0, 4)
        ids = self.some(IDS, 0, 6)
        self.said.append(f"order_by({ordering})")
        return self.pick(
            [
                lambda queryset: getattr(queryset.order_by(*ordering).first(), "pk", None),
                lambda queryset: getattr(queryset.order_by(*ordering).last(), "pk", None),
                lambda queryset: getattr(queryset.first(), "pk", None),
                lambda queryset: [row.pk for row in queryset.order_by(*ordering)[n : n + 1]],
                lambda queryset: _found(lambda: queryset.earliest("number", "pk").pk),
                lambda queryset: _found(lambda: queryset.latest("at", "-pk").pk),
                lambda queryset: _found(lambda: queryset.get(number=n).pk),
                lambda queryset: sorted((key, row.number) for key, row in queryset.in_bulk(ids).items()),
                lambda queryset: sorted(queryset.in_bulk()),
                lambda queryset: queryset.contains(Sample(id=IDS[n])),
            ]
        )

    def _distinct(self) -> Question:
        names = self.some(
            ["number", "small", "is_good", "day", "price", "weight", "code", "owner_id", "uuid", "like_id"], 1, 3
        )
        if self.chance(0.2):
            names.append("kind")
        ordered = "kind" not in names and self.chance(0.7)
        ordering = self.order(names, last=names) if ordered else []
        cut = self.cut() if ordered else lambda queryset: queryset
        self.said.append(f"{names} by {ordering}")

        def ask(queryset: QuerySet[Any]) -> Any:
            found = list(cut(queryset.order_by(*ordering).values_list(*names).distinct()))
            return found if ordered else _unordered(found)

        return ask

    def _distinct_on(self) -> Question:
        names = self.some(["number", "small", "is_good", "code", "owner_id"], 1, 2)
        cut = self.cut()
        self.said.append(f"on {names}")
        return lambda queryset: [row.pk for row in cut(queryset.order_by(*names, "-id").distinct(*names))]

    def _dates(self) -> Question:
        kind, order = self.pick(["day", "month"]), self.pick(["ASC", "DESC"])
        return self.pick(
            [
                lambda queryset: list(queryset.dates("day", kind, order)),
                lambda queryset: list(queryset.datetimes("at", "hour", order, tzinfo=samples.BERLIN)),
            ]
        )

    def _related(self) -> Question:
        """Related rows; Django would look for those of the single database on the shards, so they are joined there."""
        arranged = self._arranged({})

        def ask(queryset: QuerySet[Any]) -> Any:
            found = arranged(queryset)
            if queryset._db == TOGETHER:
                details = Detail.objects.using(TOGETHER)
                owners = Owner.objects.using(TOGETHER).in_bulk()
                return [
                    (row.pk, [d.pk for d in details.filter(sample=row.pk)], owners[row.owner_id].name) for row in found
                ]
            found = found.prefetch_related("details", "owner")
            return [(row.pk, [d.pk for d in row.details.all()], row.owner.name) for row in found]

        return ask

    def _whole(self) -> Question:
        """Other tables: a root table, and one with a default order."""
        model = self.pick([Owner, Detail])
        low = self.rng.randint(0, 4)
        n = self.rng.randint(0, 3)
        question = self.pick(
            [
                lambda rows: [row.pk for row in rows.order_by("-pk")[low : low + 5]],
                lambda rows: [row.pk for row in rows],
                lambda rows: rows.count(),
                lambda rows: rows.filter(pk__gt=n).aggregate(Min("pk"), Max("pk"), Count("pk")),
                lambda rows: (
                    sorted(rows.values_list("rank", "name", Count("samples")), key=repr)
                    if model is Owner
                    else _unordered(rows.values("part").annotate(n=Count("pk"), s=Sum("amount"), a=Avg("amount")))
                ),
            ]
        )

        def ask(queryset: QuerySet[Any]) -> Any:
            found = question(model.objects.using(TOGETHER) if queryset._db == TOGETHER else model.objects.scatter())
            return _unordered(found) if isinstance(found, list) else found

        return ask


def _found(get: Callable[[], Any]) -> Any:
    try:
        return get()
    except (Sample.DoesNotExist, Sample.MultipleObjectsReturned) as error:
        return type(error).__name__


def _unordered(rows: Any) -> list[Any]:
    return sorted(rows, key=lambda row: repr(_rounded(row)))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.9g}") + 0.0
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value.normalize() + 0 if isinstance(value, Decimal) else value
