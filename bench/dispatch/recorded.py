"""What others reached, recorded: so that the benchmark needs none of their packages.

All on one core of this kind of machine (AMD EPYC, two cores), with the programs of the public benchmark: ``reyes``
every five minutes on the six days, and on each snapshot the best of plain insertion, VROOM (pyvroom 1.15.2), OR-Tools
9.15 started from plain insertion and PyVRP 0.14.1, with ten seconds each. ``BEST_KNOWN`` is the least that any of
them or long runs of this engine (minutes, several seeds) found.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Day:
    undelivered: float
    click_to_door: float
    pay: float


REYES = {
    "2o100t75s1p125": Day(0.14124, 32.77086, 14.05587),
    "2r50t75s2p100": Day(0.0, 27.96830, 12.90706),
    "3o50t100s1p100": Day(0.62112, 32.22708, 11.84844),
    "3r50t100s2p125": Day(0.0, 36.14669, 11.65289),
    "4o100t100s1p100": Day(0.0, 35.11646, 10.39388),
    "9o100t100s2p100": Day(0.0, 31.75716, 13.44931),
}

BEST_PEER = {
    "00_syn_50": 431,
    "01_syn_100": 1156,
    "02_syn_150": 2247,
    "03_syn_300": 3519,
    "04_syn_300": 6927,
    "05_syn_750": 8781,
    "06_syn_1500": 18496,
    "07_syn_3000": 33826,
    "08_live_64": 1839,
    "09_live_251": 4773,
}

BEST_KNOWN = {
    "00_syn_50": 429,
    "01_syn_100": 1069,
    "02_syn_150": 1678,
    "03_syn_300": 3138,
    "04_syn_300": 4563,
    "05_syn_750": 7654,
    "06_syn_1500": 15790,
    "07_syn_3000": 28193,
    "08_live_64": 1658,
    "09_live_251": 4071,
}
