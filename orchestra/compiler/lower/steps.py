"""Values, steps and commands of the spec, lowered: names replaced, blocks expanded, defaults filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from orchestra import names
from orchestra.compiler.lower import resolve
from orchestra.compiler.schema.key import StepSpec
from orchestra.compiler.schema.spec import Spec
from orchestra.compiler.schema.tests import CommandSpec
from orchestra.plan import Command
from orchestra.steps.schemas import HTTP_METHODS, Schema
from orchestra.steps.step import Step
from orchestra.steps.target import KINDS, NARROWING, target_of
from orchestra.steps.texts import BODIES, as_text, body_of
from orchestra.steps.verb import Verb
from orchestra.steps.vocabulary import VERBS, defaults_of, on_page

Known = Mapping[str, Any]
T = TypeVar("T", str, float)

_TARGET_KEYS = frozenset(KINDS) | frozenset(NARROWING)


class _Table(NamedTuple):
    """The parts of a verb by which a step is lowered: defaults, the schema of its arguments, and its fields with fractions."""

    defaults: dict[str, Any]
    body: Schema
    fractions: tuple[str, ...]


def _table(verb: Verb) -> _Table:
    fractions = tuple(field.name for field in verb.fields if field.schema.get("type") == "number")
    return _Table(defaults_of(verb), BODIES.get(verb.name) or body_of(verb), fractions)


_TABLES = {verb.name: _table(verb) for verb in VERBS.values()}


def fill(value: Any, known: Known) -> Any:
    """Return a value of the spec with the known names replaced, deep; a text that is one name becomes that name's
    value.

    A value in which nothing is replaced is given back as it is, not as a copy.
    """
    if isinstance(value, str):
        if "${" not in value:
            return value
        whole = value[2:-1] if value.startswith("${") and value.endswith("}") else ""
        if whole in known:
            return known[whole]
        return names.substitute(value, known, resolve.scalar_text)
    if isinstance(value, dict):
        mapping = {key: fill(item, known) for key, item in value.items()}
        return mapping if any(mapping[key] is not item for key, item in value.items()) else value
    if isinstance(value, list):
        items = [fill(item, known) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _only_texts(mapping: Mapping[str, Any]) -> bool:
    return all(item.__class__ is str for item in mapping.values())


def text(value: Any, known: Known) -> str:
    """Return a scalar of the spec as text, names replaced."""
    return resolve.scalar_text(fill(value, known))


def final_text(value: Any, known: Known) -> str:
    """Return a text that nothing looks at again, such as a title: names replaced, and `$${` is `${`."""
    # A late name can only come out of a variable; it is shown as it is.
    return names.expand(value, lambda name: resolve.scalar_text(known.get(name, f"${{{name}}}")))


def texts(values: Iterable[Any], known: Known) -> tuple[str, ...]:
    """Return a list of scalars as texts, names replaced."""
    return tuple(text(value, known) for value in values)


def text_map(values: Mapping[str, Any], known: Known) -> dict[str, str]:
    """Return a mapping of scalars as texts, names replaced in the values."""
    return {key: text(value, known) for key, value in values.items()}


def usual(value: Any, default: T) -> T:
    """Return a value in its form in the plan: an equal default itself, which the plan omits."""
    return default if value == default else type(default)(value)


def lower_step(verb: str, body: Any, at: tuple[str, ...], known: Known, verbs: Mapping[str, Verb] = VERBS) -> Step:
    """One step, not a `use`: short forms spelled out, defaults filled in, the target apart from the rest."""
    kind = verbs[verb]
    table = _TABLES[verb] if verb in VERBS else _table(kind)
    mapping = body if isinstance(body, dict) else {kind.short: body}
    if verb == "set":
        return Step(verb, at, None, {"values": fill(mapping, known)})
    filled = fill(mapping, known) if names.may_hold(body) else mapping
    if filled is not mapping and not _only_texts(filled):
        filled = as_text(filled, table.body, resolve.scalar_text)
    args = table.defaults.copy()
    if kind.target == "none":
        args.update(filled)
    else:
        for key, value in filled.items():
            if key not in _TARGET_KEYS:
                args[key] = value
    for name in table.fractions:
        if type(args.get(name)) is int:
            args[name] = float(args[name])
    if verb == "http":
        method = next(name for name in HTTP_METHODS if name in args)
        args = {"method": method, "url": args.pop(method), **args}
        args["status"] = args["status"] if isinstance(args["status"], list) else [args["status"]]
    if verb == "select" and not isinstance(args["value"], list):
        args["value"] = [args["value"]]
    return Step(verb, at, None if kind.target == "none" else target_of(filled), args)


def lower_steps(
    spec: Spec,
    steps: Sequence[StepSpec],
    pointer: str,
    known: Known,
    via: tuple[str, ...] = (),
    verbs: Mapping[str, Verb] = VERBS,
) -> tuple[Step, ...]:
    """Return a list of steps with the steps of used blocks in their place.

    Args:
        spec: where the blocks stand.
        steps: the list.
        pointer: the JSON pointer of the list in the spec.
        known: the names that have a value here.
        via: the pointers of the uses that led here, outermost first.
        verbs: the kinds of step, those of plug-ins, too.
    """
    if not steps:
        return ()
    lowered: list[Step] = []
    for index, step in enumerate(steps):
        at = (*via, f"{pointer}/{index}")
        verb, body = resolve.verb_of(step)
        opening = resolve.opening_steps(verb, body)
        if opening:
            opens = lower_steps(spec, opening, f"{pointer}/{index}/page/opens_with", known, via, verbs)
            lowered += opens
            body = {key: value for key, value in body.items() if key != "opens_with"}
            body["opening_steps"] = sum(on_page(step.verb) for step in opens)
        if verb == "use":
            name, given = resolve.block_use(body)
            inner = {**outer(known), **{param: fill(value, known) for param, value in given.items()}}
            lowered += lower_steps(spec, spec["blocks"][name]["steps"], f"/blocks/{name}/steps", inner, at, verbs)
        else:
            lowered.append(lower_step(verb, body, at, known, verbs))
    return tuple(lowered)


def outer(known: Known) -> dict[str, Any]:
    """Return the names that hold everywhere in a test: variables and matrix values, not the parameters of the block
    around.
    """
    return {name: value for name, value in known.items() if "." in name}


def lower_command(command: CommandSpec, known: Known) -> Command:
    """Return a command with names replaced."""
    return Command(
        argv=texts(command["argv"], known),
        shell=command.get("shell", False),
        cwd=text(command.get("cwd", "."), known),
        env=text_map(command.get("env", {}), known),
        exit_codes=tuple(command.get("exit_codes", [0])),
        junit=text(command.get("junit", ""), known),
        playwright_json=text(command.get("playwright_json", ""), known),
        pytest_reportlog=text(command.get("pytest_reportlog", ""), known),
        cases={glob: case["of"] for glob, case in command.get("cases", {}).items()},
        attach=texts(command.get("attach", []), known),
    )
