"""Hot paths. Each package holds a readable ``reference`` and, once built, a compiled twin of it.

``INSTACART_IMPL`` chooses once, at import: ``auto`` takes the twin where it is built, ``cython`` insists on it,
``python`` takes the reference (slower, same answers).
"""

import os
from importlib import import_module
from types import ModuleType

CHOICES = ("auto", "cython", "python")


def implementation(package: str, module: str) -> ModuleType:
    """``package.module``, the compiled twin, or ``package.reference``; ImportError when told to do the impossible."""
    choice = os.environ.get("INSTACART_IMPL", "auto")
    if choice not in CHOICES:
        raise ImportError(f"INSTACART_IMPL is {choice!r}; it must be one of {', '.join(CHOICES)}")
    if choice == "python":
        return import_module(f"{package}.reference")
    twin = f"{package}.{module}"
    try:
        return import_module(twin)
    except ModuleNotFoundError as error:
        if error.name != twin:
            raise
        if choice == "cython":
            raise ImportError(f"{twin} is not built: run python setup.py build_ext --inplace") from error
    return import_module(f"{package}.reference")
