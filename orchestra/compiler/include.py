"""The spec file and the files that it includes, merged to one tree whose every line is known.

Merging is by unit: a top-level scalar or list is one, else each entry
of a top-level mapping (`tests.B001`, `vars.ticker`), and for `gates` each gate (`gates.before.servers_up`). A unit that
two files define is a mistake, unless the including file lists it under `override:`.

A little longer than most modules: reading and merging share what they know of the files, for messages with both places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import chain
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from posixpath import normpath
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from orchestra.compiler import row_files, schema_files
from orchestra.diagnostic import Diagnostic, Place
from orchestra.errors import SpecError, UsageError
from orchestra.yamltext.decoding import MAX_BYTES
from orchestra.yamltext.digest import digest_texts
from orchestra.yamltext.document import Document, Json, Path, Trap
from orchestra.yamltext.parse import parse

# How many keys name a unit below these sections; everywhere else it is two (or one for what is no mapping).
_DEPTH = {"gates": 3}
_USUAL_DEPTH = 2
# The keys that speak about files and are gone after the merge; a version may stand in each part.
_INCLUDE, _OVERRIDE, _VERSION = "include", "override", "orchestra"


@dataclass(frozen=True, slots=True)
class Assembled:
    """A whole spec as data.

    Attributes:
        data: the merged tree, without `include` and `override`; anything at all when the main file is no mapping.
        documents: the files as they were read: the main file, then each included one in the order in which it is met,
            then the files with rows and schemas.
        digest: over the bytes of all files, as `orchestra.yamltext.digest.digest_files(root, paths)` computes it.
        paths: of the files, relative to the root, in the order of `documents`.
        owners: the document that each unit was taken from.
        grafts: the document of each `rows` or `schema` that names a file; the data has its content in place of the name.
    """

    data: Json
    documents: tuple[Document, ...]
    digest: str
    paths: tuple[str, ...]
    owners: dict[Path, Document] = field(repr=False, compare=False)
    grafts: dict[Path, Document] = field(default_factory=dict, repr=False, compare=False)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Return the place of the value (or the key) of `path`, or of its nearest existing ancestor, in the file that
        won.
        """
        for depth in range(3, len(path)) if self.grafts else ():
            if path[:depth] in self.grafts:
                return self.grafts[path[:depth]].place(path[depth:], key=key)
        owners = (self.owners[path[:depth]] for depth in range(1, 4) if path[:depth] in self.owners)
        # Outside of units, in a section that several files share: the first file that has the line, or an ancestor's.
        ancestors = (path[:depth] for depth in range(len(path), -1, -1))
        having = (part for ancestor in ancestors for part in self.documents if part.has(ancestor))
        return next(chain(owners, having)).place(path, key=key)

    @property
    def traps(self) -> tuple[Trap, ...]:
        """The deceptive scalars of all files, those of overridden units left out."""
        return tuple(
            trap
            for document in self.documents
            for trap in document.traps
            if isinstance(trap.path[0], int)
            or (trap.path[:1] not in ((_INCLUDE,), (_OVERRIDE,)) and self.place(trap.path) == trap.place)
        )


def load(root: FilePath, path: str, instead: Mapping[str, bytes] = MappingProxyType({})) -> Assembled:
    """Read a spec file with all that it includes.

    Args:
        root: the project root; nothing outside of it is read.
        path: the spec file, relative to the root.
        instead: what to read in place of the content of some files, by path relative to the root.

    Raises:
        UsageError: the spec file is missing, unreadable, no file, or outside of the root.
        SpecError: a file is not YAML that we read, an include cannot be followed, or two files collide.
    """
    reading = _Reading(root, instead)
    try:
        name, raw = reading.fetch(_relative(path, root))
    except _UnreadableError as error:
        raise UsageError(f'the spec "{path}" {error.reason}', error.hint) from None
    reading.read(name, raw, Place(name, 1, 1))
    if reading.problems:
        raise SpecError(tuple(sorted(reading.problems)))
    documents = tuple(part.document for part in reading.parts.values())
    merged = _Merge()
    main = documents[0]
    if isinstance(main.data, dict):
        merged.add(reading.parts[name], reading.parts)
    if merged.problems:
        raise SpecError(tuple(sorted(merged.problems)))
    data: Json = merged.tree() if isinstance(main.data, dict) else main.data
    assembled = Assembled(data, documents, "", tuple(reading.parts), merged.owners())
    texts = {part.document.file: part.raw for part in reading.parts.values()}
    assembled = _with_files(assembled, reading, texts)
    return replace(assembled, digest=digest_texts(texts.items()))


def _with_files(assembled: Assembled, reading: _Reading, texts: dict[str, bytes]) -> Assembled:
    """Return the spec with the rows and schemas of files in place of their names; `texts` gets the files."""
    data, grafts = assembled.data, {}
    known: dict[str, Document] = {}
    problems: set[Diagnostic] = set()
    for kind, path, written in _named_files(data) if isinstance(data, dict) else ():
        try:
            name, raw = reading.fetch(written)
            known[name] = known.get(name) or kind.read(raw, name)
        except _UnreadableError as error:
            message = f'the {kind.RULE.replace("-", " ")} "{written}" {error.reason}'
            place = assembled.place((*path, "file"))
            problems.add(Diagnostic(place, kind.RULE, message, error.hint))
        except SpecError as error:
            problems.update(error.diagnostics)
        else:
            texts[name], grafts[path] = raw, known[name]
            data = row_files.replaced(data, path, known[name].data)
    if problems:
        raise SpecError(tuple(sorted(problems)))
    documents = (*assembled.documents, *known.values())
    return replace(assembled, data=data, documents=documents, paths=tuple(texts), grafts=grafts)


def _named_files(data: dict[str, Json]) -> Iterator[tuple[ModuleType, Path, str]]:
    """Yield the module that reads each file that the spec names, the path of the name, and the name."""
    for module in (row_files, schema_files):
        yield from ((module, path, written) for path, written in module.named(data))


def _relative(path: str, root: FilePath) -> str:
    """Return a path below the root without the root; any other path as it is."""
    given = FilePath(path)
    base = next((base for base in (root, root.resolve()) if given.is_absolute() and given.is_relative_to(base)), None)
    return path if base is None else given.relative_to(base).as_posix()


class _UnreadableError(Exception):
    """A file that cannot be read: why, and what to do."""

    def __init__(self, reason: str, hint: str, *, missing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.missing = missing


@dataclass(slots=True)
class _Part:
    """A file that was read, and the parts that it includes, in order."""

    document: Document
    raw: bytes
    included: list[str] = field(default_factory=list)


class _Reading:
    """Follows includes depth first and remembers where each file was named."""

    def __init__(self, root: FilePath, instead: Mapping[str, bytes]) -> None:
        self._root = root
        self._instead = instead
        self._real_root = root.resolve()
        self.parts: dict[str, _Part] = {}
        self.problems: list[Diagnostic] = []
        self._named_at: dict[FilePath, Place] = {}
        self._open: list[FilePath] = []

    def fetch(self, path: str) -> tuple[str, bytes]:
        """Return the normal form of a path relative to the root, and the bytes of its file."""
        if "${" in path:
            reason = "cannot be chosen by a name: it is read when the spec is compiled"
            raise _UnreadableError(reason, "write the path of one file")
        name = normpath(path)
        try:
            real = (self._root / name).resolve()
            if name.startswith("..") or not real.is_relative_to(self._real_root):
                reason = f'is outside the project root "{self._root}"'
                raise _UnreadableError(reason, "name a file below the project root")
            if name.startswith("/"):
                raise _UnreadableError("is an absolute path", "write it relative to the project root")
            if not real.exists():
                hint = "check the spelling; paths are relative to the project root"
                raise _UnreadableError("does not exist", hint, missing=True)
            if not real.is_file():
                raise _UnreadableError("is not a file", "name a file, not a folder")
            with real.open("rb") as handle:
                # One byte more than is allowed is enough to refuse a file of any length.
                return name, self._instead.get(name) or handle.read(MAX_BYTES + 1)
        except (OSError, ValueError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            hint = "correct the path or the permissions of the file"
            raise _UnreadableError(f"cannot be read: {why.lower()}", hint) from None

    def read(self, name: str, raw: bytes, named_at: Place) -> None:
        """Parse a file and all that it includes."""
        real = (self._root / name).resolve()
        self._named_at[real] = named_at
        try:
            document = parse(raw, name)
        except SpecError as error:
            self.problems.extend(error.diagnostics)
            return
        if self._open and not isinstance(document.data, dict):
            message = f'the included file "{name}" is not a mapping of sections'
            self.problems.append(Diagnostic(named_at, "include-path", message, "begin it with a key such as `tests:`"))
        part = self.parts[name] = _Part(document, raw)
        self._open.append(real)
        for path, place in _texts(document, _INCLUDE, self.problems):
            self._follow(part, path, place)
        self._open.pop()

    def _follow(self, part: _Part, path: str, place: Place) -> None:
        try:
            name, raw = self.fetch(path)
        except _UnreadableError as error:
            hint = error.hint
            beside = normpath(PurePosixPath(part.document.file).parent / path)
            if error.missing and not beside.startswith("..") and (self._root / beside).is_file():
                hint = f'did you mean "{beside}"? paths are relative to the project root'
            self.problems.append(Diagnostic(place, "include-path", f'the included file "{path}" {error.reason}', hint))
            return
        real = (self._root / name).resolve()
        if real in self._open:
            message = f'"{path}" includes itself' if real == self._open[-1] else f'"{path}" is included in a cycle'
            begun = self._named_at[real]
            where = f"; the cycle begins at {begun}" if begun.file != name else ""
            self.problems.append(Diagnostic(place, "include-cycle", message + where, "remove one of the includes"))
        elif real in self._named_at:
            message = f'"{path}" is included twice; first at {self._named_at[real]}'
            self.problems.append(Diagnostic(place, "include-twice", message, "remove one of the includes"))
        else:
            part.included.append(name)
            self.read(name, raw, place)


class _Unit(NamedTuple):
    """A unit of the merged tree and its document. A branch is a mapping that holds units."""

    value: Json
    owner: Document
    branch: bool


class _Merge:
    """Units in the order in which a reader meets them: included files first, then the file's own."""

    def __init__(self) -> None:
        self._units: dict[Path, _Unit] = {}
        self.problems: list[Diagnostic] = []

    def add(self, part: _Part, parts: dict[str, _Part]) -> None:
        """Take in a file after all that it includes."""
        document = part.document
        before = set(self._units) if _OVERRIDE in _mapping(document) else set()
        for name in part.included:
            self.add(parts[name], parts)
        own = _units(document)
        overrides = self._overrides(document, before, own)
        for path, unit in own.items():
            known = self._units.get(path)
            if known is None or path in overrides:
                self._units[path] = unit
            elif known.branch != unit.branch:
                self._refuse_mixed(path, unit, known)
            elif not (unit.branch or _same_version(path, unit.value, known.value)):
                self._refuse_duplicate(path, unit, known)

    def _overrides(self, document: Document, before: set[Path], own: dict[Path, _Unit]) -> set[Path]:
        """Return the units that a file may define again: named under `override:`, and met in what it includes."""
        allowed: set[Path] = set()
        listed = list(_texts(document, _OVERRIDE, self.problems))
        if not listed:
            return allowed
        met = (path for path, unit in self._units.items() if path not in before and not unit.branch)
        known = {".".join(map(str, path)): path for path in met}
        for name, place in listed:
            path = known.get(name)
            if path is None:
                near = get_close_matches(name, known, 1)
                hint = f'did you mean "{near[0]}"?' if near else "remove it; name units such as tests.B001 or title"
                message = f'"{name}" overrides nothing: no included file defines it'
                self.problems.append(Diagnostic(place, "include-override", message, hint))
            elif path not in own:
                message = f'"{name}" is listed under "override", but this file does not define it'
                first = self._units[path].owner.place(path, key=True)
                hint = f"define it here, or remove it from `override:`; it is defined at {first}"
                self.problems.append(Diagnostic(place, "include-override", message, hint))
            else:
                allowed.add(path)
        return allowed

    def _refuse_duplicate(self, path: Path, unit: _Unit, known: _Unit) -> None:
        name = ".".join(map(str, path))
        message = f'"{name}" is defined twice; the first is at {known.owner.place(path, key=True)}'
        hint = f"remove one, or write `override: [{name}]` in the file that includes the other"
        place = unit.owner.place(path, key=True)
        self.problems.append(Diagnostic(place, "include-duplicate", message, hint))

    def _refuse_mixed(self, path: Path, unit: _Unit, known: _Unit) -> None:
        """Report a section that is a mapping in one file and another type in another."""
        name = ".".join(map(str, path))
        here, there = ("a mapping", "none") if unit.branch else ("no mapping", "one")
        message = f'"{name}" is {here}, but it is {there} at {known.owner.place(path, key=True)}'
        place = unit.owner.place(path, key=True)
        self.problems.append(Diagnostic(place, "include-duplicate", message, "write it as a mapping in both files"))

    def tree(self) -> dict[str, Json]:
        """Return the units put together again."""
        merged: dict[str, Json] = {}
        for path, unit in self._units.items():
            inner: dict[str, Any] = merged
            for step in path[:-1]:
                inner = inner[str(step)]
            inner[str(path[-1])] = {} if unit.branch else unit.value
        return merged

    def owners(self) -> dict[Path, Document]:
        """Return the document of each unit."""
        return {path: unit.owner for path, unit in self._units.items() if not unit.branch}


def _mapping(document: Document) -> dict[str, Json]:
    return document.data if isinstance(document.data, dict) else {}


def _same_version(path: Path, value: Json, other: Json) -> bool:
    return path == (_VERSION,) and type(value) is type(other) and value == other


def _units(document: Document) -> dict[Path, _Unit]:
    """Return the units and branches of one file, each branch before what it holds, without what speaks about files."""
    found: dict[Path, _Unit] = {}
    for key, value in _mapping(document).items():
        if key not in (_INCLUDE, _OVERRIDE):
            _split((key,), value, _DEPTH.get(key, _USUAL_DEPTH), document, found)
    return found


def _split(path: Path, value: Json, depth: int, document: Document, units: dict[Path, _Unit]) -> None:
    branch = isinstance(value, dict) and len(path) < depth
    units[path] = _Unit(value, document, branch)
    if isinstance(value, dict) and branch:
        for key, inner in value.items():
            _split((*path, key), inner, depth, document, units)


def _texts(document: Document, key: str, problems: list[Diagnostic]) -> Iterator[tuple[str, Place]]:
    """Yield the texts listed under a key with their places; anything else there is a problem."""
    listed = _mapping(document).get(key, [])
    rule = "include-path" if key == _INCLUDE else "include-override"
    message = f"found no list of texts under `{key}:`"
    if not isinstance(listed, list):
        hint = f"write `{key}: [{'parts/export.yaml' if key == _INCLUDE else 'tests.B004'}]`"
        problems.append(Diagnostic(document.place((key,)), rule, message, hint))
        return
    for order, item in enumerate(listed):
        place = document.place((key, order))
        if isinstance(item, str):
            yield item, place
        else:
            problems.append(Diagnostic(place, rule, message, "put the item in quotes"))
