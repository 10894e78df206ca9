"""Every look into JSON by a JSONPath of a spec."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from orchestra.runtime.bounded import pool

SECONDS: Final = 1.0
"""Processor time of one path."""

SECONDS_PER_MEGABYTE: Final = 0.5
"""And of each megabyte of the document on top: `$..id` visits all of it."""

MEGABYTES: Final = 256
"""Memory of a look, the document not counted."""

BYTES_PER_BYTE: Final = 24
"""Memory for each byte of the document: `[[],[],…]` takes 21."""

VALUES: Final = 100_000
"""To so many values a path may lead."""

_MEGABYTE = 1_000_000
_LIBRARIES = ("jsonpath_rfc9535", "regex", "iregexp_check")


class NoJsonError(Exception):
    """The document is not JSON; the message has the reason."""


class PathError(Exception):
    """A path failed, or leads to too many values. `hint` has the fix."""

    def __init__(self, path: str, reason: str, hint: str = "") -> None:
        super().__init__(f'"{path}" {reason}')
        self.message = str(self)
        self.hint = hint


def values(data: bytes, paths: Sequence[str]) -> list[list[Any] | PathError]:
    """For each path (RFC 9535) the values to which it leads, or why it cannot be followed.

    Args:
        data: JSON, as it came.
        paths: none of them twice.

    Raises:
        NoJsonError: it is none.
        PathError: the limit of one is over.
    """
    megabytes = len(data) / _MEGABYTE
    seconds = SECONDS + SECONDS_PER_MEGABYTE * megabytes
    done = pool.ask(
        {"kind": "values", "paths": list(paths), "most": VALUES},
        seconds=seconds,
        memory=MEGABYTES * _MEGABYTE + BYTES_PER_BYTE * len(data),
        data=data,
        folders=_folders(),
    )
    if done.fault:
        reason = f"did not end within {seconds:.2g} s of processor time in {megabytes:.3g} MB of JSON"
        if done.fault == "memory":
            reason = f"needs more than {MEGABYTES} MB of memory in {megabytes:.3g} MB of JSON"
        raise PathError(paths[done.part], reason, "write the path of the value: each `..` searches the whole document")
    if isinstance(done.value, str):
        raise NoJsonError(done.value)
    return [_judged(path, answer) for path, answer in zip(paths, done.value, strict=True)]


def _judged(path: str, answer: list[Any] | str) -> list[Any] | PathError:
    if isinstance(answer, str):
        return PathError(path, f"is not a JSONPath: {answer}")
    if len(answer) > VALUES:
        return PathError(path, f"leads to more than {VALUES} values", "write a path to fewer")
    return answer


@functools.cache
def _folders() -> tuple[str, ...]:
    """Return the folders of the libraries that a helper needs."""
    found = (find_spec(name) for name in _LIBRARIES)
    places = [Path(one.origin) for one in found if one is not None and one.origin is not None]
    return tuple(dict.fromkeys(str(_top(place)) for place in places))


def _top(origin: Path) -> Path:
    """Return the folder from which a package or a module is imported."""
    return origin.parent.parent if origin.name.startswith("__init__.") else origin.parent
