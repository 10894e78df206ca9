"""Rules about tests and what they hold: ids, lists, matrices, waits, retries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.context import Context, Problem, rule
from orchestra.compiler.schema.methods import SpeedSpec
from orchestra.compiler.schema.spec import Spec
from orchestra.compiler.schema.tests import GroupSpec
from orchestra.diagnostic import Edit
from orchestra.plan import Test
from orchestra.steps.vocabulary import VERBS
from orchestra.yamltext.document import Path


@rule
def empty_suite(context: Context) -> Iterator[Problem]:
    """The suite has no test, so a run proves nothing. Add one, or include the file that has the tests."""
    if not context.spec["tests"]:
        hint = "add one: tests: {B001: {title: …, steps: […]}}"
        yield Problem(context.place(("tests",), key=True), "the suite has no test", hint)


@rule
def empty_steps(context: Context) -> Iterator[Problem]:
    """`steps` of a test, a block or a login is empty: such a test always passes."""
    for path, steps in context.sections:
        if not steps and path[-1] == "steps":
            what = str(path[0]).removesuffix("s")
            message = f'the {what} "{path[1]}" has no steps'
            yield Problem(context.place(path), message, f"add a step, or remove the {what}")


@rule
def id_case(context: Context) -> Iterator[Problem]:
    """Two test ids differ only in case, so their folders are the same on macOS. Rename one of them.

    The values of a `matrix` and the ids of `rows` are part of the test id.
    """
    tests = context.spec["tests"]
    yield from _same_but_case(context, "test ids", [(name, ("tests", name)) for name in tests])
    for test_id, test in tests.items():
        for name, values in resolve.axes(test).items():
            path: Path = ("tests", test_id, "matrix", name)
            labels = [(resolve.scalar_text(value), (*path, index)) for index, value in enumerate(values)]
            yield from _same_but_case(context, "matrix values", labels)
        ids = [
            (resolve.scalar_text(row["id"]), ("tests", test_id, "rows", index, "id"))
            for index, row in enumerate(resolve.rows(test))
            if "id" in row
        ]
        yield from _same_but_case(context, "row ids", ids)


def _same_but_case(context: Context, kind: str, names: Sequence[tuple[str, Path]]) -> Iterator[Problem]:
    first: dict[str, tuple[str, Path]] = {}
    for name, path in names:
        other, there = first.setdefault(name.casefold(), (name, path))
        if other != name:
            key = kind == "test ids"
            place = context.place(there, key=key)
            message = f'the {kind} "{name}" and "{other}" differ only in case; the other is at {place}'
            yield Problem(context.place(path, key=key), message, "rename one of them")


@rule
def id_end(context: Context) -> Iterator[Problem]:
    """A test id ends with a dot, which some file systems remove and which reads as the end of a sentence."""
    for name in context.spec["tests"]:
        if name.endswith("."):
            place = context.place(("tests", name), key=True)
            yield Problem(place, f'the test id "{name}" ends with a dot', f"rename it, for instance {name.rstrip('.')}")


_LISTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tests", ("needs", "after", "requires", "tags", "methods", "inputs")),
    ("groups", ("needs", "after", resolve.BEFORE_ALL, resolve.AFTER_ALL)),
    ("health", ("needs",)),
    ("blocks", ("params",)),
)


@rule
def duplicate_item(context: Context) -> Iterator[Problem]:
    """A list of names (`needs`, `after`, `requires`, `tags`, `methods`, `params`, `secrets`, …) has an item twice."""
    spec: Mapping[str, Any] = context.spec
    for section, keys in _LISTS:
        for name, entry in spec.get(section, {}).items():
            for key in keys:
                items = entry.get(key)
                if items is not None and len(items) > 1:
                    yield from _repeated(context, resolve.need_names(items), section, name, key)
            if "retries" in entry and "on" in entry["retries"]:
                yield from _repeated(context, entry["retries"]["on"], section, name, "retries", "on")
    defaults = spec.get("defaults", {})
    for key in ("requires", "tags"):
        yield from _repeated(context, defaults.get(key, ()), "defaults", key)
    yield from _repeated(context, defaults.get("retries", {}).get("on", ()), "defaults", "retries", "on")
    yield from _repeated(context, spec.get("secrets", ()), "secrets")
    yield from _repeated(context, [file.path for file in resolve.env_files(context.spec)], "env_files")


def _repeated(context: Context, items: Sequence[str], *path: str) -> Iterator[Problem]:
    if len(set(items)) < len(items):
        for index, item in enumerate(items):
            if items.index(item) < index:
                yield Problem(
                    context.place((*path, index)), f'"{item}" occurs twice in "{path[-1]}"', "remove one of them"
                )


@rule
def resource_amount(context: Context) -> Iterator[Problem]:
    """A test holds more of a resource than exists, so it can never start."""
    declared = context.spec.get("resources", {})
    for test_id, test in context.spec["tests"].items():
        for name, amount in test.get("resources", {}).items():
            if amount > declared.get(name, amount):
                place = context.place(("resources", name))
                message = f'"{test_id}" holds {amount} of the resource "{name}", but only {declared[name]} is declared ({place})'
                where = context.place(("tests", test_id, "resources", name))
                edits = context.rewritten(
                    (("tests", test_id, "resources", name), amount, declared[name]),
                    (("resources", name), declared[name], amount),
                )
                yield Problem(where, message, f"hold {declared[name]}, or declare {amount}", edits=edits)


@rule
def idle_retries(context: Context) -> Iterator[Problem]:
    """`retries` lists causes, or is `isolated`, but its `max` is 0, so nothing is ever retried.

    The `isolated` of the defaults is for the tests that have retries: one of them must.
    """
    default = context.spec.get("defaults", {}).get("retries", {})
    retried = any(test.get("retries", {}).get("max", 0) for test in context.spec["tests"].values())
    entries: list[tuple[Path, Any]] = [(("defaults", "retries"), default)]
    entries += [
        (("tests", name, "retries"), test["retries"])
        for name, test in context.spec["tests"].items()
        if "retries" in test
    ]
    for path, retries in entries:
        named = [
            key
            for key in ("on", "isolated")
            if retries.get(key) and not (key == "isolated" and path[0] == "defaults" and retried)
        ]
        if named and not retries.get("max", default.get("max", 0)):
            place = context.place((*path, named[0]), key=True)
            edits = context.rewritten(((*path, "max"), 0, 1)) if "max" in retries else ()
            yield Problem(place, f'"{named[0]}" has no effect while "max" is 0', "write max: 1", edits=edits)


@rule
def group_once(context: Context) -> Iterator[Problem]:
    """`before_all` or `after_all` of a group names a test that cannot run once for its tests.

    It is a test of the group, with all that its matrix makes, without `inputs`, and in one of the two lists. A test of
    `after_all` runs by every method that runs a test of the group; for `before_all` the rule `need-method` requires that.
    """
    spec, ids = context.spec, context.test_ids
    for name, group in spec.get("groups", {}).items():
        for key in (resolve.BEFORE_ALL, resolve.AFTER_ALL):
            written: list[str] = group.get(key, [])  # type: ignore[assignment]
            for index, test in enumerate(written):
                if test in ids:
                    found = _not_once(context, name, group, key, test)
                    yield from (Problem(context.place(("groups", name, key, index)), *words) for words in found)


def _not_once(context: Context, name: str, group: GroupSpec, key: str, test: str) -> Iterator[tuple[str, str]]:
    """Yield why a test cannot run once for a group, and what to do."""
    spec, base = context.spec, context.test_ids[test]
    if test != base:
        yield f'"{key}" of "{name}" names one of the tests of "{base}", and all of them run', f"write {base}"
        return
    if not resolve.in_group(spec, spec["tests"][base], name):
        yield f'"{key}" of "{name}" names "{base}", which is not in the group', f"write group: {name} in the test"
        return
    if "inputs" in spec["tests"][base]:
        yield f'"{base}" of "{key}" has "inputs", so that it may be `unchanged`, and not run', 'remove "inputs" from it'
        return
    if key == resolve.BEFORE_ALL:
        if base in resolve.once_in(group, resolve.AFTER_ALL):
            yield f'"{base}" is in "before_all" and in "after_all" of "{name}"', "remove it from one of them"
        return

    def methods_of(one: str) -> tuple[str, ...]:
        return resolve.methods_of(spec, spec["tests"][one], context.methods, context.provided.drivers)

    own = methods_of(base)
    lacking = (
        (method, other) for other in resolve.closed_by(spec, base, spec["tests"][base]) for method in methods_of(other)
    )
    found = next(((method, other) for method, other in lacking if method not in own), None)
    if found is not None:
        method, other = found
        message = (
            f'"{base}" is in "after_all" of "{name}", and the method "{method}", which runs "{other}", does not run it'
        )
        yield message, f'let "{base}" run by "{method}" too, or take "{method}" from the methods of "{other}"'


_DEFAULT_TIMEOUT = Test("", "", ()).timeout_seconds
_MONTHS = 12
_WAITS = tuple(verb.name for verb in VERBS.values() if any(field.name == "within_seconds" for field in verb.fields))


@rule
def wait_timeout(context: Context) -> Iterator[Problem]:
    """A step waits longer than the limit of its test, so the wait can never complete.

    The rule checks `within_seconds` of a step and of its `until`, in the test, in its group or in a block that it uses, and
    `action_timeout_seconds`, against `timeout_seconds` of the test or of `defaults`.
    """
    yield from _action_timeouts(context)
    spec = context.spec
    default = spec.get("defaults", {}).get("timeout_seconds", _DEFAULT_TIMEOUT)
    timeouts = {name: test.get("timeout_seconds", default) for name, test in spec["tests"].items()}
    shortest = min(timeouts.values(), default=default)
    for verb in _WAITS:
        for step in context.steps(verb):
            if step.body.__class__ is not dict:
                continue
            for keys, value in _waits(step.body):
                seconds = _seconds(context, value)
                users = _users(context, step.section) if seconds > shortest else ()
                late = next((name for name in users if timeouts[name] < seconds), None)
                if late is not None:
                    message = (
                        f'"{verb}" waits up to {seconds:g} seconds, but the test "{late}" ends after {timeouts[late]:g}'
                    )
                    hint = f"wait at most {timeouts[late]:g}, or raise timeout_seconds of the test"
                    path = step.path(verb, *keys)
                    edits = context.rewritten(
                        (path, value, timeouts[late]), (_timeout(spec, late), timeouts[late], seconds)
                    )
                    yield Problem(context.place(path), message, hint, edits=edits)


def _action_timeouts(context: Context) -> Iterator[Problem]:
    spec, key = context.spec, "action_timeout_seconds"
    defaults = spec.get("defaults", {})
    shown: set[Path] = set()
    for name, test in spec["tests"].items():
        action: float = test.get("action_timeout_seconds", defaults.get("action_timeout_seconds", 0))
        if not action:
            continue
        where: Path = ("tests", name, key) if key in test else ("defaults", key)
        end = test.get("timeout_seconds", defaults.get("timeout_seconds", _DEFAULT_TIMEOUT))
        if action > end and where not in shown:
            shown.add(where)
            message = f'an action waits up to {action:g} seconds, but the test "{name}" ends after {end:g}'
            hint = f"wait at most {end:g}, or raise timeout_seconds of the test"
            edits = context.rewritten((where, action, end), (_timeout(spec, name), end, action))
            yield Problem(context.place(where), message, hint, edits=edits)


def _timeout(spec: Spec, test: str) -> Path:
    """Return the path of the limit of a test."""
    key = "timeout_seconds"
    return ("tests", test, key) if key in spec["tests"][test] else ("defaults", key)


def _waits(body: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each limit that a step writes, with its keys below the verb."""
    if "within_seconds" in body:
        yield ("within_seconds",), body["within_seconds"]
    until = body.get("until")
    if isinstance(until, dict) and "within_seconds" in until:
        yield ("until", "within_seconds"), until["within_seconds"]


def _seconds(context: Context, value: Any) -> float:
    """Return a limit; 0 if a block's parameter or a matrix defines it."""
    if isinstance(value, str):
        value = context.spec.get("vars", {}).get(value[2:-1].removeprefix("vars."), 0)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _users(context: Context, section: Path) -> Iterator[str]:
    """Yield the tests that run a list of steps, through groups and blocks too."""
    if section[0] == "tests":
        yield str(section[1])
        return
    seen: set[Path] = set()
    stack: list[Path] = [section[:2]]
    while stack:
        owner = stack.pop()
        if owner in seen:
            continue
        seen.add(owner)
        if owner[0] == "tests":
            yield str(owner[1])
        elif owner[0] == "defaults":
            yield from (name for name, test in context.spec["tests"].items() if not resolve.is_command(test))
        elif owner[0] == "groups":
            tests = context.spec["tests"].items()
            yield from (name for name, test in tests if resolve.in_group(context.spec, test, str(owner[1])))
        else:
            steps = context.steps("use")
            stack += [step.section[:2] for step in reversed(steps) if resolve.block_use(step.body)[0] == owner[1]]


@rule
def shell_items(context: Context) -> Iterator[Problem]:
    """`shell: true` is combined with a command of several items: `sh -c` takes one text and would ignore the rest."""
    for path, command, key in context.commands:
        if command.get("shell") and len(command.get(key, ())) > 1:
            hint = f"write {key}: with one item, or remove shell: true"
            message = f'"{key}" has {len(command[key])} items with "shell: true", which takes one'
            yield Problem(context.place((*path, key)), message, hint)


@rule
def class_bounds(context: Context) -> Iterator[Problem]:
    """The classes of `speed:`, of the suite or of a method, do not cover the time from 0 without gaps and without an
    upper end.

    Each class reaches from the bound of the class before up to its own `below_seconds`. So the bounds increase from
    class to class, and only the last class has none.
    """
    if "speed" in context.spec:
        yield from _tiled(context, context.spec["speed"], ("speed",))
    for name, method in context.spec.get("methods", {}).items():
        if "speed" in method:
            yield from _tiled(context, method["speed"], ("methods", name, "speed"))


def _tiled(context: Context, classes: Mapping[str, SpeedSpec], path: tuple[str, ...]) -> Iterator[Problem]:
    if not classes:
        yield Problem(context.place(path), '"speed" has no class', "add one without a bound, or remove speed")
        return
    *others, last = classes
    if "below_seconds" in classes[last]:
        message = f'the last class "{last}" has a bound, so slower tests are in no class'
        yield Problem(context.place((*path, last, "below_seconds"), key=True), message, "remove below_seconds")
    below, before = 0.0, ""
    for name in others:
        bound = classes[name].get("below_seconds")
        if bound is None:
            message = f'the class "{name}" has no bound, so the classes after it are empty'
            yield Problem(context.place((*path, name), key=True), message, "add below_seconds, or put it last")
        elif bound <= below:
            message = f'the class "{name}" ends at {bound:g} seconds, where "{before}" has reached {below:g} already'
            place = context.place((*path, name, "below_seconds"))
            yield Problem(place, message, "increase the bounds from class to class")
        else:
            below, before = bound, name


@rule
def baseline_window(context: Context) -> Iterator[Problem]:
    """`baseline` requires more runs (`min_runs`) than its `window` holds, so it never compares a duration."""
    baseline = context.spec.get("baseline", {})
    window, least = baseline.get("window", 20), baseline.get("min_runs", 5)
    if least > window:
        key = "min_runs" if "min_runs" in baseline else "window"
        message = f'"min_runs" is {least} and "window" is {window}: the window never holds that many passes'
        edits = context.rewritten((("baseline", "window"), window, least), (("baseline", "min_runs"), least, window))
        yield Problem(context.place(("baseline", key)), message, f"write window: {least}, or more", edits=edits)


@rule
def quarantine_date(context: Context) -> Iterator[Problem]:
    """`until` of a quarantine is not a calendar date."""
    for name, test in context.spec["tests"].items():
        until = test.get("quarantine", {}).get("until", "")
        try:
            date.fromisoformat(until or "2026-12-31")
        except ValueError as error:
            place = context.place(("tests", name, "quarantine", "until"))
            edits = tuple(Edit(until, day, value=True) for day in _near_days(until))
            yield Problem(place, f'"{until}" is not a calendar date: {error}', "write an existing date", edits=edits)


def _near_days(text: str) -> Iterator[str]:
    """Yield the last day of a month, and the first of the following one, for a day that the month does not have."""
    year, month = int(text[:4]), int(text[5:7])
    if year and 1 <= month <= _MONTHS:
        following = date(year, month, 1) + timedelta(days=31)
        first = following.replace(day=1)
        yield (first - timedelta(days=1)).isoformat()
        yield first.isoformat()


RULES = (
    group_once,
    empty_suite,
    empty_steps,
    id_case,
    id_end,
    duplicate_item,
    resource_amount,
    idle_retries,
    wait_timeout,
    shell_items,
    class_bounds,
    baseline_window,
    quarantine_date,
)
