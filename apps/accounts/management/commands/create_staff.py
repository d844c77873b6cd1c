import getpass
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from apps.accounts import domain, selectors, services
from apps.common import clock
from apps.common.errors import DomainError


class Command(BaseCommand):
    help = (
        "Make somebody a member of staff; opens an account when the e-mail address has none. The password is asked for,"
        " or read from standard input. With --store and a role at that store they do not get into the admin."
    )

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", default="Staff")
        parser.add_argument("--superuser", action="store_true", help="may do everything in the admin")
        parser.add_argument("--role", choices=sorted(domain.ROLES))
        parser.add_argument("--store", type=int, metavar="ID", help="where the role is held")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        email, role, store_id = options["email"], options["role"], options["store"]
        try:
            if role or store_id is not None:
                domain.checked_role(role or "", store_id)  # before anything is made
            user_id = selectors.user_id_by_email(email=email)
            if user_id is None:
                user_id = services.sign_up(email=email, password=_password(), name=options["name"], now=clock.now())
            if options["superuser"] or store_id is None:
                services.make_staff(user_id=user_id, is_superuser=options["superuser"])
            if role:
                services.grant_role(user_id=user_id, role=role, store_id=store_id)
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(user_id))


def _password() -> str:
    return getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
