"""docs/rules.md, made of the rules' docstrings. May import this folder and `violation`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from orchestra.compiler.rules import RULES, SUITE_RULES
from orchestra.compiler.violation import RULES as SCHEMA_RULES

_HEAD = """\
# Rules

`orchestra validate` and `orchestra compile` judge a spec in stages: the files are read, what they hold is judged by the
schema and by its size, the rules are asked, and when blocks are expanded the numbers are looked at. Each stage reports
every problem that it finds, sorted by place; a later stage is not asked about what an earlier one has refused. Every
problem is an error and ends with exit code 2:

<!-- not run: the form of every problem; tests/unit/test_rules.py has one of each rule -->

    specs/market.yaml:41:7: unknown test "B01" (did you mean "B001"?) [unknown-test]

The word in brackets is a heading of this page. The page is generated: `make generate`.
"""

_SUBJECTS = {
    "tests": "Tests",
    "cycles": "Cycles",
    "unknown": "Names of tests, groups, components, methods, resources and blocks",
    "late_names": "Names in texts",
    "saved": "Names in texts",
    "address": "Addresses",
    "drivers": "Methods and drivers",
    "keys": "Keys without an effect",
    "health": "The health matrix",
    "ports": "Ports",
    "files": "Paths and files",
    "patterns": "Regular expressions and JSONPath",
    "gates": "Gates",
    "profiles": "Profiles",
    "characters": "Characters",
    "suites": "Several suites",
}

READER_RULES = {
    "yaml-syntax": "the text is not YAML; the message says what was expected there",
    "yaml-encoding": "the file is not UTF-8",
    "yaml-conflict": "the file holds the conflict markers of a merge that was not resolved",
    "yaml-size": "the file has more than 32 MB; split it with `include:`",
    "yaml-depth": "the file nests more than 64 levels",
    "yaml-tab": "a tab stands where YAML wants spaces",
    "yaml-empty": "the file holds nothing",
    "yaml-documents": "the file holds several documents; a spec is one",
    "yaml-control-character": "the file holds a control character, which no editor shows",
    "yaml-duplicate-key": "a mapping has a key twice; both places are named",
    "yaml-merge-key": "`<<` is not part of YAML 1.2; use a block",
    "yaml-key": "a key is no text",
    "yaml-tag": "a value has a tag; a spec is plain data",
    "yaml-number": "a number cannot be carried by JSON: an infinity, or beyond 2 to the 53rd",
    "yaml-recursive-alias": "an alias stands inside of what it stands for",
    "yaml-alias-bomb": "aliases of aliases stand for more than a million values",
    "include-path": "an included file is missing, unreadable, no mapping, or outside of the project root",
    "include-cycle": "files include each other in a circle",
    "include-twice": "a file is included twice",
    "include-duplicate": "two files define the same, and the including one does not list it under `override:`",
    "include-override": "`override:` names what no included file defines, or what this file does not define",
}


SIZE_RULES = {
    "block-depth": "blocks use blocks more than 32 deep",
    "block-size": "a test has more than 10,000 steps with those of its blocks, or a suite more than 200,000 in all its tests",
    "matrix-size": "a matrix makes more than 1,000 tests, or a suite has more than 100,000",
    "number-value": "a name stands where a number is wanted, and what it stands for is none, or is out of its bounds",
}

COLLECT_RULES = {
    "collect-failed": "a command of `collect:` does not start, fails or does not end in time (`validate --collect`)",
    "collect-missing": "what a test gives to a block does not occur in what the wrapped runner collects "
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


def page() -> str:
    """The text of docs/rules.md."""
    tables = (
        ("Reading", READER_RULES),
        ("The schema", SCHEMA_RULES),
        ("Size and numbers", SIZE_RULES),
        ("What wrapped runners collect", COLLECT_RULES),
    )
    parts = [_HEAD.rstrip(), *_entries()]
    for title, rules in tables:
        parts.append(f"## {title}")
        parts += [f"### {name}\n\n{text[0].upper()}{text[1:]}." for name, text in rules.items()]
    return "\n\n".join(parts) + "\n"
