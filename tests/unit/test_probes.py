"""Each kind of probe of the table: its keys make a schema, rules see what they hold, the plan has its text as it is."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest

from orchestra.compiler.build import build
from orchestra.compiler.schema import models
from orchestra.drivers import DRIVERS
from orchestra.plan import Probe
from orchestra.probes.table import PROBES
from orchestra.runtime.driver import load
from orchestra.runtime.servers.probe import Prober
from tests.support.hostile import NASTY
from tests.support.paths import DATA, ROOT

SPEC = """\
orchestra: 1
suite: s
methods: {{cli: {{driver: http}}}}
health:
  tool: {{service: {{run: [tool, "${{port}}"], port: 8000}}, ready: {probe}}}
tests: {{A: {{steps: [{{set: {{x: one}}}}]}}}}
"""


def compiled(folder, kind, args):
    (folder / "a.yaml").write_text(SPEC.format(probe=json.dumps({kind: args})), encoding="utf-8")
    return build(folder, ["a.yaml"])


@pytest.mark.parametrize("kind", PROBES.values(), ids=PROBES)
def test_a_kind_is_in_schema_docs_plan_and_runtime(kind, tmp_path):
    built = compiled(tmp_path, kind.name, kind.example)
    assert [problem.text() for problem in built.diagnostics] == []
    probe = built.plans[0].components[0].ready.probe
    assert probe == Probe(kind.name, kind.example)
    assert Prober(tmp_path).kind_of(probe) is kind
    for page in ("spec", "health"):
        assert re.search(rf"`{kind.name}[:`]", (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")), page


@pytest.mark.parametrize("kind", PROBES.values(), ids=PROBES)
def test_each_key_of_a_kind_has_an_example_and_a_default_that_are_valid(kind):
    definitions = models.build_schema()["$defs"]
    for key in kind.keys:
        schema = {**key.schema, "$defs": definitions}
        for value in [key.example, *([] if key.default is None else [key.default])]:
            assert jsonschema.Draft202012Validator(schema).is_valid(value), key.name
    for name in (*kind.at_most_one, *([kind.address] if kind.address else [])):
        assert name in {key.name for key in kind.keys}


@pytest.mark.parametrize("kind", PROBES.values(), ids=PROBES)
def test_a_hostile_text_in_any_key_is_carried_as_it_is_or_refused_at_its_line(kind, tmp_path):
    texts = [key for key in kind.keys if "string" in key.schema.get("type", ())]
    for key, text in ((key, text) for key in texts for text in NASTY if "${" not in text):
        built = compiled(tmp_path, kind.name, {**kind.example, key.name: text})
        assert built.plans or all(problem.place.line == 5 for problem in built.diagnostics)
        for made in built.plans:
            assert made.components[0].ready.probe.args[key.name] == text


@pytest.mark.parametrize(
    "holds, rule", [("pattern", "pattern-syntax"), ("path", "path-outside"), ("port", "port-number")]
)
def test_rules_ask_for_what_a_key_holds(holds, rule, tmp_path):
    wrong = {"pattern": "(", "path": "../x", "port": 70000}[holds]
    held = [(kind, name) for kind in PROBES.values() for name in kind.holding(holds)]
    assert held
    for kind, name in held:
        built = compiled(tmp_path, kind.name, {**kind.example, name: wrong})
        assert rule in {problem.rule for problem in built.diagnostics}, (kind.name, name)


def test_a_kind_with_a_limit_cannot_exceed_its_part(tmp_path):
    timed = [kind for kind in PROBES.values() if kind.timed]
    assert timed
    for kind in timed:
        built = compiled(tmp_path, kind.name, {**kind.example, "timeout_seconds": 99})
        assert [problem.rule for problem in built.diagnostics] == ["probe-time"]


@pytest.mark.parametrize("kind", DRIVERS.values(), ids=DRIVERS)
def test_a_driver_of_the_table_is_in_schema_and_docs(kind):
    assert kind.name in models.build_schema()["$defs"]["Method"]["properties"]["driver"]["enum"]
    assert kind.pages == bool(kind.module)
    assert kind.pages == bool(kind.browsers)
    if kind.module:
        assert callable(load)
        __import__(kind.module)


def test_the_page_of_plug_ins_shows_the_sample():
    page = (ROOT / "docs/plug-ins.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```(?:toml|python)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    files = {
        path.read_text(encoding="utf-8").strip()
        for path in (DATA / "plug-in").rglob("*.*")
        if path.suffix in {".py", ".toml"}
    }
    files -= {'"""A sample of each sort of plug-in."""'}
    assert {text.strip() for text in shown} == files
