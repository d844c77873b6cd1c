"""Features of Django that hide a table or a condition: routed by what they really do, or refused.

Each was, or could have been, answered from too few rows without anybody noticing.
"""
