"""Guard against the content of a checkout: files that a pull request can bring, and programs among them. Imports
nothing of this package.

orchestra starts some programs itself: git, browsers, the opener of files. A PATH often has folders of the project on
it, `.venv/bin` or `node_modules/.bin`. Programs there are not used for these.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

SIGN_KEY = "ORCHESTRA_SIGN_KEY"
"""The variable with a private key, or with the path of one; nothing that orchestra starts inherits it."""


def top(folder: str | os.PathLike[str]) -> str:
    """Return the top of the git work tree that a folder is in, else the folder; links resolved."""
    above = real = os.path.realpath(folder)
    while not os.path.lexists(os.path.join(above, ".git")):  # noqa: PTH118 - pathlib costs a start, here and below
        parent = os.path.dirname(above)  # noqa: PTH120
        if parent == above:
            return real
        above = parent
    return above


def brings(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> bool:
    """Return whether a path lies in the checkout that a folder is in."""
    above = top(folder)
    return os.path.commonpath((os.path.realpath(path), above)) == above


def outside(path: str, folder: str | os.PathLike[str]) -> list[str]:
    """Return the folders of a PATH that are neither relative nor in the checkout that a folder is in."""
    return [one for one in path.split(os.pathsep) if os.path.isabs(one) and not brings(one, folder)]  # noqa: PTH117


def without_key(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of what is started: the key for signing is nothing to the tested product."""
    return {name: value for name, value in env.items() if name != SIGN_KEY}


def environment(env: Mapping[str, str], folder: str | os.PathLike[str]) -> dict[str, str]:
    """Return the environment of a program that orchestra starts of its own accord: it may start others by PATH."""
    return {**without_key(env), "PATH": os.pathsep.join(outside(env.get("PATH", os.defpath), folder))}


def program(name: str, path: str, folder: str | os.PathLike[str]) -> str | None:
    """Return a program by its name, None when there is none outside of the checkout.

    Args:
        name: without a slash.
        path: folders, as in PATH; one that is relative, or in the checkout, does not count.
        folder: of the checkout.
    """
    for where in outside(path, folder):
        file = os.path.join(where, name)  # noqa: PTH118
        if os.path.isfile(file) and os.access(file, os.X_OK):  # noqa: PTH113
            return file
    return None
