from django.db import migrations

FUNCTION = """
    CREATE FUNCTION ledger_parties_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the ledger is only added to: write an entry that goes the other way'
            USING ERRCODE = 'integrity_constraint_violation';
    END $$
"""
ROWS = """
    CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON ledger_partyentry
        FOR EACH ROW EXECUTE FUNCTION ledger_parties_append_only()
"""
WHOLE = """
    CREATE TRIGGER ledger_append_only_whole BEFORE TRUNCATE ON ledger_partyentry
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_parties_append_only()
"""
GLOBAL = {"keyspace": "default"}


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_parties")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION ledger_parties_append_only()", hints=GLOBAL),
        migrations.RunSQL(ROWS, "DROP TRIGGER ledger_append_only ON ledger_partyentry", hints=GLOBAL),
        migrations.RunSQL(WHOLE, "DROP TRIGGER ledger_append_only_whole ON ledger_partyentry", hints=GLOBAL),
    ]
