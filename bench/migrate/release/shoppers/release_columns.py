from django.db import migrations, models

from bench.migrate.release import newest, shoppers


class Migration(migrations.Migration):
    dependencies = [("shoppers", newest(shoppers.__path__))]

    operations = [migrations.AddField("shopper", "language", models.CharField(max_length=8, db_default="en"))]
