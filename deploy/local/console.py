"""Short lines with a check mark for people; the same lines without colours and rewriting for files."""

import os
import sys

IS_TERMINAL = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
GREEN, RED, YELLOW, DIM, BOLD = ("\033[32m", "\033[31m", "\033[33m", "\033[2m", "\033[1m")


def paint(text: str, colour: str) -> str:
    return f"{colour}{text}\033[0m" if IS_TERMINAL and "NO_COLOR" not in os.environ else text


def done(text: str, seconds: float | None = None) -> None:
    timing = "" if seconds is None else paint(f"  {seconds:.1f} s", DIM)
    _line(f"{paint('✓', GREEN)} {text}{timing}")


def failed(text: str) -> None:
    _line(f"{paint('✗', RED)} {text}")


def note(text: str) -> None:
    _line(f"{paint('!', YELLOW)} {text}")


def say(text: str = "") -> None:
    _line(text)


def progress(text: str) -> None:
    """A line that the next one replaces; nothing where lines cannot be replaced."""
    if IS_TERMINAL:
        columns = os.get_terminal_size().columns or 80
        sys.stdout.write(f"\r\033[K{paint('…', YELLOW)} {text[: columns - 3]}")
        sys.stdout.flush()


def _line(text: str) -> None:
    sys.stdout.write(f"\r\033[K{text}\n" if IS_TERMINAL else f"{text}\n")
    sys.stdout.flush()


def table(headings: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[n]) for row in [headings, *rows]) for n in range(len(headings))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    head = "  ".join(f"{cell:<{width}}" for cell, width in zip(headings, widths, strict=True)).rstrip()
    return "\n".join([paint(head, BOLD), *lines])
