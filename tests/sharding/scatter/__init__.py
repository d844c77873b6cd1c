"""Asking all shards at once.

``test_answers``, ``test_refusals``, ``test_owned`` and ``test_values`` go by example, ``test_missing`` has the faults.
``test_random`` is the sweep: ``terms`` and ``questions`` draw, ``judging`` compares with one database of all rows, and
``test_mistakes`` sees to it that a wrong answer would be noticed.
"""
