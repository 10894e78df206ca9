"""Find the places of a plan's step in the spec: of its arguments, and of the uses of its block."""

from __future__ import annotations

from orchestra.compiler.include import Assembled
from orchestra.steps.step import Step
from orchestra.yamltext.document import Path


def arguments_of(step: Step) -> Path:
    """Return the path of the arguments of a step; a method has it under the verb, without a list of steps."""
    path = _path(step.at[-1])
    return path if path[0] == "methods" else (*path, step.verb)


def uses_of(step: Step, source: Assembled) -> str:
    """Return where the block of a step is used, for a message."""
    places = [source.place((*_path(at), step.verb)) for at in step.at[:-1]]
    return f" (used at {', '.join(map(str, places))})" if places else ""


def _path(pointer: str) -> Path:
    """Return the path of a step by its pointer, `/tests/B004/steps/1` or `/tests/B004/steps/1/page/opens_with/0`."""
    section, name, *below = pointer.split("/")[1:]
    return section, name, *(int(part) if part.isdigit() else part for part in below)
