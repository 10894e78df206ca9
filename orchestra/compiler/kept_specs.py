"""Copies of long specs as they were compiled last, with where each test is in them: for a compile after an edit.

They are next to the plans, outside git, and hold no more than the specs. A pull request can bring such a file, so it counts
only with the MAC of the current user (`owner`), and only for files that have the digests of the stamp (`outputs.stamp`).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from orchestra import nofollow, outputs, owner
from orchestra.compiler import expansion
from orchestra.compiler.include import Assembled
from orchestra.compiler.outputs import stamp
from orchestra.compiler.schema.spec import Spec
from orchestra.yamltext.document import Document

PATH = f"{outputs.FOLDER}/specs.bin"
LEAST_TESTS = 200
"""A shorter spec is not kept: the start of the program takes longer than its compile."""


class Blocks(msgspec.Struct, array_like=True):
    """A file of a spec as it was compiled: its text, the ids of its tests, and where their lines begin; last, where they end."""

    text: str
    ids: list[str]
    starts: list[int]


class Kept(msgspec.Struct, array_like=True):
    """A spec as it was compiled: its files, the main one first, and the number of steps in all."""

    files: dict[str, Blocks]
    steps: int


def keep_all(root: Path, specs: Sequence[Assembled]) -> None:
    """Keep specs that were compiled, for a compile after an edit. A spec without many tests, or that cannot be cut, is not kept.

    Args:
        root: the project root.
        specs: all of the project.
    """
    kept = {spec.paths[0]: made for spec in specs if (made := _kept(spec)) is not None}
    if kept:
        keep(root, kept)


def keep(root: Path, kept: Mapping[str, Kept]) -> None:
    """Write the copies of specs. A disk that refuses, or a user without a key, only costs time at the next compile."""
    secret = owner.key(root, os.environ)
    if not secret:
        return
    content = msgspec.msgpack.encode(kept)
    path = root / PATH
    fresh = f"{path}.{os.getpid()}"
    with contextlib.suppress(OSError):
        nofollow.unlink(fresh)
        try:
            with os.fdopen(nofollow.open_file(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                file.write(owner.mac(secret, _text(root, content)).encode() + content)
            nofollow.replace(fresh, path)
        except OSError:
            nofollow.unlink(fresh)  # no later compile has its name


def load(root: Path) -> dict[str, Kept]:
    """Return the copies of specs; none unless this user wrote them here.

    Raises:
        OSError, ValueError: there are none, or they are damaged.
    """
    whole = nofollow.read(root / PATH)
    mac, content = whole[: owner.MAC_LENGTH], whole[owner.MAC_LENGTH :]
    if not owner.is_own(owner.key(root, os.environ), _text(root, content), mac.decode("ascii", errors="ignore")):
        return {}
    return msgspec.msgpack.decode(content, type=dict[str, Kept])


def _text(root: Path, content: bytes) -> str:
    """Return what the MAC is made over: the copies, the project, and the compiler that made them."""
    return json.dumps([PATH, os.path.realpath(root), stamp.compiler(), stamp.digest(content)])


def _kept(source: Assembled) -> Kept | None:
    spec = cast("Spec", source.data)
    if len(spec["tests"]) < LEAST_TESTS:
        return None
    with_rows = {document.file for document in source.grafts.values()}
    parts = {part.file: blocks_of(part) for part in source.documents if part.file not in with_rows}
    found = {path: blocks for path, blocks in parts.items() if blocks is not None}
    return Kept(found, expansion.steps_in_all(spec)) if len(found) == len(parts) else None


def blocks_of(document: Document) -> Blocks | None:
    """Return where the tests of a file are: blocks of lines that begin with the id, at the same indentation. None where they
    are not, or where a line can change the meaning of lines far from it.
    """
    text, root, data = document.marks.text, document.marks.root, document.data
    if not isinstance(data, dict) or not isinstance(root, list) or document.anchored or "override" in data:
        return None
    if "tests" not in data:
        return Blocks(text, [], [len(text)])
    place = 1 + 2 * list(data).index("tests")
    tests, rest = root[place + 1], root[place + 2 : place + 3]
    heads = [*tests[1::2], *rest] if isinstance(tests, list) else []
    starts = [text.rfind("\n", 0, head) + 1 for head in heads] + ([] if rest else [len(text)])
    margins = [text[start:head] for start, head in zip(starts, heads, strict=False)]
    own = set(margins[: len(starts) - 1])
    in_blocks = root[0] == root[1] and len(own) == 1 and tests[0] == tests[1]
    if not in_blocks or "".join(margins).strip(" ") or own == {""}:
        return None
    return Blocks(text, list(cast("dict[str, Any]", data["tests"])), starts)
