from django.db import migrations, models

from bench.migrate.release import inventory, newest


class Migration(migrations.Migration):
    dependencies = [("inventory", newest(inventory.__path__))]

    operations = [
        migrations.AddField("stocklevel", "counted_at", models.DateTimeField(null=True)),
        migrations.AddField("stockmovement", "note", models.CharField(max_length=200, db_default="")),
    ]
