"""A whole installation of its own, started by the project's own command, and a browser to use it with.

Skipped, loudly, where no Chromium is installed.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
START_S = 280
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]


@dataclass(frozen=True, slots=True)
class Installation:
    base_url: str
    environment: dict[str, str]

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command inside this installation."""
        return subprocess.run(
            [ROOT / "dev", "manage", *arguments], env=self.environment, capture_output=True, text=True, timeout=300
        )


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """Gone with its module: its shoppers and customers would go on beside all other tests."""
    if CHROMIUM is None:
        warnings.warn("NO BROWSER: the end-to-end tests are skipped; install Chromium to run them", stacklevel=1)
        pytest.skip("no Chromium on this machine")
    if not (ROOT / ".venv").exists():
        warnings.warn("NO .venv: the end-to-end tests are skipped; run ./dev test", stacklevel=1)
        pytest.skip("the project is not installed in this checkout")
    with tempfile.TemporaryDirectory(prefix="larder-") as folder:
        ports = dict(zip(("PORT", "WS_PORT", "SANDBOX_PORT"), map(str, _free_ports(3)), strict=True))
        inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
        environment = {**inherited, **ports, "INSTACART_VAR": folder, "DEMO_PAST_ORDERS": "0"}
        run = {"env": environment, "cwd": ROOT, "capture_output": True, "text": True}
        try:
            up = subprocess.run([ROOT / "dev", "up"], **run, timeout=START_S)
            assert up.returncode == 0, up.stdout + up.stderr
            yield Installation(f"http://127.0.0.1:{ports['PORT']}", environment)
        finally:
            subprocess.run([ROOT / "dev", "down"], **run, timeout=60)


_OURS = {
    "DATABASE_URLS",
    "REDIS_URL",
    "SHARD_MAP",
    "STRIPE_API_BASE",
    "STRIPE_SECRET_KEY",
    "PUBLIC_URL",
    "WEBSOCKET_URL",
}
_OURS |= {"DJANGO_SETTINGS_MODULE", "INSTACART_ENV", "SECRET_KEY", "FIELD_KEY", "JWT_KEY", "DEMO_PASSWORD"}


@pytest.fixture(scope="module")
def browser(installation: Installation) -> Iterator[Browser]:
    """For one module only: while Playwright is open, this thread has an event loop, and others cannot run theirs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


PHONE, DESKTOP = (390, 844), (1280, 900)


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(request: pytest.FixtureRequest, browser: Browser, installation: Installation) -> Iterator[Page]:
    """A page of a visitor who has never been here; a script error fails the test."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, base_url=installation.base_url)
    context.set_default_timeout(15_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
