"""The commands of ``./dev``, one line each. Read before anything is installed: this module imports nothing."""

COMMANDS = {
    "up": "install what is missing, start everything, print the addresses (--foreground: stay; Ctrl-C stops all)",
    "down": "stop everything that was started here",
    "status": "what runs: process, state, uptime, restarts, memory, address",
    "logs": "the log of one process: ./dev logs NAME [-f]",
    "doctor": "check every part and say what to do about what is wrong",
    "shell": "Django's shell on these servers",
    "manage": "any Django command: ./dev manage COMMAND …",
    "test": "every check and test (--fast: without types, browser and twins; other arguments go to pytest)",
    "bench": "one benchmark beside its goals: ./dev bench NAME [--quick]",
    "draw-states": "write docs/state-machines.md anew from the tables of states in the code",
    "reset-demo": "delete all data of the embedded servers and load the demo city again (asks; --yes)",
}

WITHOUT_INSTALLATION = ("down", "status", "logs")
"""With nothing installed nothing can run: these need not install anything to say so."""


def usage() -> str:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:<{width}}  {help_line}" for name, help_line in COMMANDS.items()]
    return "\n".join(["usage: ./dev COMMAND [options]", "", *lines])
