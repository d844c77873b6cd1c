"""Grocery days: a generator of days (``day``) in a real zone (``zone``), a judge that runs policies through them
(``judge``), a second look at what came out (``audit``), and three policies (``baselines``, ``app_engine``).
"""
