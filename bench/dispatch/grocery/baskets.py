"""What people buy, and when, from real supermarket lines (The Complete Journey 2.0 by 84.51°, CC0).

The file is a sample of lines, not of baskets: of a basket it shows one line in twenty. How long baskets are is
therefore estimated from how many lines of a basket were seen together; lines themselves are taken as they are.
"""

import csv
import gzip
import math
import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SEEN = 75_000 / 1_469_307
"""The share of all lines that the sample shows of each household (its SOURCE.txt)."""
LEAST_LINES = 5
"""Nobody has fewer brought to the door: usual minimum orders are $10, and a line costs $3.11."""
LOCAL_HOURS = -5
"""The timestamps are UTC: their quietest hour, 8, is three in the night in Ohio, their busiest, 22, five o'clock."""
MOST_OF_A_LINE = 12.0
"""Pieces; beyond that the data counts fuel, in thousandths of a gallon."""
KG_UNSIZED = 0.5
"""A piece whose package has no size that is a weight: between a cucumber and a bag of apples."""
LOOSE = {"PRODUCE", "MEAT", "SEAFOOD", "DELI"}
"""Departments whose sizes are of the case that the store gets, not of what a customer takes (bananas: 40 LB)."""
KG_MOST = 20.0
KG = {"OZ": 0.02835, "LB": 0.4536, "GA": 3.785, "GAL": 3.785, "L": 1.0, "ML": 0.001, "PT": 0.473, "QT": 0.946}
"""By the unit of a package; a litre of anything weighs a kilogram."""
NO_GROCERIES = {"FUEL", "COUPON", "MISCELLANEOUS", "CNTRL/STORE SUP", "TRAVEL & LEISURE", "AUTOMOTIVE", "GARDEN CENTER"}
ALCOHOL_TOGETHER = 2.0
"""Lines of alcohol in a basket that has any: a guess; the sample shows too few pairs to tell."""
ALCOHOL = {"BEERS/ALES", "DOMESTIC WINE", "IMPORTED WINE", "MISC WINE", "LIQUOR"}
FROZEN = re.compile(r"FRZN|FROZEN|ICE CREAM")
_SIZE = re.compile(r"([\d.]+)\s*([A-Z]+)")


@dataclass(frozen=True, slots=True)
class Line:
    units: int
    kilograms: float
    is_frozen: bool


@dataclass(frozen=True, slots=True)
class Baskets:
    """``hours[h]`` is how many lines were bought in the local hour h. Lines in a basket: Poisson around a gamma."""

    lines: list[Line]
    hours: tuple[int, ...]
    mean_lines: float
    shape: float
    alcohol: float
    """The share of lines that are alcohol (which are not among ``lines``)."""

    def line_count(self, chance: random.Random) -> int:
        """Of a basket that somebody has brought to the door."""
        while True:
            count = _poisson(chance, chance.gammavariate(self.shape, self.mean_lines / self.shape))
            if count >= LEAST_LINES:
                return count

    def has_alcohol(self, chance: random.Random, lines: int) -> bool:
        return chance.random() < self.alcohol * lines / ALCOHOL_TOGETHER


def read(folder: Path) -> Baskets:
    with gzip.open(folder / "products.csv.gz", "rt") as file:
        products = {row["product_id"]: row for row in csv.DictReader(file)}
    lines: list[Line] = []
    seen: Counter[str] = Counter()
    hours = [0] * 24
    alcohol = 0
    with gzip.open(folder / "transactions.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            product = products.get(row["product_id"])
            if product is None or product["department"] in NO_GROCERIES:
                continue
            seen[row["basket_id"]] += 1
            hours[(int(row["transaction_timestamp"][11:13]) + LOCAL_HOURS) % 24] += 1
            if product["product_category"] in ALCOHOL:
                alcohol += 1
            else:
                lines.append(_line(float(row["quantity"]), product))
    mean, shape = fitted(Counter(seen.values()), SEEN)
    return Baskets(lines, tuple(hours), mean, shape, alcohol=alcohol / (alcohol + len(lines)))


def fitted(seen: Counter[int], share: float) -> tuple[float, float]:
    """(mean, shape) of lines a basket, gamma and Poisson, when each line is seen with this chance.

    ``seen[k]`` are baskets of which k lines were seen; those of which none was are unknown. By the mean of the seen
    ones and by the pairs seen a line (method of moments). ValueError when the lines are less uneven than by chance.
    """
    baskets, total = sum(seen.values()), sum(k * n for k, n in seen.items())
    pairs = sum(k * (k - 1) * n for k, n in seen.items()) / total

    def too_many(shape: float) -> bool:
        mean = pairs * shape / (shape + 1)
        return mean / (1 - math.pow(1 + mean / shape, -shape)) > total / baskets

    low, high = 1e-3, 1e3
    if too_many(low) or not too_many(high):
        raise ValueError("these counts fit no gamma; is the share of seen lines right?")
    while high / low > 1 + 1e-9:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if too_many(middle) else (middle, high)
    return pairs * low / (low + 1) / share, low


def _line(quantity: float, product: dict[str, str]) -> Line:
    units = max(1, round(min(quantity, MOST_OF_A_LINE)))
    size = None if product["department"] in LOOSE else _SIZE.search(product["package_size"])
    each = float(size[1].strip(".") or 0) * KG.get(size[2], 0.0) if size else 0.0
    frozen = bool(FROZEN.search(product["product_category"]))
    return Line(units, units * min(each or KG_UNSIZED, KG_MOST), frozen)


def _poisson(chance: random.Random, mean: float) -> int:
    """How many events of rate 1 fit into a time of ``mean``."""
    count, passed = 0, chance.expovariate(1.0)
    while passed < mean:
        count += 1
        passed += chance.expovariate(1.0)
    return count
