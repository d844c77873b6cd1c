"""Travel times for the planner, from a road server where one is set.

``source.of_zone(...)`` is what a planner asks: an engine's ``Travel``. Its answer never waits for a road server: it
knows what earlier answers left in the cache, takes the engine's ``Roads`` for the rest, and has a task
(``filling.fill``) ask for what was missing, so that a later plan knows it.
"""
