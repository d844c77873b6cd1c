"""Real data that is not part of the repository: its tests run where the folder is, and say so where it is not."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("INSTACART_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))


def file(name: str) -> Path:
    """The file ``name`` of the real data; skips the test, loudly, where it is missing."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"NO REAL DATA: {path} is missing; set INSTACART_REAL_DATA to the folder that has it")
    return path
