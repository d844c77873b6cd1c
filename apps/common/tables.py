"""Read a table that somebody else made (CSV, gzipped or not) without trusting it.

Memory and time are bounded whatever the file holds: bytes after unpacking, length of a line, number
of columns. What makes the whole file unreadable raises ``Unreadable``; a line that cannot be read is
handed on as ``BadLine`` and the next one follows.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from typing_extensions import override

from apps.common.errors import Invalid

MAX_BYTES = 256 * 1024 * 1024
MAX_LINE = 1024 * 1024
MAX_COLUMNS = 200
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Unreadable(Invalid):
    """Not a table we can read at all; the message says why."""

    code = "file_unreadable"


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    """Where the row starts; the header is line 1."""
    cells: Mapping[str, str]
    """Text by column name (trimmed, lower case), as it stands in the file."""


@dataclass(frozen=True, slots=True)
class BadLine:
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """Why a line, or one cell of it, was not taken over."""

    line: int
    column: str
    """Empty when it is the line as a whole."""
    value: str
    """What stood there, shortened and harmless to print."""
    reason: str


def rows(path: Path, *, max_bytes: int = MAX_BYTES) -> Iterator[Row | BadLine]:
    """The rows of a UTF-8 CSV file with a header; raises ``Unreadable`` when first asked, or on the way."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            # What GzipFile reads is bounded by the wrapper around it, not by the size of the file.
            source: BinaryIO = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
            yield from _rows(_Capped(source, max_bytes))
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"{path.name} cannot be read: {error}.") from error


def plain_text(value: str, *, longest: int) -> str:
    """``value`` with its white space tidied; raises ValueError with the reason when it must not be kept.

    Refused: control characters, bytes that were not UTF-8, and a first character that makes a
    spreadsheet run the cell as a formula.
    """
    if _CONTROL.search(value):
        raise ValueError("has characters that are not text")
    tidy = " ".join(value.split())
    if tidy.startswith(_FORMULA):
        raise ValueError("starts like a spreadsheet formula")
    if len(tidy) > longest:
        raise ValueError(f"is longer than {longest} characters")
    return tidy


def harmless(value: str) -> str:
    """``value`` fit for a CSV report that somebody opens in a spreadsheet, or for a terminal."""
    shown = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value).replace("\r", " ").replace("\n", " ")[:80]
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _rows(source: io.RawIOBase) -> Iterator[Row | BadLine]:
    text = io.TextIOWrapper(io.BufferedReader(source), encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(_lines(text), strict=True)
    names = _header(reader)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadLine(line, _csv_reason(error))
            continue
        if not cells:
            continue
        if len(cells) != len(names):
            yield BadLine(line, f"has {len(cells)} cells where the header has {len(names)}")
            continue
        yield Row(line, dict(zip(names, cells, strict=True)))


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        names = [name.strip().lower() for name in next(reader)]
    except StopIteration:
        raise Unreadable("The file is empty.") from None
    except csv.Error as error:
        raise Unreadable(f"The header {_csv_reason(error)}.") from error
    if len(names) > MAX_COLUMNS:
        raise Unreadable(f"The header has {len(names)} columns; {MAX_COLUMNS} are the most.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise Unreadable(f"The header names a column twice: {', '.join(map(harmless, repeated))}.")
    return names


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := text.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise Unreadable(f"Line {number} is longer than {MAX_LINE} characters.")
        yield line


def _csv_reason(error: csv.Error) -> str:
    if "unexpected end of data" in str(error) or "field larger" in str(error):
        return "opens a quotation mark that is never closed"
    return "has a quotation mark in the wrong place"


class _Capped(io.RawIOBase):
    """At most ``limit`` bytes of ``source``; one more raises ``Unreadable``."""

    def __init__(self, source: BinaryIO, limit: int) -> None:
        super().__init__()
        self._source = source
        self._limit = limit
        self._left = limit

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._source.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise Unreadable(f"The file holds more than {self._limit:,} bytes.")
        buffer[: len(data)] = data
        return len(data)
