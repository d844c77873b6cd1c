from django.db import migrations, models

from bench.migrate.release import common, newest


class Migration(migrations.Migration):
    dependencies = [("common", newest(common.__path__))]

    operations = [migrations.AddField("outboxmessage", "trace", models.CharField(max_length=55, null=True))]
