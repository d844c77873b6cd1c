"""Random programs against the shards, and against one database that holds everything: never a different answer.

``plain`` has the same models without shards, ``world`` the databases and rows, ``grammar``, ``questions`` and
``commands`` the random programs as Python text, ``judge`` runs one on both sides and makes what is wrong small,
``planted`` has careless routers that must be caught.
"""
