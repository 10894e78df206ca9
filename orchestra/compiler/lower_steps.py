"""Values, steps and commands of the spec, lowered: names replaced, blocks expanded, defaults filled in.

May import `resolve`, `spec` and `plan`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestra import names
from orchestra.compiler import resolve
from orchestra.compiler.spec import CommandSpec, Spec, StepSpec
from orchestra.plan import Command
from orchestra.steps import HTTP_METHODS, VERBS, Step
from orchestra.targets import KINDS, NARROWING, target_of

Known = Mapping[str, Any]

_TARGET_KEYS = frozenset(KINDS) | frozenset(NARROWING)


def fill(value: Any, known: Known) -> Any:
    """A value of the spec with the known names replaced, deep; a text that is one name becomes that name's value."""
    if isinstance(value, str):
        if "${" not in value:
            return value
        whole = value[2:-1] if value.startswith("${") and value.endswith("}") else ""
        if whole in known:
            return known[whole]
        return names.substitute(value, {name: resolve.scalar_text(item) for name, item in known.items()})
    if isinstance(value, dict):
        return {key: fill(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, known) for item in value]
    return value


def text(value: Any, known: Known) -> str:
    """A scalar of the spec as text, names replaced."""
    return resolve.scalar_text(fill(value, known))


def texts(values: Iterable[Any], known: Known) -> tuple[str, ...]:
    """A list of scalars as texts, names replaced."""
    return tuple(text(value, known) for value in values)


def text_map(values: Mapping[str, Any], known: Known) -> dict[str, str]:
    """A mapping of scalars as texts, names replaced in the values."""
    return {key: text(value, known) for key, value in values.items()}


def lower_step(verb: str, body: Any, at: tuple[str, ...], known: Known) -> Step:
    """One step, not a `use`: short forms spelled out, defaults filled in, the target apart from the rest."""
    kind = VERBS[verb]
    filled = fill(body, known)
    if verb == "set":
        return Step(verb, at, None, {"values": filled})
    if not isinstance(filled, dict):
        filled = {kind.short: filled}
    args = {field.name: field.default for field in kind.fields if field.default is not None}
    target = None
    if kind.target == "none":
        args.update(filled)
    else:
        target = target_of(filled)
        args.update((key, value) for key, value in filled.items() if key not in _TARGET_KEYS)
    if verb == "http":
        method = next(name for name in HTTP_METHODS if name in args)
        args = {"method": method, "url": args.pop(method), **args}
        args["status"] = args["status"] if isinstance(args["status"], list) else [args["status"]]
    if verb == "select" and not isinstance(args["value"], list):
        args["value"] = [args["value"]]
    return Step(verb, at, target, args)


def lower_steps(
    spec: Spec, steps: Sequence[StepSpec], pointer: str, known: Known, via: tuple[str, ...] = ()
) -> tuple[Step, ...]:
    """A list of steps with the steps of used blocks in their place.

    Args:
        spec: where the blocks stand.
        steps: the list.
        pointer: the JSON pointer of the list in the spec.
        known: the names that have a value here.
        via: the pointers of the uses that led here, outermost first.
    """
    lowered: list[Step] = []
    for index, step in enumerate(steps):
        at = (*via, f"{pointer}/{index}")
        verb, body = resolve.verb_of(step)
        if verb == "use":
            name, given = resolve.block_use(body)
            inner = {**outer(known), **{param: fill(value, known) for param, value in given.items()}}
            lowered += lower_steps(spec, spec["blocks"][name]["steps"], f"/blocks/{name}/steps", inner, at)
        else:
            lowered.append(lower_step(verb, body, at, known))
    return tuple(lowered)


def outer(known: Known) -> dict[str, Any]:
    """The names that hold everywhere in a test: variables and matrix values, not the parameters of the block around."""
    return {name: value for name, value in known.items() if "." in name}


def lower_command(command: CommandSpec, known: Known) -> Command:
    """A command with names replaced."""
    return Command(
        argv=texts(command["argv"], known),
        shell=command.get("shell", False),
        cwd=text(command.get("cwd", "."), known),
        env=text_map(command.get("env", {}), known),
        exit_codes=tuple(command.get("exit_codes", [0])),
        junit=text(command.get("junit", ""), known),
        attach=texts(command.get("attach", []), known),
    )
