"""What the engine is told and what it answers. Times are minutes on one clock, places as the travel source has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cython_ext.dispatch.demand import Demand
from cython_ext.dispatch.problem import Problem
from cython_ext.dispatch.travel import Travel

Point = tuple[float, float]
Stop = tuple[Literal["pick", "drop"], str]
ALWAYS = -1e9
ANY_LOAD = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """``ready`` is when the store has it ready; ``shop_minutes`` what a shopper of pace 1 spends on it in the store.

    ``opens`` and ``due`` bound the delivery (waiting before the one, late after the other). ``needs`` are
    certificates and equipment (``alcohol``, ``cold``); ``fresh`` weighs its minutes in the car.
    """

    order_id: str
    store_id: str
    store: Point | None
    door: Point | None
    placed: float
    ready: float
    due: float
    opens: float = ALWAYS
    shop_minutes: float = 0.0
    kilograms: float = 0.0
    litres: float = 0.0
    needs: frozenset[str] = frozenset()
    fresh: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopper:
    """``pace`` multiplies minutes in the store (0.8: a fast one); ``off`` is the last moment to pick anything up.

    ``route`` is promised already, in this order: nobody else gets these orders, and a drop without a pickup is aboard.
    Nothing may be put before its first ``locked`` stops. ``pay[k]`` is what k + 1 orders more cost altogether, be
    it in pay or because it is not his turn.
    """

    shopper_id: str
    at: Point | None
    free: float
    off: float
    pace: float = 1.0
    orders: float = 4.0
    kilograms: float = ANY_LOAD
    litres: float = ANY_LOAD
    skills: frozenset[str] = frozenset()
    pay: tuple[float, ...] = ()
    route: tuple[Stop, ...] = ()
    locked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The objective, in units of its own: what a minute of each kind costs, and an order that nobody takes."""

    drive: float = 1.0
    wait: float = 0.0
    late: float = 2.0
    busy: float = 0.0
    unserved: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """``previous`` is the last plan's ``routes``, to go on from; ``demand`` lets idle shoppers be moved."""

    now: float
    orders: Sequence[Order]
    shoppers: Sequence[Shopper]
    travel: Travel
    weights: Weights = field(default_factory=Weights)
    half_pick: float = 2.0
    half_drop: float = 2.0
    radius_minutes: float = 15.0
    previous: Mapping[str, Sequence[Stop]] = field(default_factory=dict)
    demand: Demand | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """``at`` is when the order is taken or handed over, ``leave`` when the shopper drives on."""

    kind: Literal["pick", "drop"]
    order_id: str
    at: float
    leave: float


@dataclass(frozen=True, slots=True)
class Batch:
    """What a shopper takes together: from an empty car to an empty car. ``number`` 0 is his next, 1 the one after.

    ``leave_by`` is the latest start that delays nothing: until then the batch is better held than begun. ``drive`` are
    its minutes on the road, ``late`` those after what was promised, over all its orders.
    """

    shopper_id: str
    number: int
    visits: tuple[Visit, ...]
    start: float
    leave_by: float
    drive: float
    late: float

    @property
    def order_ids(self) -> tuple[str, ...]:
        return tuple(visit.order_id for visit in self.visits if visit.kind == "drop")


@dataclass(frozen=True, slots=True)
class Held:
    """An order in no batch. ``code`` is stable, ``detail`` a sentence for people."""

    order_id: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Move:
    """An idle shopper is worth more at this store; ``gain`` in expected minutes an order."""

    shopper_id: str
    store_id: str
    gain: float


@dataclass(frozen=True, slots=True)
class Alternative:
    """What an order would cost with this shopper, everything else as planned; None: to leave it out."""

    shopper_id: str | None
    cost: float
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """``routes`` are all stops of every shopper, to be given back as ``previous``. Shoppers in ``ignored`` could not
    be used, with the reason."""

    batches: tuple[Batch, ...]
    held: tuple[Held, ...]
    moves: tuple[Move, ...]
    ignored: tuple[tuple[str, str], ...]
    routes: dict[str, tuple[Stop, ...]]
    cost: float
    iterations: int
    problem: Problem = field(repr=False, compare=False)
    order_ids: tuple[str, ...] = field(repr=False, compare=False)
    shopper_ids: tuple[str, ...] = field(repr=False, compare=False)
