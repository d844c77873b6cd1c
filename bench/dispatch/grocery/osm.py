"""Streets of an OpenStreetMap extract: the little of its protobuf format (wiki.openstreetmap.org/wiki/PBF_Format) that
roads need. A library would bring a compiler's worth of code for what is used once, on one known file.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Point = tuple[float, float]
NANO = 1e-9


@dataclass(frozen=True, slots=True)
class Way:
    nodes: tuple[int, ...]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Extract:
    """``points[node]`` is (lat, lng) in degrees."""

    points: dict[int, Point]
    ways: list[Way]


def read(path: Path) -> Extract:
    """All nodes, and all ways with ``highway``. ValueError for a file packed in another way than by zlib."""
    points: dict[int, Point] = {}
    ways: list[Way] = []
    for block in _blocks(path.read_bytes()):
        parts = list(_fields(block))
        scale = {number: value for number, value in parts if isinstance(value, int)}
        strings = [_bytes(s).decode() for number, table in parts if number == 1 for _, s in _fields(_bytes(table))]
        for group in (_bytes(value) for number, value in parts if number == 2):
            for number, value in _fields(group):
                if number == 2:
                    points.update(_dense(_bytes(value), scale))
                elif number == 3:
                    way = _way(_bytes(value), strings)
                    if "highway" in way.tags:
                        ways.append(way)
    return Extract(points, ways)


def _blocks(data: bytes) -> Iterator[bytes]:
    """The data blocks, unpacked; the file's header is passed over."""
    at = 0
    while at < len(data):
        head = int.from_bytes(data[at : at + 4], "big")
        header = dict(_fields(data[at + 4 : at + 4 + head]))
        at += 4 + head
        size = header[3]
        assert isinstance(size, int)
        blob = dict(_fields(data[at : at + size]))
        at += size
        if header[1] != b"OSMData":
            continue
        if 1 in blob:
            yield _bytes(blob[1])
        elif 3 in blob:
            yield zlib.decompress(_bytes(blob[3]))
        else:
            raise ValueError("a block is packed by something else than zlib; write the extract with zlib or unpacked")


def _dense(message: bytes, scale: dict[int, int]) -> Iterator[tuple[int, Point]]:
    parts = {number: _sums(_bytes(value)) for number, value in _fields(message) if number in (1, 8, 9)}
    step, south, west = NANO * scale.get(17, 100), NANO * _signed64(scale, 19), NANO * _signed64(scale, 20)
    for node, lat, lng in zip(parts[1], parts[8], parts[9], strict=True):
        yield node, (south + step * lat, west + step * lng)


def _way(message: bytes, strings: list[str]) -> Way:
    parts = {number: _bytes(value) for number, value in _fields(message) if number in (2, 3, 8)}
    keys, values = (list(_varints(parts.get(number, b""))) for number in (2, 3))
    tags = {strings[key]: strings[value] for key, value in zip(keys, values, strict=True)}
    return Way(tuple(_sums(parts.get(8, b""))), tags)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of a protobuf message: whole numbers and bytes; fixed-width numbers are passed over."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
        elif kind == 2:
            length, at = _varint(message, at)
            yield key >> 3, message[at : at + length]
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"field kind {kind} is none of protobuf's; is this an .osm.pbf file?")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _varints(message: bytes) -> Iterator[int]:
    at = 0
    while at < len(message):
        value, at = _varint(message, at)
        yield value


def _sums(message: bytes) -> Iterator[int]:
    """Zigzag numbers that each say how much more than the last they are."""
    total = 0
    for value in _varints(message):
        total += (value >> 1) ^ -(value & 1)
        yield total


def _signed64(scale: dict[int, int], number: int) -> int:
    value = scale.get(number, 0)
    return value - (1 << 64) if value >> 63 else value


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value
