"""Compile a long suite after an edit of a few of its tests: only these are read, checked and lowered.

The spec without the other tests, with the edited ones as they were and as they are, goes through the same stages as every
spec. The lines of the edited tests in the outputs are replaced if nothing else differs. Every doubt, and every problem,
leads to a compile of the whole spec: this module gives the bytes that it would give, or nothing. The reasons why that is
so are in docs/decisions/022-compile-after-an-edit.md; tests/unit/test_after_edit.py compares both.
"""

from __future__ import annotations

import dataclasses
import os
import re
from bisect import bisect_left
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, cast

import msgspec

from orchestra import conflict, draw, nofollow, outputs, plan_file
from orchestra.compiler import expansion, include, kept_specs, profile
from orchestra.compiler.build import build_one
from orchestra.compiler.emit import files as emit
from orchestra.compiler.emit.files import File
from orchestra.compiler.include import Assembled
from orchestra.compiler.kept_specs import Blocks, Kept, blocks_of
from orchestra.compiler.lower import resolve
from orchestra.compiler.outputs import stamp
from orchestra.compiler.schema.spec import Spec
from orchestra.errors import OrchestraError
from orchestra.plan import Group, Outputs, Plan, encode
from orchestra.yamltext.decoding import decode
from orchestra.yamltext.digest import digest_texts, read_inside

MOST_EDITED = 20
_MOST_KEPT = 500

LOCAL = frozenset({"title", "tags", "skip", "timeout_seconds", "action_timeout_seconds", "before", "steps", "finally"})
"""The keys of a test that no rule compares with those of another test, and that do not order tests."""
_WORDS = (re.compile(r"[\w.-]+"), re.compile(r"[\w-]+"))
"""In which an id can stand: `T01`, `test.T01.seconds_max`."""


class _Row(msgspec.Struct):
    """A test of a compiled plan, without its steps."""

    id: str
    of: str = ""
    group: str = ""
    methods: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    login: str = ""
    browser: str = ""
    takes: dict[str, str] = {}
    matrix: dict[str, Any] = {}
    command: Any = None

    @property
    def entry(self) -> str:
        """The entry of the spec that makes it."""
        return self.of or self.id

    @property
    def shape(self) -> tuple[object, ...]:
        """The values that a rule may ask of at least one test of a suite."""
        return (
            self.group, self.methods, self.login, self.browser, *self.takes.items(), *self.matrix, self.command is None
        )  # fmt: skip


class _Outline(msgspec.Struct):
    """A compiled plan without the steps of its tests."""

    suite: str
    tests: list[_Row]
    sources: tuple[str, ...] = ()
    profile: str = ""
    groups: tuple[Group, ...] = ()
    outputs: Outputs = Outputs()


class _Edit(NamedTuple):
    """The tests of a file that an edit touched, by their numbers: from `first` up to `last`, which is not one of them."""

    old: Blocks
    text: str
    first: int
    last: int

    @property
    def ids(self) -> list[str]:
        """The ids of the tests."""
        return self.old.ids[self.first : self.last]

    @property
    def neighbours(self) -> list[str]:
        """The ids of the tests before and after them: what an edit adds there could continue their lines."""
        return self.old.ids[max(0, self.first - 1) : self.first] + self.old.ids[self.last : self.last + 1]

    def then(self) -> str:
        """Return the lines as they were."""
        return self.old.text[self.old.starts[self.first] : self.old.starts[self.last]]

    def now(self) -> str:
        """Return the lines as they are."""
        return self.text[self.old.starts[self.first] : len(self.text) - len(self.old.text) + self.old.starts[self.last]]


class _Reduced(NamedTuple):
    """A spec with few of its tests, as it is read, and where the tests of the edited file are in it."""

    source: Assembled
    blocks: Blocks

    @property
    def data(self) -> dict[str, Any]:
        """The spec as data."""
        return cast("dict[str, Any]", self.source.data)


class Compiled(NamedTuple):
    """A suite after an edit of some of its tests.

    Attributes:
        suite: its id.
        spec: its spec file, relative to the root.
        files: every generated file of the project.
        tests: how many tests each suite has.
        kept: what `keep` writes once the files are written.
    """

    suite: str
    spec: str
    files: tuple[File, ...]
    tests: dict[str, int]
    kept: dict[str, Kept]


# -------------------------------------------------------------------------------------------------------------- the edit
def compiled(root: Path, specs: Sequence[str]) -> Compiled | None:
    """Return what the specs of a project compile to, if since the last compile one file was edited, in some of its tests alone.

    Args:
        root: the project root.
        specs: the spec files of the project, relative to the root.

    Returns:
        None where only a compile of the whole spec can decide, and where there is a problem.
    """
    edited = stamp.edited(root, specs)
    if edited is None or len(edited) != 1:
        return None
    (path, then), *_ = edited.items()
    try:
        return _compiled(root, path, then, kept_specs.load(root))
    except (OSError, ValueError, OrchestraError):
        return None


def _compiled(root: Path, path: str, then: str, kept: dict[str, Kept]) -> Compiled | None:
    made = _contents(root)
    outlines = {name: outline for name, content in made.items() if (outline := _outline(name, content)) is not None}
    mine = {name: outline for name, outline in outlines.items() if path in outline.sources}
    main = {outline.sources[0] for outline in mine.values()}
    spec, whole = next(((spec, one) for spec, one in kept.items() if main == {spec}), ("", Kept({}, 0)))
    if path not in whole.files or not _as_kept(root, whole, path, then):
        return None
    raw = read_inside(root, path)
    edit = _edit(whole.files[path], decode(raw, path))
    if edit is None or conflict.marked(outputs.unix(raw)):
        return None
    names = _names(next(outline for outline in mine.values() if not outline.profile), whole, edit)
    if len(names) > _MOST_KEPT:
        return None
    before, after = (_reduced(root, whole, path, edit, names, text) for text in (edit.then(), edit.now()))
    if before is None or after is None or _rest(before, edit) != _rest(after, edit):
        return None
    old, new = (_plans(one, root, names, edit) for one in (before, after))
    outside = {_outside(one, plans, edit) for one, plans in ((before, old), (after, new)) if plans}
    profiles = {tuple(sorted(one.profile for one in several)) for several in (old, new, mine.values())}
    if not old or not new or len(profiles) > 1 or len(outside) > 1 or None in outside:
        return None
    steps = whole.steps + sum(
        sign * expansion.steps_in_all(cast("Spec", one.data)) for sign, one in ((1, after), (-1, before))
    )
    lines = _lines(old, new, edit, mine, made)
    if lines is None or steps > expansion.MOST_STEPS_IN_ALL:
        return None
    for name, pairs in lines.items():
        made[name] = _replaced(made[name], pairs)
    kept[spec] = Kept({**whole.files, path: _moved(edit, after.blocks)}, steps)
    return Compiled(
        next(iter(mine.values())).suite,
        spec,
        _files(root, made, outlines, {path: raw}),
        {outline.suite: len(outline.tests) for outline in outlines.values() if not outline.profile},
        kept,
    )


def _contents(root: Path) -> dict[str, bytes]:
    """Return the content of every generated file but their index, with LF line ends."""
    index = outputs.parse(nofollow.read(root / outputs.PATH))
    return {path: outputs.unix(nofollow.read(os.path.realpath(root / path))) for path in index}


def _outline(path: str, content: bytes) -> _Outline | None:
    """Return a plan without the steps of its tests; None of any other file."""
    is_plan = path.startswith(f"{emit.FOLDER}/") and path.endswith(".json")
    return msgspec.json.decode(content, type=_Outline) if is_plan else None


def _as_kept(root: Path, whole: Kept, edited: str, then: str) -> bool:
    """Return whether the copy of a spec is the one that was compiled last; `then` is the digest that the edited file had."""
    return all(
        stamp.digest(blocks.text.encode()) == (then if path == edited else stamp.digest_of(root, path))
        for path, blocks in whole.files.items()
    )


def _edit(old: Blocks, text: str) -> _Edit | None:
    """Return what was edited; None unless it is in the lines of few tests."""
    length = min(len(old.text), len(text))
    same = _common(length, lambda low, high: old.text[low:high] == text[low:high])
    same = text.rfind("\n", 0, same) + 1  # whole lines: the lines of a test may begin like one that was put before them
    end, ending = len(old.text), len(text)
    tail = _common(
        length - same, lambda low, high: old.text[end - high : end - low] == text[ending - high : ending - low]
    )
    first = bisect_left(old.starts, same) - 1
    last = max(first + 1, bisect_left(old.starts, end - tail))
    inside = 0 <= first < len(old.ids) and last <= len(old.ids) and last - first <= MOST_EDITED
    return _Edit(old, text, first, last) if inside else None


def _common(length: int, equal: Any) -> int:
    """Return how many characters two texts have in common, by halves: each is compared once."""
    low, high = 0, length
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if equal(low, middle) else (low, middle - 1)
    return low


def _names(plan: _Outline, whole: Kept, edit: _Edit) -> set[str]:
    """Return the tests that stay in the reduced spec: the edited ones and their neighbours, one test of each shape, all that
    these wait for, and those that stand outside of the tests, in groups, profiles and gates.
    """
    chosen = {*edit.ids, *edit.neighbours, *{row.shape: row.entry for row in reversed(plan.tests)}.values()}
    ids = {name for blocks in whole.files.values() for name in blocks.ids}
    for blocks in whole.files.values():
        rest = blocks.text[: blocks.starts[0]] + blocks.text[blocks.starts[-1] :]
        chosen |= ids.intersection(word for words in _WORDS for word in words.findall(rest))
    waits = (name for row in plan.tests if row.entry in chosen for name in (*row.needs, *row.after))
    return chosen | {name.partition("[")[0] for name in waits}


def _reduced(root: Path, whole: Kept, path: str, edit: _Edit, names: set[str], text: str) -> _Reduced | None:
    """Return a spec without its other tests, with this text for the edited ones; None if it has a problem."""

    def between(blocks: Blocks, first: int, last: int) -> Iterator[str]:
        for number in range(first, last):
            if blocks.ids[number] in names:
                yield blocks.text[blocks.starts[number] : blocks.starts[number + 1]]

    texts = {}
    for name, blocks in whole.files.items():
        first, last, edited = (edit.first, edit.last, text) if name == path else (0, 0, "")
        tests = (*between(blocks, 0, first), edited, *between(blocks, last, len(blocks.ids)))
        texts[name] = "".join((blocks.text[: blocks.starts[0]], *tests, blocks.text[blocks.starts[-1] :])).encode()
    source = include.load(root, next(iter(whole.files)), texts)
    found = blocks_of(next(part for part in source.documents if part.file == path))
    return _Reduced(source, found) if found is not None and isinstance(source.data, dict) else None


def _rest(one: _Reduced, edit: _Edit) -> bytes:
    """Return all of a reduced spec but the edited tests, the order of which counts, too."""
    tests = one.data.get("tests", {})
    others = {name: None if name in edit.ids else test for name, test in tests.items()}
    return msgspec.json.encode([one.source.paths, one.blocks.ids, {**one.data, "tests": others}])


def _plans(one: _Reduced, root: Path, names: set[str], edit: _Edit) -> list[Plan]:
    """Return the plans of a reduced spec; none if it has a problem. Tests that were not edited wait for none that it lacks."""
    tests = {name: test if name in edit.ids else _waiting_for(names, test) for name, test in one.data["tests"].items()}
    plans, _ = build_one(dataclasses.replace(one.source, data={**one.data, "tests": tests}), root)
    return plans


def _waiting_for(names: set[str], test: dict[str, Any]) -> dict[str, Any]:
    lists = {
        key: [item for item in test.get(key, ()) if resolve.need_of(item)[0].partition("[")[0] in names]
        for key in ("needs", "after")
    }
    return {**_without(test, lists.keys()), **{key: items for key, items in lists.items() if items}}


def _outside(one: _Reduced, plans: Sequence[Plan], edit: _Edit) -> bytes | None:
    """Return all of the edited tests that may concern others; None if they run once for a group, and so concern all of it."""
    last = {name for group in plans[0].groups for name in (*group.before_all, *group.after_all)}
    versions = [one.data, *(profile.apply(one.source, name).data for name in one.data.get("profiles", {}))]
    kinds = [
        resolve.kind_of(version, version["tests"][name])
        for version in cast("list[Spec]", versions)
        for name in edit.ids
    ]
    rest = [_without(one.data["tests"][name], LOCAL) for name in edit.ids]
    return msgspec.json.encode([kinds, rest]) if last.isdisjoint(edit.ids) else None


def _without(test: Any, keys: Container[str]) -> dict[str, Any]:
    return {key: value for key, value in test.items() if key not in keys}


# ----------------------------------------------------------------------------------------------------------- the outputs
def _lines(
    before: Sequence[Plan], after: Sequence[Plan], edit: _Edit, mine: Mapping[str, _Outline], made: Mapping[str, bytes]
) -> dict[str, list[tuple[bytes, bytes]]] | None:
    """Return by output the lines to be replaced; None where more than lines of tests may differ."""
    found: dict[str, list[tuple[bytes, bytes]]] = {}
    by_profile = {outline.profile: (name, outline) for name, outline in mine.items()}
    for old, new in zip(before, after, strict=True):
        name, outline = by_profile[old.profile]
        olds, news = ({test.id: test for test in one.tests if (test.of or test.id) in edit.ids} for one in (old, new))
        frames = {_frame(msgspec.structs.replace(one, sources=outline.sources)) for one in (old, new)} | {
            _frame_of(made[name])
        }
        records = any(
            step.verb == "har" for test in news.values() for step in (*test.before, *test.steps, *test.finally_)
        )
        if len(frames) > 1 or records or list(olds) != list(news):
            return None
        found[name] = [(encode(olds[one]), encode(news[one])) for one in olds]
        if not old.profile:
            shown = {one for one in olds if (olds[one].title, olds[one].skip) != (news[one].title, news[one].skip)}
            if len(outline.tests) <= draw.MOST_NODES or not shown.isdisjoint(_in_commands(old, outline)):
                return None
            lines = [(emit.lines_of_tests(old)[one], emit.lines_of_tests(new)[one]) for one in olds]
            found[PurePosixPath(outline.outputs.doit).as_posix()] = [(was[0], now[0]) for was, now in lines]
            found[PurePosixPath(outline.outputs.docs).as_posix()] = [(was[1], now[1]) for was, now in lines]
    return found


def _frame(plan: Plan) -> bytes:
    return _frame_of(plan_file.dump(plan))


def _frame_of(content: bytes) -> bytes:
    """Return the file of a plan without the lines of its tests."""
    head, start, rest = content.partition(b'"tests": [')
    return head + start + rest[rest.index(b"\n]") :]


def _in_commands(plan: Plan, outline: _Outline) -> set[str]:
    """Return the tests that slash commands may show."""
    return {
        row.id
        for method in plan.methods
        if method.command
        for row in [row for row in outline.tests if method.id in row.methods][: emit.MOST_COMMAND_LINES]
    }


def _replaced(content: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the content with lines replaced.

    Raises:
        ValueError: a line is not there, or several times.
    """
    for was, now in pairs:
        if was != now:
            if content.count(was + b"\n") != 1:
                raise ValueError("not one such line")
            content = content.replace(was + b"\n", now + b"\n")
    return content


def _files(
    root: Path,
    made: Mapping[str, bytes],
    outlines: Mapping[str, _Outline],
    texts: Mapping[str, bytes],
) -> tuple[File, ...]:
    """Return every generated file with its index; `texts` has the files of the specs that were read already."""
    digests: dict[tuple[str, ...], str] = {}
    found = []
    for path, content in made.items():
        if path in outlines:
            sources = outlines[path].sources
            if sources not in digests:
                digests[sources] = digest_texts(
                    (name, texts[name] if name in texts else read_inside(root, name)) for name in sources
                )
            found.append(File(path, content, "plan", sources, digests[sources]))
        else:
            found.append(File(path, content, "doit"))
    return tuple(sorted([*found, emit.index_of(found)], key=lambda file: file.path))


def _moved(edit: _Edit, blocks: Blocks) -> Blocks:
    """Return where the tests of the edited file are now; `blocks` are those of the reduced one."""
    starts, number = edit.old.starts, {name: index for index, name in enumerate(blocks.ids)}
    shift = starts[edit.first] - blocks.starts[number[edit.ids[0]]]
    own = [blocks.starts[number[name]] + shift for name in edit.ids]
    behind = len(edit.text) - len(edit.old.text)
    moved = [*starts[: edit.first], *own, *(start + behind for start in starts[edit.last :])]
    return Blocks(edit.text, edit.old.ids, moved)
