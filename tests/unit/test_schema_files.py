"""JSON Schemas of answers: from files, with the place of every value, and how a value violates one."""

from __future__ import annotations

import pytest

from orchestra import json_schema
from orchestra.compiler.build import build
from orchestra.json_schema import SchemaFaultError
from orchestra.yamltext.digest import digest_files

SPEC = """\
orchestra: 1
suite: shop
logins: {ana: {steps: [{http: {GET: "https://a.example/"}}], check: {http: {GET: "https://a.example/", schema: s/order.json}}}}
blocks: {ask: {params: [], steps: [{http: {GET: "https://a.example/", schema: s/item.yaml}}, reload]}}
tests:
  B001:
    login: ana
    steps:
      - http: {GET: "https://a.example/", schema: s/order.json}
      - use: ask
      - page: {opens_with: [{http: {GET: "https://a.example/", schema: {type: array}}}, {click: {text: a}}], as: b}
      - page: {opens_with: [{http: {GET: "https://a.example/", schema: s/order.json}}, {click: {text: a}}], as: c}
"""
ORDER = {"type": "object", "properties": {"price": {"type": "number"}}}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "order.json").write_text(
        '{\n\t"type": "object",\n\t"properties": {"price": {"type": "number"}}\n}'
    )
    (tmp_path / "s" / "item.yaml").write_text("type: string\n")
    (tmp_path / "shop.yaml").write_text(SPEC)
    return tmp_path


def problems(root):
    return [problem.text().split("\n")[0] for problem in build(root, ["shop.yaml"]).diagnostics]


def test_a_plan_has_the_schemas_of_files_which_are_its_sources(project):
    built = build(project, ["shop.yaml"])
    assert built.diagnostics == ()
    (plan,) = built.plans
    schemas = [step.args["schema"] for step in plan.tests[0].steps if "schema" in step.args]
    assert schemas == [ORDER, {"type": "string"}, {"type": "array"}, ORDER]
    assert plan.logins[0].check.args["schema"] == ORDER
    assert plan.sources == ("shop.yaml", "s/order.json", "s/item.yaml")
    assert plan.source_digest == digest_files(project, plan.sources)
    (project / "s" / "item.yaml").write_text("type: number\n")
    assert build(project, ["shop.yaml"]).plans[0].digest() != plan.digest()


@pytest.mark.parametrize(
    "content, problem",
    [
        ('{\n "type": "objct"}', 's/order.json:2:10: "objct" is no type of JSON Schema'),
        (
            '{\n "items": {"$ref": "item.yaml"}}',
            's/order.json:2:20: "$ref" leads to "item.yaml", which is not in this schema',
        ),
        ("[1]", "s/order.json:1:1: the file is no JSON Schema [schema-file]"),
        ("{", "s/order.json:1:2: "),
        (" \n", "s/order.json:1:1: the file is empty [schema-file]"),
    ],
)
def test_a_wrong_schema_is_refused_at_its_place(project, content, problem):
    (project / "s" / "order.json").write_text(content)
    assert problems(project)[0].startswith(problem)


def test_a_schema_that_cannot_be_read_is_refused(project):
    (project / "shop.yaml").write_text(SPEC.replace("s/order.json", "s/gone.json").replace("s/item.yaml", "../x.json"))
    assert {line.partition(": ")[2] for line in problems(project)} == {
        'the schema file "s/gone.json" does not exist [schema-file]',
        f'the schema file "../x.json" is outside the project root "{project}" [schema-file]',
    }


def test_a_name_in_the_path_of_a_schema_is_refused_as_that(project):
    (project / "shop.yaml").write_text(SPEC.replace("s/order.json", "'s/${test.id}.json'"))
    problem = next(iter(problems(project)))
    reason = "cannot be chosen by a name: it is read when the spec is compiled [schema-file]"
    assert problem.partition(": ")[2] == f'the schema file "s/${{test.id}}.json" {reason}'


def test_the_shape_of_a_spec_is_refused_by_its_schema_and_not_here(project):
    odd = "profiles: {p: {tests: {B001: 1}}, q: 2}\ngroups: [1]\ntests: {A: {steps: 1}, B: {steps: [{http: 1}, {page: 1}]}}"
    (project / "shop.yaml").write_text(f"orchestra: 1\nsuite: shop\n{odd}\n")
    assert all("schema-" in line for line in problems(project))
    (project / "shop.yaml").write_text(
        SPEC + "profiles: {ci: {tests: {B001: {steps: [{http: {GET: /, schema: s/gone.json}}]}}}}\n"
    )
    assert problems(project) == ['shop.yaml:13:64: the schema file "s/gone.json" does not exist [schema-file]']


def test_a_violation_has_the_pointer_the_value_and_the_allowed():
    schema = {
        "$defs": {"n": {"maximum": 3}},
        "properties": {"a/~b": {"items": {"$ref": "#/$defs/n"}}},
        "required": ["z"],
    }
    json_schema.check(schema)
    found = {
        one.pointer: (one.reason, one.allowed, one.value) for one in json_schema.violations(schema, {"a/~b": [1, 4]})
    }
    assert found["/a~1~0b/1"] == ("it is greater than the maximum of 3", {"maximum": 3}, 4)
    assert found[""] == ('"z" is a required property', {"required": ["z"]}, {"a/~b": [1, 4]})
    assert [one.allowed for one in json_schema.violations({"properties": {"a": False}}, {"a": 1})] == [{"a": False}]
    assert not list(json_schema.violations({"format": "date"}, "2026-01-02"))
    assert len(list(json_schema.violations({"prefixItems": [True, {"format": "date"}]}, [1, "later"]))) == 1


def test_a_reference_out_of_a_schema_is_refused_without_a_look():
    for target in ("file:///etc/passwd", "http://127.0.0.1:9/x", "other.json", "#/$defs/none"):
        with pytest.raises(SchemaFaultError) as refused:
            json_schema.check({"allOf": [{"type": "object"}, {"$ref": target}]})
        assert refused.value.path == ("allOf", 1, "$ref")
        assert target in refused.value.reason
