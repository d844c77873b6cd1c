"""What a benchmark says: figures beside the goals they are held to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    def shown(self) -> str:
        """Whole numbers in full, others to four digits."""
        if self.value == int(self.value) or abs(self.value) >= 1000:
            return f"{round(self.value):,}"
        return f"{self.value:.4g}"

    def is_met(self) -> bool:
        """True for a figure without a goal: it is there to be read."""
        enough = self.at_least is None or self.value >= self.at_least
        return enough and (self.at_most is None or self.value <= self.at_most)

    def goal(self) -> str:
        bounds = [("≥", self.at_least), ("≤", self.at_most)]
        return " ".join(f"{sign} {bound:,.10g}" for sign, bound in bounds if bound is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    bench: str
    figures: tuple[Figure, ...]

    def is_met(self) -> bool:
        return all(figure.is_met() for figure in self.figures)

    def as_json(self) -> dict[str, object]:
        return {
            "bench": self.bench,
            "figures": {figure.name: round(figure.value, 6) for figure in self.figures},
            "goals": {figure.name: figure.goal() for figure in self.figures if figure.goal()},
            "ok": self.is_met(),
        }
