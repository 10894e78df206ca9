"""Expectations that are true of everything, so that nothing could ever fail them: texts and patterns that are empty."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.pattern import PatternFaultError, compiled
from orchestra.steps.vocabulary import Step, conditions

Where = tuple[str, ...]

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
        yield from _in_conditions(args.get("to", {}), ("to",))
        for part, wanted in args.get("page", {}).items():
            yield from _in_conditions(wanted, ("page", part))
    elif step.verb == "download":
        text = args.get("expect", {}).get("text", {})
        if _empty(text.get("contain")):
            yield ("expect", "text", "contain"), text["contain"]
        if _open(text.get("match")):
            yield ("expect", "text", "match"), text["match"]


def _in_conditions(wanted_of: Mapping[str, Any], at: Where) -> Iterator[tuple[Where, str]]:
    for name, wanted, negated in conditions(wanted_of):
        empty = (
            name in ("contain", "have_class") and isinstance(wanted, str) and _LATE not in wanted and is_blank(wanted)
        )
        if empty or (name == "match" and _open(wanted)):
            yield (*at, *(("not",) if negated else ()), name), wanted


def _empty(text: object) -> bool:
    return text == ""


def _open(pattern: object) -> bool:
    return isinstance(pattern, str) and _LATE not in pattern and matches_everything(pattern)


def message(key: str, value: str) -> str:
    """Return what is wrong with an expectation."""
    return f'"{key}" is "{value}", which is always true: it can never fail'


HINT = "write the expected value, or remove the expectation"
