"""``./dev`` once everything is installed: ``python -m deploy.local.cli COMMAND``."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from deploy.local import checks, commands, console, lifecycle, postgres, sockets, unprivileged
from deploy.local import state as states
from deploy.local.installation import Installation, WrongPort, beside_running_servers
from deploy.local.layout import ROOT, Layout

UNDERSTOOD = (WrongPort, postgres.ServerFailed, sockets.UnsafeFolder, unprivileged.NoAccount)
"""Errors whose sentence is enough."""


def up(arguments: list[str]) -> int:
    parser = _parser("up")
    parser.add_argument("--foreground", action="store_true", help="stay until Ctrl-C, then stop everything")
    parser.add_argument("--port", help="port of the web pages (PORT)")
    options = parser.parse_args(arguments)
    if os.environ.get("INSTACART_ENV") == "production":
        console.failed("./dev runs a machine of its own for everything; in production start the processes yourself.")
        return 1
    chosen = {"PORT": options.port} if options.port else {}
    return lifecycle.up(Installation.read({**os.environ, **chosen}), foreground=options.foreground)


def down(arguments: list[str]) -> int:
    _parser("down").parse_args(arguments)
    return lifecycle.down(Layout.read())


def status(arguments: list[str]) -> int:
    _parser("status").parse_args(arguments)
    state = lifecycle.running_state(Layout.read())
    if state is None:
        console.say("Nothing is running. Start with ./dev up.")
        return 1
    headings = ["NAME", "PID", "STATE", "FOR", "RESTARTS", "MEMORY", "ADDRESS"]
    rows = [_row(child) for child in state.children if not child.is_step or child.state != states.DONE]
    console.say(console.table(headings, rows))
    for child in state.failures():
        console.failed(f"{child.name} {child.message}")
    return 0 if state.is_complete() else 1


def _row(child: states.Child) -> list[str]:
    return [
        child.name,
        str(child.identity.pid) if child.identity else "-",
        child.state,
        _duration(time.time() - child.since),
        str(child.restarts),
        _memory(child),
        child.address,
    ]


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _memory(child: states.Child) -> str:
    """Of the process and its descendants, without what they share."""
    if not child.identity or not child.identity.is_alive():
        return "-"
    total = 0
    root = psutil.Process(child.identity.pid)
    for process in [root, *root.children(recursive=True)]:
        try:
            used = process.memory_info()
            total += used.rss - getattr(used, "shared", 0)
        except psutil.Error:  # gone meanwhile, or somebody else's
            continue
    return f"{total / 2**20:.0f} MB"


def logs(arguments: list[str]) -> int:
    layout = Layout.read()
    names = sorted(path.stem for path in layout.log.glob("*.log"))
    parser = _parser("logs")
    parser.add_argument("name", metavar="NAME", help=", ".join(names) or "nothing was started yet")
    parser.add_argument("-f", "--follow", action="store_true")
    parser.add_argument("-n", "--lines", type=int, default=100)
    options = parser.parse_args(arguments)
    path = layout.log / f"{options.name}.log"
    if options.name not in names:
        console.failed(f"There is no log {options.name}; there are: {', '.join(names) or 'none yet'}.")
        return 1
    position = path.stat().st_size
    for line in path.read_text(errors="replace").splitlines()[-options.lines :]:
        print(line)
    try:
        while options.follow:
            position = _print_new(path, position)
            time.sleep(0.2)
    except KeyboardInterrupt:
        pass
    return 0


def _print_new(path: Path, position: int) -> int:
    size = path.stat().st_size
    if size < position:  # rotated
        position = 0
    with path.open("rb") as file:
        file.seek(position)
        sys.stdout.write(file.read().decode(errors="replace"))
        sys.stdout.flush()
        return file.tell()


def manage(arguments: list[str]) -> int:
    """Become ``manage.py``."""
    environ = beside_running_servers(os.environ)
    os.execve(sys.executable, [sys.executable, "manage.py", *arguments], environ)  # noqa: S606 (no shell is the point)


def shell(arguments: list[str]) -> int:
    return manage(["shell", *arguments])


def doctor(arguments: list[str]) -> int:
    return manage(["doctor", *arguments])


def bench(arguments: list[str]) -> int:
    """Become the runner of benchmarks."""
    environ = beside_running_servers(os.environ)
    os.execve(sys.executable, [sys.executable, "-m", "bench", *arguments], environ)  # noqa: S606


def draw_states(arguments: list[str]) -> int:
    """Become what draws them: this process has not read the apps."""
    _parser("draw-states").parse_args(arguments)
    os.execve(sys.executable, [sys.executable, "-m", "deploy.state_machines"], os.environ)  # noqa: S606


def reset_demo(arguments: list[str]) -> int:
    parser = _parser("reset-demo")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(arguments)
    installation = Installation.read(beside_running_servers(os.environ))
    if not installation.postgres:
        console.failed("DATABASE_URLS names servers that are not ours to empty; ./dev deletes only embedded data.")
        return 1
    question = f"Delete all orders, people and payments under {installation.layout.var}? [y/N] "
    if not options.yes and not _agreed(question):
        console.say("Nothing was deleted.")
        return 1
    lifecycle.down(installation.layout)
    lifecycle.forget(installation)
    console.done("All data is deleted.")
    return lifecycle.up(installation, foreground=False)


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in {"y", "yes"}
    except EOFError:  # nobody is there to answer
        console.say()
        return False


def test(arguments: list[str]) -> int:
    return checks.run(arguments)


def _parser(name: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"./dev {name}", description=commands.COMMANDS[name])


HANDLERS: Mapping[str, Callable[[list[str]], int]] = {
    "up": up,
    "down": down,
    "status": status,
    "logs": logs,
    "doctor": doctor,
    "shell": shell,
    "manage": manage,
    "test": test,
    "bench": bench,
    "draw-states": draw_states,
    "reset-demo": reset_demo,
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in HANDLERS:
        print(commands.usage())
        return 0 if arguments[:1] in (["--help"], ["-h"], ["help"]) else 2
    os.chdir(ROOT)
    try:
        return HANDLERS[arguments[0]](arguments[1:])
    except UNDERSTOOD as error:
        console.failed(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
