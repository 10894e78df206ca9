"""Collect the vocabulary of steps, which schema, compiler, drivers and docs/steps.md read.

A step in a spec is a mapping with one verb as its key: `{fill: {label: Message, value: hello}}`. The arguments of a step
(`value`, `key`, `files`) are never target keys, so one mapping holds both.
"""

from __future__ import annotations

from typing import Any

from orchestra.steps.step import Step
from orchestra.steps.tool_call import Asked, ToolCall
from orchestra.steps.verb import Verb, on_subject
from orchestra.steps.verbs import elements, expect, files, keyboard, pages, runner, script, substitutes, wait

_FAMILIES = (pages, elements, keyboard, expect, wait, script, files, substitutes, runner)

VERBS: dict[str, Verb] = {verb.name: verb for family in _FAMILIES for verb in family.VERBS}


def defaults_of(verb: Verb) -> dict[str, Any]:
    """Return the defaults of a verb by field."""
    return {field.name: field.default for field in verb.fields if field.default is not None}


DEFAULTS: dict[str, dict[str, Any]] = {verb.name: defaults_of(verb) for verb in VERBS.values()}
"""The defaults of each verb, by field."""


def on_page(verb: str) -> bool:
    """Return True if a step needs a page. A verb that is not in the table is one of a plug-in, for pages of its driver."""
    return verb not in VERBS or VERBS[verb].browser


def argument(step: Step, name: str) -> Any:
    """Return an argument, else its default: a step that was made without the compiler may lack it."""
    return step.args[name] if name in step.args else DEFAULTS[step.verb][name]


def playwright_text(step: Step) -> str:
    """Return the step as one line of Python for Playwright's synchronous interface.

    `page`, `pages`, `expect` and `saved` exist; where Playwright has no assertion, `number(text)` is the number in a text and
    `holds(call, one)` whether a call on an element passes, and `eventually(call, wanted)` the first reply that is so.

    Raises:
        LookupError: the verb has no text.
    """
    return text_by(VERBS[step.verb], step)


def text_by(verb: Verb, step: Step) -> str:
    """Return the text of a step by its verb, which may be one of a plug-in. Raises as `playwright_text`."""
    text = on_subject(verb.method, *required_fields(verb)) if verb.method else verb.text
    if text is None:
        raise LookupError(f'the step "{verb.name}" has neither `text` nor `method` in its row of orchestra.steps.verbs')
    return text(step, {**defaults_of(verb), **step.args})


def required_fields(verb: Verb) -> tuple[str, ...]:
    """Return the names of the fields that each step of a verb has."""
    return tuple(field.name for field in verb.fields if field.required)


def mcp_calls(step: Step, poll_seconds: float, folder: str = "") -> tuple[ToolCall, ...]:
    """Return the tool calls of a step, in order; none for a step that the runner carries out itself (`http`, `set`).

    Args:
        step: of the plan.
        poll_seconds: the longest single wait. A step's own `within_seconds` shortens it.
        folder: where screenshots and downloads are kept, absolute and with `/` at its end; names alone without it.

    Raises:
        LookupError: the verb has no calls.
    """
    verb = VERBS[step.verb]
    if verb.calls is None:
        raise LookupError(f'the step "{verb.name}" has no `calls` in its row of orchestra.steps.verbs')
    return tuple(verb.calls(Asked(step, {**DEFAULTS[verb.name], **step.args}, poll_seconds, folder)))
