"""The import graph keeps the promises of importlinter.ini."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_import_contracts_hold():
    # A process of its own: import-linter reconfigures logging and would silence every other test's logs.
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--config", HERE / "importlinter.ini", "--no-cache"],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
