"""Does the dispatch engine keep its promises? Days, snapshots, decision times, the compiled twin and memory.

Days and snapshots come with their judge from a folder beside the repository (``INSTACART_SHARED``); where it is
missing, those figures are left out and a line says so. All on one core, Python counted.
"""

from bench.dispatch import days, kernels, scale, snapshots
from bench.dispatch.judge import is_present
from bench.report import Figure, Report


def main(*, quick: bool) -> Report:
    figures: list[Figure] = []
    if is_present():
        figures += days.figures(quick=quick)
        figures += snapshots.figures(quick=quick)
    figures += scale.figures(quick=quick)
    figures += kernels.figures(quick=quick)
    return Report(bench="dispatch", figures=tuple(figures))
