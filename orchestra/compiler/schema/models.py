"""The typed mappings of `spec` as pydantic models, and the JSON Schema that those make. Owns pydantic.

Nothing that runs a suite imports this module: it costs more than a whole
compile of a small spec (docs/decisions/001-typed-mappings.md). `make generate` writes the schemas
of a spec and of plan.json.
"""

from __future__ import annotations

import functools
import inspect
import json
import keyword
import types
from typing import Annotated, Any, Literal, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

import msgspec
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from orchestra.compiler.schema import probes, steps
from orchestra.compiler.schema.key import PLAN, Key
from orchestra.compiler.schema.spec import AT_MOST_ONE, DEFAULTS, EXACTLY_ONE, PROBED, Spec
from orchestra.plan import Plan
from orchestra.plan_file import FORMAT
from orchestra.probes.table import PROBES

# In a field's schema while pydantic makes it, which refuses references to definitions that it does not know.
_REF = "x-ref"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


class _WithoutDefaults(GenerateJsonSchema):
    """An absent key is None in a model, which no spec holds; `Key.default` has the default."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  (pydantic's signature)
        return False


def spec_model() -> type[BaseModel]:
    """Return the model of a whole spec. Lax: a document that the schema accepts binds."""
    return _model(Spec)


@functools.cache
def _model(typed: type) -> type[BaseModel]:
    """Return the model of a typed mapping; a key that a model cannot have as an attribute gets an alias."""
    hints = get_type_hints(typed, include_extras=True)
    # A base that is not total is joined by keys of its own kind only, so that the class's own word holds for all keys.
    total: bool = typed.__total__  # type: ignore[attr-defined]
    fields = {_attribute(name): _field(typed, name, hint, total=total) for name, hint in hints.items()}
    name = typed.__name__.removesuffix("Spec") or "Spec"
    # A probe is no key of the model: the schema alone checks it.
    extra: Literal["allow", "forbid"] = "allow" if typed in PROBED else "forbid"
    config = ConfigDict(extra=extra, json_schema_extra=lambda schema: _finish(typed, schema))
    return create_model(name, __config__=config, __doc__=_sentence(typed), **fields)  # type: ignore[call-overload, no-any-return]


def _attribute(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) or hasattr(BaseModel, name) else name


def _sentence(typed: type) -> str:
    return inspect.cleandoc(typed.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n", " ")


def _finish(typed: type, schema: dict[str, Any]) -> None:
    """Remove the title, and declare which keys exclude each other."""
    schema.pop("title", None)
    if typed in EXACTLY_ONE:
        schema["oneOf"] = [{"required": [key]} for key in EXACTLY_ONE[typed]]
    elif typed in AT_MOST_ONE:
        one = [{"required": [key]} for key in AT_MOST_ONE[typed]]
        schema["oneOf"] = [*one, {"not": {"anyOf": one}}]


def _field(typed: type, name: str, hint: Any, *, total: bool) -> tuple[Any, Any]:
    annotated = get_args(hint)[0] if get_origin(hint) is Required else hint
    required = total or get_origin(hint) is Required
    key: Key = annotated.__metadata__[0]
    extra: dict[str, Any] = {}
    default = _default(typed, name) if key.default is PLAN else key.default
    if default is not None:
        extra["default"] = default
    if key.names:
        extra["propertyNames"] = {"pattern": key.names}
    if key.single:
        extra.update(minProperties=1, maxProperties=1)
    elif key.min_items and get_origin(annotated.__origin__) is dict:
        extra["minProperties"] = key.min_items
    if key.ref:
        extra[_REF] = f"#/$defs/{key.ref}"
    info = Field(
        default=... if required else None,
        alias=name,
        description=key.doc,
        examples=[key.example],
        json_schema_extra=extra,
    )
    return _bound(annotated.__origin__, key), info


def _default(typed: type, name: str) -> Any:
    """Return a default of the plan as a spec writes it; None for a mapping that inherits it from another one."""
    value = DEFAULTS.get(typed, {}).get(name)
    if isinstance(value, float):
        return _whole(value)
    return list(value) if isinstance(value, tuple) else value


def _bound(hint: Any, key: Key | None) -> Any:
    """Return the type with models in place of typed mappings and the bounds of the key at the leaves that they speak
    of.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if is_typeddict(hint):
        return _model(hint)
    if origin is Annotated:
        return _bound(arguments[0], hint.__metadata__[0])
    if origin in (Union, types.UnionType):
        return functools.reduce(lambda left, right: left | right, (_bound(argument, key) for argument in arguments))
    if origin is list:
        # The bounds of a list are its own; an item has them only by an annotation of its own.
        items: Any = list[_bound(arguments[0], None)]  # type: ignore[misc]
        return Annotated[items, Field(min_length=key.min_items)] if key is not None and key.min_items else items
    if origin is dict:
        return dict[str, _bound(arguments[1], key)]  # type: ignore[misc]
    if key is not None and hint in (int, float) and (key.minimum is not None or key.above is not None):
        return Annotated[hint, Field(ge=_whole(key.minimum), gt=_whole(key.above))]
    if key is not None and hint is str and (key.pattern or key.choices):
        extra: dict[str, Any] = {"enum": list(key.choices)} if key.choices else {"pattern": key.pattern}
        return Annotated[str, Field(json_schema_extra=extra)]
    return hint


def _whole(bound: float | None) -> float | None:
    """Return an integral bound as an integer, so that the schema has 1 and not 1.0."""
    return int(bound) if bound is not None and float(bound).is_integer() else bound


def _simple(schema: Any) -> Any:
    """Return the schema with a union of plain types as one `type`, deep; an integer is a number already."""
    if isinstance(schema, list):
        return [_simple(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    simple = {key: value if key in ("examples", "default") else _simple(value) for key, value in schema.items()}
    if _REF in simple:
        described = {key: simple[key] for key in ("description", "examples")}
        return {"$ref": simple[_REF], **described}
    branches = simple.get("anyOf")
    if isinstance(branches, list) and all(isinstance(branch, dict) and set(branch) == {"type"} for branch in branches):
        kinds = [branch["type"] for branch in branches]
        del simple["anyOf"]
        simple["type"] = [kind for kind in kinds if not (kind == "integer" and "number" in kinds)]
    return simple


@functools.cache
def build_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a spec. Do not change what you get."""
    made = spec_model().model_json_schema(by_alias=True, schema_generator=_WithoutDefaults)
    root = _simple(made)
    models = root.pop("$defs")
    probes.add_probes(models, PROBES)
    return {
        "$schema": DRAFT,
        "title": "orchestra spec",
        **root,
        "$defs": dict(sorted({**models, **steps.definitions()}.items())),
    }


def build_plan_schema() -> dict[str, Any]:
    """Return the JSON Schema of plan.json: the plan, and the header line before it."""
    made: dict[str, Any] = msgspec.json.schema(Plan)
    definitions = made["$defs"]
    digest = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
    header = {
        "type": "object",
        "description": "The number of the format; in the copy that a run keeps, also the digest of the specs.",
        "properties": {"format": {"const": FORMAT}, "source": digest},
        "required": ["format"],
        "additionalProperties": False,
    }
    plan = definitions.pop("Plan")
    return {
        "$schema": DRAFT,
        **plan,
        "title": "orchestra plan",
        "properties": {"orchestra": {"$ref": "#/$defs/Header"}, **plan["properties"]},
        "required": ["orchestra", *plan["required"]],
        "$defs": dict(sorted({**definitions, "Header": header}.items())),
    }


def rendered(schema: dict[str, Any]) -> str:
    """Return a schema as its file holds it."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def main(which: Literal["spec", "plan"] | str) -> str:  # noqa: PYI051  (the words are documentation)
    """Return the schema that the command line asks for."""
    return rendered(build_plan_schema() if which == "plan" else build_schema())
