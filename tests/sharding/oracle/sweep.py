"""Many random programs, counted by what came of them."""

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.sharding.oracle import commands, questions
from tests.sharding.oracle.grammar import Draw
from tests.sharding.oracle.judge import EQUAL, REFUSED, WRONG, Step, judge, shrunk
from tests.sharding.oracle.world import World

STOP_AT = 3
"""So many wrong programs are enough for one run."""


@dataclass(slots=True)
class Tally:
    """How many steps of each kind came out how."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Small programs that show what is wrong, each with the seed it came from."""
    seconds: float = 0.0

    def total(self, verdict: str | None = None, kind: str | None = None) -> int:
        return sum(n for (k, v), n in self.counts.items() if verdict in (None, v) and kind in (None, k))

    def table(self) -> str:
        lines = [f"{'':24}{EQUAL:>9}{REFUSED:>9}{WRONG:>9}"]
        for kind in [*sorted({kind for kind, _ in self.counts}), None]:
            shown = [self.total(verdict, kind) for verdict in (EQUAL, REFUSED, WRONG)]
            lines.append(f"{kind or 'all':24}" + "".join(f"{n:9,}" for n in shown))
        return "\n".join(lines)


def program(seed: int, kind: str | None = None) -> list[Step]:
    """The program of this seed, always the same: one read, or a few writes; of the ``kind`` that is asked for."""
    draw = Draw(random.Random(seed))  # noqa: S311
    if kind in commands.KINDS or (kind is None and draw.maybe(0.1)):
        return commands.program(draw, kind)
    return [questions.question(draw, kind)]


def sweep(world: World, *, examples: int, first_seed: int = 0) -> Tally:
    """Judge program after program until ``examples`` steps have been compared, or ``STOP_AT`` programs were wrong."""
    tally = Tally()
    began = time.monotonic()
    seed = first_seed
    while tally.total() < examples and len(tally.wrong) < STOP_AT:
        steps = program(seed)
        findings = judge(world, steps)
        tally.counts.update((finding.kind, finding.verdict) for finding in findings)
        if any(finding.verdict == WRONG for finding in findings):
            tally.wrong.append(f"seed {seed}:\n{_made_small(world, steps)}")
        seed += 1
    tally.seconds = time.monotonic() - began
    return tally


def is_wrong(world: World, steps: list[Step]) -> bool:
    return any(finding.verdict == WRONG for finding in judge(world, steps))


def _made_small(world: World, steps: list[Step]) -> str:
    small = shrunk(steps, lambda candidate: is_wrong(world, candidate))
    says = [finding.says for finding in judge(world, small) if finding.verdict == WRONG]
    return "\n".join([*(step.text for step in small), *(f"  {each}" for each in says or ["not wrong when run again"])])
