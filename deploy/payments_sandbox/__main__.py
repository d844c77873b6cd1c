"""python -m deploy.payments_sandbox --port 8003 --database var/payments.sqlite"""

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from deploy.payments_sandbox.server import Server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.payments_sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8003)
    parser.add_argument("--database", default="var/payments.sqlite", help="a file; :memory: forgets everything")
    parser.add_argument("--webhook-url", help="where events go; without it nobody is told")
    parser.add_argument(
        "--webhook-secret",
        default=os.environ.get("STRIPE_WEBHOOK_SECRET", ""),
        help="several, with commas between, sign with each; default: the environment's STRIPE_WEBHOOK_SECRET",
    )
    parser.add_argument("--seed", type=int, help="makes the ids of one run those of the next")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    secrets = [secret for secret in options.webhook_secret.split(",") if secret]
    if options.webhook_url and not secrets:
        parser.error("--webhook-url needs --webhook-secret or STRIPE_WEBHOOK_SECRET")
    if options.database != ":memory:":
        Path(options.database).parent.mkdir(parents=True, exist_ok=True)
    server = Server(
        options.port,
        database=options.database,
        webhook_url=options.webhook_url,
        webhook_secrets=secrets,
        seed=options.seed,
    )
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    server.start()
    sys.stdout.write(f"The payments sandbox is at {server.url}\n")
    sys.stdout.flush()
    stopping.wait()
    server.stop()


if __name__ == "__main__":
    main()
