#!/usr/bin/env python
"""Django's command line for this project; on a machine where ``./dev up`` ran, on the servers it started."""

import os
import sys

from django.core.management import execute_from_command_line

from deploy.local import installation
from sharding import deadlines


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "instacart.settings")
    os.environ.update(installation.beside_running_servers(os.environ))
    deadlines.be_patient()  # migrating and loading take as long as they take, and whoever waits can press Ctrl-C
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
