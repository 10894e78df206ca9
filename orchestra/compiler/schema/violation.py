"""Turn the violations of jsonschema into the texts of diagnostics.

Pure: a tree of violations in, findings with a path out; the caller looks up the place. One mistake yields one finding:
consequences of another one (a missing key next to its misspelt form) are left out. The hints are those of
`orchestra.compiler.schema.hints`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestra.compiler.schema.hints import Path, key_guess, quoted_value, quoted_values, step_hint, value_hint
from orchestra.compiler.schema.key import PATTERNS
from orchestra.compiler.schema.steps import REFERENCE
from orchestra.diagnostic import Edit
from orchestra.steps.schemas import NAME
from orchestra.steps.vocabulary import VERBS
from orchestra.suggest import correction, did_you_mean

RULES: dict[str, str] = {
    "schema-type": "a value has the wrong type for its key: a text, a number, a list, a mapping",
    "schema-value": "a value is not one of the allowed values of its key, or a list or mapping is empty",
    "schema-unknown-key": "a mapping has an unknown key",
    "schema-missing-key": "a mapping lacks a required key, or all keys of a set of which it needs one",
    "schema-conflict": "a mapping has keys that exclude each other, or a key without the one that it needs",
    "schema-pattern": "a name or text does not match the pattern of its key",
    "schema-range": "a number is below the minimum of its key, or above the maximum",
}

_WORDS: dict[str, str] = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}

_PATTERN_WORDS: dict[str, str] = {
    **PATTERNS,
    REFERENCE: 'a number, or one name such as "${count}"',
    NAME["pattern"]: 'a letter or "_", then letters, digits, "_" and "-"',
}

_BARE = [verb.name for verb in VERBS.values() if verb.bare]
_MANY = 10


@dataclass(frozen=True, slots=True)
class Violation:
    """One error of a JSON Schema validator.

    Attributes:
        keyword: of the schema.
        value: of that keyword.
        path: of the instance in the document.
        instance: the value with the violation.
        schema: that has the keyword.
        trail: the keywords that led from the document's schema to this one.
        branches: for a union, the violations of each branch.
    """

    keyword: str
    value: Any
    path: Path
    instance: Any
    schema: Any
    trail: tuple[str | int, ...] = ()
    branches: tuple[tuple[Violation, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem at a path. `at_key` is true if the key is wrong and not its value.

    `lacking` are the keys that are missing, `meant` is the key that an unknown one was probably meant to be.
    """

    path: Path
    rule: str
    message: str
    hint: str = ""
    at_key: bool = False
    lacking: tuple[str, ...] = field(default=(), compare=False)
    meant: str = field(default="", compare=False)
    edit: Edit | None = field(default=None, compare=False)


def findings(violations: Sequence[Violation]) -> list[Finding]:
    """One finding for each mistake, without repetition, in the order in which they were found."""
    unique = list(dict.fromkeys(finding for violation in violations for finding in _explain(violation)))
    # A key that is misspelt is not also missing.
    meant = {(finding.path[:-1], finding.meant) for finding in unique if finding.meant}
    return [finding for finding in unique if not any((finding.path, key) in meant for key in finding.lacking)]


def _name(path: Path) -> str:
    """Return the last key of a path with the indices behind it: `"argv[0]"`; what has none is the spec."""
    indices = ""
    for part in reversed(path):
        if isinstance(part, str):
            return quoted_value(f"{part}{indices}")
        indices = f"[{part}]{indices}"
    return "the spec"


def _explain(violation: Violation) -> Iterator[Finding]:
    yield from _EXPLAIN[violation.keyword](violation)


def _wrong_type(path: Path, instance: Any, wanted: str) -> Finding:
    is_what = "has no value" if instance is None else f"is {quoted_value(instance)}"
    hint, new = value_hint(path, instance, wanted)
    message = f"{_name(path)} {is_what}; wanted is {wanted}"
    return Finding(path, "schema-type", message, hint, edit=_rewritten(instance, new))


def _rewritten(instance: Any, new: str) -> Edit | None:
    """Return the edit of a plain value; None if there is no single text to write for it."""
    if not new or not isinstance(instance, (str, bool, int, float)):
        return None
    return Edit(instance if isinstance(instance, str) else json.dumps(instance), new, value=True)


def _type(violation: Violation) -> Iterator[Finding]:
    if "enum" in violation.schema or "const" in violation.schema:
        return  # the allowed values are more helpful
    kinds = violation.value if isinstance(violation.value, list) else [violation.value]
    yield _wrong_type(violation.path, violation.instance, " or ".join(_WORDS[kind] for kind in kinds))


def _enum(violation: Violation) -> Iterator[Finding]:
    allowed = violation.value if violation.keyword == "enum" else [violation.value]
    instance = violation.instance
    near = did_you_mean(instance, [one for one in allowed if isinstance(one, str)]) if isinstance(instance, str) else ""
    is_what = "has no value" if instance is None else f"is {quoted_value(instance)}"
    are = "are" if len(allowed) > 1 else "is"
    message = f"{_name(violation.path)} {is_what}; allowed {are} {quoted_values(allowed)}{near}"
    hint = step_hint(instance) if allowed == _BARE and not near else ""
    edit = correction(instance, [one for one in allowed if isinstance(one, str)]) if near else None
    yield Finding(violation.path, "schema-value", message, hint, edit=edit)


def _pattern(violation: Violation) -> Iterator[Finding]:
    words = _PATTERN_WORDS.get(violation.value, f"what matches {violation.value}")
    if "propertyNames" in violation.trail[-2:]:
        path = (*violation.path, violation.instance)
        message = f"the name {quoted_value(violation.instance)} is not allowed here; wanted is {words}"
        yield Finding(path, "schema-pattern", message, at_key=True)
    else:
        message = f"{_name(violation.path)} is {quoted_value(violation.instance)}; wanted is {words}"
        yield Finding(violation.path, "schema-pattern", message)


def _range(violation: Violation) -> Iterator[Finding]:
    relation = {"minimum": "at least", "maximum": "at most"}.get(violation.keyword, "above")
    message = f"{_name(violation.path)} is {quoted_value(violation.instance)}; it must be {relation} {violation.value}"
    yield Finding(violation.path, "schema-range", message)


def _empty(violation: Violation) -> Iterator[Finding]:
    keys = list(violation.schema.get("properties", ()))
    allowed = f"; allowed are {quoted_values(keys)}" if keys else "; at least one entry is wanted"
    yield Finding(violation.path, "schema-value", f"{_name(violation.path)} is empty{allowed}")


def _length(violation: Violation) -> Iterator[Finding]:
    if not violation.instance:
        yield from _empty(violation)
        return
    bound = "at least" if violation.keyword == "minItems" else "at most"
    message = f"{_name(violation.path)} is {quoted_value(violation.instance)}; it must have {bound} {violation.value}"
    yield Finding(violation.path, "schema-value", message)


def _too_many(violation: Violation) -> Iterator[Finding]:
    first, *others = violation.instance
    known = violation.schema.get("properties")
    for other in others:
        # An unknown key next to it is reported as such.
        if known is None or (first in known and other in known):
            message = f"{quoted_value(other)} excludes {quoted_value(first)}; only one key is allowed here"
            yield Finding((*violation.path, other), "schema-conflict", message, at_key=True)


def _unknown(violation: Violation) -> Iterator[Finding]:
    known = violation.schema.get("properties", {})
    for key in violation.instance:
        if key not in known:
            guess = key_guess(key, known, violation.instance)
            allowed = f"; allowed are {quoted_values(list(known))}" if known else "; no key is allowed here"
            if (guess.near or guess.hint) and len(known) > _MANY:
                allowed = ""  # the list would hide the answer
            near = f' (did you mean "{guess.near}"?)' if guess.near not in ("", key) else ""
            yield Finding(
                (*violation.path, key),
                "schema-unknown-key",
                f"unknown key {quoted_value(key)}{near}{allowed}",
                guess.hint,
                at_key=True,
                meant=guess.near or guess.around,
                edit=guess.edit,
            )


def _required(violation: Violation) -> Iterator[Finding]:
    for key in violation.value:
        if key not in violation.instance:
            hint = ""
            for example in violation.schema.get("properties", {}).get(key, {}).get("examples", ())[:1]:
                hint = f"for instance {key}: {json.dumps(example, ensure_ascii=False)}"
            message = f'{_name(violation.path)} lacks the key "{key}"'
            yield Finding(violation.path, "schema-missing-key", message, hint, lacking=(key,))


def _one_of_keys(violation: Violation) -> Iterator[Finding]:
    """Exactly one, or at most one, of some keys; what is no mapping is another violation's matter."""
    if not isinstance(violation.instance, dict):
        return
    keys = [branch["required"][0] for branch in violation.value if "required" in branch]
    present = [key for key in violation.instance if key in keys]
    if not present:
        message = f"{_name(violation.path)} lacks one of {quoted_values(keys)}"
        yield Finding(violation.path, "schema-missing-key", message, lacking=tuple(keys))
    for key in present[1:]:
        message = f'"{key}" excludes "{present[0]}"; only one of {quoted_values(keys)} is allowed'
        yield Finding((*violation.path, key), "schema-conflict", message, at_key=True)


def _needs(violation: Violation) -> Iterator[Finding]:
    given = violation.instance
    pairs = [(key, other) for key, needed in violation.value.items() if key in given for other in needed]
    for key, other in [(key, other) for key, other in pairs if other not in given]:
        message = f'"{key}" needs "{other}"'
        yield Finding((*violation.path, key), "schema-conflict", message, at_key=True, lacking=(other,))


def _forbidden(violation: Violation) -> Iterator[Finding]:
    """Report a key that is never valid, because of another key."""
    trail = violation.trail
    beside = trail[len(trail) - trail[::-1].index("dependentSchemas")]
    message = f'{_name(violation.path)} excludes "{beside}"'
    yield Finding(violation.path, "schema-conflict", message, at_key=True)


def _union(violation: Violation) -> Iterator[Finding]:
    """Yield the problems of the branch whose kind the value has; a value of no branch's kind is of the wrong kind."""
    if all(set(branch) == {"required"} for branch in violation.value):
        yield from _one_of_keys(violation)
        return
    kinds = [_kind_mismatch(violation.path, branch) for branch in violation.branches]
    fitting = [branch for branch, kind in zip(violation.branches, kinds, strict=True) if kind is None]
    words = [_branch_words(kind) for kind in kinds if kind is not None]
    if fitting:
        for finding in (finding for one in fitting[0] for finding in _explain(one)):
            own_value = finding.rule == "schema-value" and finding.path == violation.path and words
            yield replace(finding, hint=f"{words[0]} is allowed too") if own_value else finding
        return
    yield _wrong_type(violation.path, violation.instance, " or ".join(words))


def _kind_mismatch(path: Path, branch: Sequence[Violation]) -> Violation | None:
    """Return the violation that shows that a branch is for another kind of value."""
    return next((one for one in branch if one.path == path and one.keyword == "type"), None)


def _branch_words(mismatch: Violation) -> str:
    schema = mismatch.schema
    if "enum" in schema:
        return f"one of {quoted_values(schema['enum'])}"
    if "const" in schema:
        return quoted_values([schema["const"]])
    if schema.get("pattern") == REFERENCE:
        return 'one name such as "${count}"'
    kinds = mismatch.value if isinstance(mismatch.value, list) else [mismatch.value]
    return " or ".join(_WORDS[kind] for kind in kinds)


_EXPLAIN: dict[str, Callable[[Violation], Iterator[Finding]]] = {
    "additionalProperties": _unknown,
    "anyOf": _union,
    "const": _enum,
    "dependentRequired": _needs,
    "enum": _enum,
    "exclusiveMinimum": _range,
    "maxItems": _length,
    "maxProperties": _too_many,
    "maximum": _range,
    "minItems": _length,
    "minProperties": _empty,
    "minimum": _range,
    "not": _forbidden,
    "oneOf": _one_of_keys,
    "pattern": _pattern,
    "required": _required,
    "type": _type,
}
