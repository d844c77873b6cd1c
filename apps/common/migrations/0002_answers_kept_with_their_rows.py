import django.db.models.manager
from django.db import migrations, models

import sharding.fields


def table(name):
    """Both are alike."""
    label = name.lower()
    return migrations.CreateModel(
        name=name,
        fields=[
            ("id", sharding.fields.ShardAutoField(primary_key=True, serialize=False)),
            ("place", models.IntegerField()),
            ("owner", models.BigIntegerField()),
            ("key", models.CharField(max_length=80)),
            ("fingerprint", models.CharField(max_length=64)),
            ("status", models.PositiveSmallIntegerField()),
            ("content_type", models.CharField(max_length=80)),
            ("body", models.BinaryField()),
            ("created_at", models.DateTimeField()),
        ],
        options={
            "indexes": [models.Index(fields=["created_at"], name=f"common_{label}_age")],
            "constraints": [
                models.UniqueConstraint(fields=("place", "owner", "key"), name=f"common_{label}_once"),
                models.CheckConstraint(
                    condition=models.Q(("place__gte", 1), ("place__lte", 10000)), name=f"common_{label}_place"
                ),
                models.CheckConstraint(
                    condition=models.Q(("status__gte", 200), ("status__lt", 500)), name=f"common_{label}_status"
                ),
            ],
        },
        managers=[
            ("objects", django.db.models.manager.Manager()),
            ("routed", django.db.models.manager.Manager()),
        ],
    )


class Migration(migrations.Migration):
    """The table of ``IdempotencyKey`` stays until no process knows the model any more: a later release drops it."""

    dependencies = [("common", "0001_initial")]

    operations = [
        table("ShopperAnswer"),
        table("StoreAnswer"),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel(name="IdempotencyKey")]),
    ]
