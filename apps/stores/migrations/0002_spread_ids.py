"""Give stores ids in steps that visit every bucket evenly, so that three shards share three stores.

3571 and 10,000 have no common divisor: ten thousand stores fall into ten thousand buckets.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("stores", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE stores_store ALTER COLUMN id SET INCREMENT BY 3571",
            "ALTER TABLE stores_store ALTER COLUMN id SET INCREMENT BY 1",
            hints={"keyspace": "default"},
        )
    ]
