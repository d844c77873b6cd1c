"""The simulation as a table that keeps itself up to date."""

import time

from rich.table import Table

from apps.simulation.tally import ENDED, Tally

_ROWS = (
    ("waiting for a shopper", ("brand_new", "pending", "payment_pending")),
    ("taken", ("acknowledged",)),
    ("being picked", ("picking", "verifying_replacements", "checkout", "bags_check", "staged")),
    ("on the way", ("delivering", "customer_missing")),
    ("delivered", ("delivered",)),
    ("rejected", ("rejected",)),
)


def table(tally: Tally) -> Table:
    seconds = time.monotonic() - tally.started_at
    ended = sum(order.status in ENDED for order in tally.orders.values())
    shown = Table(title=f"Simulation, {seconds:.0f} s", title_justify="left")
    shown.add_column("orders")
    shown.add_column("now", justify="right")
    shown.add_row("placed", f"{len(tally.orders)}" + (f" of {tally.wanted}" if tally.wanted else ""))
    for title, statuses in _ROWS:
        shown.add_row(title, str(tally.count(*statuses)))
    shown.add_section()
    shown.add_row("shoppers online", str(tally.shoppers_online))
    shown.add_row("orders a minute", f"{ended / seconds * 60:.1f}" if seconds > 1 else "–")  # noqa: RUF001
    shown.add_row("refusals", ", ".join(f"{code} {n}" for code, n in tally.refusals.most_common(3)) or "none")
    if tally.trouble:
        shown.add_row("trouble", tally.trouble[-1][:70])
    return shown
