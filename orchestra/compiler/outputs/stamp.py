"""The stamp of the last clean compile, by which an unchanged check is answered at once.

It is next to the plans, outside git, and holds the digest of every input and output and a fingerprint of the compiler
itself (version, Python, and size and time of each of its files). While all of them are the same, rendering would
produce the current files. It is a shortcut for people: CI and `--full` ignore it. A pull request can bring one, so it
counts only with the MAC of the current user (`owner`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence

import orchestra
from orchestra import __version__, nofollow, owner

_FOLDER = ".orchestra"
PATH = f"{_FOLDER}/stamp.json"
SETTINGS = "pyproject.toml"
_PACKAGE = os.path.abspath(next(iter(orchestra.__path__)))  # noqa: PTH100 - pathlib costs a start
_SKILL = "/SKILL.md"
_IGNORED = frozenset({"__pycache__", "demo"})


def digest(content: bytes) -> str:
    """Return the hexadecimal SHA-256 of the bytes."""
    return hashlib.sha256(content).hexdigest()


def digest_of(root: str | os.PathLike[str], path: str) -> str:
    """Return the digest of a file below the root; empty when it cannot be read."""
    try:
        return digest(nofollow.read(os.path.realpath(os.path.join(root, path))))  # noqa: PTH118 - pathlib costs a start
    except OSError:
        return ""


def siblings(root: str | os.PathLike[str], paths: Iterable[str]) -> list[str]:
    """Return all files that are in the folders of generated files and named like them, and the plans of all suites, sorted.

    Earlier compiles, checkouts and merges leave such files.

    Args:
        root: the project root.
        paths: of the generated files, relative to it.
    """
    kinds = {
        (os.path.dirname(path), os.path.splitext(path)[1])  # noqa: PTH120, PTH122 - pathlib costs a start
        for path in paths
        if not path.startswith(f"{_FOLDER}/")  # a run has files there, too; plans are found below
    }
    paths = {
        f"{folder}/{name}"
        for folder, suffix in kinds
        for name in _names(root, folder)
        if suffix and name.endswith(suffix)
    }
    skills = {os.path.dirname(os.path.dirname(path)) for path in paths if path.endswith(_SKILL)}  # noqa: PTH120 - a start
    paths |= {f"{folder}/{name}{_SKILL}" for folder in skills for name in _names(root, folder)}
    for suite in _names(root, _FOLDER):
        names = _names(root, f"{_FOLDER}/{suite}")
        paths |= {f"{_FOLDER}/{suite}/{name}" for name in names if name.startswith("plan.") and name.endswith(".json")}
    return sorted(path.removeprefix("/") for path in paths)


def _names(root: str | os.PathLike[str], folder: str) -> list[str]:
    try:
        return os.listdir(os.path.join(root, folder))  # noqa: PTH118, PTH208 - pathlib costs a start
    except OSError:
        return []


def _entries(folder: str) -> Iterable[str]:
    if os.path.isdir(folder):  # noqa: PTH112 - pathlib costs a start
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if entry.is_dir():
                    yield from () if entry.name in _IGNORED else _entries(entry.path)
                else:
                    state = entry.stat()
                    yield f"{entry.path} {state.st_size} {state.st_mtime_ns}"


def folders() -> tuple[str, ...]:
    """Return the folders of all files that decide which bytes are generated; an installed package has all in the first."""
    beside = os.path.dirname(_PACKAGE)  # noqa: PTH120 - pathlib costs a start
    return _PACKAGE, os.path.join(beside, "schemas"), os.path.join(beside, "templates")  # noqa: PTH118 - as above


def compiler() -> str:
    """Return the fingerprint of the running compiler: it differs whenever the compiler may give other bytes."""
    lines = [__version__, sys.version, *(line for folder in folders() for line in _entries(folder))]
    return digest("\n".join(lines).encode(errors="surrogateescape"))


def unchanged(root: str | os.PathLike[str], specs: Sequence[str]) -> bool:
    """Return True if everything is as it was when the outputs were last found, or made, right.

    Args:
        root: the project root.
        specs: the spec files of the project, relative to the root, as they are now; includes are known from the stamp.
    """
    return edited(root, specs) == {}


def edited(root: str | os.PathLike[str], specs: Sequence[str]) -> dict[str, str] | None:
    """Return the files that are not as they were when the outputs were last found, or made, right, with their digests then.

    Args:
        root: the project root.
        specs: as of `unchanged`.

    Returns:
        None if there is no such time, or further files were added since.
    """
    known, files, beside = _read(root)
    if not files or known != sorted(specs) or siblings(root, files) != beside:
        return None
    return {path: then for path, then in files.items() if digest_of(root, path) != then}


def vouches(root: str | os.PathLike[str], paths: Iterable[str]) -> bool:
    """Return whether these files are as they were when the outputs were last found, or made, right.

    Args:
        root: the project root.
        paths: an output and all that it was compiled from, relative to the root. One that the stamp has not seen is not
            vouched for.
    """
    _, files, _ = _read(root)
    wanted = (SETTINGS, *paths)
    return all(path in files for path in wanted) and _same(root, {path: files[path] for path in wanted})


def _same(root: str | os.PathLike[str], files: Mapping[str, str]) -> bool:
    return all(digest_of(root, path) == known for path, known in files.items())


def _read(root: str | os.PathLike[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Return specs and files of the stamp, and the further files, all empty unless this user made it here, by the
    compiler as it is now.
    """
    secret = owner.key(root, os.environ)
    try:
        stamp = json.loads(nofollow.read(os.path.join(root, PATH)))  # noqa: PTH118 - pathlib costs a start
        specs, files, beside, mac = stamp["specs"], stamp["files"], stamp["beside"], stamp["mac"]
        own = owner.is_own(secret, _text(root, stamp["compiler"], specs, files, beside), mac)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return [], {}, []
    return (specs, files, beside) if own and stamp["compiler"] == compiler() else ([], {}, [])


def _text(
    root: str | os.PathLike[str], by: str, specs: Sequence[str], files: Mapping[str, str], beside: Sequence[str]
) -> str:
    """Return what the MAC of a stamp is made over: all of it, and the project that it is about."""
    return json.dumps([os.path.realpath(root), by, specs, files, beside], sort_keys=True)


def save(root: str | os.PathLike[str], specs: Iterable[str], files: Mapping[str, str]) -> None:
    """Write the stamp; a disk that refuses, or a user without a key, only costs time at the next check.

    Args:
        root: the project root.
        specs: the spec files, without what they include.
        files: the digest of each input and output, by path relative to the root.
    """
    secret = owner.key(root, os.environ)
    if not secret:
        return
    known = {**files, SETTINGS: digest_of(root, SETTINGS)}
    by, main, beside = compiler(), sorted(specs), siblings(root, known)
    mac = owner.mac(secret, _text(root, by, main, known, beside))
    stamp = {"compiler": by, "specs": main, "files": known, "beside": beside, "mac": mac}
    text = json.dumps(stamp, sort_keys=True)
    path = os.path.join(root, PATH)  # noqa: PTH118 - pathlib costs a start
    fresh = f"{path}.{os.getpid()}"
    try:
        nofollow.unlink(fresh)
        handle = nofollow.open_file(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        nofollow.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            nofollow.unlink(fresh)
