from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('shoppers', '0010_ratings'),
    ]

    operations = [
        ValidateConstraint(model_name='shopper', name='shoppers_shopper_rating'),
    ]
