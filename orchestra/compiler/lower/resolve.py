"""Resolve a spec before it is lowered: kinds, methods, matrices, edges.

Rules and lowering both ask these questions, so the answers stand here once. Everything is a pure function of a spec
that the schema has passed; names that do not exist are passed over, because a rule reports them.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

from orchestra import names
from orchestra.compiler.schema.key import StepSpec
from orchestra.compiler.schema.methods import MethodSpec
from orchestra.compiler.schema.spec import EnvFileSpec, Spec
from orchestra.compiler.schema.tests import DefaultsSpec, GroupSpec, NeedSpec, TestSpec
from orchestra.drivers import DRIVERS, DriverKind, Needs
from orchestra.plan import EnvFile
from orchestra.steps.vocabulary import on_page
from orchestra.yamltext.document import Path

Section: TypeAlias = tuple[Path, Sequence[StepSpec]]
"""A list of steps, and its path in the spec."""


def verb_of(step: StepSpec) -> tuple[str, Any]:
    """Return the verb of a step and its arguments; a bare verb has an empty mapping."""
    if isinstance(step, str):
        return step, {}
    verb = next(iter(step))
    return verb, step[verb]


def block_use(body: Any) -> tuple[str, dict[str, Any]]:
    """Return the block that a `use` names, and the parameters that it gives."""
    if isinstance(body, str):
        return body, {}
    name = next(iter(body))
    return name, body[name] or {}


def opening_steps(verb: str, body: Any) -> Sequence[StepSpec]:
    """Return the steps inside a `page` step, which open the page."""
    inner: Sequence[StepSpec] = body.get("opens_with", ()) if verb == "page" and isinstance(body, dict) else ()
    return inner


def flat(steps: Iterable[StepSpec]) -> Iterator[StepSpec]:
    """Yield each step of a list, after the steps inside it."""
    for step in steps:
        yield from flat(opening_steps(*verb_of(step)))
        yield step


def all_steps(spec: Spec, steps: Iterable[StepSpec]) -> Iterator[tuple[str, Any]]:
    """Yield each step, as verb and body, with the steps of used blocks: each block once, where it is used first.

    So the walk is as long as what is written, however often blocks use each other.
    """
    seen: set[str] = set()
    waiting = [flat(steps)]
    while waiting:
        for step in waiting[-1]:
            verb, body = verb_of(step)
            if verb != "use":
                yield verb, body
                continue
            name, _ = block_use(body)
            if name not in seen:
                seen.add(name)
                waiting.append(flat(spec.get("blocks", {}).get(name, {}).get("steps", [])))
                break
        else:
            waiting.pop()


NO_LOGIN = "none"
"""The word for no login, where an outer place names one."""


def is_command(test: TestSpec) -> bool:
    """Return True if a test is a program."""
    return "command" in test or "use" in test


def group_path(spec: Spec, name: str) -> list[tuple[str, GroupSpec]]:
    """Return a group and those around it with their names, the outermost first; what is not declared is passed over."""
    groups = spec.get("groups", {})
    if name in groups and "group" not in groups[name]:
        return [(name, groups[name])]
    path: list[tuple[str, GroupSpec]] = []
    while name in groups and all(name != inner for inner, _ in path):  # a group in itself is reported by a rule
        path.insert(0, (name, groups[name]))
        name = groups[name].get("group", "")
    return path


def groups_of(spec: Spec, test: TestSpec) -> list[tuple[str, GroupSpec]]:
    """Return the groups that a test is in with their names, the outermost first."""
    return group_path(spec, test["group"]) if "group" in test else []


def in_group(spec: Spec, test: TestSpec, name: str) -> bool:
    """Return True if a test is in a group, or in one inside it."""
    return any(name == known for known, _ in groups_of(spec, test))


def _named_login(spec: Spec, test: TestSpec, known: Mapping[str, Any]) -> str:
    places: tuple[Mapping[str, Any], ...] = (spec.get("defaults", {}), *(one for _, one in groups_of(spec, test)), test)
    written: str = next((place["login"] for place in reversed(places) if "login" in place), NO_LOGIN)
    return names.substitute(written, known, scalar_text) if "${" in written else written


def login_of(spec: Spec, test: TestSpec, known: Mapping[str, Any]) -> str:
    """Return the login that one test of an entry begins with: the nearest of test, groups and defaults; empty for none.

    Args:
        spec: the whole spec.
        test: one of its entries.
        known: the values of names in the test, such as `matrix.role`.
    """
    named = _named_login(spec, test, known)
    return "" if named == NO_LOGIN or is_command(test) else named


def logins_by_test(spec: Spec, test_id: str, test: TestSpec) -> dict[str, str]:
    """Return the login that each test of an entry names, by its id; `none` for none."""
    variables = {f"vars.{name}": value for name, value in spec.get("vars", {}).items()}
    return {
        one: _named_login(spec, test, {**variables, **values_known(test, values)})
        for one, values in matrix_tests(test_id, test)
    }


def logins_of(spec: Spec, test: TestSpec) -> tuple[str, ...]:
    """Return the logins that the tests of an entry begin with: several where a name in the text chooses them."""
    written = login_of(spec, test, {})
    if "${" not in written:
        return (written,) if written else ()
    return tuple(name for name in dict.fromkeys(logins_by_test(spec, "", test).values()) if name != NO_LOGIN)


def takes_of(spec: Spec, test: TestSpec) -> dict[str, str]:
    """Return the pools of which a test leases entries, by the name for it: the nearest of test, groups and defaults."""
    named = dict(spec.get("defaults", {}).get("takes", {}))
    for _, group in groups_of(spec, test):
        if "takes" in group:
            named |= group["takes"]
    if "takes" in test:
        named |= test["takes"]
    return {name: pool for name, pool in named.items() if pool != NO_LOGIN}


def taken_names(spec: Spec, takes: Mapping[str, str]) -> Iterator[str]:
    """Yield the names that leased entries give to texts: `user.name`, for the keys that each entry of the pool has."""
    for name, pool in takes.items():
        first, *others = spec.get("pools", {}).get(pool) or [{}]
        yield from (f"{name}.{key}" for key in first if all(key in entry for entry in others))


def login_steps(spec: Spec, name: str) -> Sequence[StepSpec]:
    """Return the steps of a login; none for one that is not declared."""
    logins: Mapping[str, Any] = spec.get("logins", {})
    steps: Sequence[StepSpec] = logins.get(name, {}).get("steps", [])
    return steps


def defaults_of(spec: Spec, test: TestSpec) -> DefaultsSpec:
    """Return the defaults whose steps a test runs; a command runs none."""
    none: DefaultsSpec = {}
    return none if is_command(test) else spec.get("defaults", none)


def needs_page(spec: Spec, steps: Iterable[StepSpec]) -> bool:
    """Return True if a list of steps needs a page."""
    return any(on_page(verb) for verb, _ in all_steps(spec, steps))


def sections(spec: Spec, test: TestSpec) -> Iterator[Sequence[StepSpec]]:
    """Yield the lists of steps that a test runs: those of its logins, of all tests, its groups' and its own."""
    for login in logins_of(spec, test):
        yield login_steps(spec, login)
    yield from (steps for _, steps in opening(spec, "", test))
    yield test.get("steps", [])
    yield from (steps for _, steps in closing(spec, "", test))


def opening(spec: Spec, test_id: str, test: TestSpec) -> Iterator[Section]:
    """Yield the lists of steps before those of a test with their paths, as they run: outer ones first."""
    yield ("defaults", "before"), defaults_of(spec, test).get("before", [])
    for name, group in groups_of(spec, test):
        yield ("groups", name, "before"), group.get("before", [])
    yield ("tests", test_id, "before"), test.get("before", [])


def closing(spec: Spec, test_id: str, test: TestSpec) -> Iterator[Section]:
    """Yield the lists of steps after those of a test with their paths, as they run: inner ones first."""
    yield ("tests", test_id, "finally"), test.get("finally", [])
    for name, group in reversed(groups_of(spec, test)):
        yield ("groups", name, "finally"), group.get("finally", [])
    yield ("defaults", "finally"), defaults_of(spec, test).get("finally", [])


def kind_of(spec: Spec, test: TestSpec) -> Needs:
    """Return the kind of a test: with a browser, with requests only, or with a process."""
    if is_command(test):
        return "command"
    for step in test.get("steps", ()):  # the first step of nearly every test decides it
        if on_page(verb_of(step)[0]):
            return "browser"
    browser = any(needs_page(spec, steps) for steps in sections(spec, test))
    return "browser" if browser else "http"


def methods(spec: Spec) -> dict[str, MethodSpec]:
    """Return the methods of a spec; one that names none runs its tests by `cli`."""
    declared = spec.get("methods")
    if declared:
        return declared
    browser = any(kind_of(spec, test) == "browser" for test in spec["tests"].values())
    return {"cli": {"driver": "playwright" if browser else "command", "command": "test_cli_full"}}


def methods_of(
    spec: Spec,
    test: TestSpec,
    known: Mapping[str, MethodSpec] | None = None,
    drivers: Mapping[str, DriverKind] = DRIVERS,
) -> tuple[str, ...]:
    """Return the methods that run a test: those that it names, else all whose driver can.

    Args:
        spec: the whole spec.
        test: one of its tests.
        known: `methods(spec)`, for callers that ask about many tests: without declared ones it looks at all of them.
        drivers: those that the spec can use.
    """
    if "methods" in test:
        return tuple(test["methods"])
    kind = kind_of(spec, test)
    declared = methods(spec) if known is None else known
    return tuple(name for name, method in declared.items() if kind in drivers[method["driver"]].able)


def scalar_text(value: Any) -> str:
    """Return a value of the spec as text: `NVDA`, `3`, `true`, nothing for null; a list or mapping is JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


EXCLUDE, INCLUDE = "exclude", "include"
"""The keys of a matrix that list the combinations which are not tests, and further ones."""


def axes(test: TestSpec) -> dict[str, list[Any]]:
    """Return the values of the matrix of a test by name."""
    if "matrix" not in test:
        return {}
    return {name: values for name, values in test["matrix"].items() if name not in (EXCLUDE, INCLUDE)}


def rows(test: TestSpec) -> list[dict[str, Any]]:
    """Return the rows of a test; those of a file are in place of its name when a spec is assembled."""
    return cast("list[dict[str, Any]]", test.get("rows", []))


def included(test: TestSpec) -> list[dict[str, Any]]:
    """Return the combinations under `include` that have exactly the names of the matrix, as each of them must."""
    known = dimensions(test)
    entries: list[Any] = test.get("matrix", {}).get(INCLUDE, [])
    ids = [row.get("id") for row in rows(test)]
    return [
        {name: entry[name] for name in known}
        for entry in entries
        if isinstance(entry, dict) and entry.keys() == known.keys() and ("row" not in known or entry["row"] in ids)
    ]


def excluded(test: TestSpec, values: Mapping[str, Any]) -> bool:
    """Return True if a combination has all the values of an entry of `exclude`."""
    entries: list[Any] = test.get("matrix", {}).get(EXCLUDE, [])
    return any(
        all(name in values and _same(values[name], value) for name, value in entry.items())
        for entry in entries
        if isinstance(entry, dict) and entry
    )


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def dimensions(test: TestSpec) -> dict[str, list[Any]]:
    """Return the values of a test by name whose combinations are tests: its matrix, then the ids of its rows."""
    ids: dict[str, list[Any]] = {"row": [row.get("id") for row in rows(test)]} if "rows" in test else {}
    return {**axes(test), **ids}


def values_known(test: TestSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names with a value in one test of an entry: `matrix.NAME`, and `row.NAME` of its row."""
    known = {f"matrix.{name}": value for name, value in values.items() if name in axes(test)}
    if "rows" in test:
        row = next(row for row in rows(test) if row.get("id") == values["row"])
        known.update((f"row.{name}", value) for name, value in row.items())
    return known


def row_names(test: TestSpec) -> tuple[str, ...]:
    """Return the keys that all rows of a test have, in the order of the first row."""
    first, *others = rows(test) or [{}]
    return tuple(name for name in first if all(name in row for row in others))


def matrix_tests(test_id: str, test: TestSpec) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the tests that one entry makes: id and values of the matrix, and as `row` the id of the row.

    Without both, the id itself and no values.
    """
    matrix = dimensions(test)
    if not matrix:
        yield test_id, {}
        return
    for chosen in itertools.product(*matrix.values()):
        values = dict(zip(matrix, chosen, strict=True))
        if not excluded(test, values):
            yield _combination_id(test_id, values), values
    for values in included(test):
        yield _combination_id(test_id, values), values


def _combination_id(test_id: str, values: Mapping[str, Any]) -> str:
    return f"{test_id}[{','.join(map(scalar_text, values.values()))}]"


def env_files(spec: Spec) -> tuple[EnvFile, ...]:
    """Return the files with variables."""
    items = (EnvFileSpec(path=item) if isinstance(item, str) else item for item in spec.get("env_files", ()))
    plain = EnvFile("")
    return tuple(
        EnvFile(item["path"], item.get("required", plain.required), tuple(item.get("public", ()))) for item in items
    )


BLOCK = "block"
"""The effect of a need that did not pass, unless the spec names another one."""


def need_of(item: str | NeedSpec) -> tuple[str, str]:
    """Return the test that an item of `needs` names, and the effect if it did not pass."""
    return (item, BLOCK) if isinstance(item, str) else (item["test"], item.get("else", BLOCK))


def need_names(items: Iterable[str | NeedSpec]) -> list[str]:
    """Return the tests that the items of `needs` name."""
    return [need_of(item)[0] for item in items]


def effective_needs(spec: Spec, test_id: str, test: TestSpec) -> dict[str, str]:
    """Return the ids in the spec whose success a test needs, each with the effect if it did not pass.

    Its own list comes first and wins, then those of its groups from the innermost on, without itself. The tests of
    `before_all` are needed by all others of their group but those of `after_all`, which run whatever happened.
    """
    needs = dict(map(need_of, test.get("needs", ())))
    for _, group in reversed(groups_of(spec, test)):
        once = (
            () if test_id in {*once_in(group, BEFORE_ALL), *once_in(group, AFTER_ALL)} else once_in(group, BEFORE_ALL)
        )
        for name, effect in map(need_of, (*once, *group.get("needs", ()))):
            if name.partition("[")[0] != test_id:
                needs.setdefault(name, effect)
    return needs


BEFORE_ALL, AFTER_ALL = "before_all", "after_all"
"""The keys of a group that name tests of it which run once, before and after the others."""


def once_in(group: Mapping[str, Any], key: str) -> list[str]:
    """Return the ids in the spec that a group names under `before_all` or `after_all`."""
    return [name.partition("[")[0] for name in group.get(key, ())]


def closed_by(spec: Spec, test_id: str, test: TestSpec) -> list[str]:
    """Return the ids in the spec of all tests that a test follows because groups name it under `after_all`."""
    found: dict[str, None] = {}
    for name, group in groups_of(spec, test):
        last = once_in(group, AFTER_ALL)
        if test_id in last and test_id not in once_in(group, BEFORE_ALL):
            members = (other for other, one in spec["tests"].items() if in_group(spec, one, name))
            found |= dict.fromkeys(other for other in members if other not in last)
    return list(found)


def topological(nodes: Sequence[str], before: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the nodes in an order in which each comes after those that `before` names, otherwise as given (Kahn,
    1962).

    Nodes on a cycle are left out: a rule has reported it.
    """
    rank = {node: index for index, node in enumerate(nodes)}
    waiting = {node: {other for other in before.get(node, ()) if other in rank} for node in nodes}
    followers: dict[str, list[str]] = {node: [] for node in nodes}
    for node in nodes:
        for other in waiting[node]:
            followers[other].append(node)
    ready = [rank[node] for node in nodes if not waiting[node]]
    heapq.heapify(ready)
    order = []
    while ready:
        node = nodes[heapq.heappop(ready)]
        order.append(node)
        for follower in followers[node]:
            waiting[follower].discard(node)
            if not waiting[follower]:
                heapq.heappush(ready, rank[follower])
    return order
