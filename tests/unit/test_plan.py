"""The plan survives its own file, knows what it means, and refuses what is not a plan."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args, get_origin, get_type_hints

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestra import plan, plan_file
from orchestra.compiler.schema.models import build_plan_schema
from orchestra.errors import PlanError
from orchestra.plan import Component, Gate, Job, Method, Outputs, Plan, Probe, Ready
from orchestra.steps.step import Step
from orchestra.steps.target import Target

SMALL = Plan(
    suite="market",
    title="Market é😀",
    methods=(Method("cli", "Playwright", "playwright"),),
    tests=(
        plan.Test(
            "B001",
            'A "title"',
            ("cli",),
            steps=(Step("goto", ("/tests/B001/steps/0",), None, {"url": "${frontend.url}/"}),),
        ),
        plan.Test(
            "B002", "B", ("cli",), needs=("B001",), finally_=(Step("click", (), Target("role", "button", name="x")),)
        ),
    ),
    components=(Component("seed", "Seed", job=Job(("true",))), Component("web", "Web", ready=Ready(Probe("tcp", {})))),
    sources=("specs/market.yaml",),
    source_digest="sha256:" + "0" * 64,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


def values(hint: Any, depth: int) -> st.SearchStrategy[Any]:
    """Any value of a type that a plan has."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return JSON
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return structs(hint, depth + 1) if depth < 5 else st.nothing()
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        if arguments[-1] is ...:
            inner = values(arguments[0], depth)
            return st.just(()) if inner.is_empty else st.lists(inner, max_size=2).map(tuple)
        return st.tuples(*(values(argument, depth) for argument in arguments))
    if origin is dict:
        return st.dictionaries(st.text(max_size=4), values(arguments[1], depth), max_size=2)
    if arguments:
        return st.one_of(*(values(argument, depth) for argument in arguments))
    plain = {
        str: st.text(max_size=6),
        int: st.integers(-(2**53), 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        type(None): st.none(),
    }
    return plain[hint]


def structs(kind: type[Any], depth: int = 0) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{name: values(hint, depth) for name, hint in get_type_hints(kind).items()})


PLANS = structs(Plan)


@settings(suppress_health_check=list(HealthCheck))
@given(PLANS)
def test_round_trip(made: Plan):
    data = plan_file.dump(made, whole=True)
    assert plan_file.load(data, "plan.json") == made
    assert plan_file.load(data.replace(b"\n", b"\r\n"), "plan.json") == made
    assert plan_file.dump(plan_file.load(data, "plan.json"), whole=True) == data
    assert plan_file.load(plan_file.dump(made), "plan.json") == msgspec.structs.replace(made, source_digest="")
    json.loads(data)
    meaning = msgspec.structs.replace(made, sources=(), source_digest="", outputs=Outputs())
    assert made.digest() == plan.digest(plan.encode(meaning))


def test_the_file_is_one_line_a_test_and_valid_by_its_schema():
    data = plan_file.dump(SMALL)
    lines = data.decode().splitlines()
    assert lines[0] == '{"orchestra": {"format":2},'
    assert sum(line.startswith(("{", ",{")) and '"id":"B00' in line for line in lines) == 2
    assert list(jsonschema.Draft202012Validator(build_plan_schema()).iter_errors(json.loads(data))) == []


def test_a_plan_without_tests_has_a_file_too():
    empty = Plan(suite="a", title="a", tests=(), methods=())
    assert plan_file.load(plan_file.dump(empty), "plan.json") == empty


def test_a_plan_of_format_1_is_read_and_its_damage_is_seen():
    body = b'"tests": [\n],\n"methods": [],\n"suite": "a",\n"title": "b"\n}\n'
    header = {"format": 1, "compiler": "0.1.0", "plan": "sha256:x", "body": plan.digest(body), "source": "sha256:y"}
    data = b'{"orchestra": ' + plan.encode(header) + b",\n" + body
    assert plan_file.load(data, "plan.json") == Plan(
        suite="a", title="b", tests=(), methods=(), source_digest="sha256:y"
    )
    with pytest.raises(PlanError, match="changed or damaged after it was compiled"):
        plan_file.load(data.replace(b'"b"', b'"c"'), "plan.json")


def test_the_digest_is_of_the_meaning():
    same = msgspec.structs.replace(
        SMALL, sources=("b.yaml",), source_digest="sha256:1", outputs=Outputs(doit="other.py")
    )
    assert same.digest() == SMALL.digest()
    assert SMALL.digest().startswith("sha256:")
    for other in (
        msgspec.structs.replace(SMALL, title="x"),
        msgspec.structs.replace(SMALL, tests=SMALL.tests[:1]),
        msgspec.structs.replace(SMALL, profile="staging"),
        msgspec.structs.replace(SMALL, gates=(Gate("after", "a", "true"),)),
    ):
        assert other.digest() != SMALL.digest()


def test_digest_is_of_the_bytes():
    assert plan.digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_step_is_as_long_as_what_it_says():
    assert plan.encode(Step("reload")) == b'{"verb":"reload"}'
    assert plan.encode(plan.Test("a", "b", ())) == b'{"id":"a","methods":[],"title":"b"}'


def forged(body: bytes) -> bytes:
    header = plan.encode({"format": 1, "compiler": "1.0", "plan": "x", "body": plan.digest(body)})
    return b'{"orchestra": ' + header + b",\n" + body


GOOD = plan_file.dump(SMALL)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "plan.json: this is not a compiled plan"),
        (b"{}", "plan.json: this is not a compiled plan"),
        (b'{"orchestra": 5,\n}', "plan.json: this is not a compiled plan"),
        (b"\xff\xfe", "plan.json: this is not a compiled plan"),
        (
            GOOD.replace(b'"format":2', b'"format":9', 1),
            "plan.json: plan format 9; this version reads 1 and 2",
        ),
        (GOOD[:-20], "plan.json: the plan cannot be read"),
        (
            GOOD.replace(b",\n", b",\n<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> theirs\n", 1),
            "plan.json: it holds the conflict markers of a merge",
        ),
        (forged(b'"tests": []}\n'), "plan.json: the plan cannot be read"),
        (forged(b'"tests": [\n'), "plan.json: the plan cannot be read"),
        (
            forged(b'"tests": [], "suite": "a", "title": "b", "methods": [], "more": 1}\n'),
            "plan.json: the plan cannot be read",
        ),
    ],
)
def test_what_is_no_plan_is_refused(data: bytes, message: str):
    with pytest.raises(PlanError) as caught:
        plan_file.load(data, "plan.json")
    assert caught.value.message.startswith(message)
    assert "orchestra compile" in caught.value.hint


def test_a_command_names_the_one_report_that_it_writes():
    assert plan.Command(("x",), playwright_json="r.json").report == ("playwright_json", "r.json")
    assert plan.Command(("x",)).report is None


def test_what_two_components_need_is_in_the_closure_once():
    rows = [
        Component(name, name, needs=needs) for name, needs in {"a": (), "b": ("a",), "c": ("a", "b"), "d": ()}.items()
    ]
    assert [row.id for row in plan.closure(rows, ["c", "b"])] == ["a", "b", "c"]


def test_a_test_has_the_login_that_it_names():
    signed = msgspec.structs.replace(SMALL, logins=(plan.Login("admin"), plan.Login("reader")))
    by_login = {name: plan.Test("T", "t", ("cli",), login=name) for name in ("reader", "")}
    assert signed.login_of(by_login["reader"]) == plan.Login("reader")
    assert signed.login_of(by_login[""]) is None


def test_a_narrowed_plan_has_those_tests_alone():
    assert [test.id for test in SMALL.narrowed({"B002", "B009"}).tests] == ["B002"]


def test_a_test_brings_those_that_end_its_groups():
    groups = (
        plan.Group("in", "", outer=("out",), after_all=("end",)),
        plan.Group("out", "", after_all=("last", "end2")),
    )
    tests = (
        plan.Test("a", "", ("m",), group="in", outer=("out",)),
        plan.Test("end", "", ("m",), group="in", outer=("out",)),
        plan.Test("last", "", ("m",), group="out", needs=("free",)),
        plan.Test("end2", "", ("m",), group="out"),
        plan.Test("free", "", ("m",)),
        plan.Test("user", "", ("m",), needs=("a", "free")),
    )
    one = Plan("s", "", tests, (Method("m", "", "command"),), groups)
    assert {name: ends for name, ends in one.closers().items() if ends} == {
        "a": ("end", "last", "end2"), "end": ("last", "end2"),
    }  # fmt: skip
    every = ("end", "last", "end2")
    assert one.closed_with() == {"a": every, "end": every[1:], "user": every}
    assert Plan("s", "", tests, (), ()).closed_with() == {}
