"""The schema is made of the typed mappings, says what each key means, and its judge puts each mistake on its line."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestra.compiler import include
from orchestra.compiler.include import Assembled
from orchestra.compiler.schema import explain, models, validate
from orchestra.compiler.schema import spec as spec_types
from orchestra.compiler.schema.hints import quoted_value
from orchestra.compiler.schema.key import PLAN
from orchestra.compiler.schema.violation import RULES, Finding, Violation, findings
from orchestra.steps.vocabulary import VERBS
from orchestra.suggest import closest, did_you_mean
from tests.support import golden
from tests.support.paths import DATA

SPECS = DATA / "schema"
SCHEMA = models.build_schema()
RIGHT: Any = include.load(SPECS, "right.yaml").data


def judge(folder: Path, text: str) -> list[str]:
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return [problem.text() for problem in validate.violations(include.load(folder, "a.yaml"))]


def spec(body: str) -> str:
    return "orchestra: 1\nsuite: a\n" + body


# ------------------------------------------------------------------------------------------------------------- the files


def test_schemas_are_valid_by_their_own_draft():
    for made in (SCHEMA, models.build_plan_schema()):
        jsonschema.Draft202012Validator.check_schema(made)


# -------------------------------------------------------------------------------------------------- keys and their words


def keys(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every property of the schema: its path and its schema."""
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            if isinstance(value, dict) and value != {"not": {}}:
                yield f"{path}/{name}", value
        for name, value in node.items():
            if name not in ("examples", "default", "dependentSchemas"):
                yield from keys(value, f"{path}/{name}")
    elif isinstance(node, list):
        for value in node:
            yield from keys(value, path)


def resolved(node: Any) -> Any:
    while set(node) == {"$ref"}:
        target: Any = SCHEMA
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def test_every_key_has_a_description_and_an_example_that_is_valid():
    seen = 0
    for path, node in keys(SCHEMA):
        key = resolved(node)
        assert key.get("description"), path
        assert key.get("examples"), path
        validator = jsonschema.Draft202012Validator({**key, "$defs": SCHEMA["$defs"]})
        for example in key["examples"]:
            assert [error.message for error in validator.iter_errors(example)] == [], path
        seen += 1
    assert seen > 300


def test_every_definition_is_used_and_described():
    text = json.dumps(SCHEMA)
    for name, node in SCHEMA["$defs"].items():
        assert f'"#/$defs/{name}' in text, name
        assert "description" in node or name == "SomeKind", name


@pytest.mark.parametrize(
    "name, required",
    [
        ("Repair", ["run"]),
        ("Collect", ["run", "of"]),
        ("Service", ["run"]),
        ("Failover", None),
        ("Test", None),
        ("Method", ["driver"]),
    ],
)
def test_required_keys_are_required(name: str, required: list[str] | None):
    assert SCHEMA["$defs"][name].get("required") == required


def test_no_key_takes_null_but_where_the_language_says_so():
    nulls = [path for path, node in keys(SCHEMA) if {"type": "null"} in node.get("anyOf", [])]
    assert nulls == ["/$defs/Component/service"]


# ------------------------------------------------------------------------------------------------------------- judgement


def test_a_spec_with_every_key_is_valid_and_binds():
    assert validate.violations(include.load(SPECS, "right.yaml")) == []
    bound = models.spec_model().model_validate(RIGHT)
    assert bound.model_dump(by_alias=True, exclude_unset=True) == RIGHT


def test_the_spec_with_every_key_has_every_key():
    text = json.dumps(RIGHT)
    missing = {path.rpartition("/")[2] for path, _ in keys(SCHEMA) if f'"{path.rpartition("/")[2]}"' not in text}
    assert missing <= {"override", "plugins", "host", "verify_tls", "stderr", "DELETE", "HEAD", "OPTIONS"}


def test_every_mistake_has_its_line():
    problems = validate.violations(include.load(SPECS, "wrong.yaml"))
    golden.check(SPECS / "wrong.out", "".join(problem.text() + "\n" for problem in problems))
    assert {problem.rule for problem in problems} == set(RULES)


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("[1]\n", ["a.yaml:1:1: the spec is a list of 1; wanted is a mapping [schema-type]"]),
        ("5\n", ["a.yaml:1:1: the spec is 5; wanted is a mapping [schema-type]"]),
        (
            spec("tests: {}\nmethods: {cli: {drvier: playwright}}\n"),
            ['a.yaml:4:17: unknown key "drvier" (did you mean "driver"?) [schema-unknown-key]'],
        ),
        (
            "orchestra: 1\ntests: {}\n",
            ['a.yaml:1:1: the spec lacks the key "suite" [schema-missing-key]\n    hint: for instance suite: "market"'],
        ),
        (
            spec("tests:\n  a: {steps: [{click: {rolle: button}}]}\n"),
            ['a.yaml:4:24: unknown key "rolle" (did you mean "role"?) [schema-unknown-key]'],
        ),
        (
            spec("tests: {}\nbaseline: {window: '5'}\n"),
            ['a.yaml:4:20: "window" is "5"; wanted is a whole number [schema-type]\n    hint: write it without quotes: 5'],
        ),
        (
            spec("tests: {}\nbaseline: {window: many}\n"),
            ['a.yaml:4:20: "window" is "many"; wanted is a whole number [schema-type]'],
        ),
        (
            spec("tests: {}\nspeed: {" + "x" * 80 + "-: {}}\n"),
            [f'a.yaml:4:9: the name "{"x" * 57}…" is not allowed here; wanted is a lower-case letter, then lower-case letters, digits and "_" [schema-pattern]'],
        ),
        (
            spec("tests: {a: {steps: [{set: {a: 1}}], matrix: {b: {c: d}}}}\n"),
            ['a.yaml:3:49: "b" is a mapping with "c"; wanted is a list [schema-type]'],
        ),
        (
            spec("tests: {a: {command: {argv: echo 'two words'}}}\n"),
            ['a.yaml:3:29: "argv" is "echo \'two words\'"; wanted is a list [schema-type]\n    hint: write it as a list: ["echo", "two words"]'],
        ),
        (
            spec("tests: {a: {command: {argv: it's}}, b: {command: {argv: ''}}}\n"),
            [
                'a.yaml:3:29: "argv" is "it\'s"; wanted is a list [schema-type]\n    hint: write it as a list: ["it\'s"]',
                'a.yaml:3:57: "argv" is ""; wanted is a list [schema-type]\n    hint: write it as a list: [""]',
            ],
        ),
        (
            spec("tests: {a: {steps: [{expect: {role: b, to: {have_count: []}}}]}}\n"),
            ['a.yaml:3:57: "have_count" is an empty list; wanted is a whole number or a mapping or one name such as "${count}" [schema-type]'],
        ),
        (
            spec("tests: {a: {retries: 1, timeout_seconds: 2m, steps: [{wait: 2}, {dblclick: {css: a}}, {expect: {css: a, to: hidden}}]}}\n"),
            [
                'a.yaml:3:22: "retries" is 1; wanted is a mapping [schema-type]\n    hint: write retries: {max: 1}',
                'a.yaml:3:42: "timeout_seconds" is "2m"; wanted is a number [schema-type]\n    hint: write 120: the unit is in the name of the key',
                'a.yaml:3:61: "wait" is 2; wanted is a mapping [schema-type]\n    hint: write wait: {testid: reply, within_seconds: 2}, which waits for an element',
                'a.yaml:3:66: unknown key "dblclick" (did you mean "click"?) [schema-unknown-key]\n    hint: a double click is click: {role: button, name: Send, count: 2}',
                'a.yaml:3:109: "to" is "hidden"; wanted is a mapping [schema-type]\n    hint: write to: {be: hidden}',
            ],
        ),
        (
            spec("tests: {a: {steps: [{expect: {css: a, visible: true, to: {be: visible}}}, {expect: {css: a, hidden: true, to: {be: visible}}}]}}\n"),
            [
                'a.yaml:3:39: unknown key "visible" [schema-unknown-key]\n    hint: write to: {be: visible}',
                'a.yaml:3:93: unknown key "hidden" [schema-unknown-key]\n    hint: write to: {be: hidden}',
            ],
        ),
        (
            spec("methods: {m: {driver: playwright, connect: 'ws://a/b'}}\ntests: {a: {steps: [{expect: {css: a, to: be_visible}}, {expect: {page: {title: Shop, url: /a}}}]}}\n"),
            [
                'a.yaml:3:44: "connect" is "ws://a/b"; wanted is a mapping [schema-type]\n    hint: write connect: {url: "ws://a/b"}',
                'a.yaml:4:43: "to" is "be_visible"; wanted is a mapping [schema-type]\n    hint: write to: {be: visible}',
                'a.yaml:4:81: "title" is "Shop"; wanted is a mapping [schema-type]\n    hint: write title: {have_text: "Shop"}',
                'a.yaml:4:92: "url" is "/a"; wanted is a mapping [schema-type]\n    hint: write url: {contain: "/a"}',
            ],
        ),
        (
            spec("methods: {m: {driver: mcp, session: single}}\nhealth: {a: {command: [b], port: 80}, c: {url: http://c, cmd: d}}\ntests: {a: {steps: [reload]}}\n"),
            [
                'a.yaml:3:37: "session" is "single"; wanted is a mapping [schema-type]\n    hint: write session: {single: true}',
                'a.yaml:4:14: unknown key "command" [schema-unknown-key]\n    hint: write service: {run: [PROGRAM, ARGUMENT], port: 3000}',
                'a.yaml:4:28: unknown key "port" [schema-unknown-key]\n    hint: write it in service: {port: …}',
                'a.yaml:4:58: unknown key "cmd"; allowed are "title", "needs", "required", "job", "service", "url", "ready", "live", "retries", "between_methods", "recover", "failover", "fail_back", "cool_down_seconds", "shared", "per", "where", "reset", "identity" [schema-unknown-key]',
            ],
        ),
        (
            spec("tests: {a: {command: {run: [a]}}, c: {command: {argv: [a], args: [b]}}}\nhealth: {a: {job: {argv: [a]}}}\n"),
            [
                'a.yaml:3:23: unknown key "run" (did you mean "argv"?); allowed are "argv", "shell", "cwd", "env", "exit_codes", "junit", "playwright_json", "pytest_reportlog", "cases", "attach" [schema-unknown-key]\n    hint: write argv: the program and its arguments, one item each',
                'a.yaml:3:60: unknown key "args" (did you mean "argv"?); allowed are "argv", "shell", "cwd", "env", "exit_codes", "junit", "playwright_json", "pytest_reportlog", "cases", "attach" [schema-unknown-key]',
                'a.yaml:4:20: unknown key "argv" (did you mean "run"?); allowed are "run", "shell", "cwd", "env", "timeout_seconds", "inputs" [schema-unknown-key]\n    hint: write run: the program and its arguments, one item each',
            ],
        ),
        (
            spec("tests: {a: {skip: true, steps: [{visit: /, goto: /}, {open: /}, {assert: {css: a}}, {sleep: 1}, {hover: Send}, {click: '#a'}, {wait: 2 s}]}}\n"),
            [
                'a.yaml:3:19: "skip" is true; wanted is a text [schema-type]\n    hint: write the reason: skip: the sandbox is closed',
                'a.yaml:3:34: unknown key "visit" (did you mean "goto"?) [schema-unknown-key]',
                'a.yaml:3:55: unknown key "open" (did you mean "goto"?) [schema-unknown-key]',
                'a.yaml:3:66: unknown key "assert" (did you mean "expect"?) [schema-unknown-key]\n    hint: for instance expect: {role: alert, to: {have_text: Saved}}',
                'a.yaml:3:86: unknown key "sleep" [schema-unknown-key]\n    hint: no step waits for a time; wait for an element: wait: {testid: reply, within_seconds: 10}',
                'a.yaml:3:105: "hover" is "Send"; wanted is a mapping [schema-type]\n    hint: write hover: {text: "Send"}',
                'a.yaml:3:120: "click" is "#a"; wanted is a mapping [schema-type]\n    hint: write click: {css: "#a"}',
                'a.yaml:3:134: "wait" is "2 s"; wanted is a mapping [schema-type]\n    hint: no step waits for a time; wait for an element: wait: {testid: reply, within_seconds: 10}',
            ],
        ),
        (
            spec("tests: {a: {only: true, skip: false, name: A, steps: [{expect: {css: a, contain: x}}, {expect: {url: /x}}, {expect: {css: a, not: {be: visible}}}, {expect: {css: a, to: {not: visible}}}]}}\n"),
            [
                'a.yaml:3:13: unknown key "only" [schema-unknown-key]\n    hint: choose tests in the command: orchestra run B001',
                'a.yaml:3:31: "skip" is false; wanted is a text [schema-type]\n    hint: remove it',
                'a.yaml:3:38: unknown key "name" (did you mean "title"?) [schema-unknown-key]',
                'a.yaml:3:73: unknown key "contain" [schema-unknown-key]\n    hint: write to: {contain: …}',
                'a.yaml:3:97: unknown key "url" [schema-unknown-key]\n    hint: write page: {url: {contain: /orders}}',
                'a.yaml:3:126: unknown key "not" [schema-unknown-key]\n    hint: write to: {not: {be: visible}}',
                'a.yaml:3:176: "not" is "visible"; wanted is a mapping [schema-type]\n    hint: write not: {be: visible}',
            ],
        ),
        (
            spec("methods: {cli: {driver: playwright, run: [a], har: a.har}}\ntests: {a: {run: [a], steps: [reload]}}\n"),
            [
                'a.yaml:3:37: unknown key "run"; allowed are "title", "driver", "workers", "parallel", "session", "poll_seconds", "command", "connect", "errors", "emulate", "har", "mock", "speed" [schema-unknown-key]',
                'a.yaml:4:13: unknown key "run" [schema-unknown-key]\n    hint: write command: {argv: [PROGRAM, ARGUMENT]}',
            ],
        ),
        (
            spec("health: {x: {required: no, ready: {env: {name: A}}}}\ntests: {a: {steps: [reload]}}\n"),
            ['a.yaml:3:24: "required" is "no"; wanted is true or false [schema-type]\n    hint: write false'],
        ),
        (
            spec("tests: {a: {steps: [{reload: {x: 1}}]}}\n"),
            ['a.yaml:3:31: unknown key "x"; allowed are "within_seconds" [schema-unknown-key]'],
        ),
        (
            spec("tests: {a: {steps: [clik, zzz]}}\n"),
            [
                'a.yaml:3:21: "steps[0]" is "clik"; allowed are "close_page", "back", "reload" [schema-value]\n    hint: write it as a mapping, for instance click: {"role": "button", "name": "Send"}',
                'a.yaml:3:27: "steps[1]" is "zzz"; allowed are "close_page", "back", "reload" [schema-value]\n    hint: every other step is a mapping with its verb as the key',
            ],
        ),
        (
            spec("tests: {a: {steps: [{scroll: middle}]}}\n"),
            ['a.yaml:3:30: "scroll" is "middle"; allowed are "top", "bottom" [schema-value]'],
        ),
        (
            spec("tests: {a: {steps: [{expect: {css: li, to: {have_count: {between: [1]}}}}, {page: {opens_with: [reload], name: x}}]}}\n"),
            [
                'a.yaml:3:67: "between" is a list of 1; it must have at least 2 [schema-value]',
                'a.yaml:3:84: "opens_with" needs "as" [schema-conflict]',
            ],
        ),
        (
            spec("tests: {a: {steps: [{back: {}, x: 1}]}}\n"),
            [f'a.yaml:3:32: unknown key "x"; allowed are {", ".join(map(json.dumps, VERBS))} [schema-unknown-key]'],
        ),
    ],
)  # fmt: skip
def test_messages(tmp_path: Path, text: str, wanted: list[str]):
    assert judge(tmp_path, text) == wanted


def test_a_mistake_in_an_included_file_stands_there(tmp_path: Path):
    (tmp_path / "part.yaml").write_text("tests:\n  b:\n    stpes: []\n")
    found = judge(tmp_path, spec("include: [part.yaml]\ntests: {}\n"))
    assert [line.split(":")[:3] for line in found] == [["part.yaml", "3", "5"]]


def test_a_pattern_ends_where_the_text_ends(tmp_path: Path):
    # In Python's own regular expressions `$` also stands before a last line end.
    found = judge(tmp_path, 'orchestra: 1\nsuite: "a\\n"\ntests: {}\n')
    assert len(found) == 1
    assert '"suite" is "a\\n"; wanted is a lower-case letter' in found[0]


def test_a_hundred_mistakes_at_once(tmp_path: Path):
    tests = "".join(f"  t{number}: {{steps: [{{clik: {{}}}}]}}\n" for number in range(100))
    found = judge(tmp_path, spec("tests:\n" + tests))
    assert [int(line.split(":")[1]) for line in found] == list(range(4, 104))


def test_judges_that_disagree_are_a_defect_and_say_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(explain, "violations", lambda *_: [])
    with pytest.raises(validate.ValidatorsDisagreeError, match=r"the first reports: .*Unexpected|Additional") as caught:
        validate.violations(include.load(SPECS, "wrong.yaml"))
    assert caught.value.messages


def test_unknown_pattern_is_quoted():
    found = findings([Violation("pattern", "^x$", ("a",), "y", {}, ("properties", "a", "pattern"))])
    assert found == [Finding(("a",), "schema-pattern", '"a" is "y"; wanted is what matches ^x$')]


@pytest.mark.parametrize(
    "value, text",
    [(None, "null"), (True, "true"), (1.5, "1.5"), ([], "an empty list"), ({}, "an empty mapping"), ("é", '"é"'), ({"a": 1, "b": 2, "c": 3, "d": 4}, 'a mapping with "a", "b", "c"')],
)  # fmt: skip
def test_shown(value: Any, text: str):
    assert quoted_value(value) == text


# ------------------------------------------------------------------------------------------------- the judges, together


def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from paths(value, (*path, key))


def at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


PATHS = [path for path in paths(RIGHT) if path]
KEYS = sorted({key for path in PATHS for key in path if isinstance(key, str)})
VALUES = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 1.0, 0.5, 2.5, 10**30, "", "x", "x\n", "${a}", "${a}b", "5", [], {}, [[]], {"x": {}}]),
    st.sampled_from(PATHS).map(lambda path: at(RIGHT, path)),
    st.text(max_size=5),
)  # fmt: skip


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """The right spec with one to three changes: a value replaced, a key or item taken out, added or renamed."""
    spec: Any = copy.deepcopy(RIGHT)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PATHS))
        try:
            parent = at(spec, path[:-1])
            value = parent[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
        change = draw(st.sampled_from(["replace", "remove", "add", "rename"]))
        if change == "replace":
            parent[path[-1]] = copy.deepcopy(draw(VALUES))
        elif change == "remove":
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.append(copy.deepcopy(draw(VALUES)))
        else:
            if change == "rename":
                del parent[path[-1]]
            key = draw(st.one_of(st.sampled_from(KEYS), st.text(max_size=3)))
            parent[key] = copy.deepcopy(value if change == "rename" else draw(VALUES))
    return spec


def assembled(data: Any) -> Assembled:
    document = include.load(SPECS, "right.yaml")
    return Assembled(data, document.documents, document.digest, document.paths, document.owners)


@pytest.mark.parametrize("value", [None, {"a\nb": {}}])
def test_a_name_with_a_line_feed_is_quoted_on_one_line(value):
    data = {**copy.deepcopy(RIGHT), "resources": {"\n": value}}
    problems = validate.violations(assembled(data))
    assert [problem.message for problem in problems if "\n" in problem.message] == []
    assert sum('"\\n"' in problem.message for problem in problems) == 2


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(mutants())
def test_both_judges_agree_on_any_spec_and_what_they_pass_binds(data: Any):
    valid = validate._validator().is_valid(data)
    plain = explain.violations(data, validate._schema())
    assert valid == (plain == [])
    if valid:
        models.spec_model().model_validate(data)
    else:
        found = findings(plain)
        assert found, "a violation without a word"
        assert set(
            findings(explain.violations(validate._suspects(data, validate._validator()), validate._schema()))
        ) == set(found)
        problems = validate.violations(assembled(data))
        assert len(problems) == len(set(found))
        assert {problem.rule for problem in problems} <= set(RULES)
        assert all(problem.message and "\n" not in problem.message for problem in problems)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4), max_leaves=8))  # fmt: skip
def test_any_data_at_all_is_judged(data: Any):
    assert bool(validate.violations(assembled(data))) is not validate._validator().is_valid(data)


# --------------------------------------------------------------------------------------------------------------- suggest


@pytest.mark.parametrize(
    "name, near",
    [("titel", "title"), ("TITLE", "title"), ("zzz", None), ("", None), ("testId", "testid"), ("clik", "click")],
)
def test_closest(name: str, near: str | None):
    assert closest(name, ["click", "title", "testid"]) == near
    assert did_you_mean(name, ["click", "title", "testid"]) == (f' (did you mean "{near}"?)' if near else "")


def test_a_known_name_is_not_suggested_for_itself():
    assert did_you_mean("a", ["a"]) == ""


@given(st.text(max_size=4), st.lists(st.text(max_size=4), max_size=6), st.randoms())
def test_closest_does_not_depend_on_the_order(name: str, known: list[str], random: Any):
    shuffled = list(known)
    random.shuffle(shuffled)
    assert closest(name, known) == closest(name, shuffled)
    assert closest(name, known) in {*known, None}


# -------------------------------------------------------------------------------------------------------------- defaults


def test_the_defaults_of_keys_are_those_of_the_plan():
    seen = set()
    for typed, defaults in spec_types.DEFAULTS.items():
        hints = get_type_hints(typed, include_extras=True)
        for name, hint in hints.items():
            key = next(one for one in (hint, *get_args(hint)) if hasattr(one, "__metadata__")).__metadata__[0]
            if key.default is PLAN:
                value = SCHEMA["$defs"][typed.__name__.removesuffix("Spec")]["properties"][name]["default"]
                planned = defaults[name]
                assert value == (list(planned) if isinstance(planned, tuple) else planned), (typed, name)
                seen.add((typed.__name__, name))
    assert {("LiveSpec", "failures"), ("BackoffSpec", "jitter"), ("CommandSpec", "exit_codes")} <= seen
    assert len(seen) > 40
