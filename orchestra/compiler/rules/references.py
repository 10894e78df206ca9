"""Rules about `${name}` in texts: what it may be, and where."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.address import ADDRESS, printed_names
from orchestra.compiler.rules.context import Context, Problem, Text, quoted, rule
from orchestra.compiler.schema.key import StepSpec
from orchestra.compiler.schema.spec import Spec
from orchestra.compiler.schema.tests import TestSpec
from orchestra.diagnostic import Edit, Place
from orchestra.names import ENV_NAME, Reference
from orchestra.steps.schemas import NAME
from orchestra.suggest import correction, did_you_mean
from orchestra.yamltext.document import Path

RUN_NAMES = ("attempt.dir", "test.id", "method.id")
INSTANCE_NAMES = ("worker.dir", "worker.number")
"""Names that have a value in the texts of a component with `per: worker`."""

_RUN_PARTS = frozenset({"before", "steps", "finally", "command", "use", "emulate"})
_STEPS = frozenset({"before", "finally"})
_EARLY_PARTS = frozenset({"title", "skip", "inputs", "login"})
_FREE = {"env": ENV_NAME, "saved": NAME["pattern"]}
_KINDS = {"logins": "login", "vars": "variable", "pools": "pool", "engine": "cluster"}
_SECRET = re.compile(
    r"(?:^|_)(?:API)?(?:KEYS?|TOKENS?|SECRETS?|PASSWORDS?|PASSWD|CREDENTIALS?)(?:_|$)",
    re.IGNORECASE,
)
_LITERAL = "write $${ for the text itself"


class _Scope(NamedTuple):
    """The names that have a value in a part of the spec, the heads of those that anything may follow, and that part in words."""

    where: str
    known: frozenset[str]
    free: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        """Return True if a name has a value here, as far as the spec shows."""
        if name in self.known:
            return True
        head, _, rest = name.partition(".")
        return head in self.free and re.fullmatch(_FREE[head], rest) is not None


_LATE = frozenset({"env", "saved"})


def _varying(test: TestSpec) -> tuple[str, ...]:
    """Return the names of a test that differ from one of its tests to the next."""
    return *(f"matrix.{name}" for name in resolve.axes(test)), *(f"row.{name}" for name in resolve.row_names(test))


def _own_names(spec: Spec, test: TestSpec) -> frozenset[str]:
    """Return the names that have a value in a test, and perhaps in no other."""
    return frozenset((*_varying(test), *resolve.taken_names(spec, resolve.takes_of(spec, test))))


@dataclass(frozen=True)
class _Scopes:
    """The scopes of one spec, each made once."""

    context: Context
    made: dict[tuple[str, ...], _Scope] = field(default_factory=dict)

    @cached_property
    def _variables(self) -> frozenset[str]:
        return frozenset(f"vars.{name}" for name in self.context.spec.get("vars", {}))

    @cached_property
    def addresses(self) -> frozenset[str]:
        """Return the names that components bind: their addresses, also of those without one (another rule's matter),
        and their log groups.
        """
        rows = self.context.spec.get("health", {})
        return frozenset(f"{name}.{part}" for name, row in rows.items() for part in (*ADDRESS, *printed_names(row)))

    @cached_property
    def _matrices(self) -> frozenset[str]:
        tests = self.context.spec["tests"].values()
        return frozenset(name for test in tests for name in _varying(test))

    @cached_property
    def _taken(self) -> frozenset[str]:
        spec = self.context.spec
        takes = {(name, pool) for test in spec["tests"].values() for name, pool in resolve.takes_of(spec, test).items()}
        return frozenset(text for name, pool in takes for text in resolve.taken_names(spec, {name: pool}))

    @cached_property
    def _anywhere(self) -> _Scope:
        """Every name that has a value somewhere."""
        blocks = self.context.spec.get("blocks", {}).values()
        parameters = (name for block in blocks for name in block.get("params", ()))
        known = {*self._variables, *self.addresses, *self._matrices, *self._taken, *RUN_NAMES, "port", *parameters}
        known |= {*INSTANCE_NAMES}
        return _Scope("", frozenset(known), _LATE)

    def misplaced(self, name: str) -> bool:
        """Return True if a name has a value, but somewhere else."""
        return self._anywhere.has(name)

    def of(self, path: Path) -> _Scope:
        """Return the scope of the text at a path."""
        key = self._key(path)
        scope = self.made.get(key)
        if scope is None:
            scope = self.made[key] = self._make(key)
        return scope

    def _key(self, path: Path) -> tuple[str, ...]:
        section, *rest = map(str, path[:3])
        if section in ("groups", "methods", "defaults") and "emulate" in rest:
            return ("emulate",)
        if section == "defaults" and rest[0] in _RUN_PARTS:
            return ("group",)
        if section in ("tests", "groups"):
            kind = "run" if rest[1] in _RUN_PARTS else "early" if rest[1] in _EARLY_PARTS else "nowhere"
            if section == "groups":
                return ("group",) if kind == "run" else (kind,)
            spec, test = self.context.spec, self.context.spec["tests"][rest[0]]
            taken = resolve.taken_names(spec, resolve.takes_of(spec, test)) if kind == "run" else ()
            return (kind, *_varying(test), *taken)
        if section == "blocks":
            return ("block", rest[0]) if rest[1] in _RUN_PARTS else ("nowhere",)
        if section == "health":
            kind = "early" if rest[1] == "title" else "service" if rest[1] in ("service", "failover") else "health"
            several = kind != "early" and self.context.spec["health"][rest[0]].get("per") == "worker"
            return (kind, *(INSTANCE_NAMES if several else ()))
        if section in _KINDS:
            return (_KINDS[section],)
        early = section in ("title", "methods", "gates") or (section == "collect" and rest[1] == "run")
        early = early or (section == "defaults" and rest[0] == "login")
        own = {"har": "method", "mock": "method", "connect": "health"}.get(rest[1]) if section == "methods" else None
        return (own or ("early" if early else "nowhere"),)

    def _make(self, key: tuple[str, ...]) -> _Scope:
        kind, *rest = key
        matrix = set(rest)
        run = {*self._variables, *self.addresses, *RUN_NAMES}
        match kind:
            case "run" | "emulate":
                return _Scope("in this test" if kind == "run" else "here", frozenset(run | matrix), _LATE)
            case "login":
                return _Scope("in a login, which is no test's own", self._variables | self.addresses, _LATE)
            case "group":
                return _Scope("in a group or in the defaults", frozenset({*run, *self._matrices, *self._taken}), _LATE)
            case "block":
                parameters = self.context.spec["blocks"][rest[0]].get("params", ())
                return _Scope("in this block", frozenset({*run, *self._matrices, *self._taken, *parameters}), _LATE)
            case "early":
                return _Scope("before anything runs", frozenset(self._variables | matrix))
            case "health" | "service":
                where, more = ("here", ()) if kind == "health" else ("in a service", ("port",))
                return _Scope(where, self._variables | self.addresses | {*more, *matrix}, frozenset({"env"}))
            case "variable" | "pool" | "method" | "cluster":
                known = {"variable": self.addresses, "method": frozenset(run)}.get(kind, self._variables)
                return _Scope(f"in a {kind}", known, frozenset({"env"}))
            case _:
                return _Scope("here", frozenset())


def _strangers(context: Context) -> list[tuple[Text, Reference, _Scope, bool]]:
    """Yield each reference without a value at its place, and whether the name has a value somewhere else."""
    scopes = _Scopes(context)
    found: list[tuple[Text, Reference, _Scope, bool]] = []
    section: Path = ()
    scope = _Scope("", frozenset())
    for text, references in context.references:
        if text.section is not section or not section:  # the texts of one section stand one after the other
            section, scope = text.section, scopes.of(text.path)
        found += [
            (text, reference, scope, scopes.misplaced(reference.name))
            for reference in references
            if reference.name not in scope.known and reference.closed and not scope.has(reference.name)
        ]
    return found


@rule
def unknown_name(context: Context) -> Iterator[Problem]:
    """`${name}` has no value: it is not a variable, parameter, matrix value, value of a row, address or runtime variable.

    The names are `vars.NAME`, a block's parameters, `matrix.NAME`, `row.NAME`, `env.NAME`, `COMPONENT.url`, `.host` and `.port`,
    `NAME.KEY` of a pool that the test takes, the named groups of the log probe in its `ready`, `port` inside a service,
    `worker.dir` and `worker.number` in a component with `per: worker`, `attempt.dir`, `test.id`, `method.id` and `saved.NAME`.
    A name is looked up, never computed. Write `$${` for the two characters themselves, for instance in JavaScript.
    Only a key that every row of a test has is a name in its texts.
    """
    for text, reference, scope, misplaced in context.once(_strangers):
        if not misplaced and not (yield from _lacking_rows(context, text, reference)):
            near = did_you_mean(reference.name, scope.known)
            hint = _LITERAL if not near else ""
            place = context.place_inside(text.path, text.value, reference.offset)
            edit = correction(reference.name, scope.known)
            yield Problem(place, f'unknown name "${{{reference.name}}}"{near}', hint, edit)


@rule
def misplaced_name(context: Context) -> Iterator[Problem]:
    """`${name}` has a value, but not here: `${attempt.dir}` in a title, `${port}` outside a service.

    The steps of a group or of the defaults use only what each of their tests has: a row, a matrix value, an entry of a pool. So
    does a block what each test that uses it has; the place is that of the use.
    Titles, gates and other texts that are fixed when the spec is compiled can use variables and matrix values. Tags,
    lists of names and output paths can use no names. A variable can use no other variable.
    """
    for text, reference, scope, misplaced in context.once(_strangers):
        if misplaced and not (yield from _lacking_rows(context, text, reference)):
            place = context.place_inside(text.path, text.value, reference.offset)
            known = sorted(scope.known)
            hint = f"there are {quoted(known)}" if known else "names are not replaced here: write the text itself"
            hint = _instance_hint(context, text) if reference.name in INSTANCE_NAMES else hint
            yield Problem(place, f'"${{{reference.name}}}" has no value {scope.where}', hint)
    yield from _lacking(context)
    yield from _lacking_in_blocks(context)


def _instance_hint(context: Context, text: Text) -> str:
    """Return what to do about a name of an instance in a text that no instance has."""
    section, name = text.path[0], text.path[1]
    if section == "health" and text.path[2] != "title" and context.spec["health"][str(name)].get("per") != "worker":
        return f'add `per: worker` to "{name}": only an instance for each worker has a folder and a number'
    return "only a component with `per: worker` has it, in its service or job, its probes and its reset"


def _lacking_rows(context: Context, text: Text, reference: Reference) -> Generator[Problem, None, bool]:
    """Yield the problem of a key that some rows of a test have and another one lacks; return whether there is one."""
    head, _, key = reference.name.partition(".")
    if head != "row":
        return False
    own = [str(text.path[1])] if text.path[0] == "tests" else list(context.spec["tests"])
    for test_id in own:
        row = _row_without(context.spec, test_id, reference.name)
        if row is not None:
            where = context.place(("tests", test_id, "rows", row))
            part = _lacking_part(context.spec, test_id, reference.name)
            message = f'"${{{reference.name}}}" has no value in {part}, at {where}'
            place = context.place_inside(text.path, text.value, reference.offset)
            yield Problem(place, message, f"give it a value there: {key}: null is an empty one")
            return True
    return False


def _row_without(spec: Spec, test_id: str, name: str) -> int | None:
    """Return the index of the first row of a test without a key that another row has, by the name `row.KEY`."""
    key = name.partition(".")[2]
    has = [key in row for row in resolve.rows(spec["tests"][test_id])]
    return has.index(False) if any(has) and not all(has) else None


def _lacking_part(spec: Spec, test_id: str, name: str) -> str:
    """Return the test in which a name has no value, or the row of it, for a message."""
    row = _row_without(spec, test_id, name) if name.startswith("row.") else None
    if row is None:
        return f'the test "{test_id}"'
    return f'the row "{resolve.rows(spec["tests"][test_id])[row].get("id")}" of "{test_id}"'


def _lacking(context: Context) -> Iterator[Problem]:
    """Yield each reference in the steps of a group or of the defaults that a test of them has no value for."""
    spec = context.spec
    in_shared = [
        (text, text.path[0] == "defaults", references)
        for text, references in context.references
        if (text.path[0] == "defaults" and text.path[1] in _STEPS)
        or (text.path[0] == "groups" and text.path[2] in _STEPS)
    ]
    tests_of_steps = spec["tests"].items() if in_shared else ()
    own = {test_id: _own_names(spec, test) for test_id, test in tests_of_steps if not resolve.is_command(test)}
    varying = frozenset().union(*own.values())
    for text, shared, references in in_shared:
        for reference in references:
            if reference.name not in varying:
                continue
            tests = (test for test in own if shared or resolve.in_group(spec, spec["tests"][test], str(text.path[1])))
            lacking = next((test for test in tests if reference.name not in own[test]), None)
            if lacking is not None:
                place = context.place_inside(text.path, text.value, reference.offset)
                part = _lacking_part(spec, lacking, reference.name)
                message = f'"${{{reference.name}}}" has no value in {part}, which runs this step'
                yield Problem(place, message, "give it a value there, or move the step to the tests that have one")


def _read_by_blocks(context: Context) -> dict[str, dict[str, Place]]:
    """Return by block the names that it or a block inside it reads and that not every test has, with a place of each."""
    spec, blocks = context.spec, context.spec.get("blocks", {})
    if not blocks:
        return {}
    varying = frozenset[str]().union(*(_own_names(spec, test) for test in spec["tests"].values()))
    read: dict[str, dict[str, Place]] = {name: {} for name in blocks}
    for text, references in context.references:
        for one in references if text.path[0] == "blocks" else ():
            if one.name in varying:
                place = context.place_inside(text.path, text.value, one.offset)
                read[str(text.path[1])].setdefault(one.name, place)
    if any(read.values()):
        uses = {name: [*_blocks_used(block.get("steps", ()))] for name, block in blocks.items()}
        for name in resolve.topological(list(blocks), uses):
            for inner in uses[name]:
                read[name] = {**read.get(inner, {}), **read[name]}
    return {name: names for name, names in read.items() if names}


def _blocks_used(steps: Sequence[StepSpec]) -> Iterator[str]:
    for verb, body in map(resolve.verb_of, resolve.flat(steps)):
        if verb == "use":
            yield resolve.block_use(body)[0]


def _lacking_in_blocks(context: Context) -> Iterator[Problem]:
    """Yield each use of a block that reads a name without a value in the test, or in one of the tests, that runs it."""
    read, tests = _read_by_blocks(context), context.spec["tests"]
    if not read:
        return
    uses = [(step.path("use"), step.body) for step in context.steps("use")]
    uses += [(("tests", test_id, "use"), test["use"]) for test_id, test in tests.items() if "use" in test]
    for path, body in uses:
        block = resolve.block_use(body)[0]
        runs = _tests_of(context, path) if block in read else {}
        for name, place in read.get(block, {}).items():
            lacking = next((test for test, own in runs.items() if name not in own), None)
            if lacking is not None:
                where = _lacking_part(context.spec, lacking, name) if lacking else "a login"
                message = f'"${{{name}}}", which the block "{block}" reads at {place}, has no value in {where}'
                hint = "give it a value there, or make it a parameter of the block"
                yield Problem(context.place(path, key=True), message, hint)


def _tests_of(context: Context, path: Path) -> dict[str, frozenset[str]]:
    """Return the tests that run a step by its path, each with its own names; an empty id without names for a login."""
    section, name = path[0], path[1]
    if section == "logins":
        return {"": frozenset()}
    tests = context.spec["tests"].items()
    return {
        test_id: _own_names(context.spec, test)
        for test_id, test in tests
        if (section == "tests" and name == test_id)
        or (section == "groups" and resolve.in_group(context.spec, test, str(name)) and not resolve.is_command(test))
        or (section == "defaults" and not resolve.is_command(test))
    }


@rule
def unclosed_name(context: Context) -> Iterator[Problem]:
    """A `${` has no closing `}`. Close it, or write `$${` for the text itself."""
    scopes = _Scopes(context)
    for text, references in context.references:
        for reference in references:
            if not reference.closed:
                place = context.place_inside(text.path, text.value, reference.offset)
                old, scope = f"${{{reference.name}", scopes.of(text.path)
                is_name = reference.name in scope.known or scope.has(reference.name)
                edits = (*((Edit(old, f"{old}}}"),) if is_name else ()), Edit(old, f"${old}"))
                yield Problem(place, f'"{old}" is not closed', f"close it with a brace, or {_LITERAL}", edits=edits)


@rule
def secret_name(context: Context) -> Iterator[Problem]:
    """`${env.NAME}` reads a variable that looks like a secret and is not listed under `secrets:`, so it is not masked.

    The file of `env_files` that has it may be absent, as in CI. A name under `public` there is no secret.
    """
    secrets = context.spec.get("secrets", [])
    public = {name for file in resolve.env_files(context.spec) for name in file.public}
    for text, references in context.references:
        for reference in references:
            head, _, name = reference.name.partition(".")
            if head == "env" and name not in secrets and name not in public and _SECRET.search(name):
                place = context.place_inside(text.path, text.value, reference.offset)
                listed = ", ".join([*secrets, name])
                message = f'"{name}" looks like a secret and is not listed under "secrets", so it would not be masked'
                yield Problem(place, message, f"write secrets: [{listed}]")


@rule
def unused_parameter(context: Context) -> Iterator[Problem]:
    """A block has a parameter that none of its texts uses, so the passed values are lost. Remove it, or use it."""
    read: dict[str, set[str]] = {}
    for text, references in context.references:
        if text.path[0] == "blocks":
            read.setdefault(str(text.path[1]), set()).update(reference.name for reference in references)
    for name, block in context.spec.get("blocks", {}).items():
        for index, parameter in enumerate(block.get("params", ())):
            if parameter not in read.get(name, ()):
                place = context.place(("blocks", name, "params", index))
                message = f'the parameter "{parameter}" of block "{name}" is not used'
                yield Problem(place, message, f"remove it, or write ${{{parameter}}} in the block")


@rule
def unused_row_key(context: Context) -> Iterator[Problem]:
    """The rows of a test have a key that no text of the test, of its group or of a block reads.

    Remove it, or write `${row.NAME}`. The `id` of a row is in the id of its test. A file with rows may have further keys,
    for other tests and for people.
    """
    if not any("rows" in test for test in context.spec["tests"].values()):
        return
    of_files = {document.file for document in context.source.grafts.values()}
    read: dict[str, set[str]] = {}
    shared: set[str] = set()
    for text, references in context.references:
        own = read.setdefault(str(text.path[1]), set()) if text.path[0] == "tests" else shared
        own.update(reference.name for reference in references)
    for test_id, test in context.spec["tests"].items():
        known = {"row.id", *read.get(test_id, ()), *shared}
        path: Path = ("tests", test_id, "rows")
        rows = [] if context.place((*path, 0)).file in of_files else resolve.rows(test)
        for key in dict.fromkeys(key for row in rows for key in row if f"row.{key}" not in known):
            index = next(index for index, row in enumerate(rows) if key in row)
            place = context.place((*path, index, key), key=True)
            message = f'the key "{key}" of the rows of "{test_id}" is not used'
            yield Problem(place, message, f"remove it, or write ${{row.{key}}} in the test")


RULES = (unknown_name, misplaced_name, unclosed_name, secret_name, unused_parameter, unused_row_key)
