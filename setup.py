"""Builds the compiled twins of ``cython_ext``: ``python setup.py build_ext --inplace``."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DIRECTIVES = {"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True}


def extensions() -> list[Extension]:
    """One for each ``cython_ext/<topic>/_<name>.pyx``."""
    sources = sorted(Path("cython_ext").glob("*/_*.pyx"))
    return [Extension(".".join(source.with_suffix("").parts), [str(source)]) for source in sources]


setup(
    name="instacart",
    packages=[],
    ext_modules=cythonize(extensions(), compiler_directives=DIRECTIVES, build_dir="build"),
)
