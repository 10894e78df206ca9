"""Targets and conditions in words, the same for every driver's messages."""

from __future__ import annotations

import json
from typing import Any

from orchestra.steps.target import Target

_NARROWING = ("name", "exact", "nth", "has_text", "frame")


def quoted(value: Any) -> str:
    """Return a JSON value for a message."""
    return json.dumps(value, ensure_ascii=False)


def target_text(target: Target | None) -> str:
    """Return a target as in the spec: `{role: "button", name: "Send"}`."""
    return "the page" if target is None else _target_text(target)


def _target_text(target: Target) -> str:
    parts = [f"{target.by}: {quoted(target.value)}"]
    parts += [f"{key}: {quoted(value)}" for key in _NARROWING if (value := getattr(target, key)) not in (None, False)]
    if target.within is not None:
        parts.append(f"within: {_target_text(target.within)}")
    return "{" + ", ".join(parts) + "}"


_PHRASES = {
    "have_text": "have the text",
    "contain": "contain",
    "match": "match",
    "have_value": "have the value",
    "have_count": "match so many elements:",
    "have_attribute": "have the attributes",
    "have_class": "have the class",
}


def condition_text(name: str, wanted: Any, *, negated: bool) -> str:
    """Return a condition after `expected …`: `not to contain "NVDA"`."""
    said = f"be {wanted}" if name == "be" else f"{_PHRASES[name]} {quoted(wanted)}"
    return f"{'not ' if negated else ''}to {said}"


def seconds_text(seconds: float) -> str:
    """Return a duration for people: `5 s`, `0.25 s`."""
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"
