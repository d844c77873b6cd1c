"""``manage.py doctor``: is every part there, and if not, what to do?"""

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from celery_app.app import app
from instacart import doctor, settings

PAUSE_S = 0.3


class Command(BaseCommand):
    help = "Check every part and say what to do about what is wrong."
    requires_system_checks = []

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help='one object: {"ok": …, "checks": […]}')
        parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="patience with what still starts")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        findings = self._findings(patience_s=options["wait"], say=not options["json"])
        ok = all(finding.ok for finding in findings)
        if options["json"]:
            self.stdout.write(json.dumps({"ok": ok, "checks": [asdict(finding) for finding in findings]}))
        if not ok:
            raise CommandError("not everything is well" if options["json"] else "See the lines marked FAIL.")

    def _findings(self, *, patience_s: float, say: bool) -> list[doctor.Finding]:
        deadline = time.monotonic() + patience_s
        findings = []
        for check in doctor.checks(_described(), app):
            finding = doctor.examine(check)
            while not finding.ok and check.settles and time.monotonic() < deadline:
                time.sleep(PAUSE_S)
                finding = doctor.examine(check)
            findings.append(finding)
            if say:
                self._say(finding)
        return findings

    def _say(self, finding: doctor.Finding) -> None:
        if finding.ok:
            self.stdout.write(f"{self.style.SUCCESS('ok  ')} {finding.name}: {finding.detail}")
        else:
            self.stdout.write(f"{self.style.ERROR('FAIL')} {finding.name}: {finding.detail} — {finding.advice}")


def _described() -> doctor.Described:
    env = settings.env
    return doctor.Described(
        databases=tuple(env.database_urls),
        public_url=env.public_url,
        websocket_url=env.websocket_url,
        stripe_secret_key=env.stripe_secret_key,
        stripe_api_base=env.stripe_api_base,
        var=env.var,
        demo=env.demo,
    )
