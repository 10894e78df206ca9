"""The spec file and the files that it includes, merged to one tree whose every line is known.

May import `errors`, `diagnostic` and `source`. Merging is by unit: a top-level scalar or list is one, else each entry of
a top-level mapping (`tests.B001`, `vars.ticker`), and for `gates` each gate (`gates.before.servers_up`). A unit that two
files define is a mistake, unless the including file lists it under `override:`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path as FilePath
from pathlib import PurePosixPath

from orchestra.diagnostic import Diagnostic, Place
from orchestra.errors import SpecError, UsageError
from orchestra.source import MAX_BYTES, Document, Json, Path, Trap, digest_texts, locate, parse

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
        documents: the files as they were read: the main file, then each included one in the order in which it is met.
        digest: over the bytes of all files, as `orchestra.source.digest_files(root, paths)` computes it.
        paths: of the files, relative to the root, in the order of `documents`.
        owners: the document that each unit was taken from.
    """

    data: Json
    documents: tuple[Document, ...]
    digest: str
    paths: tuple[str, ...]
    owners: dict[Path, Document] = field(repr=False, compare=False)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where the value (or the key) of `path` stands, or its nearest existing ancestor, in the file that won."""
        for depth in range(min(len(path), 3), 0, -1):
            owner = self.owners.get(path[:depth])
            if owner is not None:
                return owner.place(path, key=key)
        main = self.documents[0]
        if main.has(path):
            return main.place(path, key=key)
        for depth in range(len(path), 0, -1):
            if locate(path[:depth], self.documents) is not None:
                return next(part for part in self.documents if part.has(path[:depth])).place(path, key=key)
        return main.place(path, key=key)

    @property
    def traps(self) -> tuple[Trap, ...]:
        """The deceptive scalars of all files, those of overridden units left out."""
        return tuple(
            trap for document in self.documents for trap in document.traps if self.place(trap.path) == trap.place
        )


def load(root: FilePath, path: str) -> Assembled:
    """Read a spec file with all that it includes.

    Args:
        root: the project root; nothing outside of it is read.
        path: the spec file, relative to the root.

    Raises:
        UsageError: the spec file is missing, unreadable, no file, or outside of the root.
        SpecError: a file is not YAML that we read, an include cannot be followed, or two files collide.
    """
    reading = _Reading(root)
    try:
        name, raw = reading.fetch(path)
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
    digest = digest_texts((part.document.file, part.raw) for part in reading.parts.values())
    return Assembled(data, documents, digest, tuple(reading.parts), merged.owners())


class _UnreadableError(Exception):
    """A file that cannot be read: why, and what to do."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@dataclass(slots=True)
class _Part:
    """A file that was read, and the parts that it includes, in order."""

    document: Document
    raw: bytes
    included: list[str] = field(default_factory=list)


class _Reading:
    """Follows includes depth first and remembers where each file was named."""

    def __init__(self, root: FilePath) -> None:
        self._root = root
        self._real_root = root.resolve()
        self.parts: dict[str, _Part] = {}
        self.problems: list[Diagnostic] = []
        self._named_at: dict[FilePath, Place] = {}
        self._open: list[FilePath] = []

    def fetch(self, path: str) -> tuple[str, bytes]:
        """The normal form of a path relative to the root, and the bytes of its file."""
        try:
            real = (self._root / path).resolve()
            if not real.is_relative_to(self._real_root):
                reason = f'is outside of the project root "{self._real_root}"'
                raise _UnreadableError(reason, "name a file below the project root")
            if not real.exists():
                raise _UnreadableError("does not exist", "check the spelling; paths are relative to the project root")
            if not real.is_file():
                raise _UnreadableError("is not a file", "name a YAML file")
            with real.open("rb") as handle:
                # One byte more than is allowed is enough to refuse a file of any length.
                raw = handle.read(MAX_BYTES + 1)
        except (OSError, ValueError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise _UnreadableError(f"cannot be read: {why.lower()}", "mend the permissions or the path") from None
        return self._name(path), raw

    def _name(self, path: str) -> str:
        plain = FilePath(path)
        if plain.is_absolute():
            return plain.resolve().relative_to(self._real_root).as_posix()
        return PurePosixPath(path).as_posix()

    def read(self, name: str, raw: bytes, named_at: Place) -> None:
        """Parse a file and all that it includes."""
        real = (self._root / name).resolve()
        self._named_at[real] = named_at
        try:
            document = parse(raw, name)
        except SpecError as error:
            self.problems.extend(error.diagnostics)
            return
        part = self.parts[name] = _Part(document, raw)
        self._open.append(real)
        for path, place in self._includes(document):
            self._follow(part, path, place)
        self._open.pop()

    def _includes(self, document: Document) -> Iterator[tuple[str, Place]]:
        listed = document.data.get(_INCLUDE, []) if isinstance(document.data, dict) else []
        yield from _texts(document, _INCLUDE, listed, self.problems)

    def _follow(self, part: _Part, path: str, place: Place) -> None:
        try:
            name, raw = self.fetch(path)
        except _UnreadableError as error:
            hint = error.hint
            beside = PurePosixPath(part.document.file).parent / path
            if (self._root / beside).is_file() and str(beside) != path:
                hint = f'did you mean "{beside}"? paths are relative to the project root'
            self.problems.append(Diagnostic(place, "include-path", f'the included file "{path}" {error.reason}', hint))
            return
        real = (self._root / name).resolve()
        if real in self._open:
            message = f'"{path}" includes itself' if real == self._open[-1] else f'"{path}" is included in a circle'
            begun = self._named_at[real]
            where = f"; it was begun at {begun}" if begun.file != name else ""
            self.problems.append(Diagnostic(place, "include-cycle", message + where, "remove one of the includes"))
        elif real in self._named_at:
            message = f'"{path}" is included twice; first at {self._named_at[real]}'
            self.problems.append(Diagnostic(place, "include-twice", message, "remove one of the includes"))
        else:
            part.included.append(name)
            self.read(name, raw, place)


@dataclass(slots=True)
class _Unit:
    """A unit of the merged tree: its value, and the document that it stands in."""

    value: Json
    owner: Document


class _Merge:
    """Units in the order in which a reader meets them: included files first, then the file's own."""

    def __init__(self) -> None:
        self._units: dict[Path, _Unit] = {}
        self.problems: list[Diagnostic] = []

    def add(self, part: _Part, parts: dict[str, _Part]) -> None:
        """Take in a file after all that it includes."""
        before = set(self._units)
        for name in part.included:
            if name in parts:
                self.add(parts[name], parts)
        document = part.document
        overrides = self._overrides(document, [path for path in self._units if path not in before])
        for path, value in _units(document):
            known = self._units.get(path)
            if known is None:
                self._refuse_mixed(path, document)
                self._units[path] = _Unit(value, document)
            elif path in overrides:
                self._units[path] = _Unit(value, document)
            elif path != (_VERSION,) or type(known.value) is not type(value) or known.value != value:
                self._refuse_duplicate(path, document, known.owner)

    def _overrides(self, document: Document, met: list[Path]) -> set[Path]:
        """The units that a file may define again: named under `override:`, and met in what it includes."""
        listed = document.data.get(_OVERRIDE, []) if isinstance(document.data, dict) else []
        own = dict(_units(document))
        known = {".".join(map(str, path)): path for path in met}
        allowed = set()
        for name, place in _texts(document, _OVERRIDE, listed, self.problems):
            path = known.get(name)
            if path is None:
                near = get_close_matches(name, known, 1)
                hint = f'did you mean "{near[0]}"?' if near else "remove it; name units such as tests.B001 or title"
                message = f'"{name}" overrides nothing: no included file defines it'
                self.problems.append(Diagnostic(place, "include-override", message, hint))
            elif path not in own:
                message = f'"{name}" is to be overridden, but this file does not define it'
                hint = f"define it here, or remove it from `override:`; it is defined at {self._at(path)}"
                self.problems.append(Diagnostic(place, "include-override", message, hint))
            else:
                allowed.add(path)
        return allowed

    def _at(self, path: Path) -> Place:
        return self._units[path].owner.place(path, key=True)

    def _refuse_duplicate(self, path: Path, document: Document, other: Document) -> None:
        name = ".".join(map(str, path))
        message = f'"{name}" is defined twice; the first is at {other.place(path, key=True)}'
        hint = f"remove one, or write `override: [{name}]` in the file that includes the other"
        self.problems.append(Diagnostic(document.place(path, key=True), "include-duplicate", message, hint))

    def _refuse_mixed(self, path: Path, document: Document) -> None:
        """A section that is a mapping in one file and something else in another cannot be merged."""
        for other, unit in self._units.items():
            if other[: len(path)] == path or path[: len(other)] == other:
                name = ".".join(map(str, min(path, other, key=len)))
                first = unit.owner.place(min(path, other, key=len), key=True)
                message = f'"{name}" is a mapping in one file and something else in another; the other is at {first}'
                place = document.place(min(path, other, key=len), key=True)
                self.problems.append(Diagnostic(place, "include-duplicate", message, "write it as a mapping in both"))
                return

    def tree(self) -> dict[str, Json]:
        """The units put together again."""
        merged: dict[str, Json] = {}
        for path, unit in self._units.items():
            inner = merged
            for step in path[:-1]:
                child = inner.setdefault(str(step), {})
                assert isinstance(child, dict)
                inner = child
            inner[str(path[-1])] = unit.value
        return merged

    def owners(self) -> dict[Path, Document]:
        """The document that each unit stands in."""
        return {path: unit.owner for path, unit in self._units.items()}


def _units(document: Document) -> Iterator[tuple[Path, Json]]:
    """The units of one file, without what speaks about files. An empty mapping is a unit of its own."""
    data = document.data
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        if key not in (_INCLUDE, _OVERRIDE):
            yield from _split((key,), value, _DEPTH.get(key, _USUAL_DEPTH))


def _split(path: Path, value: Json, depth: int) -> Iterator[tuple[Path, Json]]:
    if isinstance(value, dict) and value and len(path) < depth:
        for key, inner in value.items():
            yield from _split((*path, key), inner, depth)
    else:
        yield path, value


def _texts(document: Document, key: str, listed: Json, problems: list[Diagnostic]) -> Iterator[tuple[str, Place]]:
    """The texts of a list with their places; anything else is a problem."""
    if not isinstance(listed, list):
        place = document.place((key,))
        problems.append(
            Diagnostic(place, f"include-{'path' if key == _INCLUDE else key}", f"`{key}:` is a list of texts", "")
        )
        return
    for order, item in enumerate(listed):
        place = document.place((key, order))
        if isinstance(item, str):
            yield item, place
        else:
            rule = "include-path" if key == _INCLUDE else "include-override"
            problems.append(Diagnostic(place, rule, f"`{key}:` is a list of texts", "quote the item"))
