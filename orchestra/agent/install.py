"""Add parts to the JSON files of a host, and take them out again to the byte.

`.orchestra/agent.json` records the inserted texts. It counts only with the MAC of the user (`owner`), because a checkout
can bring such a file. Without it, or in a file that was reformatted, the parts are found by their values.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from orchestra import nofollow, owner
from orchestra.agent import json_text
from orchestra.agent.hosts import Part
from orchestra.errors import MachineError, UsageError
from orchestra.ledger.disk import disk_error, replace_file

RECORD: Final = ".orchestra/agent.json"

State = Literal["there", "missing", "added", "removed", "conflict"]


class Row(NamedTuple):
    """The state of a part."""

    part: Part
    state: State


class _Additions(msgspec.Struct, frozen=True):
    """The additions to a file: its pieces in order, and whether the file and its folder were made for them."""

    pieces: tuple[str, ...] = ()
    made: bool = False
    folder: bool = False


class _Record(msgspec.Struct, frozen=True):
    """The content of `RECORD`."""

    files: dict[str, _Additions]
    mac: str = ""


def status(root: Path, parts: Iterable[Part]) -> list[Row]:
    """Return the state of each part: `there`, `missing`, or `conflict` if another value has its place.

    Raises:
        UsageError: a file is no JSON, or outside the project root.
        MachineError: it cannot be read.
    """
    values = {file: _parsed(file, _read(root, file)) for file in dict.fromkeys(part.file for part in parts)}
    return [Row(part, _state(values[part.file], part)) for part in parts]


def install(root: Path, parts: Sequence[Part], *, dry_run: bool = False) -> list[Row]:
    """Add the missing parts. Raises as `status`; then no file is changed."""
    record, rows, texts = _recorded(root), status(root, parts), {}
    for file, of_file in groupby(rows, key=lambda row: row.part.file):
        old = _read(root, file)
        text, known = old or "", record.get(file, _Additions())
        pieces = list(known.pieces)
        for row in of_file:
            if row.state == "missing":
                text, piece = json_text.add(text, row.part.path, row.part.key, row.part.value)
                pieces.append(piece)
        if text != (old or ""):
            made = known.made or old is None
            folder = known.folder or not (root / file).parent.exists()
            texts[file] = text
            record[file] = _Additions(tuple(pieces), made, folder)
    if not dry_run and texts:
        _write_record(root, record)
        for file, text in texts.items():
            _write(root, file, text)
    return [Row(row.part, "added" if row.state == "missing" else row.state) for row in rows]


def remove(root: Path, parts: Sequence[Part], *, dry_run: bool = False) -> list[Row]:
    """Take the parts out again: where the record has all of them, with every other byte as it was. Raises as `status`."""
    record, rows = _recorded(root), status(root, parts)
    present = [row for row in rows if row.state == "there"]
    for file, of_file in groupby(present, key=lambda row: row.part.file):
        old, known = _read(root, file) or "", record.pop(file, _Additions())
        text = json_text.cut(old, known.pieces) if known.pieces else None
        if text is None or _holds(file, text, parts):
            text = old
            for row in of_file:
                text = json_text.remove(text, row.part.path, row.part.key, row.part.value)
        if not dry_run:
            _write(root, file, text) if text.strip() or not known.made else _remove(root, file, folder=known.folder)
    if not dry_run and present:
        _write_record(root, record)
    return [Row(row.part, "removed" if row.state == "there" else row.state) for row in rows]


def _holds(file: str, text: str, parts: Iterable[Part]) -> bool:
    value = _parsed(file, text)
    return any(_state(value, part) == "there" for part in parts if part.file == file)


def _state(value: json_text.Json, part: Part) -> State:
    for depth in range(len(part.path)):
        if json_text.value_at(value, part.path[:depth]) is not None:
            above = json_text.value_at(value, part.path[:depth])
            if not isinstance(above, dict):
                return "conflict"
            if part.path[depth] not in above:
                return "missing"
    holder = json_text.value_at(value, part.path)
    if not part.key:
        if not isinstance(holder, list):
            return "conflict"
        return "there" if part.value in holder else "missing"
    if not isinstance(holder, dict):
        return "conflict"
    if part.key not in holder:
        return "missing"
    return "there" if holder[part.key] == part.value else "conflict"


def _parsed(file: str, text: str | None) -> json_text.Json:
    try:
        value = json_text.parse(text or "")
    except ValueError as error:
        raise UsageError(f"{file} is not JSON: {error}", "correct it; nothing was changed") from None
    if not isinstance(value, dict):
        raise UsageError(f"{file} holds no object, but {json.dumps(value)[:40]}", "correct it; nothing was changed")
    return value


# ----------------------------------------------------------------------------------------------------------- the disk
def _real(root: Path, file: str) -> Path:
    real = Path(os.path.realpath(root / file))
    if not real.is_relative_to(root):
        raise UsageError(f'"{file}" is a link out of the project root, to {real}', "remove the link")
    return real


def _read(root: Path, file: str) -> str | None:
    try:
        return nofollow.read(_real(root, file)).decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8: {error}", "correct it; nothing was changed") from None
    except OSError as error:
        raise MachineError(f'"{file}" cannot be read: {error.strerror}', "make it readable, or move it away") from error


def _write(root: Path, file: str, text: str) -> None:
    path = _real(root, file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else None
    except OSError as error:
        raise disk_error(error, path, "write") from error
    replace_file(path, text.encode(), mode=mode)


def _remove(root: Path, file: str, *, folder: bool) -> None:
    path = _real(root, file)
    nofollow.unlink(path)
    if folder:
        with suppress(OSError):  # it has other files by now
            path.parent.rmdir()


def _recorded(root: Path) -> dict[str, _Additions]:
    try:
        record = msgspec.json.decode(nofollow.read(root / RECORD), type=_Record)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return {}
    own = owner.is_own(owner.key(root, os.environ), _text(root, record.files), record.mac)
    return dict(record.files) if own else {}


def _write_record(root: Path, files: dict[str, _Additions]) -> None:
    if not files:
        nofollow.unlink(root / RECORD)
    elif secret := owner.key(root, os.environ):
        record = _Record(files, owner.mac(secret, _text(root, files)))
        replace_file(root / RECORD, msgspec.json.encode(record) + b"\n", mode=0o600)


def _text(root: Path, files: dict[str, _Additions]) -> str:
    """Return the text that the MAC of a record is made over."""
    return json.dumps([str(root), RECORD, msgspec.to_builtins(files)], sort_keys=True)
