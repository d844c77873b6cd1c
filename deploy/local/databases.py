"""``python -m deploy.local.databases``: create the databases that our own servers lack."""

import os
import sys

from deploy.local import postgres
from deploy.local.installation import Installation


def main() -> int:
    for name, server in Installation.read(os.environ).databases().items():
        postgres.ensure_database(server, name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
