"""Where things lie on this machine: the checkout, and everything written at run time under ``var/``."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Layout:
    var: Path

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Layout":
        return cls(Path(environ.get("INSTACART_VAR") or ROOT / "var").absolute())

    @property
    def log(self) -> Path:
        return self.var / "log"

    @property
    def run(self) -> Path:
        return self.var / "run"

    @property
    def state(self) -> Path:
        return self.run / "state.json"

    @property
    def secrets(self) -> Path:
        return self.var / "secrets.json"

    @property
    def postgres(self) -> Path:
        return self.var / "postgres"

    @property
    def redis(self) -> Path:
        return self.var / "redis"

    @property
    def test(self) -> Path:
        return self.var / "test"

    def make(self) -> None:
        """Create the folders. Logs and run-time state are nobody else's business."""
        self.var.mkdir(parents=True, exist_ok=True)
        for folder in (self.log, self.run):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)
