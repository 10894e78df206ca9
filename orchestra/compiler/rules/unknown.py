"""Rules about names that nothing has, in lists and in `use`."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from orchestra.compiler.lower import resolve
from orchestra.compiler.lower.resolve import NO_LOGIN
from orchestra.compiler.rules.context import Context, Problem, errors_of, quoted, rule
from orchestra.compiler.rules.logins import nearest
from orchestra.compiler.rules.pools import takes
from orchestra.compiler.schema.key import ID
from orchestra.diagnostic import Place
from orchestra.suggest import correction, did_you_mean
from orchestra.yamltext.document import Path

# A suggestion looks at every known name; a spec with thousands of names and of mistakes gets so many of them.
_SUGGESTIONS = 50


def _entries(context: Context, section: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = context.spec.get(section, {})  # type: ignore[assignment]
    return found


def _listed(context: Context, *lists: tuple[str, str]) -> Iterator[tuple[Path, str]]:
    """Path and name of each item of the lists that stand under a key in the entries of a section."""
    for section, key in lists:
        for name, entry in _entries(context, section).items():
            if key in entry:
                for index, item in enumerate(entry[key]):
                    path: Path = (section, name, key, index)
                    yield (path, item) if isinstance(item, str) else ((*path, "test"), item["test"])


def _strangers(
    context: Context, named: Iterable[tuple[Path, str]], known: Collection[str]
) -> Iterator[tuple[Place, str]]:
    return ((context.place(path), name) for path, name in named if name not in known)


def _refuse(kind: str, strangers: Iterable[tuple[Place, str]], known: Collection[str]) -> Iterator[Problem]:
    hint = ""
    for count, (place, name) in enumerate(strangers):
        near = did_you_mean(name, known) if count < _SUGGESTIONS else ""
        hint = hint or (f"there are {quoted(sorted(known))}" if known else f"no {kind} is declared")
        yield Problem(place, f'unknown {kind} "{name}"{near}', hint, correction(name, known) if near else None)


@rule
def unknown_test(context: Context) -> Iterator[Problem]:
    """`needs`, `after`, `before_all`, `after_all` or `of` of a case names a test that does not exist.

    A test with a matrix can be named as a whole or by one of its ids. `requires` names the components that a test uses.
    """
    named = [
        *_listed(context, ("tests", "needs"), ("tests", "after"), ("groups", "needs")),
        *_listed(context, ("groups", "before_all"), ("groups", "after_all")),
        *(
            ((*path, "cases", glob, "of"), case["of"])
            for path, command, _ in context.commands
            for glob, case in command.get("cases", {}).items()
        ),
    ]
    known, components = context.test_ids, _entries(context, "health")
    strangers = [(path, name) for path, name in named if name not in known]
    for problem, (path, name) in zip(
        _refuse("test", _strangers(context, strangers, known), known), strangers, strict=True
    ):
        if name not in components or path[2] not in ("needs", "after"):
            yield problem
            continue
        where = "" if path[0] == "tests" else " in its tests, or in the defaults"
        yield problem._replace(hint=f"it is a component: write requires: [{name}]{where}", edit=None)


@rule
def unknown_group(context: Context) -> Iterator[Problem]:
    """`group` of a test or of a group, or `after` of a group, names a group that is not declared under `groups:`."""
    groups = _entries(context, "groups")
    named: list[tuple[Path, str]] = [
        ((section, name, "group"), entry["group"])
        for section in ("tests", "groups")
        for name, entry in _entries(context, section).items()
        if "group" in entry
    ]
    named += _listed(context, ("groups", "after"))
    yield from _refuse("group", _strangers(context, named, groups), groups)


@rule
def unknown_login(context: Context) -> Iterator[Problem]:
    """`login` of a test, a group or `defaults` names none of `logins:`, or a login has the name `none`.

    `none` is the word for no login. With `login: ${matrix.role}` each test of the matrix has its own, and so with `${row.NAME}`.
    """
    logins = _entries(context, "logins")
    if NO_LOGIN in logins:
        place = context.place(("logins", NO_LOGIN), key=True)
        yield Problem(place, f'"{NO_LOGIN}" is the word for no login', "choose another name")
    spec, known = context.spec, {**logins, NO_LOGIN: {}}
    named: list[tuple[Path, str]] = [
        (("groups", name, "login"), group["login"])
        for name, group in _entries(context, "groups").items()
        if "login" in group
    ]
    if "login" in spec.get("defaults", {}):
        named.append((("defaults", "login"), spec["defaults"]["login"]))
    named += [(("tests", name, "login"), test["login"]) for name, test in spec["tests"].items() if "login" in test]
    written = [(path, login) for path, login in named if "${" not in login]
    yield from _refuse("login", _strangers(context, written, known), logins)
    yield from _chosen_logins(context, known)


def _chosen_logins(context: Context, known: Collection[str]) -> Iterator[Problem]:
    """Yield the unknown logins that names in a text choose, at the text that the test has nearest."""
    for test_id, test in context.spec["tests"].items():
        if "${" in resolve.login_of(context.spec, test, {}):
            for one, login in resolve.logins_by_test(context.spec, test_id, test).items():
                if login not in known and "${" not in login:
                    message = f'unknown login "{login}" of "{one}"{did_you_mean(login, known)}'
                    yield Problem(
                        context.place(nearest(context, test_id)), message, f"there are {quoted(sorted(known))}"
                    )


@rule
def unknown_pool(context: Context) -> Iterator[Problem]:
    """`takes` names a pool that is not declared under `pools:`, or a pool has the name `none`.

    `none` is the word for no pool, where an outer place names one.
    """
    pools = _entries(context, "pools")
    if NO_LOGIN in pools:
        place = context.place(("pools", NO_LOGIN), key=True)
        yield Problem(place, f'"{NO_LOGIN}" is the word for no pool', "choose another name")
    yield from _refuse("pool", _strangers(context, takes(context), {**pools, NO_LOGIN: {}}), pools)


@rule
def unknown_component(context: Context) -> Iterator[Problem]:
    """`requires`, `needs` of the health matrix, `base` of a request or `log_patterns` names a row that `health:` lacks.

    `needs` names the tests that a test needs.
    """
    known = _entries(context, "health")
    default = context.spec.get("defaults", {}).get("requires", [])
    named = [
        *_listed(context, ("health", "needs")),
        *((("defaults", "requires", index), name) for index, name in enumerate(default)),
        *_listed(context, ("tests", "requires")),
        *(
            (step.path("http", "base"), step.body["base"])
            for step in context.steps("http")
            if "base" in step.body and "${" not in step.body["base"]
        ),
    ]
    strangers = [
        *_strangers(context, named, known),
        *((context.place(path, key=True), name) for path, name in _logs(context) if name not in known),
    ]
    for problem, (_, name) in zip(_refuse("component", strangers, known), strangers, strict=True):
        is_test = name in context.test_ids
        yield problem._replace(hint=f"it is a test: write needs: [{name}]", edit=None) if is_test else problem


def _logs(context: Context) -> Iterator[tuple[Path, str]]:
    for path, errors in errors_of(context):
        yield from (((*path, "log_patterns", name), name) for name in errors.get("log_patterns", ()))


@rule
def idle_logs(context: Context) -> Iterator[Problem]:
    """`log_patterns` names a component that is not a service and has no log, or `service_logs` has no pattern."""
    rows = _entries(context, "health")
    for path, name in _logs(context):
        if name in rows and not rows[name].get("service"):
            message = f'"{name}" is not a service that orchestra starts, so it has no log'
            yield Problem(context.place(path, key=True), message, "name a component with `service`")
    if any(errors.get("log_patterns") for _, errors in errors_of(context)):
        return
    for path, errors in errors_of(context):
        if errors.get("service_logs", "ignore") != "ignore":
            message = f'"service_logs: {errors["service_logs"]}" has no effect: there are no log_patterns'
            yield Problem(context.place((*path, "service_logs"), key=True), message, _PATTERNS_HINT)


_PATTERNS_HINT = "add log_patterns: {COMPONENT: [REGULAR EXPRESSION]}"


@rule
def unknown_method(context: Context) -> Iterator[Problem]:
    """`methods` of a test names a method that is not declared under `methods:`."""
    named = _listed(context, ("tests", "methods"))
    # Without declared methods there is still a default one, and to find its driver means to look at every test.
    known: Collection[str] = context.spec.get("methods") or ("cli",)
    yield from _refuse("method", _strangers(context, named, known), known)


@rule
def unknown_resource(context: Context) -> Iterator[Problem]:
    """`resources` of a test names a resource that is not declared under the spec's `resources:`."""
    known = _entries(context, "resources")
    named = [
        (context.place(("tests", name, "resources", resource), key=True), resource, test["resources"])
        for name, test in context.spec["tests"].items()
        if "resources" in test
        for resource in test["resources"]
        if resource not in known
    ]
    problems = _refuse("resource", ((place, resource) for place, resource, _ in named), known)
    for problem, (_, _, held) in zip(problems, named, strict=True):
        is_taken = problem.edit is not None and problem.edit.new in held
        yield problem._replace(edit=None) if is_taken else problem


class _Use(NamedTuple):
    """A use of a block: the path of `use`, the block, its parameters, whether a whole test and not a step uses it."""

    path: Path
    name: str
    given: dict[str, Any]
    by_test: bool = False


def _uses(context: Context) -> list[_Use]:
    found = [_Use(step.path("use"), *resolve.block_use(step.body)) for step in context.steps("use")]
    for test_id, test in context.spec["tests"].items():
        if "use" in test:
            found.append(_Use(("tests", test_id, "use"), *resolve.block_use(test["use"]), by_test=True))
    return found


def _at_name(context: Context, use: _Use) -> Place:
    """Return the place at which a use names its block: `use: ask` or `use: {ask: {…}}`."""
    inner = (*use.path, use.name)
    place = context.place(inner, key=True)
    return place if place != context.place(use.path, key=True) else context.place(use.path)


@rule
def unknown_block(context: Context) -> Iterator[Problem]:
    """`use` or `collect` names a block that is not declared under `blocks:`."""
    known = _entries(context, "blocks")
    named = ((_at_name(context, use), use.name) for use in context.once(_uses) if use.name not in known)
    collected = (
        (context.place(("collect", key, "of")), name)
        for key, entry in _entries(context, "collect").items()
        if (name := entry["of"].partition(".")[0]) not in known
    )
    yield from _refuse("block", chain(named, collected), known)


def _parameters(context: Context, name: str) -> Sequence[str]:
    return context.spec.get("blocks", {}).get(name, {}).get("params", [])


@rule
def unknown_parameter(context: Context) -> Iterator[Problem]:
    """A use of a block passes a parameter that the block does not have, or `collect` names one."""
    blocks = _entries(context, "blocks")
    for use in context.once(_uses):
        if use.name in blocks and use.given:
            known = _parameters(context, use.name)
            for key in use.given:
                if key not in known:
                    yield _no_parameter(context, (*use.path, use.name, key), use.name, key, taken=use.given)
    for name, entry in _entries(context, "collect").items():
        block, _, parameter = entry["of"].partition(".")
        if block in blocks and parameter not in _parameters(context, block):
            yield _no_parameter(context, ("collect", name, "of"), block, parameter)


def _no_parameter(
    context: Context, path: Path, block: str, parameter: str, *, taken: Container[str] | None = None
) -> Problem:
    """Return the problem of a parameter; `taken` are those that are given, if it is a key among them."""
    known = _parameters(context, block)
    place = context.place(("blocks", block), key=True)
    message = (
        f'unknown parameter "{parameter}" of block "{block}"{did_you_mean(parameter, known)}; it is defined at {place}'
    )
    return Problem(
        context.place(path, key=taken is not None),
        message,
        f"it takes {quoted(known)}" if known else "it takes no parameter",
        correction(parameter, known, taken=taken or ()),
    )


@rule
def missing_parameter(context: Context) -> Iterator[Problem]:
    """A use of a block does not pass a value for each of its parameters; none has a default."""
    needed = {
        name: frozenset(block["params"]) for name, block in _entries(context, "blocks").items() if "params" in block
    }
    for use in context.once(_uses):
        name, given = use.name, use.given
        if name in needed and not needed[name] <= given.keys():
            missing = [parameter for parameter in _parameters(context, name) if parameter not in given]
            place = context.place(("blocks", name), key=True)
            words, have = ("parameters", "have") if len(missing) > 1 else ("parameter", "has")
            message = f'the {words} {quoted(missing)} of block "{name}" {have} no value; it is defined at {place}'
            wanted = ", ".join(f"{parameter}: …" for parameter in missing)
            yield Problem(_at_name(context, use), message, f"write use: {{{name}: {{{wanted}}}}}")


@rule
def block_kind(context: Context) -> Iterator[Problem]:
    """A `use` among steps needs a block with `steps`; the `use` of a whole test, and `collect`, one with a `command`."""
    blocks = _entries(context, "blocks")
    for use in context.once(_uses):
        wanted = "command" if use.by_test else "steps"
        if wanted not in blocks.get(use.name, (wanted,)):
            yield _wrong_kind(context, _at_name(context, use), use.name, wanted)
    for key, entry in _entries(context, "collect").items():
        name = entry["of"].partition(".")[0]
        if "command" not in blocks.get(name, ("command",)):
            yield _wrong_kind(context, context.place(("collect", key, "of")), name, "command")


def _wrong_kind(context: Context, place: Place, name: str, wanted: str) -> Problem:
    found, where = ("a command", "among steps") if wanted == "steps" else ("steps", "here")
    defined = context.place(("blocks", name), key=True)
    message = f'the block "{name}" has {found}, so it cannot be used {where}; it is defined at {defined}'
    hint = "use a block with steps" if wanted == "steps" else "use a block with a command, or put the use among steps"
    return Problem(place, message, hint)


@rule
def parameter_name(context: Context) -> Iterator[Problem]:
    """A block's parameter is not a plain name: a lower-case letter, then lower-case letters, digits and `_`; not
    `port`.
    """
    for path, name in _listed(context, ("blocks", "params")):
        if name == "port" or not re.fullmatch(ID, name):
            why = 'is taken: "${port}" is the port of a service' if name == "port" else "is not a plain name"
            yield Problem(context.place(path), f'the parameter "{name}" {why}', "rename it, for instance message")


RULES = (
    unknown_test,
    unknown_group,
    unknown_login,
    unknown_pool,
    unknown_component,
    idle_logs,
    unknown_method,
    unknown_resource,
    unknown_block,
    unknown_parameter,
    missing_parameter,
    block_kind,
    parameter_name,
)
