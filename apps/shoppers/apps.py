from django.apps import AppConfig


class ShoppersConfig(AppConfig):
    name = "apps.shoppers"
    label = "shoppers"
