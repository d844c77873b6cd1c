"""Dispatch without Django: which shopper takes which orders, in what order, and what is better held or moved.

``engine.plan`` is the door; this module picks the implementation of what it counts with.
"""

from typing import TYPE_CHECKING

from cython_ext import implementation

if TYPE_CHECKING:
    from cython_ext.dispatch.reference import choices, search, stand_by, timetables
else:
    _chosen = implementation(__name__, "_dispatch")
    choices, search = _chosen.choices, _chosen.search
    stand_by, timetables = _chosen.stand_by, _chosen.timetables

__all__ = ["choices", "search", "stand_by", "timetables"]
