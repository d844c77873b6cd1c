"""A release as any other: twelve operations on the project's tables, in a folder for each app.

Each folder is searched together with the app's own migrations.
"""

from pkgutil import iter_modules

NAMES = ("release_columns", "release_indexes")


def newest(path: list[str]) -> str:
    """The last of the project's own migrations in the folders ``path``."""
    return max(module.name for module in iter_modules(path) if module.name not in NAMES)
