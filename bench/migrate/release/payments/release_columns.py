from django.db import migrations, models

from bench.migrate.release import newest, payments


class Migration(migrations.Migration):
    dependencies = [("payments", newest(payments.__path__))]

    operations = [migrations.AddField("payment", "network", models.CharField(max_length=20, null=True))]
