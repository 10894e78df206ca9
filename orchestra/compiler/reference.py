"""Generate docs/spec.md and docs/steps.md from the schema and the table of steps.

`make generate` writes them; a test compares them with the committed ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from orchestra.compiler.lower.steps import lower_step
from orchestra.compiler.schema import models
from orchestra.compiler.schema.steps import REFERENCE, definitions
from orchestra.steps.schemas import Field
from orchestra.steps.tool_call import ToolCall
from orchestra.steps.verb import Verb
from orchestra.steps.vocabulary import VERBS, mcp_calls, playwright_text
from orchestra.yamltext.flow import flow

Schema = dict[str, Any]

_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "array": "list",
    "object": "mapping",
    "null": "`null`",
    "anything": "anything",
}

# Defined in docs/steps.md, not in docs/spec.md.
_OF_STEPS = frozenset(definitions())

_SPEC_HEAD = """\
# The spec, key by key

Generated from `schemas/orchestra.schema.json` by `make generate`; manual changes are lost.

A spec is YAML 1.2. Everything is a mapping whose keys are ids, durations are seconds with the unit in the name, and
every path is relative to the project root. With this line at its top an editor completes and explains each key:

```yaml
# yaml-language-server: $schema=../schemas/orchestra.schema.json
```

`${name}` in a text is a name that is looked up, never an expression; `$${` is a literal `${`. A key in **bold** is
required. Steps have [a page of their own](steps.md).
"""

_STEPS_HEAD = """\
# Steps

Generated from the tables in `orchestra/steps/verbs/` by `make generate`; manual changes are lost.

A step is a mapping with one verb as its key, `- fill: {label: Message, value: hello}`, and the same for both browser
methods: `cli` executes it with Playwright, `mcp` with tool calls of the Playwright MCP server. The arguments of a step
(`value`, `key`, `files`) are never keys of a [target](#targets), so one mapping holds both. A field in **bold** is
required. Every text can hold names (`${frontend.url}`); a number can be a single name (`"${seconds}"`), such as the
parameter of a block.

`${saved.NAME}` is a value that an earlier step of the test saved. In fields of any type (`equals` of `evaluate`, `json` and
the values of `match` of `http`, the values of `json` of a `download`, the values of `set`) a text that consists of this
name alone has the type of the value: a number remains a number. All other fields are texts, and the value is converted:
a text unchanged, any other value as JSON (`7`, `true`, `null`, `["a",1]`).

An action (`click`, `fill`, `press`, …) waits until its element is actionable: for `within_seconds` of the step, else for
`action_timeout_seconds` of its test, else for 30 seconds, and for 10 while no request of the page is pending. Then it
fails, with the reason and the nearest elements by role and name, or each of several matches. This is not a timeout of
the test and is not retried.

Over MCP, an `expect` is a query that the page answers with `{ok, found}`; it is repeated until it is ok or its time is
over. A `wait` is one call that ends with the change of the page itself, at the latest after `poll_seconds` of the
method; it is repeated until its time is over. If the marker of `unless` is visible at the same moment, it has priority.
"""


def spec_page() -> str:
    """Return docs/spec.md: every key of the spec."""
    schema = models.build_schema()
    parts = [_SPEC_HEAD, "## Spec\n", _about(schema), _table(schema)]
    for name in _in_reading_order(schema):
        definition = schema["$defs"][name]
        parts += [f"## {name}\n", _about(definition), _table(definition)]
    return "\n".join(parts)


def steps_page() -> str:
    """Return docs/steps.md: every verb, target and condition."""
    made = definitions()
    parts = [_STEPS_HEAD]
    for verb in VERBS.values():
        parts += [f"## {verb.name}\n", *_verb(verb)]
    parts += ["## Targets\n", "Exactly one key locates the element, the others narrow the match.\n"]
    parts += [_table(made["Target"])]
    parts += [
        "## Conditions\n",
        "All of several conditions must hold, one after the other.\n",
        _table(made["Conditions"]),
        "Those of `all` and `any`:\n",
        _table(made["EachConditions"]),
    ]
    parts += ["## Conditions of the page\n", _table(made["PageConditions"])]
    parts += ["Both take these:\n", _table(made["TextConditions"])]
    return "\n".join(parts)


def _in_reading_order(schema: Schema) -> list[str]:
    """Return the definitions, each after the first one that refers to it."""
    order: list[str] = []
    waiting = [schema["properties"]]
    while waiting:
        for name in _references(waiting.pop(0)):
            if name not in order and name not in _OF_STEPS:
                order.append(name)
                waiting.append(schema["$defs"][name])
    return order


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].removeprefix("#/$defs/")
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _about(schema: Schema) -> str:
    text = f"{schema['description']}\n"
    keys = [branch["required"][0] for branch in schema.get("oneOf", ()) if "required" in branch]
    if keys:
        how_many = "At most one" if any("not" in branch for branch in schema["oneOf"]) else "Exactly one"
        text += f"\n{how_many} of {_codes(keys)} is allowed.\n"
    return text


def _table(schema: Schema) -> str:
    """Return a table of the keys of a mapping."""
    rows = ["| key | takes | default | meaning | example |", "|---|---|---|---|---|"]
    required = schema.get("required", ())
    for name, key in schema["properties"].items():
        shown = f"**`{name}`**" if name in required else f"`{name}`"
        default = _code(key["default"]) if "default" in key else ""
        rows.append(_row(shown, _takes(key), default, key["description"], _code(key["examples"][0])))
    return "\n".join(rows) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _code(value: Any) -> str:
    """Return a value as YAML in one line, in a code span that holds whatever it holds."""
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", "\\n")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _codes(values: Iterable[Any]) -> str:
    return ", ".join(_code(value) for value in values)


def _takes(schema: Schema) -> str:
    """Return the type of a key in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in _STEP_LINKS:
            return f"[{name}]({_STEP_LINKS[name]})"
        if name in _OF_STEPS:
            return "[steps](steps.md)" if name == "Steps" else "conditions as here, without `not`"
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema and "type" not in schema:  # with a type, it lists which keys suffice
        return " or ".join(_takes(branch) for branch in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return _codes(schema.get("enum", [schema.get("const")]))
    kinds = schema.get("type", "anything")
    return " or ".join(_takes_type(schema, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))


_STEP_LINKS = {
    "LoginCheck": "steps.md#http",
    "Har": "steps.md#har",
    "Mocks": "steps.md#mock",
    "Target": "#targets",
    "Conditions": "#conditions",
    "EachConditions": "#conditions",
    "PageConditions": "#conditions-of-the-page",
}


def _takes_type(schema: Schema, kind: str) -> str:
    words = _WORDS[kind]
    if kind == "array" and schema.get("items"):
        return f"{words} of: {_takes(schema['items'])}"
    values = schema.get("additionalProperties")
    if kind == "object" and isinstance(values, dict) and values:
        return f"{words} from names to: {_takes(values)}"
    if kind == "object" and schema.get("properties"):
        return f"{words} with {_codes(schema['properties'])}"
    if "minimum" in schema and kind != "object":
        words += f" from {schema['minimum']}"
    if "exclusiveMinimum" in schema and kind != "object":
        words += f" above {schema['exclusiveMinimum']}"
    if schema.get("pattern") == REFERENCE:
        return "one name"
    return f"{words} like {_code(schema['pattern'])}" if "pattern" in schema else words


def _verb(verb: Verb) -> Iterator[str]:
    yield f"{verb.doc}\n"
    # JSON is YAML, and shows the braces that a reader will write.
    shown = f"- {verb.name}" if verb.bare else f"- {verb.name}: {flow(verb.example)}"
    yield f"```yaml\n{shown}\n```\n"
    yield from _facts(verb)
    if verb.detail:
        yield f"{verb.detail}\n"
    rows = ["| field | takes | default | meaning | example |", "|---|---|---|---|---|"]
    rows += [_field(field) for field in verb.fields]
    if verb.fields:
        yield "\n".join(rows) + "\n"


def _field(field: Field) -> str:
    shown = f"**`{field.name}`**" if field.required else f"`{field.name}`"
    default = "" if field.default is None else _code(field.default)
    return _row(shown, _takes(field.schema), default, field.doc, _code(field.example))


def _facts(verb: Verb) -> Iterator[str]:
    facts = []
    if verb.target != "none":
        facts.append(f"[Target](#targets): {verb.target}.")
    if verb.short:
        facts.append(f"A text alone is its `{verb.short}`.")
    if verb.bare:
        facts.append("The verb alone is the step.")
    facts.append("Needs a browser." if verb.browser else "Runs under every driver.")
    facts.append("May be done twice." if verb.idempotent else "Is never done twice on its own.")
    yield " ".join(facts) + "\n"
    if verb.name == "use":
        yield "A used block is expanded when the spec is compiled; messages show both lines.\n"
        return
    step = lower_step(verb.name, verb.example, (), {})
    yield f"- Playwright: {_code(playwright_text(step))}"
    calls = mcp_calls(step, 10)
    yield f"- MCP: {', then '.join(_tool(call) for call in calls) or 'no tool, the runner executes it'}\n"


def _tool(call: ToolCall) -> str:
    """Return a call with its arguments, except a script, which is long."""
    if {"function", "code"} & set(call.arguments):
        return f"`{call.tool}` with a script" + (" on the target" if "target" in call.arguments else "")
    return f"`{call.tool}` {_code(call.arguments) if call.arguments else ''}".rstrip()


def main(which: str) -> str:
    """Return the page that the command line asks for: `spec` or `steps`."""
    return steps_page() if which == "steps" else spec_page()
