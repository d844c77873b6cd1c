"""What the lint refuses, by name, and what to write instead."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """Why an operation is refused."""

    harm: str
    instead: str


_CONCURRENTLY = "AddIndexConcurrently, in a migration with atomic = False"
_TWO_DEPLOYS = (
    "in one release SeparateDatabaseAndState(state_operations=[…]), so that no code knows it any more; in the next "
)

RULES: Mapping[str, Rule] = {
    "index-blocks-writes": Rule(
        "building the index keeps every writer of the table waiting",
        f"a field without db_index, and {_CONCURRENTLY}",
    ),
    "unique-blocks-writes": Rule(
        "building the unique index keeps every writer of the table waiting",
        "sharding.operations.AddUnique with a UniqueConstraint, in a migration with atomic = False",
    ),
    "unique-without-key": Rule(
        "one shard cannot see the rows of another, so nothing would be unique",
        "a constraint that has the shard key, or a co-located reference, among its fields",
    ),
    "check-scans-table": Rule(
        "every row is checked while nobody can read or write the table",
        "AddConstraintNotValid, and ValidateConstraint in a later migration; for a PositiveIntegerField an "
        "IntegerField with such a constraint",
    ),
    "validated-under-lock": Rule(
        "every row is checked while the transaction still holds the lock of an earlier operation",
        "ValidateConstraint in a migration of its own, or in one with atomic = False",
    ),
    "foreign-key-scans-table": Rule(
        "every row is looked up in the other table while both are locked",
        "a nullable column without default; or ForeignKey(db_constraint=False) first, then "
        "sharding.operations.AddForeignKey in a migration with atomic = False",
    ),
    "not-null-without-db-default": Rule(
        "the code that still runs does not know the column, and its inserts would fail",
        "null=True, or a constant db_default",
    ),
    "one-value-for-all-rows": Rule(
        "Django calls the default once, and every row that exists gets the same value",
        "null=True without default, then a BackfillJob",
    ),
    "default-rewrites-table": Rule(
        "the whole table is written anew while nobody can read or write it",
        "null=True, then a BackfillJob, then the db_default",
    ),
    "type-change-rewrites-table": Rule(
        "the whole table is written anew, or read, while nobody can read or write it",
        "a new column, code that writes both, a BackfillJob, then drop the old one; free are only a longer varchar, "
        "varchar to text, and more digits before the point",
    ),
    "set-not-null-scans-table": Rule(
        "every row is checked while nobody can read or write the table",
        "sharding.operations.SetNotNull, in a migration with atomic = False",
    ),
    "rename-breaks-running-code": Rule(
        "the code that still runs asks for the old name",
        "another name in Python alone (db_column, db_table); or a new column, code that writes both, a BackfillJob, "
        "then drop the old one",
    ),
    "removed-while-in-use": Rule(
        "the code that still runs reads and writes it",
        _TWO_DEPLOYS + "sharding.operations.DropColumn or DropTable",
    ),
    "dropped-too-early": Rule(
        "code that still runs may know it: its removal from the state is part of the same release",
        "the drop in the release after",
    ),
    "not-null-left-behind": Rule(
        "the code will not know the column any more, and its inserts will fail",
        "null=True or a db_default for the field a release before",
    ),
    "data-in-a-migration": Rule(
        "rows are changed in one go: their locks are held, and other migrations wait, until the last one is done",
        "a BackfillJob, which works in batches and can be interrupted",
    ),
    "no-way-back": Rule(
        "it cannot be undone when the release is", "reverse_code or reverse_sql, be it RunPython.noop or RunSQL.noop"
    ),
    "says-not-where": Rule(
        "nothing says which databases it is for", 'hints={"keyspace": …}: a keyspace, "default" or "*"'
    ),
    "concurrently-in-a-transaction": Rule(
        "PostgreSQL refuses it within a transaction", "a migration with atomic = False, and nothing else in it"
    ),
    "locks-table": Rule("nobody can read or write the table meanwhile", "another way, or a time when nobody is there"),
    "unknown-operation": Rule(
        "the lint does not know what it does to a database in use",
        "Django's operations, or sharding.operations.unsafe(…, because=…)",
    ),
}
