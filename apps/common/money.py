"""Money is a whole number of minor units (cents) with its currency; never a float."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from typing_extensions import override


@dataclass(frozen=True, slots=True, order=True)
class Money:
    cents: int
    currency: str = "USD"

    def __add__(self, other: "Money") -> "Money":
        return Money(self.cents + self._same(other).cents, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.cents - self._same(other).cents, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.cents, self.currency)

    def __bool__(self) -> bool:
        return self.cents != 0

    @override
    def __str__(self) -> str:
        sign = "-" if self.cents < 0 else ""
        mark = "$" if self.currency == "USD" else f"{self.currency} "
        return f"{sign}{mark}{abs(self.cents) // 100:,}.{abs(self.cents) % 100:02}"

    def times(self, quantity: Decimal | int) -> "Money":
        """Price of ``quantity`` units, half a cent rounding away from zero (as a till does)."""
        exact = self.cents * Decimal(quantity)
        return Money(int(exact.to_integral_value(ROUND_HALF_UP)), self.currency)

    @classmethod
    def total(cls, amounts: Iterable["Money"], currency: str = "USD") -> "Money":
        """Sum of ``amounts``; zero of ``currency`` when there are none."""
        return sum(amounts, start=cls(0, currency))

    def _same(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not add up")
        return other
