"""The parts of a random question: conditions, annotations, orders, aggregates."""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.db.models import (
    Avg,
    BooleanField,
    Case,
    Count,
    DecimalField,
    Exists,
    F,
    IntegerField,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    StdDev,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import Coalesce, Collate, Length, Lower, Rank, TruncHour, TruncMonth

from tests.sharding import samples
from tests.sharding.samples import OWNERS, TEXTS, Detail

IDS = [sample.id for sample in samples.rows()[1]]
DETAILS = Detail.objects.filter(sample=OuterRef("pk"))


class Terms:
    """Draws from one seed; what it drew is in ``said``."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)  # noqa: S311
        self.said: list[str] = []

    def pick(self, choices: Any) -> Any:
        return self.rng.choice(list(choices))

    def some(self, choices: Any, least: int = 0, most: int = 3) -> list[Any]:
        choices = list(choices)
        return self.rng.sample(choices, min(len(choices), self.rng.randint(least, most)))

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    # Conditions.

    def atom(self) -> Q:
        n = self.rng.randint(-4, 6)
        return self.pick(
            [
                lambda: Q(number=n),
                lambda: Q(number__gt=n),
                lambda: Q(small__lte=n),
                lambda: Q(small__isnull=bool(n % 2)),
                lambda: Q(kind=self.pick(TEXTS)),
                lambda: Q(code__in=self.some(TEXTS, 1)),
                lambda: Q(code__contains="b"),
                lambda: Q(price__gt=Decimal(n)),
                lambda: Q(weight__lt=n),
                lambda: Q(is_good=bool(n % 2)),
                lambda: Q(day__month=abs(n) % 3 + 1),
                lambda: Q(at__hour__gte=n),
                lambda: Q(data__n=n),
                lambda: Q(cents=samples.Cents(abs(n))),
                lambda: Q(owner__name=f"n{n % 3}"),
                lambda: Q(owner__rank__gt=n),
                lambda: Q(like__number__gt=n),
                lambda: Q(details__part=n % 2),
                lambda: Q(details__amount__gt=n),
                lambda: Q(like__isnull=bool(n % 2)),
                lambda: Q(number=F("small")),
                lambda: Q(owner=self.pick(OWNERS)),
                lambda: Q(owner__in=self.some(OWNERS, 0, 6)),
                lambda: Q(pk__in=self.some(IDS, 0, 20)),
                lambda: Q(Exists(DETAILS.filter(part=n % 2))),
                lambda: Q(pk__in=Detail.objects.filter(amount__gt=n).values("sample")),
                lambda: Q(pk__in=[]),
            ]
        )()

    def condition(self) -> Q:
        condition = self.atom()
        for _ in range(self.rng.randint(0, 2)):
            other = ~self.atom() if self.chance(0.3) else self.atom()
            condition = condition & other if self.chance(0.5) else condition | other
        return ~condition if self.chance(0.15) else condition

    def filtered(self) -> Callable[[QuerySet[Any]], QuerySet[Any]]:
        conditions = [(self.condition(), self.chance(0.8)) for _ in range(self.pick([0, 0, 1, 1, 2]))]
        self.said += [f"{'filter' if keep else 'exclude'}({condition})" for condition, keep in conditions]

        def apply(queryset: QuerySet[Any]) -> QuerySet[Any]:
            for condition, keep in conditions:
                queryset = queryset.filter(condition) if keep else queryset.exclude(condition)
            return queryset

        return apply

    # Columns, orders, aggregates.

    def annotations(self) -> dict[str, Any]:
        found = self.some(
            [
                ("sum_", F("number") * 2 + F("small")),
                ("length", Length("kind")),
                ("lower", Lower("code")),
                ("hour", TruncHour("at")),
                ("month", TruncMonth("day")),
                ("in_berlin", TruncHour("at", tzinfo=samples.BERLIN)),
                ("details_n", Count("details")),
                ("details_sum", Sum("details__amount")),
                ("details_avg", Avg("details__amount")),
                ("liked", Count("liked_by", distinct=True)),
                ("has", Exists(DETAILS.filter(part=1))),
                ("first_amount", Subquery(DETAILS.order_by("id").values("amount")[:1])),
                ("case", Case(When(number__gt=0, then=Value(1)), default=Value(0), output_field=IntegerField())),
                ("bytewise", Collate("kind", "C")),
                ("rank", Window(Rank(), partition_by=[F("owner")], order_by=F("number").asc())),
                ("constant", Value(5)),
                ("maybe", Case(When(number__gt=0, then=Value(True)), output_field=BooleanField(null=True))),
            ],
            0,
            2,
        )
        return dict(found)

    PLAIN = (
        "id", "owner_id", "like_id", "kind", "code", "small", "number", "big", "price", "weight", "is_good", "day",
        "at", "clock", "took", "uuid", "data", "span", "blob", "address", "cents",
    )  # fmt: skip
    ORDERS = (
        "id", "owner_id", "like_id", "code", "small", "number", "big", "price", "weight", "is_good", "day", "at",
        "clock", "took", "uuid", "cents", "owner__rank", "like__number",
    )  # fmt: skip

    def term(self, names: Any) -> Any:
        name = self.pick(names)
        if name == "kind" or self.chance(0.5):
            return f"-{name}" if self.chance(0.5) else name
        nulls = self.pick([{}, {"nulls_first": True}, {"nulls_last": True}])
        expression = Collate(F(name), "C") if name in ("lower", "kind") else F(name)
        return expression.desc(**nulls) if self.chance(0.5) else expression.asc(**nulls)

    def order(self, names: Any, *, last: list[str]) -> list[Any]:
        """Terms with ``last`` at the end, so that no two rows are equal in all of them."""
        names = [*names, *(["kind", "owner", "data"] if self.chance(0.08) else [])]
        found = [self.term(names) for _ in range(self.rng.randint(0, 2))]
        return [*found, *(f"-{name}" if self.chance(0.5) else name for name in last)]

    def cut(self) -> Callable[[Any], Any]:
        if self.chance(0.35):
            return lambda queryset: queryset
        low, length = self.rng.randint(0, 5), self.rng.randint(0, 12)
        self.said.append(f"[{low}:{low + length}]")
        return lambda queryset: queryset[low : low + length]

    def aggregates(self, least: int = 1) -> dict[str, Any]:
        some = {"filter": self.atom()} if self.chance(0.25) else {}
        default = {"default": 7} if self.chance(0.25) else {}
        found = self.some(
            [
                ("n", Count("pk", **some)),
                ("n_small", Count("small", **some)),
                ("n_all", Count("*")),
                ("n_owners", Count("owner", distinct=True, **some)),
                ("n_liked", Count("like", distinct=True, **some)),
                ("s_number", Sum("number", **some, **default)),
                ("s_small", Sum("small", **some, **default)),
                ("s_big", Sum("big", **some)),
                ("s_price", Sum("price", **some, **({"default": Decimal("0.5")} if default else {}))),
                ("s_sum", Sum(F("number") + F("small"))),
                ("s_weight", Sum("weight", filter=Q(weight__lt=1000))),
                ("s_took", Sum("took", **some)),
                ("s_details", Sum("details__amount")),
                ("s_coalesced", Coalesce(Sum("small", **some), 3)),
                ("s_cents", Sum("cents")),
                ("a_number", Avg("number", **some, **({"default": 2.5} if default else {}))),
                ("a_small", Avg("small")),
                ("a_big", Avg("big", **some)),
                ("a_price", Avg("price", **some)),
                ("a_product", Avg(F("price") * F("number"), output_field=DecimalField())),
                ("a_weight", Avg("weight", filter=Q(weight__lt=1000))),
                ("l_number", Min("number", **some)),
                ("g_number", Max("number", **some, **default)),
                ("g_weight", Max("weight", **some)),
                ("l_weight", Min("weight")),
                ("g_day", Max("day", **some)),
                ("l_at", Min("at", **some)),
                ("g_code", Max("code", **some)),
                ("l_kind", Min(Collate("kind", "C"))),
                ("g_took", Max("took")),
                ("g_cents", Max("cents")),
                ("g_price", Max("price", **some)),
            ],
            least,
            4,
        )
        if self.chance(0.1):
            found += self.some(
                [
                    ("r_std", StdDev("number")),
                    ("r_kind", Max("kind")),
                    ("r_distinct", Count("number", distinct=True)),
                    ("r_half", Sum("number") / Count("pk")),
                    ("r_took", Avg("took")),
                ],
                1,
                1,
            )
        self.said.append(f"aggregates {dict(found)}")
        return dict(found)
