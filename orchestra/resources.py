"""Find the files that ship with the program: schemas, templates, the demo's pages.

In a checkout `schemas/` and `templates/` are next to the package; in an installed wheel they are inside it. Both are
real folders, so a path is enough.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_KINDS = ("schemas", "templates")


def folder(kind: str) -> Path:
    """Return the folder of a kind: `schemas` or `templates`.

    Raises:
        FileNotFoundError: the installation lacks it, which is a defect of the package.
    """
    if kind not in _KINDS:
        raise ValueError(f"no kind of resource is named {kind!r}; there are {', '.join(_KINDS)}")
    inside = _PACKAGE / kind
    beside = _PACKAGE.parent / kind
    for candidate in (inside, beside):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the installation lacks {inside} and {beside}")


def path(kind: str, name: str) -> Path:
    """Return the file `name` of a kind: `path("schemas", "orchestra.schema.json")`."""
    return folder(kind) / name


def read_text(kind: str, name: str) -> str:
    """Return the text of the file `name` of a kind."""
    return path(kind, name).read_text(encoding="utf-8")
