from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("inventory", "release_columns")]

    operations = [
        AddIndexConcurrently("stocklevel", models.Index(fields=["store_id", "counted_at"], name="inventory_uncounted"))
    ]
