"""Find the components that the texts of tests and logins name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestra import names
from orchestra.compiler.schema.spec import Spec
from orchestra.plan import Command, Emulation
from orchestra.steps.step import Step
from orchestra.steps.target import Target


def components_of(
    spec: Spec, steps: Iterable[Step], command: Command | None, emulations: Iterable[Emulation]
) -> set[str]:
    """Return the components that texts of steps, of a command or of pages name."""
    late: set[str] = set()
    found: set[str] = set()
    for step in steps:
        if names.may_hold((step.args, step.target)):
            _add_names(step.args, late)
            _add_names(_target_texts(step.target), late)
        if step.verb == "http" and isinstance(base := step.args.get("base"), str):
            found.add(base)
    for emulation in emulations:
        _add_names((emulation.user_agent, emulation.extra_headers), late)
    if command is not None:
        _add_names(
            (*command.argv, *command.env.values(), command.cwd, *filter(None, command.reports), *command.attach), late
        )
    return found | _components(spec, late)


def components_in(spec: Spec, texts: Iterable[str]) -> set[str]:
    """Return the components that texts name."""
    late: set[str] = set()
    _add_names(tuple(texts), late)
    return _components(spec, late)


def _components(spec: Spec, late: Iterable[str]) -> set[str]:
    """Return the components of which names are."""
    health = spec.get("health", {})
    return {head for head in (name.partition(".")[0] for name in late) if head in health}


def _add_names(value: Any, found: set[str]) -> None:
    """Add the late names that stand in a value of the plan."""
    if isinstance(value, str):
        if "${" in value:
            found.update(names.names_in(value))
    elif isinstance(value, dict):
        for item in value.values():
            _add_names(item, found)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _add_names(item, found)


def _target_texts(target: Target | None) -> list[str | None]:
    """Yield the texts of a target; they can hold runtime variables."""
    found: list[str | None] = []
    while target is not None:
        found += (target.value, target.name, target.name_match, target.has_text, target.frame)
        target = target.within
    return found
