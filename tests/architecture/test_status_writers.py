"""A row's status is written by the one mover of its machine, which knows the table of states; by nobody else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import state_machines
from instacart.env import ROOT

COLUMNS = ("status", "state", "overage")

MOVERS = {
    "apps/dispatch/services/moving.py::batches": "Batch",
    "apps/dispatch/services/moving.py::offers": "Offer",
    "apps/dispatch/services/moving.py::stops": "Stop of a batch",
    "apps/fulfilment/services/lines.py::move": "Line of a store order",
    "apps/fulfilment/services/stages.py::move": "Store order",
    "apps/orders/services/overrunning.py::_note": "Overage of an order",
    "apps/notifications/services/sending.py::_turn": "Notification",
    "apps/orders/services/answers.py::transition": "Replacement",
    "apps/orders/services/moving.py::move": "Order",
    "apps/orders/services/refunding.py::_turn": "Refund of an order",
    "apps/orders/services/tipping.py::_ended": "Tip after the delivery",
    "apps/payments/services/arriving.py::_take": "Payout",
    "apps/payments/services/disputing.py::change": "Dispute",
    "apps/payments/services/paying_out.py::_take": "Transfer",
    "apps/payments/services/paying_out.py::resume": "Transfer",
    "apps/payments/services/refunding.py::change": "Refund of a payment",
    "apps/payments/services/refunding.py::note": "Refund of a payment",
    "apps/payments/services/states.py::change": "Payment",
    "apps/shoppers/moving.py::assignments": "Assignment",
    "apps/support/services/moving.py::transition": "Report about an order",
}
"""The functions that write a status which is there already, and the machine it is of. Transfers and refunds of payments
have two: one for what the provider answers, one for what it refuses or was told past us; a line has one for its shopper
and one for its customer."""

NO_MACHINE = {
    "apps/common/idempotency.py::<module>": "an HTTP status, of an answer whose time is over",
    "apps/fulfilment/services/replacing.py::hear_answer": "the store's copy of what the customer's shard says",
    "apps/inventory/services/changing.py::change": "a reservation that is committed stays so, of another quantity",
    "apps/inventory/services/finding.py::<module>": "a reservation's states; domain.py says what may follow",
    "apps/inventory/services/replacing.py::<module>": "as a reservation's, of which it is the rest",
    "apps/inventory/services/replacing.py::release_replacement": "as a reservation's, of which it is the rest",
    "apps/inventory/services/reserving.py::<module>": "a reservation's states; domain.py says what may follow",
    "apps/orders/services/editing.py::_write": "the customer's copy of what the store's shard says of a line",
    "apps/orders/services/overrunning.py::_take_out": "the customer's copy of a line that stays in the store",
    "apps/orders/services/overrunning.py::leave_behind": "the customer's copy of a line that stays in the store",
    "apps/orders/services/picking.py::become": "the customer's copy of what the store's shard says of a line",
    "apps/orders/services/picking.py::_record": "the customer's copy of what the store's shard says of a line",
    "apps/payments/services/accounts.py::open_account": "the provider's word on an account, whatever it was before",
    "apps/payments/services/accounts.py::take": "the provider's word on an account, whatever it was before",
    "apps/shoppers/services.py::_set_state": "active or paused: each may follow the other",
    "apps/slots/services/holding.py::_release": "a hold's three states, under the lock of its window",
    "apps/slots/services/holding.py::confirm": "a hold's three states, under the lock of its window",
    "apps/slots/services/holding.py::hold": "a hold's three states, under the lock of its window",
    "apps/slots/services/holding.py::release_expired": "a hold's three states, under the lock of its window",
}
"""Writers of columns of these names that have no table of states, and why they need none."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def writers(path: Path, *, root: Path) -> Iterator[str]:
    """Functions that set such a column of rows that are there. A row is born with its first status anywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    scopes = [node for node in ast.walk(tree) if isinstance(node, Function)]
    for scope in [tree, *scopes]:
        nodes = list(_own(scope))
        if any(map(_writes, nodes)) or (any(map(_spreads, nodes)) and any(map(_names_a_column, nodes))):
            yield f"{path.relative_to(root)}::{getattr(scope, 'name', '<module>')}"


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """What is in a function, and not in one inside it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, Function):
            yield child
            yield from _own(child)


def _writes(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="update" | "aupdate"), keywords=given):
            return any(keyword.arg in COLUMNS for keyword in given)
        case ast.Call(func=ast.Attribute(attr="bulk_update" | "save" | "update_or_create")):
            return any(isinstance(part, ast.Constant) and part.value in COLUMNS for part in ast.walk(node)) or any(
                isinstance(part, ast.keyword) and part.arg in COLUMNS and part not in node.keywords
                for part in ast.walk(node)
            )
        case ast.Assign(targets=targets):
            return any(isinstance(target, ast.Attribute) and target.attr in COLUMNS for target in targets)
        case ast.AugAssign(target=ast.Attribute(attr=name)) | ast.AnnAssign(target=ast.Attribute(attr=name)):
            return name in COLUMNS
        case ast.Constant(value=str(text)):
            words = text.replace(",", " ").replace('"', " ").lower().split()
            return any(words[at] == "set" and set(words[at:]) & set(COLUMNS) for at in range(len(words))) and (
                "update" in words
            )
    return False


def _spreads(node: ast.AST) -> bool:
    """``rows.update(**columns)``, whatever the columns are."""
    is_update = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update"
    return is_update and any(keyword.arg is None for keyword in node.keywords)


def _names_a_column(node: ast.AST) -> bool:
    match node:
        case ast.Dict(keys=keys):
            return any(isinstance(key, ast.Constant) and key.value in COLUMNS for key in keys)
        case ast.Subscript(slice=ast.Constant(value=name), ctx=ast.Store()):
            return name in COLUMNS
    return False


def sources() -> list[Path]:
    return [path for path in sorted((ROOT / "apps").rglob("*.py")) if "migrations" not in path.parts]


def test_only_movers_write_a_status():
    assert len(sources()) > 200
    found = {name for path in sources() for name in writers(path, root=ROOT)}
    assert found == set(MOVERS) | set(NO_MACHINE)


def test_every_machine_that_is_drawn_has_its_mover():
    assert set(MOVERS.values()) == {machine.title for machine in state_machines.MACHINES}


PLANTED = {
    "update": "rows.filter(pk=1).update(status='open')",
    "state": "rows.update(ended_at=now, state=State.DONE)",
    "spread": "columns = {'status': to}\n    rows.update(**columns)",
    "subscript": "columns['state'] = to\n    rows.update(**columns)",
    "attribute": "row.status = 'open'\n    row.save()",
    "save": "row.save(update_fields=['status'])",
    "bulk": "rows.bulk_update(changed, ['status'])",
    "upsert": "rows.update_or_create(pk=1, defaults={'status': 'open'})",
    "upsert by dict()": "rows.update_or_create(pk=1, defaults=dict(status='open'))",
    "sql": "cursor.execute('UPDATE t SET ended_at = now(), status = %s')",
    "upsert in sql": "cursor.execute('INSERT … ON CONFLICT DO UPDATE SET status = excluded.status')",
}


@pytest.mark.parametrize("line", PLANTED.values(), ids=PLANTED)
@pytest.mark.parametrize("inside", ["", "    if rows:\n    "], ids=["", "deeper"])
def test_a_planted_writer_is_caught(line, inside, tmp_path):
    path = tmp_path / "services.py"
    deeper = line.replace("\n", "\n    ") if inside else line
    path.write_text(f"def sneak(rows, row, now, to):\n{inside}    {deeper}\n")
    assert list(writers(path, root=tmp_path)) == ["services.py::sneak"]


@pytest.mark.parametrize(
    "line",
    [
        "rows.filter(status='open').update(ended_at=now)",
        "rows.create(status='open')",
        "answer = {'status': row.status}",
        "columns.update(ended_at=now)",
        "cursor.execute('UPDATE t SET ended_at = now()')",
    ],
)
def test_what_writes_none_is_let_be(line, tmp_path):
    path = tmp_path / "services.py"
    path.write_text(f"def read(rows, row, now):\n    {line}\n")
    assert list(writers(path, root=tmp_path)) == []
