"""Migration operations that keep writers writing, where Django has none; and ``unsafe``, to say that one need not.

All are for migrations with ``atomic = False``, and can be repeated after a kill at any moment. For indexes and CHECKs
Django has what is needed: ``AddIndexConcurrently``, ``AddConstraintNotValid`` and ``ValidateConstraint`` of
``django.contrib.postgres.operations``.
"""

from typing import Any, TypeAlias, TypeVar

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db import DatabaseError, router, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddConstraint, AlterField
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Field, ForeignKey, UniqueConstraint
from typing_extensions import override

AnyOperation = TypeVar("AnyOperation", bound=Operation)
AnyField: TypeAlias = "Field[Any, Any]"


def unsafe(operation: AnyOperation, *, because: str) -> AnyOperation:
    """``operation``, which the lint then lets pass; ``because`` says why nobody will be kept waiting or misled."""
    if not because.strip():
        raise ValueError("unsafe() needs a reason: say why this operation may run on a database in use")
    operation.unsafe_because = because  # type: ignore[attr-defined]
    return operation


class AddUnique(NotInTransactionMixin, AddConstraint):
    """Add a ``UniqueConstraint``: its index is built while others write, then becomes the constraint.

    When rows are found that are not unique, the index is dropped again and the database's error raised.
    """

    atomic = False

    def __init__(self, model_name: str, constraint: UniqueConstraint) -> None:
        if not isinstance(constraint, UniqueConstraint):
            raise TypeError("AddUnique is for a UniqueConstraint; for others there are Django's own operations")
        super().__init__(model_name, constraint)

    @override
    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        name, table = self.constraint.name, model._meta.db_table
        if _constraint(schema_editor, table, name) is not None:
            return
        statement: Any = self.constraint.create_sql(model, schema_editor)
        is_constraint = statement.template == schema_editor.sql_create_unique
        _build_index(schema_editor, statement, name, table)
        if is_constraint:
            schema_editor.execute(
                f"ALTER TABLE {schema_editor.quote_name(table)} ADD CONSTRAINT {schema_editor.quote_name(name)} "
                f"UNIQUE USING INDEX {schema_editor.quote_name(name)}{statement.parts['deferrable']}",
                params=None,
            )


class _ChangeInPlace(NotInTransactionMixin, AlterField):
    """Another promise about a column that is there and stays as it is."""

    atomic = False

    @override
    def deconstruct(self) -> Any:
        return (self.__class__.__name__, [], {"model_name": self.model_name, "name": self.name, "field": self.field})

    @override
    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        field: Any = model._meta.get_field(self.name)
        old: Any = from_state.apps.get_model(app_label, self.model_name)._meta.get_field(self.name)
        kinds = {(one.column, one.db_type(schema_editor.connection)) for one in (old, field)}
        if len(kinds) > 1:
            raise ValueError(f"{self.model_name}.{self.name}: {type(self).__name__} changes neither column nor type")
        self._change(schema_editor, model._meta.db_table, field)

    def _change(self, schema_editor: Any, table: str, field: Any) -> None:
        raise NotImplementedError


class AddForeignKey(_ChangeInPlace):
    """Give a column that holds ids its foreign key: ``field`` is the ForeignKey as it shall be from now on.

    The column is there already, as a ``ForeignKey(db_constraint=False)`` or a number of the same type. The constraint
    holds for new rows at once, and for the old ones once all have been looked at, with nobody kept waiting.
    """

    def __init__(self, model_name: str, name: str, field: AnyField) -> None:
        if not (isinstance(field, ForeignKey) and field.db_constraint):  # type: ignore[attr-defined]
            raise TypeError("AddForeignKey is for a ForeignKey with db_constraint")
        super().__init__(model_name, name, field)

    @override
    def describe(self) -> str:
        return f"Add the foreign key of field {self.name} on {self.model_name}"

    @override
    def _change(self, schema_editor: Any, table: str, field: Any) -> None:
        statement = schema_editor._create_fk_sql(field.model, field, "_fk_%(to_table)s_%(to_column)s")
        quoted = str(statement.parts["name"])
        is_valid = _constraint(schema_editor, table, quoted.strip('"'))
        if is_valid is None:
            schema_editor.execute(f"{statement} NOT VALID", params=None)
        if not is_valid:
            schema_editor.execute(
                f"ALTER TABLE {schema_editor.quote_name(table)} VALIDATE CONSTRAINT {quoted}", params=None
            )


class SetNotNull(_ChangeInPlace):
    """Make a column NOT NULL: ``field`` is as before, without ``null=True``. Rows with NULL are the database's error.

    A CHECK is added and validated first, which keeps nobody waiting; PostgreSQL then believes it (12 and newer).
    """

    def __init__(self, model_name: str, name: str, field: AnyField) -> None:
        if field.null:
            raise TypeError("SetNotNull is for a field without null=True")
        super().__init__(model_name, name, field)

    @override
    def describe(self) -> str:
        return f"Make field {self.name} on {self.model_name} not null"

    @override
    def _change(self, schema_editor: Any, table: str, field: Any) -> None:
        name = schema_editor._create_index_name(table, [field.column], suffix="_filled")
        is_valid = _constraint(schema_editor, table, name)
        table, column, check = (schema_editor.quote_name(one) for one in (table, field.column, name))
        if is_valid is None:
            schema_editor.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID", params=None
            )
        if not is_valid:
            schema_editor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {check}", params=None)
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL", params=None)
            schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {check}", params=None)


class _Drop(Operation):
    """Of what the code has not known for a release at least."""

    reversible = False

    @override
    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        pass  # the state has forgotten it already

    @override
    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        raise NotImplementedError("what was dropped does not come back")


class DropColumn(_Drop):
    """Drop a column whose field an earlier release removed with ``SeparateDatabaseAndState(state_operations=…)``."""

    def __init__(self, model_name: str, column: str) -> None:
        self.model_name = model_name
        self.column = column

    @property
    def model_name_lower(self) -> str:
        return self.model_name.lower()

    @override
    def describe(self) -> str:
        return f"Drop column {self.column} of {self.model_name}"

    @override
    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if any(field.column == self.column for field in model._meta.local_concrete_fields):
            raise ValueError(
                f"{self.model_name} still has a field for {self.column}; remove it from the state a release before"
            )
        quote = schema_editor.quote_name
        schema_editor.execute(
            f"ALTER TABLE {quote(model._meta.db_table)} DROP COLUMN IF EXISTS {quote(self.column)}", params=None
        )


class DropTable(_Drop):
    """Drop a table whose model an earlier release removed with ``SeparateDatabaseAndState(state_operations=…)``.

    ``keyspace`` says which databases have it: a keyspace, ``"default"`` or ``"*"``.
    """

    def __init__(self, table: str, keyspace: str) -> None:
        self.table = table
        self.keyspace = keyspace

    @override
    def describe(self) -> str:
        return f"Drop table {self.table}"

    @override
    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if router.allow_migrate(schema_editor.connection.alias, app_label, keyspace=self.keyspace):
            schema_editor.execute(f"DROP TABLE IF EXISTS {schema_editor.quote_name(self.table)}", params=None)


def _constraint(schema_editor: Any, table: str, name: str) -> bool | None:
    """Whether the constraint is valid; None where there is none."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT convalidated FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s",
            [schema_editor.quote_name(table), name],
        )
        row = cursor.fetchone()
    return bool(row[0]) if row else None


def _build_index(schema_editor: Any, statement: Any, name: str, table: str) -> None:
    quoted = schema_editor.quote_name(name)
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid AND indrelid = to_regclass(%s) FROM pg_index WHERE indexrelid = to_regclass(%s)",
            [schema_editor.quote_name(table), quoted],
        )
        row = cursor.fetchone()
    if row is not None and row[0]:
        return  # an earlier attempt was cut off after this
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {quoted}"
    if row is not None:
        schema_editor.execute(drop, params=None)
    create = schema_editor.sql_create_unique_index.replace("CREATE UNIQUE INDEX", "CREATE UNIQUE INDEX CONCURRENTLY")
    try:
        schema_editor.execute(create % statement.parts, params=None)
    except DatabaseError:
        schema_editor.execute(drop, params=None)  # invalid as it is, it would refuse rows and help nobody
        raise
