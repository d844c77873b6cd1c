from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('carts', '0003_wishes'),
    ]

    operations = [
        ValidateConstraint(model_name='cartline', name='carts_line_replacement_named'),
        ValidateConstraint(model_name='cartline', name='carts_line_pieces_positive'),
    ]
