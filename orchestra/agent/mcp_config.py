"""`.mcp.json` of a project: the same browser server for people and agents who explore by hand.

The file belongs to the project: existing entries are never changed; only a missing entry is added.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from orchestra.errors import MachineError, UsageError
from orchestra.runtime.driver.mcp.flags import BY_HAND

FILE = ".mcp.json"
ENTRY = "playwright"

Outcome: TypeAlias = Literal["added", "unchanged", "kept"]

_INDENT = re.compile(r'^([ \t]+)"', re.MULTILINE)


class Merged(NamedTuple):
    """The result of a merge of the file.

    Attributes:
        text: its new content, the old one when nothing is added.
        outcome: `added`; `unchanged`, the entry is there as it should be; `kept`, there is another one of this name,
            which stays as it is.
    """

    text: str
    outcome: Outcome


def entry() -> dict[str, Any]:
    """Return the server that the Playwright package carries, with the flags of the runs."""
    return {"command": "python", "args": ["-m", "playwright", "mcp", *BY_HAND]}


def merge(text: str | None, wanted: Mapping[str, Any]) -> Merged:
    """Add the entry to the content of a file.

    Args:
        text: the content, None when there is no file.
        wanted: the entry.

    Raises:
        UsageError: the content cannot be read, so nothing can be added to it.
    """
    config = {} if text is None or not text.strip() else _read(text)
    servers = config.setdefault("mcpServers", {})
    if not isinstance(servers, dict):
        raise UsageError(f'{FILE}: "mcpServers" is {_kind(servers)}; it holds a mapping of servers', _mend(wanted))
    if ENTRY in servers:
        return Merged(text or "", "unchanged" if servers[ENTRY] == wanted else "kept")
    servers[ENTRY] = dict(wanted)
    found = _INDENT.search(text or "")
    indent = found[1] if found else "  "
    return Merged(json.dumps(config, indent=indent, ensure_ascii=False) + "\n", "added")


def write(root: Path) -> Outcome:
    """Add the entry to the project's file, all of it or nothing.

    Raises:
        UsageError: the file is there and cannot be read as JSON.
        MachineError: it cannot be read from the disk or written to it.
    """
    path = (root / FILE).resolve()
    try:
        old = path.read_text(encoding="utf-8") if path.exists() else None
    except UnicodeDecodeError as error:
        raise UsageError(f"{FILE} is not UTF-8: {error}", _mend(entry())) from None
    except OSError as error:
        raise MachineError(f"{FILE} cannot be read: {error}") from None
    new = merge(old, entry())
    if new.outcome == "added":
        _replace(path, new.text)
    return new.outcome


def _replace(path: Path, text: str) -> None:
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as scratch:
            scratch.write(text)
        if path.exists():
            Path(scratch.name).chmod(path.stat().st_mode & 0o777)
        else:
            Path(scratch.name).chmod(0o666 & ~_umask())
        Path(scratch.name).replace(path)
    except OSError as error:
        raise MachineError(f"{FILE} cannot be written: {error}") from None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _read(text: str) -> dict[str, Any]:
    try:
        config = json.loads(text.removeprefix("\ufeff"))
    except ValueError as error:
        raise UsageError(f"{FILE} is not JSON: {error}", _mend(entry())) from None
    if not isinstance(config, dict):
        raise UsageError(f"{FILE} holds {_kind(config)}, not a mapping", _mend(entry()))
    return config


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "a boolean", int: "a number", float: "a number", dict: "a mapping"}
    return names.get(type(value), "nothing")


def _mend(wanted: Mapping[str, Any]) -> str:
    return f'correct the file, or add this to its "mcpServers" by hand: {json.dumps({ENTRY: dict(wanted)})}'
