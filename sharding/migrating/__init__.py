"""Migrating all databases of the map together: what others call."""

from sharding.migrating.runs import Progress, groups, migrate, pending

__all__ = ["Progress", "groups", "migrate", "pending"]
