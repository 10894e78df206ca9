"""JSON Schema of steps, targets and conditions, made from the tables of `steps` and `targets`.

A step is a mapping with exactly one verb as its key, or the bare verb where no arguments are needed. A number can be
given as `"${name}"`, so that a parameter of a block can be used there; every text can hold names anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestra.steps.conditions import CONDITIONS, EACH_CONDITIONS, PAGE_CONDITIONS
from orchestra.steps.schemas import NAME, NEVER, TEXT, Field, Schema, described, one_of
from orchestra.steps.target import KINDS, NARROWING, WITH_ROLE
from orchestra.steps.verb import Verb
from orchestra.steps.vocabulary import VERBS

REFERENCE = r"^\$\{[^{}]+\}$"
BLOCK_ID = r"^[a-z][a-z0-9_]*$"

_KIND_EXAMPLES: dict[str, Any] = {
    "role": "button",
    "label": "Message",
    "placeholder": "Ask about a ticker",
    "text": "Market status",
    "alt": "Market Parser",
    "title": "Send the message",
    "testid": "reply",
    "css": "main > .reply",
}


def definitions() -> dict[str, Schema]:
    """Return the definitions that the schema of a spec refers to, by name."""
    return {
        "Steps": {"type": "array", "description": "steps, carried out in order", "items": {"$ref": "#/$defs/Step"}},
        "Step": step_of(VERBS.values()),
        "LoginCheck": mapping_of(
            "a request that shows whether a login still holds", {"http": _verb(VERBS["http"])}, minProperties=1
        ),
        "Har": _verb(VERBS["har"]),
        "Mocks": {"type": "array", "description": "mocks", "minItems": 1, "items": _verb(VERBS["mock"])},
        "Target": mapping_of(
            "an element of the page",
            _target_properties(),
            **one_of(KINDS),
            dependentRequired=WITH_ROLE,
        ),
        "SomeKind": {"anyOf": [{"required": [kind]} for kind in KINDS]},
        "Conditions": _conditions("what must hold of an element", CONDITIONS, "NoConditions"),
        "NoConditions": _conditions("what must not hold of an element", CONDITIONS, ""),
        "SomeConditions": {
            "description": "one of `to`, `all`, `any` and `look`",
            "anyOf": [{"required": [key]} for key in ("to", "all", "any", "look")],
        },
        "EachConditions": _conditions("what must hold of each match", EACH_CONDITIONS, "NoEachConditions"),
        "NoEachConditions": _conditions("what must not hold of a match", EACH_CONDITIONS, ""),
        "PageConditions": mapping_of(
            "what must hold of the page",
            {
                "url": described(
                    {"$ref": "#/$defs/TextConditions"}, "its address", {"match": "^https?://[^/]+/history"}
                ),
                "title": described({"$ref": "#/$defs/TextConditions"}, "its title", {"contain": "Market"}),
            },
            minProperties=1,
        ),
        "TextConditions": _conditions("what must hold of a text", PAGE_CONDITIONS, "NoTextConditions"),
        "NoTextConditions": _conditions("what must not hold of a text", PAGE_CONDITIONS, ""),
    }


def mapping_of(doc: str, properties: Mapping[str, Schema], **more: Any) -> Schema:
    """Return the schema of a mapping with these keys and no others."""
    return {
        "type": "object",
        "description": doc,
        "properties": dict(properties),
        "additionalProperties": False,
        **more,
    }


def _loose(schema: Schema) -> Schema:
    """Return a schema in which each number may be a text that is one reference to a name."""
    if "anyOf" in schema:
        schema = {**schema, "anyOf": [_loose(branch) for branch in schema["anyOf"]]}
    if "properties" in schema:
        schema = {**schema, "properties": {name: _loose(inner) for name, inner in schema["properties"].items()}}
    kinds = schema.get("type", ())
    if "integer" not in kinds and "number" not in kinds:
        return {**schema, "items": _loose(schema["items"])} if "items" in schema else schema
    described = {key: value for key, value in schema.items() if key in ("description", "examples")}
    plain = {key: value for key, value in schema.items() if key not in described}
    return {"anyOf": [plain, {"type": "string", "pattern": REFERENCE}], **described}


def _conditions(doc: str, table: Mapping[str, tuple[Schema, str, Any]], negated: str) -> Schema:
    properties = {name: described(_loose(schema), text, example) for name, (schema, text, example) in table.items()}
    if negated:
        example = {"contain": "error"}
        properties["not"] = described({"$ref": f"#/$defs/{negated}"}, "what must not hold", example)
    return mapping_of(doc, properties, minProperties=1)


def _target_properties() -> dict[str, Schema]:
    kinds: dict[str, Schema] = {kind: described(TEXT, doc, _KIND_EXAMPLES[kind]) for kind, doc in KINDS.items()}
    narrowing = {name: described(_loose(schema), doc, example) for name, (schema, doc, example) in NARROWING.items()}
    return {**kinds, **narrowing}


def _target_rules(verb: Verb) -> Schema:
    """Which keys of a target must, may or cannot stand together."""
    if verb.target == "required":
        return {**one_of(KINDS), "dependentRequired": WITH_ROLE}
    if verb.name == "expect":
        subjects = [*KINDS, "page", "request", "a11y"]
        # The subject is an element, the page or a request: each needs a key that excludes the other.
        return {
            # A look is of an element or of the page, and the other subjects exclude each other.
            "anyOf": [{"required": [key]} for key in (*subjects, "look")],
            "oneOf": [*one_of(subjects)["oneOf"], {"not": {"anyOf": one_of(subjects)["oneOf"]}}],
            "dependentRequired": WITH_ROLE,
            "dependentSchemas": {
                **{
                    subject: {"properties": {key: dict(NEVER) for key in ("to", "all", "any", "look", *NARROWING)}}
                    for subject in subjects[len(KINDS) :]
                },
                "look": {"properties": {key: dict(NEVER) for key in ("to", "all", "any")}},
                **{kind: {"$ref": "#/$defs/SomeConditions"} for kind in KINDS},
            },
        }
    kinds = one_of(KINDS)["oneOf"]
    some_kind = {"$ref": "#/$defs/SomeKind"}
    return {
        "oneOf": [*kinds, {"not": {"anyOf": kinds}}],
        "dependentRequired": WITH_ROLE,
        "dependentSchemas": {key: some_kind for key in NARROWING if key not in WITH_ROLE},
    }


def _field(field: Field) -> Schema:
    return described(_loose(field.schema), field.doc, field.example, field.default)


def _carries(verb: Verb) -> Schema:
    """Return the mapping behind a verb."""
    properties = {field.name: _field(field) for field in verb.fields}
    more: dict[str, Any] = {}
    required = [field.name for field in verb.fields if field.required]
    if required:
        more["required"] = required
    if verb.target != "none":
        target = {key: {"$ref": f"#/$defs/Target/properties/{key}"} for key in (*KINDS, *NARROWING)}
        properties = {**target, **properties}
        more.update(_target_rules(verb))
    more.update(verb.rules)
    return mapping_of(verb.doc, properties, **more)


def _text_or(mapping: Schema, text: Schema) -> Schema:
    """Return a text or a mapping. Not `anyOf`: editors would blame a wrong key on the branch for texts."""
    rest = {key: value for key, value in mapping.items() if key not in ("type", "description")}
    return {"type": ["string", "object"], "if": {"type": "string"}, "then": text, "else": rest}


def _verb(verb: Verb) -> Schema:
    if verb.name == "set":
        schema: Schema = {
            "type": "object",
            "minProperties": 1,
            "propertyNames": NAME,
            "additionalProperties": {},
        }
    elif verb.name == "use":
        parameters = {"type": "object", "description": "its parameters", "additionalProperties": {}}
        named = {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "propertyNames": {"pattern": BLOCK_ID},
            "additionalProperties": parameters,
        }
        schema = _text_or(named, {"pattern": BLOCK_ID})
    elif verb.short:
        schema = _text_or(_carries(verb), verb.short_schema)
    else:
        schema = _carries(verb)
    return described(schema, verb.doc, verb.example)


def step_of(kinds: Iterable[Verb]) -> Schema:
    """Return the schema of a step of one of these kinds."""
    known = {verb.name: verb for verb in kinds}
    bare = [verb.name for verb in known.values() if verb.bare]
    doc = "one step: a verb and what it needs"
    verbs = mapping_of(doc, {name: _verb(verb) for name, verb in known.items()}, minProperties=1, maxProperties=1)
    return {"description": doc, **_text_or(verbs, {"enum": bare})}
