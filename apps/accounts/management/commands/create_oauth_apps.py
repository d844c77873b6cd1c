from typing import Any

from django.core.management.base import BaseCommand
from typing_extensions import override

from apps.accounts import services


class Command(BaseCommand):
    help = "Register the project's own apps as OAuth clients, or bring them up to date."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        for client_id in services.create_oauth_apps():
            self.stdout.write(client_id)
