"""The files of the project that a command line names, and what a Python program among them imports.

They are what a service or a job is made of where its spec declares no `inputs`. Nothing is executed: imports are read from
the text, so a name that is built at run time is not seen.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

MOST_MODULES = 5000
"""A bound against a project that links to itself; a larger program declares its `inputs`."""

_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*")
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(?P<from>\.*[\w.]*)[ \t]+import[ \t]+(?P<names>\([^)]*\)|[^\n;#]*)|import[ \t]+(?P<import>[^\n;#]+))",
    re.MULTILINE,
)
_WORD = re.compile(rb"[\w.]+")
_ATTRIBUTE = re.compile(r"(?P<module>[\w.]+):[\w.]+(?:\(\))?")
"""`app.main:app`, as servers of WSGI and ASGI are given their program."""


def argv_files(root: Path, cwd: str, argv: Sequence[str], env: Mapping[str, str], *, shell: bool = False) -> set[Path]:
    """Return the files below the root that the words of a command line name, with the modules that they import.

    Args:
        root: the project root, links resolved.
        cwd: the folder of the command, relative to the root.
        argv: program and arguments; with `shell` the text for it.
        env: variables of the command; folders of `PYTHONPATH` below the root hold modules.
        shell: whether /bin/sh splits the text.
    """
    folder = root / cwd
    words = [word for text in argv for word in _split(text)] if shell else list(argv)
    files = {file for word in words for part in {word, word.rpartition("=")[2]} if (file := _file(root, folder / part))}
    path = [folder, *(folder / part for part in env.get("PYTHONPATH", "").split(":") if part)]
    for index, word in enumerate(words):
        if named := _ATTRIBUTE.fullmatch(word):
            files |= _closure(root, _module(root, named["module"], path), path)
        if _PYTHON.fullmatch(Path(word).name):
            begin = _started(root, folder, words[index + 1 :], path)
            files |= _closure(root, begin, [*(file.parent for file in begin[-1:]), *path])
    return files


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _file(root: Path, path: Path) -> Path | None:
    """Return the file, if it is one below the root."""
    try:
        real = Path(os.path.realpath(path))
        return real if real.is_relative_to(root) and real.is_file() else None
    except (OSError, ValueError):  # a word may hold any text
        return None


def _started(root: Path, folder: Path, words: Sequence[str], path: Sequence[Path]) -> list[Path]:
    """Return the file with which an interpreter begins: that of `-m NAME`, or the first word that is no option."""
    rest = iter(words)
    for word in rest:
        if word == "-m":
            return _module(root, next(rest, ""), path, run=True)
        if word in {"-X", "-W"}:
            next(rest, None)
        elif not word.startswith("-"):
            file = _file(root, folder / word)
            return [] if file is None else [file]
        elif word == "-c":
            return []
    return []


def _module(root: Path, name: str, path: Sequence[Path], *, run: bool = False) -> list[Path]:
    """Return the files of a module: its own, the `__init__.py` of each package above it, and of one that is run
    `__main__.py`.
    """
    parts = name.split(".")
    if not all(parts):
        return []
    for folder in path:
        files = []
        for depth in range(1, len(parts) + 1):
            base = folder.joinpath(*parts[:depth])
            leaf = [base.with_name(f"{base.name}.py")] if base.name else []
            ends = [base / "__main__.py"] if run and depth == len(parts) else []
            files += [file for one in (*leaf, base / "__init__.py", *ends) if (file := _file(root, one))]
        if files:
            return files
    return []


def _closure(root: Path, begin: Sequence[Path], path: Sequence[Path]) -> set[Path]:
    """Return these files and the modules below the root that they import, directly or not."""
    found: set[Path] = set()
    ahead = list(begin)
    while ahead and len(found) < MOST_MODULES:
        file = ahead.pop()
        if file not in found:
            found.add(file)
            for folders, name in _imports(file, path):
                ahead += _module(root, name, folders)
    return found


def _imports(file: Path, path: Sequence[Path]) -> Iterator[tuple[Sequence[Path], str]]:
    """Yield the modules that a file may import: where to look for each, and its name."""
    try:
        text = file.read_bytes()
    except OSError:
        return
    for match in _IMPORT.finditer(text):
        if match["import"] is not None:
            for clause in match["import"].split(b","):
                if word := _WORD.search(clause):
                    yield path, word[0].decode(errors="replace")
            continue
        dots, name = _relative(match["from"].decode(errors="replace"))
        folders = path if not dots else [file.parents[min(dots, len(file.parents)) - 1]]
        if name:
            yield folders, name
        for word in _WORD.findall(match["names"]):  # `from package import module`: `as` and its name find nothing
            yield folders, f"{name}.{word.decode(errors='replace')}".lstrip(".")


def _relative(name: str) -> tuple[int, str]:
    bare = name.lstrip(".")
    return len(name) - len(bare), bare
