"""Which Python is meant: that of the user for `python` in a spec, that of orchestra, shielded, for its own processes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

WORDS = frozenset({"python", "python3"})


def own(module: str) -> list[str]:
    """Return the command line of a module of ours. `-P`: the working folder is the user's, and so are its modules."""
    return [sys.executable, "-P", "-m", module]


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return what commands, services and workers inherit: the environment of the user with a PATH that is complete.

    The active virtual environment is on it, first if the user's PATH lacks it. Programs in the folder of orchestra come
    last: they are used only if the user has none of that name.
    """
    folders = env.get("PATH", os.defpath).split(os.pathsep)
    active = str(Path(env["VIRTUAL_ENV"], "bin")) if env.get("VIRTUAL_ENV") else ""
    if active and active not in folders and Path(active).is_dir():
        folders.insert(0, active)
    if (folder := str(Path(sys.executable).parent)) not in folders:
        folders.append(folder)
    return {**env, "PATH": os.pathsep.join(folders)}


class Interpreter(NamedTuple):
    """The program that `python` in a spec is, and why it is this one."""

    program: str
    reason: str


def of_specs(env: Mapping[str, str], word: str = "python") -> Interpreter:
    """Return the program that `python` means in an environment as `environment` makes it."""
    found = shutil.which(word, path=env.get("PATH", os.defpath))
    if found is None:
        return Interpreter(sys.executable, f"orchestra's own: no {word} is on PATH")
    folder = str(Path(found).parent)
    if env.get("VIRTUAL_ENV") and folder == str(Path(env["VIRTUAL_ENV"], "bin")):
        return Interpreter(found, "VIRTUAL_ENV")
    if folder == str(Path(sys.executable).parent):
        return Interpreter(found, "next to orchestra")
    return Interpreter(found, "the first on PATH")
