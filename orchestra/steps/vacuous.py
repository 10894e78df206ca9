"""Expectations that are true of everything, so that nothing could ever fail them: texts and patterns that are empty."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.pattern import PatternFaultError, compiled
from orchestra.steps.conditions import conditions
from orchestra.steps.step import Step
from orchestra.steps.verbs.pages import TEXTS_OF_DIALOG

Where = tuple[str | int, ...]

_LATE = "${"
_ASSERTION = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?<?[=!]|\\[bB])")
_ANYTHING = re.compile(r"\^?\(?(?:\.|\[\\s\\S\]|\[\^\])\*\??\)?\$?")
_MARK = "\ue000"
_INVISIBLE = re.compile(r"[\s\u200b\u00ad]+")


def is_blank(text: str) -> bool:
    """Return True if nothing of a text is left when white space is folded, as it is for what a page shows."""
    return not _INVISIBLE.sub("", text)


def matches_everything(pattern: str) -> bool:
    """Return True if a pattern is found in every text, because it is found where nothing is: `x*`, `^`, `(a|)`.

    Patterns that look around themselves, and those that Python cannot read, are taken to be meant.
    """
    if _ANYTHING.fullmatch(pattern):
        return True
    if _ASSERTION.search(pattern):
        return False
    try:
        at_start = compiled(f"(?:{pattern})(?={_MARK})")
        at_end = compiled(f"(?<={_MARK})(?:{pattern})$")
    except PatternFaultError:
        return False
    return bool(at_start.match(_MARK) or at_end.search(_MARK))


def in_step(step: Step) -> Iterator[tuple[Where, str]]:
    """Yield each expectation of a step that is always true: its path below the verb, and its text."""
    args = step.args
    if step.verb == "expect":
        for key in ("to", "all", "any"):
            yield from _in_conditions(args.get(key, {}), (key,))
        for part, wanted in args.get("page", {}).items():
            yield from _in_conditions(wanted, ("page", part))
    elif step.verb == "dialog":
        for key in TEXTS_OF_DIALOG:
            if isinstance(text := args.get(key), dict):
                yield from _in_conditions(text, (key,))
    elif step.verb == "download":
        text = args.get("expect", {}).get("text", {})
        if _empty(text.get("contain")):
            yield ("expect", "text", "contain"), text["contain"]
        if _open(text.get("match")):
            yield ("expect", "text", "match"), text["match"]


def _in_conditions(wanted_of: Mapping[str, Any], at: Where) -> Iterator[tuple[Where, str]]:
    for name, wanted, negated in conditions(wanted_of):
        path = (*at, *(("not",) if negated else ()), name)
        if name in ("contain", "have_class"):
            for more, text in _texts(wanted):
                if _LATE not in text and is_blank(text):
                    yield (*path, *more), text
        elif name == "match" and _open(wanted):
            yield path, wanted


def _texts(wanted: Any) -> Iterator[tuple[Where, str]]:
    """Yield each text of which a part is looked for."""
    if isinstance(wanted, str):
        yield (), wanted
    elif isinstance(wanted, list):
        yield from (((index,), text) for index, text in enumerate(wanted))
    else:  # `exact: ""` is an attribute without a class, which can fail
        yield from ((("set", index), text) for index, text in enumerate(wanted.get("set", ())))


def _empty(text: object) -> bool:
    return text == ""


def _open(pattern: object) -> bool:
    return isinstance(pattern, str) and _LATE not in pattern and matches_everything(pattern)


def message(where: Where, value: str) -> str:
    """Return what is wrong with an expectation, by its path."""
    key = next(part for part in reversed(where) if isinstance(part, str))
    return f'"{key}" is "{value}", which is always true: it can never fail'


HINT = "write the expected value, or remove the expectation"
