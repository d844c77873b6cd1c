"""Asking the road server for what plans lacked. Runs in a task, never while a planner waits."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from apps.dispatch.travel import circuit, pairs
from apps.dispatch.travel.client import Client, Limits, Refused, Unanswered
from apps.dispatch.travel.providers import Provider

MOST_REFUSED: Final = 8
"""More places than this that the server has no road for mean that it has another country's map."""
NO_WAY: Final = float("nan")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one fill may cost. ``seconds`` may be overrun by one wait for bytes."""

    seconds: float
    pairs: int


@dataclass(slots=True)
class Filled:
    calls: int = 0
    pairs: int = 0
    """Learned, those without a way included."""
    left: int = 0
    """Still unknown: beyond the budget, or the server said nothing of them. The next fill asks for them."""
    failure: str = ""
    refused: set[int] = field(default_factory=set)
    """Cells that are on none of the server's roads."""


def fill(
    cells: Collection[int], *, provider: Provider, known: pairs.Remembered, limits: Limits, budget: Budget
) -> Filled:
    """Learn the times between the cells that nobody knows yet, block by block; what was learned stays when one fails.

    Doing it again asks only for what is left. A failure lets the server rest, during which nothing is asked.
    """
    filled = Filled()
    wanted = pairs.missing(known.rows(cells))
    if wanted and not circuit.is_resting(known.provider):
        with Client(provider, limits) as client:
            try:
                _Fill(client, known, filled, provider.side, time.monotonic() + budget.seconds).run(wanted, budget.pairs)
            except Unanswered as error:
                filled.failure = str(error)
                circuit.rest(known.provider, reason=str(error), seconds=error.rest_seconds)
    filled.left = sum(len(targets - {a}) for a, targets in pairs.missing(known.rows(cells)).items())
    logger.info(
        "travel.filled provider=%s calls=%d pairs=%d left=%d refused=%d",
        *(known.provider, filled.calls, filled.pairs, filled.left, len(filled.refused)),
    )
    return filled


@dataclass(slots=True)
class _Fill:
    client: Client
    known: pairs.Remembered
    filled: Filled
    side: int
    until: float

    def run(self, wanted: dict[int, frozenset[int]], most_pairs: int) -> None:
        asked = 0
        for sources, targets in pairs.blocks(wanted, self.side):
            asked += len(sources) * len(targets)
            if asked > most_pairs or time.monotonic() >= self.until:
                return
            try:
                self._learn(sources, targets)
            except Refused:
                self._find_refused(sorted({*sources, *targets} - self.filled.refused))
                if len(self.filled.refused) > MOST_REFUSED:
                    raise Unanswered("none of its roads are near our places") from None
                self._learn_again(sources, targets)

    def _learn_again(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        try:
            self._learn(sources, targets)
        except Refused:
            raise Unanswered("refuses together what it takes one by one") from None

    def _learn(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """A cell on no road has no way from or to it, which is worth remembering too."""
        refused = self.filled.refused
        answer = self._ask([a for a in sources if a not in refused], [b for b in targets if b not in refused])
        found = {(a, b): NO_WAY for a in sources for b in targets if a in refused or b in refused} | answer
        self.filled.pairs += len(found)
        self.known.learn(found)

    def _find_refused(self, cells: Sequence[int]) -> None:
        """Note which of the cells the server refuses, by halves: some 2 log n calls for each of them."""
        if not cells or len(self.filled.refused) > MOST_REFUSED:
            return
        try:
            if len(cells) <= self.side:
                self._ask(cells[:1], cells)
                return
        except Refused:
            if len(cells) == 1:
                self.filled.refused.add(cells[0])
                return
        middle = len(cells) // 2
        self._find_refused(cells[:middle])
        self._find_refused(cells[middle:])

    def _ask(self, sources: Sequence[int], targets: Sequence[int]) -> dict[tuple[int, int], float]:
        if not sources or not targets:
            return {}
        self.filled.calls += 1
        places = [pairs.place(a) for a in sources], [pairs.place(b) for b in targets]
        answer = self.client.minutes(*places, until=self.until)
        return {(sources[a], targets[b]): minutes for (a, b), minutes in answer.items()}
