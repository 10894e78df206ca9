"""Globs of a spec and of pyproject.toml.

`Path.glob` looks at a folder once for each way in which the parts of a glob lead there: `**/a/**/a/**/a` in a deep tree
takes hours. Here all parts that lead to a folder are followed together, so that each folder is looked at once.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator

_ANY = "**"
_SPECIAL = frozenset("*?[")


def files(root: str | os.PathLike[str], glob: str) -> Iterator[str]:
    """Yield the paths of the files that a glob names, in no order; links lead to files and folders, but `**` follows none.

    Args:
        root: absolute; the glob is relative to it.
        glob: `*`, `?` and `[…]` stand for a part of one name, `**` for any folders, also none. At the end of the glob `**`
            means all files below.

    Raises:
        ValueError: it is no glob.
    """
    parts = [part for part in glob.split("/") if part not in ("", ".")]
    if not parts:
        raise ValueError("it names nothing")
    if glob.startswith("/"):
        raise ValueError("it is an absolute path")
    if any(_ANY in part and part != _ANY for part in parts):
        raise ValueError(f"'{_ANY}' can only be a whole part of it")
    names = _matchers(glob)
    ahead = [(os.fspath(root), _with_none({0}, names))]
    while ahead:
        folder, places = ahead.pop()
        for path, reached in _entries(folder, places, names):
            if len(names) in reached and os.path.isfile(path):  # noqa: PTH113 - a Path for each file costs more than to look
                yield path
            if (further := reached - {len(names)}) and os.path.isdir(path):  # noqa: PTH112 - as above
                ahead.append((path, further))


def would_name(glob: str, path: str) -> bool:
    """Return whether a glob of `files` would name a file, whether or not the file exists.

    Args:
        glob: as for `files`.
        path: relative to the root, its parts separated by `/`.
    """
    matchers = _matchers(glob)
    return len(matchers) in _places(matchers, path.split("/"))


def leads(glob: str, link: str) -> bool:
    """Return whether a glob of `files` leads through a link to a folder.

    Args:
        glob: as for `files`.
        link: relative to the root; `**` does not follow it.
    """
    matchers = _matchers(glob)
    *folders, last = link.split("/")
    ahead = _ahead(matchers, _places(matchers, folders), last)
    return any(place < len(matchers) for place in ahead)


def _matchers(glob: str) -> list[_Matcher]:
    parts = [part for part in glob.split("/") if part not in ("", ".")]
    return [_matcher(part) for part in ((*parts, "*") if parts[-1:] == [_ANY] else parts)]


def _places(matchers: list[_Matcher], folders: Iterable[str]) -> frozenset[int]:
    """Return the places of a glob behind a path of folders that are no links."""
    places = _with_none({0}, matchers)
    for name in folders:
        stay = {place for place in places if place < len(matchers) and matchers[place] == _ANY}
        places = _with_none(stay | _ahead(matchers, places, name), matchers)
    return places


def _ahead(matchers: list[_Matcher], places: Iterable[int], name: str) -> set[int]:
    """Return the places of a glob behind those parts that match a name."""
    fitting = (place for place in places if place < len(matchers) and matchers[place] != _ANY)
    return {place + 1 for place in fitting if _matches(matchers[place], name)}


_Matcher = Callable[[str], object] | str
"""The match of a part of a glob: a name, names, or any folders (`**`)."""


def _matcher(part: str) -> _Matcher:
    return part if part == _ANY or _SPECIAL.isdisjoint(part) else re.compile(fnmatch.translate(part)).match


def _with_none(places: Iterable[int], names: list[_Matcher]) -> frozenset[int]:
    """Return places in a glob with those behind each `**`, which may stand for no folder."""
    behind = set(places)
    for place, name in enumerate(names):
        if place in behind and name == _ANY:
            behind.add(place + 1)
    return frozenset(behind)


def _entries(folder: str, places: frozenset[int], names: list[_Matcher]) -> Iterator[tuple[str, frozenset[int]]]:
    """Yield what is in a folder that the parts of a glob lead to, with the places after it."""
    plain = {name for place in places if isinstance(name := names[place], str) and name != _ANY}
    if plain and all(names[place] in plain for place in places):  # nothing to list
        for name in sorted(plain):
            yield f"{folder}/{name}", _with_none({place + 1 for place in places if names[place] == name}, names)
        return
    try:
        entries = list(os.scandir(folder))
    except OSError:  # it is gone, or may not be read: nothing in it is named
        return
    within = {place for place in places if names[place] == _ANY}
    for entry in entries:
        reached = {place + 1 for place in places - within if _matches(names[place], entry.name)}
        if within and entry.is_dir(follow_symlinks=False):
            reached |= within
        if reached:
            yield entry.path, _with_none(reached, names)


def _matches(name: _Matcher, text: str) -> bool:
    return name == text if isinstance(name, str) else name(text) is not None
