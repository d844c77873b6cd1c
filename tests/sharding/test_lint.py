"""What the lint refuses, one example for each rule, and the safe way beside it."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

import sharding
from sharding import linting, operations
from sharding.linting import RULES
from sharding.migrating import Plan, State
from tests.sharding.releases import Release, columns, copies, migrate, release

__all__ = ["release"]

LAST = sharding.aliases("customer")[-1]

CHECK = 'models.CheckConstraint(condition=models.Q(total__gte=0), name="c")'
NEW = 'CreateModel("Gift", [("id", models.BigIntegerField(primary_key=True)), ("note", models.TextField())])'
GONE = "SeparateDatabaseAndState(state_operations=[{}])"


def broken(release: Release, *, is_one_release: bool = True) -> list[str]:
    """The rules that the release's operations break, in order."""
    plan = Plan()
    if not is_one_release:
        return [finding.rule for finding in linting.of_files(plan, ["shop"]) if "release_" in finding.migration]
    migrations = [one for one in plan.migrations if one.app_label == "shop" and one.name in release.names]
    return [finding.rule for finding in linting.findings(plan, migrations)]


def sql(text: str, **more: str) -> str:
    options = {"hints": '{"keyspace": "customer"}', "reverse_sql": '""', **more}
    return f"RunSQL({text!r}, {', '.join(f'{name}={value}' for name, value in options.items() if value)})"


UNSAFE = [
    ("index-blocks-writes", 'AddIndex("order", models.Index(fields=["total"], name="i"))'),
    ("index-blocks-writes", 'AddField("order", "n", models.IntegerField(null=True, db_index=True))'),
    ("index-blocks-writes", 'AlterField("order", "total", models.IntegerField(default=0, db_index=True))'),
    ("index-blocks-writes", 'AddField("order", "gift", models.ForeignKey("shop.customer", CASCADE, null=True))'),
    ("index-blocks-writes", sql("CREATE INDEX i ON shop_order (total)")),
    ("index-blocks-writes", sql("REINDEX TABLE shop_order")),
    ("unique-blocks-writes", 'AddConstraint("order", models.UniqueConstraint(fields=["customer", "total"], name="u"))'),
    ("unique-blocks-writes", 'AlterUniqueTogether("order", {("customer", "total")})'),
    ("unique-blocks-writes", sql("CREATE UNIQUE INDEX u ON shop_order (customer_id, total)")),
    ("unique-blocks-writes", sql("ALTER TABLE shop_order ADD CONSTRAINT u UNIQUE (customer_id, total)")),
    ("check-scans-table", f'AddConstraint("order", {CHECK})'),
    ("check-scans-table", 'AddField("order", "n", models.PositiveIntegerField(null=True))'),
    ("check-scans-table", 'AlterField("order", "total", models.PositiveIntegerField(default=0))'),
    ("check-scans-table", sql("ALTER TABLE shop_order ADD CONSTRAINT c CHECK (total > 0)")),
    ("foreign-key-scans-table", sql("ALTER TABLE shop_order ADD FOREIGN KEY (store_id) REFERENCES shop_store (id)")),
    (
        "foreign-key-scans-table",
        'AddField("order", "gift", models.ForeignKey("shop.customer", CASCADE, db_default=1, db_index=False))',
    ),
    ("not-null-without-db-default", 'AddField("order", "n", models.IntegerField(default=0))'),
    ("not-null-without-db-default", sql("ALTER TABLE shop_order ADD COLUMN n integer NOT NULL")),
    ("one-value-for-all-rows", 'AddField("order", "n", models.CharField(max_length=9, default=str, null=True))'),
    ("default-rewrites-table", 'AddField("order", "n", models.UUIDField(db_default=models.Func(function="gen")))'),
    (
        "default-rewrites-table",
        (
            'AddField("order", "n", models.GeneratedField(expression=models.F("total"), '
            "output_field=models.IntegerField(), db_persist=True))"
        ),
    ),
    ("default-rewrites-table", sql("ALTER TABLE shop_order ADD COLUMN n uuid DEFAULT gen_random_uuid()")),
    ("type-change-rewrites-table", 'AlterField("order", "total", models.BigIntegerField(default=0))'),
    ("type-change-rewrites-table", 'AlterField("order", "code", models.CharField(max_length=10, default=""))'),
    (
        "type-change-rewrites-table",
        'AlterField("line", "price", models.DecimalField(max_digits=9, decimal_places=3, null=True))',
    ),
    ("type-change-rewrites-table", sql("ALTER TABLE shop_order ALTER COLUMN total TYPE bigint")),
    (
        "set-not-null-scans-table",
        'AlterField("line", "price", models.DecimalField(max_digits=8, decimal_places=2, default=0))',
    ),
    ("set-not-null-scans-table", sql("ALTER TABLE shop_line ALTER COLUMN price SET NOT NULL")),
    ("rename-breaks-running-code", 'RenameField("order", "code", "label")'),
    ("rename-breaks-running-code", 'RenameModel("Order", "Purchase")'),
    ("rename-breaks-running-code", 'AlterModelTable("order", "purchase")'),
    ("rename-breaks-running-code", 'AlterField("order", "total", models.IntegerField(default=0, db_column="sum"))'),
    ("rename-breaks-running-code", sql("ALTER TABLE shop_order RENAME COLUMN code TO label")),
    ("removed-while-in-use", 'RemoveField("order", "code")'),
    ("removed-while-in-use", 'DeleteModel("Receipt")'),
    ("removed-while-in-use", sql("ALTER TABLE shop_order DROP COLUMN code")),
    ("removed-while-in-use", sql("DROP TABLE shop_receipt")),
    ("not-null-left-behind", GONE.format('RemoveField("order", "code")')),
    ("data-in-a-migration", 'RunPython(broken, RunPython.noop, hints={"keyspace": "customer"})'),
    ("data-in-a-migration", sql("UPDATE shop_order SET total = 1")),
    ("data-in-a-migration", sql("INSERT INTO shop_memo (text) SELECT code FROM shop_order")),
    ("no-way-back", sql("SELECT 1", reverse_sql="")),
    ("says-not-where", sql("SELECT 1", hints="")),
    ("says-not-where", 'RunSQL("SELECT 1", "SELECT 1")'),
    ("locks-table", sql("VACUUM FULL shop_order")),
    ("concurrently-in-a-transaction", 'AddIndexConcurrently("order", models.Index(fields=["total"], name="i"))'),
    ("concurrently-in-a-transaction", sql("CREATE INDEX CONCURRENTLY i ON shop_order (total)")),
]


@pytest.mark.parametrize(("rule", "operation"), UNSAFE)
def test_an_unsafe_operation_is_refused_by_name(release: Release, rule: str, operation: str):
    release.add(operation)
    assert broken(release) == [rule]


SAFE = [
    ('AddIndexConcurrently("order", models.Index(fields=["total"], name="i"))', False),
    ('RemoveIndexConcurrently("order", "i")', False),
    ('AddUnique("order", models.UniqueConstraint(fields=["customer", "total"], name="u"))', False),
    (f'AddConstraintNotValid("order", {CHECK})', True),
    ('ValidateConstraint("order", "c")', True),
    ('RemoveConstraint("order", "once")', True),
    ('AddField("order", "n", models.IntegerField(null=True))', True),
    ('AddField("order", "n", models.IntegerField(db_default=0))', True),
    ('AddField("order", "n", models.DateTimeField(db_default=Now()))', True),
    ('AddField("order", "gift", models.ForeignKey("shop.customer", CASCADE, null=True, db_index=False))', True),
    ('AddField("order", "gifts", models.ManyToManyField("shop.customer"))', True),
    (('AddField("order", "n", models.ForeignKey("shop.customer", CASCADE, db_constraint=False, null=True, '
      "db_index=False))"), True),
    ('AddForeignKey("receipt", "customer_id", models.ForeignKey("shop.customer", CASCADE, db_column="customer_id"))',
     False),
    ('SetNotNull("line", "price", models.DecimalField(max_digits=8, decimal_places=2))', False),
    ('AlterField("order", "code", models.CharField(max_length=40, default=""))', True),
    ('AlterField("order", "code", models.TextField(default=""))', True),
    ('AlterField("order", "total", models.IntegerField(null=True))', True),
    ('AlterField("line", "price", models.DecimalField(max_digits=10, decimal_places=2, null=True))', True),
    ('AlterField("order", "total", models.IntegerField(default=7, help_text="cents"))', True),
    (GONE.format('RemoveField("line", "price")'), True),
    (GONE.format('DeleteModel("Receipt")'), True),
    ('DropColumn("order", "color")', True),
    ('DropTable("shop_basket", keyspace="customer")', True),
    ("RunPython(RunPython.noop, RunPython.noop)", True),
    (sql("CREATE INDEX CONCURRENTLY i ON shop_order (total)"), False),
    (sql("ALTER TABLE shop_order ADD CONSTRAINT c CHECK (total > 0) NOT VALID"), True),
    (sql("ALTER TABLE shop_order ADD COLUMN n timestamptz DEFAULT now()"), True),
    (sql("ALTER TABLE shop_order ALTER COLUMN id SET INCREMENT BY 3"), True),
    (sql("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'UPDATE shop_order SET total = 1 RETURNING 1'"), True),
    (f"{NEW}, AddIndex(\"gift\", models.Index(fields=[\"note\"], name=\"i\"))", True),
    (f"{NEW}, AddField(\"gift\", \"n\", models.PositiveIntegerField(default=0))", True),
    (f"{NEW}, {sql('CREATE INDEX i ON shop_gift (note)')}", True),
    (f"{NEW}, DeleteModel(\"Gift\")", True),
]  # fmt: skip


@pytest.mark.parametrize(("operations", "atomic"), SAFE)
def test_the_safe_way_is_let_pass(release: Release, operations: str, atomic: bool):
    release.add(operations, atomic=atomic)
    assert broken(release) == []


def test_every_rule_has_an_example():
    shown = {rule for rule, _ in UNSAFE}
    elsewhere = {"unique-without-key", "validated-under-lock", "dropped-too-early", "unknown-operation"}
    assert shown | elsewhere == set(RULES)


def test_a_name_that_changes_in_python_alone_is_let_pass(release: Release):
    release.add('AlterField("order", "code", models.CharField(max_length=20, default="", db_column="code"))')
    release.add('RenameField("order", "code", "label")')
    release.add('AlterModelTable("order", "shop_order")')
    release.add('RenameModel("Order", "Purchase")')
    assert broken(release) == []


def test_uniqueness_without_the_key_is_refused_for_new_tables_too(release: Release):
    release.add('AddConstraint("order", models.UniqueConstraint(fields=["code"], name="u"))')
    release.add('AddUnique("order", models.UniqueConstraint(fields=["code"], name="v"))', atomic=False)
    release.add('AddField("order", "n", models.IntegerField(null=True, unique=True))')
    both = ["unique-without-key", "unique-blocks-writes"]
    assert broken(release) == [*both, "unique-without-key", *both]


@pytest.mark.parametrize(("atomic", "expected"), [(True, ["validated-under-lock"] * 2), (False, [])])
def test_a_constraint_is_not_validated_under_the_lock_of_its_making(release: Release, atomic: bool, expected: Any):
    validate = sql("ALTER TABLE shop_order VALIDATE CONSTRAINT c")
    release.add(f'AddConstraintNotValid("order", {CHECK})', 'ValidateConstraint("order", "c")', validate, atomic=atomic)
    assert broken(release) == expected


def test_a_column_is_dropped_a_release_after_it_was_forgotten(release: Release):
    """Two migrations: together they are one release, on their own they are two."""
    release.add(GONE.format('RemoveField("line", "price")'), GONE.format('DeleteModel("Receipt")'))
    release.add('DropColumn("line", "price")', 'DropTable("shop_receipt", keyspace="customer")')
    assert broken(release) == ["dropped-too-early", "dropped-too-early"]
    assert broken(release, is_one_release=False) == []


def test_a_table_is_new_only_within_its_release(release: Release):
    release.add(NEW)
    release.add('AddIndex("gift", models.Index(fields=["note"], name="i"))')
    assert broken(release) == []
    assert broken(release, is_one_release=False) == ["index-blocks-writes"]


def test_what_it_does_not_know_is_refused(release: Release):
    release.add("type('Custom', (operations.base.Operation,), {'state_forwards': lambda *_: None})()")
    assert broken(release) == ["unknown-operation"]


def test_a_reason_lets_an_operation_pass_and_is_told(release: Release):
    release.add('unsafe(RenameField("order", "code", "label"), because="nobody reads it")')
    finding = linting.of_files(Plan(), ["shop"])[-1]
    assert str(finding) == (
        "shop.release_1, operation 1 (Rename field code on order to label): rename-breaks-running-code: "
        "allowed, because nobody reads it"
    )
    out = StringIO()
    call_command("shard", "lint", "shop", stdout=out)
    assert out.getvalue().splitlines()[-1] == "no operation is unsafe, 2 allowed with a reason"
    with pytest.raises(ValueError, match="needs a reason"):
        operations.unsafe(object(), because=" ")  # type: ignore[type-var]


def test_the_command_says_what_harm_and_what_instead(release: Release):
    release.add('AddIndex("order", models.Index(fields=["total"], name="i"))')
    out = StringIO()
    with pytest.raises(CommandError, match=r"^1 operations are not safe on a database in use$"):
        call_command("shard", "lint", "shop", stdout=out)
    assert out.getvalue().splitlines()[-1] == (
        "shop.release_1, operation 1 (Create index i on field(s) total of model order): index-blocks-writes: "
        "building the index keeps every writer of the table waiting; use a field without db_index, and "
        "AddIndexConcurrently, in a migration with atomic = False"
    )


def test_the_projects_own_migrations_are_safe():
    out = StringIO()
    call_command("shard", "lint", stdout=out)
    *allowed, last = out.getvalue().splitlines()
    assert last == "no operation is unsafe, 1 allowed with a reason"
    assert [line.partition(",")[0] for line in allowed] == ["shop.0002_more_tables"]


@pytest.fixture
def unblocked(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield
        connections.close_all()


@pytest.mark.usefixtures("unblocked")
def test_migrating_refuses_what_is_unsafe_unless_told_why(release: Release):
    release.add('RenameField("order", "code", "label")')
    with copies(LAST):
        with pytest.raises(linting.Unsafe, match=r"(?s)rename-breaks-running-code.*nothing was migrated"):
            migrate(LAST)
        out = StringIO()
        with pytest.raises(CommandError, match="not safe on a database in use"):
            call_command("shard", "lint", "--pending", stdout=out)
        assert "code" in columns(LAST, "shop_order")
        # Nobody waits for, or knows, what is new.
        (progress,) = migrate(LAST, unsafe="a quiet night", canary=False).values()
        assert progress.state is State.DONE
        assert "label" in columns(LAST, "shop_order")
