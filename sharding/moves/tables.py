"""What a move carries: the tables of a keyspace, and the rows of a range in each."""

from dataclasses import dataclass

from django.db.models import CompositePrimaryKey

from sharding import keys, names, schema
from sharding.errors import MoveRefused
from sharding.ids import BUCKET_MASK, BUCKET_SHIFT, BUCKETS, bucket_of_key
from sharding.moves.servers import Session


@dataclass(frozen=True, slots=True)
class Table:
    """One sharded table."""

    name: str
    bucket: str
    """SQL that reads the bucket from the primary key alone: a row filter of replication may see no other column."""
    id: str | None = None
    """The quoted column whose ids carry a time; None where there is none."""

    @property
    def quoted(self) -> str:
        return quoted(self.name)

    def within(self, first: int, last: int) -> str:
        """SQL that is true for rows of these buckets."""
        return f"({self.bucket}) BETWEEN {first} AND {last}"

    def made_after(self, id: int) -> str:
        """SQL that is true for rows whose ids were made later than this one."""
        return f"{self.id} > {id}"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def of_keyspace(keyspace: str) -> tuple[Table, ...]:
    """The tables that the models declare, by name."""
    found = []
    for model in schema.sharded_models():
        placed = keys.layout(model)
        if placed.keyspace != keyspace:
            continue
        if isinstance(placed.pk, CompositePrimaryKey):
            column, by_key = str(placed.key.column), True
        else:
            column, by_key = str(placed.pk.column), keys.bucket_function(placed.pk) is bucket_of_key
        number = quoted(column)
        bucket = f"mod({number}, {BUCKETS})" if by_key else f"({number} >> {BUCKET_SHIFT}) & {BUCKET_MASK}"
        found.append(Table(model._meta.db_table, bucket, None if by_key else number))
    if not found:
        raise MoveRefused(f"keyspace {keyspace} has no tables; nothing would move")
    return tuple(sorted(found, key=lambda table: table.name))


def columns(session: Session, tables: tuple[Table, ...]) -> dict[str, tuple[str, ...]]:
    """By table: its columns with their types, in a form that two databases can be compared by."""
    rows = session.rows(
        "SELECT c.relname, a.attname || ' ' || format_type(a.atttypid, a.atttypmod) "
        "|| CASE WHEN a.attnotnull THEN ' not null' ELSE '' END "
        "|| CASE a.attgenerated WHEN '' THEN '' ELSE ' generated' END "
        "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid) AND c.relname = ANY(%s) ORDER BY 1, 2",
        [table.name for table in tables],
    )
    found: dict[str, tuple[str, ...]] = {}
    for name, column in rows:
        found[name] = (*found.get(name, ()), column)
    return found


def differences(one: Session, other: Session, tables: tuple[Table, ...]) -> list[str]:
    """Sentences about columns that the two databases do not have alike; empty when all is well."""
    here, there = columns(one, tables), columns(other, tables)
    found = []
    for table in tables:
        mine, its = set(here.get(table.name, ())), set(there.get(table.name, ()))
        found += [f"{table.name}: only {one.alias} has {column}" for column in sorted(mine - its)]
        found += [f"{table.name}: only {other.alias} has {column}" for column in sorted(its - mine)]
    return found


def guarded(session: Session, keyspace: str) -> set[str]:
    """The tables that this database itself guards for the keyspace, whatever the models of this process say."""
    rows = session.rows(
        "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        "JOIN pg_proc p ON p.oid = t.tgfoid "
        r"WHERE NOT t.tgisinternal AND t.tgname LIKE 'sharding\_guard\_%%' AND strpos(p.prosrc, %s) > 0",
        f"({names.bucket_class(keyspace)}, b)",
    )
    return {name for (name,) in rows}
