from django.db import migrations, models

from bench.migrate.release import newest, orders


class Migration(migrations.Migration):
    dependencies = [("orders", newest(orders.__path__))]

    operations = [
        migrations.AddField("order", "gift_note", models.TextField(null=True)),
        migrations.AddField("order", "priority", models.SmallIntegerField(db_default=0)),
        migrations.AddField("orderline", "picked_by_id", models.BigIntegerField(null=True)),
        migrations.AlterField("order", "status", models.CharField(max_length=40)),
    ]
