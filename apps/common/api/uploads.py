"""Files that came with a form (multipart/form-data)."""

from django.http import HttpRequest

from apps.common import photos


def pictures(request: HttpRequest, *, most: int, name: str = "photos") -> list[bytes]:
    """What was sent under ``name``, not looked at: one file more than ``most`` and a byte more than a photo may have,

    so that the rules can refuse them, and no more than that is ever in memory.
    """
    return [file.read(photos.MAX_BYTES + 1) for file in request.FILES.getlist(name)[: most + 1]]
