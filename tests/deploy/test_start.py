"""The start script before anything is installed: what it needs, and what it says when that is missing."""

import shutil
import subprocess
import sys
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from deploy.local import cli, commands
from deploy.local.layout import ROOT


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = SourceFileLoader("dev", str(ROOT / "dev"))
    module = module_from_spec(spec_from_loader("dev", loader))
    loader.exec_module(module)
    return module


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip()


def test_every_command_has_a_handler_and_a_line():
    assert set(commands.COMMANDS) == set(cli.HANDLERS)
    assert set(commands.WITHOUT_INSTALLATION) <= set(commands.COMMANDS)


def test_help_needs_nothing_installed(tmp_path: Path):
    shutil.copy(ROOT / "dev", tmp_path)
    (tmp_path / "deploy" / "local").mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "local" / "commands.py", tmp_path / "deploy" / "local")
    run = partial(subprocess.run, capture_output=True, text=True, check=False)
    assert run([sys.executable, tmp_path / "dev", "--help"]).stdout.strip() == commands.usage()
    for command, code in [("down", 0), ("status", 1)]:
        done = run([sys.executable, tmp_path / "dev", command])
        assert (done.returncode, done.stdout) == (
            code,
            "Nothing is running: nothing is installed yet. Start with ./dev up.\n",
        )
    assert not (tmp_path / ".venv").exists()


def test_an_old_python_hands_over_to_a_newer_one(dev, monkeypatch):
    handed = []
    monkeypatch.setattr(dev.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(dev.shutil, "which", lambda name: "/opt/python3.12" if name == "python3.12" else None)
    monkeypatch.setattr(dev.os, "execv", lambda path, arguments: handed.append((path, arguments[1])))
    monkeypatch.setattr(dev, "stop", lambda sentence: None)
    dev.find_python()
    assert handed == [("/opt/python3.12", str(ROOT / "dev"))]


def test_an_old_python_alone_is_refused(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit):
        dev.find_python()
    assert refusal(capsys).startswith("This needs Python 3.11 or newer; ")


def test_missing_tools_are_named_together_with_their_packages(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    monkeypatch.setattr(dev.sysconfig, "get_paths", lambda: {"include": "/nowhere"})
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit):
        dev.check_tools()
    assert refusal(capsys) == (
        "Missing: Python's venv module, a C compiler (gcc), Python's header files (Python.h). "
        "On Debian and Ubuntu: apt-get install python3-venv gcc libc6-dev python3-dev"
    )


def test_a_failed_installation_shows_its_end_and_its_log(dev, monkeypatch, capsys, tmp_path: Path):
    monkeypatch.setattr(dev, "ROOT", str(tmp_path))
    monkeypatch.setattr(dev, "VENV", str(tmp_path / ".venv"))
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    monkeypatch.setattr(dev, "follow", lambda command, log, wanted: Path(log).write_text("fetching\nno such package\n"))
    dev.write(dev.stamp("python"), dev.identity())
    with pytest.raises(SystemExit):
        dev.install()
    said = refusal(capsys)
    assert str(tmp_path / "var" / "log" / "install.log") in said
    assert said.endswith("    no such package")
    assert not dev.is_installed()


def test_changed_requirements_are_installed_again(dev, monkeypatch, tmp_path: Path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("a==1\n")
    monkeypatch.setattr(dev, "REQUIREMENTS", str(requirements))
    monkeypatch.setattr(dev, "VENV", str(tmp_path))
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    assert not dev.is_installed()
    dev.write(dev.stamp("requirements"), dev.digest([str(requirements)]))
    assert dev.is_installed()
    requirements.write_text("a==2\n")
    assert not dev.is_installed()
