"""Rows of the ledger stay as they were written. Replication and moves of buckets pass: they run as a replica does."""

from django.db import migrations

FUNCTION = """
    CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the ledger is only added to: write an entry that goes the other way'
            USING ERRCODE = 'integrity_constraint_violation';
    END $$
"""
ROWS = """
    CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON ledger_ledgerentry
        FOR EACH ROW EXECUTE FUNCTION ledger_append_only()
"""
WHOLE = """
    CREATE TRIGGER ledger_append_only_whole BEFORE TRUNCATE ON ledger_ledgerentry
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()
"""
CUSTOMER = {"keyspace": "customer"}


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION ledger_append_only()", hints=CUSTOMER),
        migrations.RunSQL(ROWS, "DROP TRIGGER ledger_append_only ON ledger_ledgerentry", hints=CUSTOMER),
        migrations.RunSQL(WHOLE, "DROP TRIGGER ledger_append_only_whole ON ledger_ledgerentry", hints=CUSTOMER),
    ]
