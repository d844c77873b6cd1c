"""What a benchmark says: figures beside the goals they are held to."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


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
    """``below`` is Markdown for under the figures on a page; ``pictures`` are files beside the page, by path."""

    bench: str
    figures: tuple[Figure, ...]
    below: str = ""
    pictures: Mapping[str, str] = field(default_factory=dict)

    def is_met(self) -> bool:
        return all(figure.is_met() for figure in self.figures)

    def as_json(self) -> dict[str, object]:
        return {
            "bench": self.bench,
            "figures": {figure.name: round(figure.value, 6) for figure in self.figures},
            "goals": {figure.name: figure.goal() for figure in self.figures if figure.goal()},
            "ok": self.is_met(),
        }


def machine() -> str:
    """What the figures were taken on."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores of {processor}, {memory:.0f} GiB, {platform.system()}"
