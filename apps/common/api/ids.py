"""64-bit ids are strings on the wire: JavaScript counts exactly only to 2**53."""

from apps.common.errors import NotFound

_LARGEST = 2**63 - 1


def parse(text: str) -> int:
    """The id in ``text``; what cannot be an id is answered like an id that is not there (``NotFound``)."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 0 < int(text) <= _LARGEST):
        raise NotFound("There is nothing here by that id.")
    return int(text)
