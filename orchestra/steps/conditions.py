"""Define the conditions of `expect`: the tables that the schema reads, and one step's conditions in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from orchestra.steps.schemas import NATURAL, NUMBER, TEXT, TEXT_MAPPING, TEXTS, Schema, described, object_of

STATES = (
    "visible",
    "hidden",
    "enabled",
    "disabled",
    "checked",
    "focused",
    "editable",
    "empty",
    "in_viewport",
)

Conditions: TypeAlias = dict[str, tuple[Schema, str, Any]]
_TEXT_OR_LIST: Schema = {"type": ["string", "array"], "items": TEXT, "minItems": 1}
_EXACT_CLASS: Schema = object_of(
    {
        "exact": described(TEXT, "the whole attribute, with white space collapsed", "primary big"),
        "set": described(TEXTS, "the classes, all of them, in any order", ["big", "primary"]),
    },
    maxProperties=1,
)
_COUNTS: Schema = object_of(
    {
        "at_least": described(NATURAL, "the minimum", 1),
        "at_most": described(NATURAL, "the maximum", 5),
        "between": described({"type": "array", "items": NATURAL, "minItems": 2, "maxItems": 2}, "both of them", [1, 5]),
    }
)
_NUMBERS: Schema = object_of(
    {
        "above": described(NUMBER, "the exclusive lower bound", 0),
        "below": described(NUMBER, "the exclusive upper bound", 100),
        "between": described(
            {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}, "the inclusive bounds", [0.5, 100]
        ),
        "pattern": described(
            TEXT,
            "a regular expression that finds the number, or its first group does (JavaScript syntax; default: the first number)",
            "([0-9.]+) ms",
        ),
    },
    anyOf=[{"required": [bound]} for bound in ("above", "below", "between")],
)

CONDITIONS: Conditions = {
    "be": ({"enum": list(STATES)}, "a state of the element", "visible"),
    "have_text": (
        _TEXT_OR_LIST,
        "the whole text, with white space collapsed; a list: the texts of all matches, in order",
        "Market Parser",
    ),
    "contain": (
        _TEXT_OR_LIST,
        "a part of the text; a list: parts of the texts of matches, in order, perhaps with others between",
        "NVDA",
    ),
    "match": (TEXT, "a regular expression to find in the text (JavaScript syntax)", "^NVDA .* [0-9]+"),
    "have_number": (
        _NUMBERS,
        (
            "the bounds of the number in the text, or in the value of an input; commas in it separate thousands; a hyphen "
            "after a letter, a digit or another hyphen is no minus; without a number, `not` does not hold either"
        ),
        {"below": 200, "pattern": "([0-9.]+) ms"},
    ),
    "have_value": (TEXT, "the value of an input", "Market status"),
    "have_values": (TEXTS, "the values of the selected options of a multiple select, in order", ["NVDA", "AMD"]),
    "have_count": (
        {**_COUNTS, "type": ["integer", "object"], "minimum": 0},
        "the number of elements that the target matches, or its bounds",
        3,
    ),
    "have_attribute": (
        {"type": "object", "additionalProperties": {"type": ["string", "null"]}, "minProperties": 1},
        "attributes and their whole values; `null` for an attribute that the element lacks",
        {"aria-busy": "false"},
    ),
    "have_class": (
        {**_EXACT_CLASS, "type": ["string", "array", "object"], "items": TEXT, "minItems": 1},
        "a class that the element has; a list: one for each match, in order; a mapping: all classes",
        "active",
    ),
    "have_css": (
        {**TEXT_MAPPING, "minProperties": 1},
        "CSS properties, with hyphens (`font-family`), and their computed values; a property that does not exist fails",
        {"color": "rgb(255, 0, 0)"},
    ),
    "have_role": (TEXT, "the ARIA role", "button"),
    "have_accessible_name": (TEXT, "the whole accessible name, with white space collapsed", "Send"),
    "aria": (
        TEXT,
        (
            "a part of the accessibility tree at the element, as an aria snapshot of Playwright: roles, names, texts and "
            "attributes in order, perhaps with others between; `/…/` is a regular expression. `page.yaml` of the evidence"
            " of a test has the whole tree. For the page write `css: body`"
        ),
        '- heading "Market Parser" [level=1]\n- button "Send"',
    ),
}

EACH_CONDITIONS: Conditions = {
    **{name: (TEXT, CONDITIONS[name][1].partition(";")[0], CONDITIONS[name][2]) for name in ("have_text", "contain")},
    "have_class": (
        {**_EXACT_CLASS, "type": ["string", "object"]},
        "a class that the element has; a mapping: all classes",
        "active",
    ),
    **{name: CONDITIONS[name] for name in ("be", "match", "have_number", "have_value", "have_attribute", "have_css")},
}
"""The conditions of `all` and `any`: a script of the page checks them for all matches at one moment."""

PAGE_CONDITIONS: Conditions = {name: (TEXT, *EACH_CONDITIONS[name][1:]) for name in ("have_text", "contain", "match")}


class Condition(NamedTuple):
    """A condition of an `expect`.

    Attributes:
        name: of the condition.
        wanted: its value.
        negated: whether it must not hold.
        of: of which matches: `one` of a target that must be one, the whole `set`, `all` or `any` of them.
    """

    name: str
    wanted: Any
    negated: bool
    of: Literal["one", "set", "all", "any"] = "one"


_BY_KEY = ("have_attribute", "have_css")
"""Conditions with several values, each of which is a condition of its own."""


def conditions(wanted_of: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """Yield each condition with its value and whether it must not hold."""
    for name, wanted in wanted_of.items():
        for inner, value in wanted.items() if name == "not" else ((name, wanted),):
            parts = [{key: item} for key, item in value.items()] if inner in _BY_KEY else [value]
            yield from ((inner, part, name == "not") for part in parts)


def conditions_of_target(args: Mapping[str, Any]) -> Iterator[Condition]:
    """Yield each condition of an `expect` on its target."""
    for name, wanted, negated in conditions(args.get("to", {})):
        whole = isinstance(wanted, list) if name != "have_values" else False
        whole = whole or (name == "have_count" and isinstance(wanted, dict))
        yield Condition(name, wanted, negated, "set" if whole else "one")
    for name, wanted, negated in conditions(args.get("all", {})):
        yield Condition(name, wanted, negated, "all")
    for name, wanted, negated in conditions(args.get("any", {})):
        yield Condition(name, wanted, negated, "any")


ASSERTIONS: dict[str, str] = {
    "have_text": "to_have_text",
    "contain": "to_contain_text",
    "match": "to_have_text",
    "have_value": "to_have_value",
    "have_count": "to_have_count",
    "have_class": "to_contain_class",
    "have_values": "to_have_values",
    "have_role": "to_have_role",
    "have_accessible_name": "to_have_accessible_name",
    "aria": "to_match_aria_snapshot",
}
"""The assertion of Playwright that a condition on an element is, where it takes the wanted value alone."""
