"""Pictures from strangers' phones: told by their content, and stripped of everything but the picture.

A file is taken apart and put together again from the parts that make the picture. Where it was
taken (EXIF), comments, and whatever hangs behind its end (a second file, a script) stay behind.
JPEG: ITU-T T.81 annex B. PNG: W3C PNG specification, third edition, section 5.
"""

import zlib
from dataclasses import dataclass
from typing import Final

from apps.common.errors import PhotoInvalid

MAX_BYTES: Final = 5 * 1024 * 1024

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"sRGB", b"cHRM", b"pHYs"})
_JPEG_START = b"\xff\xd8"
_SOS, _EOI = 0xDA, 0xD9
_DROPPED_SEGMENTS = frozenset({0xFE, *range(0xE1, 0xEE), 0xEF})  # comments, EXIF and the like; JFIF and Adobe stay
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture that was found to be one; ``extension`` is ``jpg`` or ``png``."""

    content: bytes
    extension: str


def cleaned(data: bytes) -> Photo:
    """The picture in ``data``; raises ``PhotoInvalid`` for anything that is not a whole JPEG or PNG of at most 5 MB."""
    if len(data) > MAX_BYTES:
        raise PhotoInvalid("The photo is larger than 5 MB.")
    if data.startswith(_PNG_START):
        return Photo(content=_clean_png(data), extension="png")
    if data.startswith(_JPEG_START + b"\xff"):
        return Photo(content=_clean_jpeg(data), extension="jpg")
    raise PhotoInvalid("The photo must be a JPEG or PNG picture.")


def _clean_png(data: bytes) -> bytes:
    kept, at, kind, has_picture = [_PNG_START], len(_PNG_START), b"", False
    while kind != b"IEND":
        is_first = not kind
        length = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        if len(checksum) < 4 or zlib.crc32(kind + body) != int.from_bytes(checksum, "big"):
            raise PhotoInvalid("The PNG picture is damaged.")
        if is_first and kind != b"IHDR":
            raise PhotoInvalid("The PNG picture has no header.")
        has_picture |= kind == b"IDAT"
        if kind in _PNG_KEPT:
            kept.append(data[at : at + 12 + length])
        at += 12 + length
    if not has_picture:
        raise PhotoInvalid("The PNG picture is empty.")
    return b"".join(kept)


def _clean_jpeg(data: bytes) -> bytes:
    kept, at, has_picture = [_JPEG_START], len(_JPEG_START), False
    while True:
        while data[at : at + 2] == b"\xff\xff":  # fill bytes before a marker
            at += 1
        if at + 1 >= len(data) or data[at] != 0xFF:
            raise PhotoInvalid("The JPEG picture is damaged.")
        marker = data[at + 1]
        if marker == _EOI:
            break
        if marker in _BARE_MARKERS:
            kept.append(data[at : at + 2])
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        if length < 2 or end > len(data):
            raise PhotoInvalid("The JPEG picture is damaged.")
        if marker == _SOS:
            end = _end_of_scan(data, end)
            has_picture = True
        if marker not in _DROPPED_SEGMENTS:
            kept.append(data[at:end])
        at = end
    if not has_picture:
        raise PhotoInvalid("The JPEG picture is empty.")
    return b"".join([*kept, b"\xff\xd9"])


def _end_of_scan(data: bytes, at: int) -> int:
    """Where the compressed data that starts at ``at`` ends: before the next marker that is not a restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise PhotoInvalid("The JPEG picture is damaged.")
        if data[at + 1] not in (0x00, 0xFF) and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 1 if data[at + 1] == 0xFF else 2
