"""When an order will be at the door: ``predicting.interval(...)``, by a model that ``manage.py train_etas`` fits."""
