from django.apps import AppConfig
from django.core import checks as django_checks
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate  # noqa: TID251  the one place Django tells a library "tables are there"
from typing_extensions import override

from sharding import schema, topology
from sharding.backend import base


class ShardingConfig(AppConfig):
    name = "sharding"

    @override
    def ready(self) -> None:
        from sharding import checks, directory, leases, statements  # define models, which Django allows from here on

        topology.source = leases.first_map
        base.before_commit = leases.before_commit
        connection_created.connect(statements.watch, dispatch_uid="sharding.statements")
        post_migrate.connect(schema.after_migrate, sender=self, dispatch_uid="sharding.schema")
        post_migrate.connect(directory.after_migrate, sender=self, dispatch_uid="sharding.directory")
        django_checks.register(checks.check_topology, django_checks.Tags.models)
        django_checks.register(checks.check_models, django_checks.Tags.models)
        django_checks.register(checks.check_tables, django_checks.Tags.database)
