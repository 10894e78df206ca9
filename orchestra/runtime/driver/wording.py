"""Targets and conditions in words, the same for every driver's messages."""

from __future__ import annotations

import json
from typing import Any

from orchestra.steps.target import Target, in_words


def quoted(value: Any) -> str:
    """Return a JSON value for a message."""
    return json.dumps(value, ensure_ascii=False)


def target_text(target: Target | None) -> str:
    """Return a target as in the spec: `{role: "button", name: "Send"}`."""
    return "the page" if target is None else in_words(target)


_PHRASES = {
    "have_text": "have the text",
    "contain": "contain",
    "match": "match",
    "have_value": "have the value",
    "have_count": "match so many elements:",
    "have_attribute": "have the attributes",
    "have_class": "have the class",
    "have_css": "have the styles",
    "have_number": "have a number",
    "have_role": "have the role",
    "have_accessible_name": "have the accessible name",
    "have_values": "have the values",
    "aria": "match the aria snapshot",
}
_OF_SET = {"have_text": "have the texts", "contain": "contain one after the other", "have_class": "have the classes"}


def condition_text(name: str, wanted: Any, *, negated: bool) -> str:
    """Return a condition after `expected …`: `not to contain "NVDA"`."""
    phrase = _OF_SET[name] if isinstance(wanted, list) and name in _OF_SET else _PHRASES.get(name, "be")
    words = wanted.replace("_", " ") if name == "be" else quoted(wanted)
    return f"{'not ' if negated else ''}to {phrase} {words}"


def subject_text(target: Target | None, of: str) -> str:
    """Return the subject of a condition: the target, or `all of` or `any of` its matches."""
    return f"{of} of {target_text(target)}" if of in ("all", "any") else target_text(target)


def seconds_text(seconds: float) -> str:
    """Return a duration for people: `5 s`, `0.25 s`."""
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"
