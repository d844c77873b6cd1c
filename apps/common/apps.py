from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from typing_extensions import override


class CommonConfig(AppConfig):
    name = "apps.common"
    label = "common"

    @override
    def ready(self) -> None:
        autodiscover_modules("handlers")  # every app's subscriptions to events
