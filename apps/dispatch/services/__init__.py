"""Commands on batches and offers.

A store's shard decides whose a batch is; the shopper's shard only keeps the shopper free for it. So
every change here is one transaction on the store's shard, guarded by the state it starts from, and
what the shopper's shard has to know follows by event.
"""

from apps.dispatch.services.answering import accept, decline, expire_offers
from apps.dispatch.services.overriding import assign, end_overrides, forbid, keep_back, pin, take_back, undo, withdraw
from apps.dispatch.services.planning import plan
from apps.dispatch.services.progress import drop_order, finish_order, note_picking, reclaim_stale
from apps.dispatch.services.silence import reclaim_silent
from apps.dispatch.services.telling import tell_accepted, tell_pick, tell_tip
from apps.dispatch.services.weighing import weigh_cells

__all__ = [
    "accept",
    "assign",
    "decline",
    "drop_order",
    "end_overrides",
    "expire_offers",
    "finish_order",
    "forbid",
    "keep_back",
    "note_picking",
    "pin",
    "plan",
    "reclaim_silent",
    "reclaim_stale",
    "take_back",
    "tell_accepted",
    "tell_pick",
    "tell_tip",
    "undo",
    "weigh_cells",
    "withdraw",
]
