from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('ledger', '0005_causes'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='partyentry',
            index=models.Index(fields=['party_kind', 'party_id', 'at'], name='ledger_of_party'),
        ),
    ]
