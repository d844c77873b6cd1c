from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('shoppers', '0005_pace'),
    ]

    operations = [
        ValidateConstraint(model_name='shopper', name='shoppers_shopper_pace'),
    ]
