"""The public benchmark's judge and data, which are no part of the repository."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(os.environ.get("INSTACART_SHARED", Path(__file__).parents[3] / "shared")) / "bench" / "dispatch"


def is_present() -> bool:
    if (FOLDER / "sim.py").is_file():
        return True
    print(f"NO JUDGE: {FOLDER}/sim.py is missing; set INSTACART_SHARED to the folder that has bench/dispatch")
    return False


def module(name: str) -> ModuleType:
    """A module of the judge, imported without leaving compiled files there."""
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))
        sys.dont_write_bytecode = writes
