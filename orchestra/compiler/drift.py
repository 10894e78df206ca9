"""Compare generated files with the disk, and bring the disk in line. May import `emit`, `marker`, `stamp`, `writing`.

Each output is in one state: `same`, `missing`, `stale` (as some compiler wrote it, but for another spec or version),
`edited` (its own digest does not hold), `foreign` (not ours: nothing is written then). A path of the last compile that
no spec produces any more is an `orphan`, or `left` when it was edited by hand. CRLF line ends are no difference.
"""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from orchestra import nofollow, source
from orchestra.compiler import marker, stamp
from orchestra.compiler.emit import INDEX, File
from orchestra.compiler.writing import Change, write_all
from orchestra.errors import ForeignFileError, MachineError, UsageError

State = Literal["same", "missing", "stale", "edited", "foreign", "orphan", "left"]

_CHECKED: dict[State, str] = {
    "missing": "missing: it was never compiled, or was deleted",
    "stale": "stale: the spec compiles to something else",
    "edited": "edited by hand: what the edit says belongs in the spec, `orchestra compile` writes over it",
    "orphan": "orphaned: no spec produces it any more, `orchestra compile` removes it",
    "left": "orphaned and edited by hand: no spec produces it any more; it is yours to keep or to delete",
}
_DONE: dict[State, str] = {
    "missing": "written",
    "stale": "written anew",
    "edited": "written anew over an edit by hand",
    "orphan": "removed: no spec produces it any more",
    "left": "left alone: no spec produces it any more, but it was edited by hand; it is yours to keep or to delete",
}
# A run refuses a plan that is older than its spec, so plans are moved last; the list of outputs after all of them.
_ORDER = {"plan": 1, "index": 2}


class Found(NamedTuple):
    """An output and how it stands on the disk.

    Attributes:
        path: relative to the root.
        state: see the module.
        target: the real path.
        old: its bytes on the disk; None when it is missing.
        new: what it should hold; None when it should not be there.
        version: of the compiler that wrote what is on the disk; empty if none did.
        kind: what it is; empty for what no spec produces.
    """

    path: str
    state: State
    target: Path
    old: bytes | None
    new: bytes | None
    version: str = ""
    kind: str = ""


class Report(NamedTuple):
    """What was found, and done unless it was a check.

    Attributes:
        found: every output that is not as it should be, by path; empty when all are.
        lines: one message for each of them.
        diff: a unified diff of them, if it was asked for.
        drifted: whether it was a check and there is something to mend.
    """

    found: tuple[Found, ...]
    lines: tuple[str, ...]
    diff: str
    drifted: bool


def apply(
    root: Path,
    files: Sequence[File],
    *,
    check: bool = False,
    diff: bool = False,
    full: bool = False,
    partial: bool = False,
) -> Report:
    """Write the files, all or none and only those that differ, or with `check` say what differs.

    Args:
        root: the project root.
        files: what the specs compile to.
        check: write no output.
        diff: make a diff.
        full: leave no stamp for the next check.
        partial: not all specs of the project were compiled: orphans and the list of outputs are left alone.

    Raises:
        ForeignFileError: an output path holds a file that is not ours; nothing is written.
        UsageError: an output path leads out of the root.
        MachineError: the disk or a folder refuses; nothing is changed.
    """
    root = root.resolve()
    listed = _read(_target(root, INDEX), INDEX)
    if partial and listed is not None:
        files = [file for file in files if file.kind != "index"]
    judged = [_judge(root, file) for file in files]
    _refuse_foreign([found for found in judged if found.state == "foreign"])
    if not partial:
        judged += _orphans(root, listed or b"", {file.path for file in files})
    amiss = tuple(sorted((found for found in judged if found.state != "same"), key=lambda found: found.path))
    if not check:
        write_all([change for found in sorted(amiss, key=_order) for change in _change(found)])
    if not (full or partial or (check and amiss)):
        _stamp(root, files, judged)
    words = _CHECKED if check else _DONE
    return Report(
        found=amiss,
        lines=tuple(f"{found.path}: {words[found.state]}{_other_version(found, files)}" for found in amiss),
        diff="".join(_diff(amiss)) if diff else "",
        drifted=check and bool(amiss),
    )


# --------------------------------------------------------------------------------------------------------------- judge
def _target(root: Path, path: str) -> Path:
    """The real path of an output; a link is followed, but not out of the root, and none to or below .orchestra."""
    real = Path(os.path.realpath(root / path))
    if PurePosixPath(path).parts[0] == nofollow.BELOW and real != root / path:
        raise UsageError(
            f'"{path}" is reached through a link, to {real}, and orchestra follows none below {nofollow.BELOW}',
            "remove the link; if you did not make it, `git log` says who brought it",
        )
    if not real.is_relative_to(root):
        raise UsageError(
            f'the output "{path}" leads out of the project root, to {real}',
            "name a path inside of the root under `compile` in the spec, or remove the link",
        )
    return real


def _read(target: Path, path: str) -> bytes | None:
    try:
        return target.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise MachineError(f'"{path}" cannot be read: {error.strerror}', "make it readable, or move it away") from error


def _judge(root: Path, file: File) -> Found:
    target = _target(root, file.path)
    if target.is_dir():
        return Found(file.path, "foreign", target, None, file.content, kind=file.kind)
    old = _read(target, file.path)
    mark = marker.read(old) if old is not None else None
    return Found(
        file.path,
        _state(file.content, old, mark),
        target,
        old,
        file.content,
        version=mark.version if mark else "",
        kind=file.kind,
    )


def _state(content: bytes, old: bytes | None, mark: marker.Mark | None) -> State:
    if old is None:
        return "missing"
    if marker.unix(old) == content:
        return "same"
    if mark is None:
        return "foreign"
    return "stale" if mark.intact else "edited"


def _refuse_foreign(foreign: Sequence[Found]) -> None:
    if foreign:
        names = ", ".join(f'"{found.path}"' + (" (a folder)" if found.target.is_dir() else "") for found in foreign)
        many = len(foreign) > 1
        raise ForeignFileError(
            f"{names}: orchestra did not write {'these' if many else 'this'}, and does not overwrite it; "
            "nothing was written",
            f"move {'them' if many else 'it'} away, or name other paths under `compile` in the spec",
        )


def _orphans(root: Path, listed: bytes, wanted: set[str]) -> Iterator[Found]:
    """What an earlier compile wrote and no spec produces; only what still carries our mark."""
    for path in marker.unix(listed).decode(errors="replace").split("\n"):
        pure = PurePosixPath(path)
        if path.startswith("#") or path in wanted or not pure.parts or pure.is_absolute() or ".." in pure.parts:
            continue
        # Not through a link: what it leads to may be anything.
        target = root / path
        if Path(os.path.realpath(target)) != target or not target.is_file():
            continue
        old = _read(target, path)
        mark = marker.read(old) if old is not None else None
        if mark is not None:
            yield Found(path, "orphan" if mark.intact else "left", target, old, None, mark.version)


# ------------------------------------------------------------------------------------------------------ write and tell
def _order(found: Found) -> tuple[int, str]:
    return _ORDER.get(found.kind, 0), found.path


def _change(found: Found) -> Iterator[Change]:
    if found.state != "left":
        yield Change(found.path, found.target, found.old, found.new)


def _stamp(root: Path, files: Sequence[File], judged: Iterable[Found]) -> None:
    """Leave a stamp of what stands on the disk now, if the specs are still those that were compiled."""
    plans = [file for file in files if file.kind == "plan" and file.sources]
    digests = {path: stamp.digest_of(root, path) for plan in plans for path in plan.sources}
    for found in judged:
        content = found.old if found.state == "same" else found.new
        if content is not None:
            digests[found.path] = stamp.digest(content)
    try:
        current = all(source.digest_files(root, plan.sources) == plan.source_digest for plan in plans)
    except OSError:
        return
    if current:
        stamp.save(root, {plan.sources[0] for plan in plans}, digests)


def _other_version(found: Found, files: Sequence[File]) -> str:
    """A note when the file on the disk is of another compiler."""
    now = next((mark.version for file in files if (mark := marker.read(file.content))), "")
    return f" (it is by orchestra {found.version}, this is {now})" if found.version not in {"", now} else ""


def _diff(amiss: Iterable[Found]) -> Iterator[str]:
    for found in amiss:
        if found.state == "left":
            continue
        old, new = (_lines(content) for content in (found.old, found.new))
        start = "/dev/null" if found.old is None else f"a/{found.path}"
        end = "/dev/null" if found.new is None else f"b/{found.path}"
        for line in difflib.unified_diff(old, new, start, end):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(content: bytes | None) -> list[str]:
    return list(io.StringIO(marker.unix(content or b"").decode(errors="replace"), newline="\n"))
