"""Distances on the Earth's surface, from one point to many at a time."""

from typing import TYPE_CHECKING

from cython_ext import implementation

if TYPE_CHECKING:
    from cython_ext.geo.reference import distances_m
else:
    distances_m = implementation(__name__, "_geo").distances_m

__all__ = ["distances_m"]
