import struct
import zlib

import pytest

from apps.common import photos
from apps.common.errors import PhotoInvalid


def chunk(kind, body=b""):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\0"))
    + chunk(b"IEND")
)


def segment(marker, body):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


SCAN = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\xff\x00\x34\xff\xd0\x56"
JPEG = b"\xff\xd8" + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + segment(0xDB, b"\0" * 65) + SCAN + b"\xff\xd9"
EXIF = segment(0xE1, b"Exif\0\0GPS 39.9612 -82.9988")


def test_a_clean_picture_passes_unchanged():
    assert photos.cleaned(PNG) == photos.Photo(PNG, "png")
    assert photos.cleaned(JPEG) == photos.Photo(JPEG, "jpg")


def test_where_it_was_taken_and_what_hangs_behind_stay_behind():
    with_exif = b"\xff\xd8" + EXIF + segment(0xFE, b"a comment") + JPEG[2:] + b"<script>alert(1)</script>"
    assert photos.cleaned(with_exif).content == JPEG
    with_text = PNG[:-12] + chunk(b"tEXt", b"GPS\0 39.9612") + chunk(b"eXIf", b"MM") + chunk(b"IEND") + b"PK\3\4zip"
    assert photos.cleaned(with_text).content == PNG


def test_a_progressive_picture_with_several_scans_passes():
    several = JPEG[:-2] + segment(0xC4, b"\0" * 20) + SCAN + b"\xff\xff\xd9"
    assert photos.cleaned(several + b"more").content == several


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        b"GIF89a" + b"\0" * 40,
        b"%PDF-1.7",
        b"\xff\xd8\xff",
        JPEG[:-2],  # no end
        JPEG[:40],
        b"\xff\xd8" + segment(0xE0, b"JFIF\0") + b"\xff\xd9",  # no picture
        b"\xff\xd8\xff\xe0\x00\x00",
        PNG[:-4],
        PNG[:20] + b"\x07" + PNG[21:],  # wrong checksum
        PNG[:8] + chunk(b"IEND"),
        PNG[:33] + chunk(b"IEND"),  # no picture
        b"\x89PNG\r\n\x1a\n" + b"\xff\xff\xff\xff" + PNG[12:],  # a length beyond the end
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(PhotoInvalid):
        photos.cleaned(data)


def test_more_than_five_megabytes_are_refused():
    padding = b"\0" * (5 * 1024 * 1024 - len(PNG) - 12)
    largest = PNG[:-12] + chunk(b"teXt", padding) + chunk(b"IEND")
    assert photos.cleaned(largest).content == PNG
    with pytest.raises(PhotoInvalid, match="larger than 5 MB"):
        photos.cleaned(largest + b"\0")


def test_a_file_of_nothing_but_tiny_chunks_is_read_quickly():
    many = PNG[:33] + chunk(b"tIME") * 400_000 + PNG[33:]
    assert photos.cleaned(many).content == PNG
