import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

COMMAND = [sys.executable, "-m", "deploy.payments_sandbox", "--port", "0"]
ROOT = Path(__file__).parents[2]


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "STRIPE_WEBHOOK_SECRET"} | more


def test_it_starts_remembers_and_stops(tmp_path: Path) -> None:
    database = tmp_path / "new" / "payments.sqlite"
    command = [*COMMAND, "--database", str(database), "--webhook-url", "http://127.0.0.1:9/"]
    made = []
    for _ in range(2):
        with subprocess.Popen(
            command, cwd=ROOT, env=environment(STRIPE_WEBHOOK_SECRET="whsec_x"), stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            try:
                assert httpx.get(f"{url}/_sandbox/health").json() == {"status": "ok"}
                made.append(httpx.post(f"{url}/v1/customers", auth=("sk_test_x", "")).json()["id"])
                listed = httpx.get(f"{url}/v1/customers", auth=("sk_test_x", "")).json()["data"]
                assert [one["id"] for one in listed] == made[::-1]
            finally:
                process.terminate()
            assert process.wait(10) == 0


@pytest.mark.parametrize("secret", ["", ","])
def test_it_does_not_sign_with_nothing(tmp_path: Path, secret: str) -> None:
    command = [*COMMAND, "--database", str(tmp_path / "x.sqlite"), "--webhook-url", "http://127.0.0.1:9/"]
    done = subprocess.run(
        [*command, "--webhook-secret", secret], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 2
    assert "--webhook-secret" in done.stderr
