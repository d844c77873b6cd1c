"""A database engine for Django: PostgreSQL whose statements have a deadline and whose databases have a breaker.

``DATABASES = {"customer_0": {"ENGINE": "sharding.backend", …}}``, with everything else as for Django's own.
"""
