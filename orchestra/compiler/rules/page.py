"""Generate docs/rules.md from the docstrings of the rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from textwrap import fill
from typing import Any

from orchestra.compiler.provided import RULES as PLUGIN_RULES
from orchestra.compiler.rules import RULES, SUITE_RULES
from orchestra.compiler.schema.violation import RULES as SCHEMA_RULES

_HEAD = """\
# Rules

`orchestra validate` and `orchestra compile` validate a spec in stages: they read the files, check their content against
the schema and the limits of size, apply the rules, expand blocks and check numbers. Each stage reports every problem
that it finds, sorted by place; a later stage skips the parts that an earlier one has refused. Every problem is an error
and ends with exit code 2:

<!-- not run: the form of every problem; tests/unit/test_rules.py has one of each rule -->

    specs/market.yaml:41:7: unknown test "B01" (did you mean "B001"?) [unknown-test]

The word in brackets is a heading of this page. The page is generated: `make generate`.
"""

_WIDTH = 120
_EDITS = """\
## Edits

`orchestra validate --format json` has `edit`, the text that fixes a problem, where there is one, for {one}.

It has `edits`, of which the writer of the spec chooses one, for {several}.

A value that is written in another way, with escapes for one, has none. Nor have the other rules: a part has to be
added, removed or renamed in several places, and the hint states it."""

ONE_EDIT = (
    *(
        "schema-type",
        "schema-unknown-key",
        "schema-value",
        "emulation-value",
        "gate-condition",
        "gate-message",
        "json-path",
    ),
    *(
        "matrix-exclude",
        "matrix-include",
        "matrix-value",
        "output-path",
        "page-name",
        "port-number",
        "profile-null",
        "profile-section",
    ),
    *("unknown-block", "unknown-component", "unknown-group", "unknown-login", "unknown-method", "unknown-name"),
    "unknown-pool",
    "unknown-parameter",
    *("unknown-resource", "unknown-role", "unknown-test", "unsaved-name", "url-glob"),
)
SEVERAL_EDITS = (
    *("baseline-window", "clock-time", "idle-backoff", "idle-retries", "invisible-character", "probe-time"),
    *("quarantine-date", "resource-amount", "session-workers", "unclosed-name", "wait-timeout", "yaml-trap"),
)

_SUBJECTS = {
    "tests": "Tests",
    "cycles": "Cycles",
    "unknown": "Names of tests, groups, components, methods, resources and blocks",
    "references": "Names in texts",
    "saved": "Names in texts",
    "address": "Addresses",
    "drivers": "Methods and drivers",
    "commands": "Methods and drivers",
    "clock": "Emulation",
    "emulation": "Emulation",
    "matrix": "Tests",
    "logins": "Logins",
    "pools": "Pools",
    "keys": "Keys without an effect",
    "health": "The health matrix",
    "per_worker": "The health matrix",
    "on_nodes": "The health matrix",
    "ports": "Ports",
    "files": "Paths and files",
    "pages": "Pages",
    "patterns": "Regular expressions and JSONPath",
    "gates": "Gates",
    "profiles": "Profiles",
    "characters": "Characters",
    "suites": "Several suites",
}

READER_RULES = {
    "yaml-syntax": "the text is not YAML; the message names the expected token",
    "yaml-encoding": "the file is not UTF-8",
    "yaml-conflict": "the file holds the conflict markers of an unresolved merge",
    "yaml-size": "the file has more than 32 MB; split it with `include:`",
    "yaml-depth": "the file nests more than 64 levels",
    "yaml-tab": "the indentation has a tab; YAML requires spaces",
    "yaml-empty": "the file is empty",
    "yaml-documents": "the file holds several documents; a spec is one",
    "yaml-control-character": "the file holds a control character, which is invisible in editors",
    "yaml-duplicate-key": "a mapping has a key twice; the message names both places",
    "yaml-merge-key": "`<<` is not part of YAML 1.2; use a block",
    "yaml-key": "a key is not a text",
    "yaml-tag": "a value has a tag; a spec is plain data",
    "yaml-number": "a number has no JSON form: an infinity, or beyond 2 to the 53rd",
    "yaml-recursive-alias": "an alias is inside the value that it refers to",
    "yaml-alias-bomb": "aliases of aliases expand to more than a million values",
    "include-path": "an included file is missing, unreadable, not a mapping, or outside the project root",
    "include-cycle": "files include each other in a cycle",
    "include-twice": "a file is included twice",
    "include-duplicate": "two files define the same key, and the including one does not list it under `override:`",
    "row-file": "the file of `rows` is missing, unreadable, outside the project root, or no list of rows, a line of a CSV file "
    "has more or fewer values than columns, or two columns have one name",
    "env-file": "a file of `env_files` is missing, unreadable, outside the project root or reached by a link, or one of its"
    " lines is no variable with a value; found by each command that needs the environment, not by `orchestra compile`",
    "schema-file": "the file of `schema` is missing, unreadable, outside the project root, or no mapping of JSON or YAML",
    "include-override": "`override:` names a key that no included file defines, or that this file does not define",
}


SIZE_RULES = {
    "block-depth": "blocks use blocks more than 32 deep",
    "block-size": "a test has more than 10,000 steps with those of its blocks, or a suite more than 200,000 in all its tests",
    "matrix-size": "a matrix defines more than 1,000 tests, or a suite has more than 100,000",
    "never-true": "an expectation can never hold, whatever the page shows: bounds that nothing meets (`between: [10, 5]`, "
    "`above: 10, below: 5`), or more than one element of a target with `nth`. Under `not` it can never fail, which is "
    "`always-true`",
    "shared-har": "several tests, or several methods by a `har` of their own, record the same HAR file (`update: true`), and "
    "each writes it whole; `${test.id}` and `${method.id}` in the name make one for each",
    "number-value": "a name is used as a number, and its value is not a number, or is out of bounds",
}

COLLECT_RULES = {
    "collect-failed": "a command of `collect:` does not start, fails or does not end in time (`validate --collect`)",
    "collect-missing": "a value that a test passes to a block does not occur in the list of the wrapped runner "
    "(`validate --collect`)",
}


def _subject(rule: Callable[..., Any]) -> str:
    return _SUBJECTS[rule.__module__.rpartition(".")[2]]


def _entries() -> Iterator[str]:
    last = ""
    rules: dict[str, Callable[..., Any]] = {**RULES, **SUITE_RULES}
    for name, rule in rules.items():
        if _subject(rule) != last:
            last = _subject(rule)
            yield f"## {last}"
        yield f"### {name}\n\n{inspect.getdoc(rule)}"


def _listed(names: Sequence[str]) -> str:
    *others, last = (f"`{name}`" for name in names)
    return f"{', '.join(others)} and {last}"


def page() -> str:
    """Return the text of docs/rules.md."""
    tables = (
        ("Reading", READER_RULES),
        ("The schema", SCHEMA_RULES),
        ("Size and numbers", SIZE_RULES),
        ("Lists of wrapped runners", COLLECT_RULES),
        ("Plug-ins", PLUGIN_RULES),
    )
    parts = [_HEAD.rstrip(), *_entries()]
    for title, rules in tables:
        parts.append(f"## {title}")
        parts += [f"### {name}\n\n{text[0].upper()}{text[1:]}." for name, text in rules.items()]
    edits = _EDITS.format(one=_listed(ONE_EDIT), several=_listed(SEVERAL_EDITS))
    parts += [fill(part, _WIDTH) for part in edits.split("\n\n")]
    return "\n\n".join(parts) + "\n"
