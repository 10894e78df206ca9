"""The packages under `plugins:`: their probes and drivers are usable in a spec, and each fault names the package."""

from __future__ import annotations

import sys

import pytest

from orchestra.compiler import build as compiler
from orchestra.plugins import PluginError
from orchestra.report.forms import forms_of

MODULE = """\
from orchestra.drivers import DriverKind
from orchestra.probes.kind import ProbeKind
from orchestra.steps.schemas import TEXT, Field

async def ask(args, scene): ...

PROBE = ProbeKind("line", "a line", {"send": "PING"}, ask, fields=(Field("send", TEXT, "the line", "PING", required=True),))
PAGES = DriverKind("pages", "pages", frozenset({"browser"}), "sample_driver", browsers=(), verbs=frozenset({"goto"}))
"""
HEAD = "orchestra: 1\nsuite: s\n"
STEPS = "steps: [{goto: 'http://localhost/'}]"
LEAVE = 'remove "orchestra-sample" from `plugins:`, and report it to the authors of the package'
ONE = 'use only one of the packages "orchestra-sample" and "orchestra-twin"'
TESTS = f"tests: {{A: {{{STEPS}}}}}\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two packages of the same entry points, one without any, and a folder for specs."""
    packages, root = tmp_path / "packages", tmp_path / "project"
    root.mkdir()
    packages.mkdir()
    (packages / "sample_kinds.py").write_text(MODULE)
    points = "[orchestra.probes]\nline = sample_kinds:PROBE\n[orchestra.drivers]\npages = sample_kinds:PAGES\n"
    for name, text in (("orchestra-sample", points), ("orchestra-twin", points), ("plain", "")):
        folder = packages / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(text)
    monkeypatch.syspath_prepend(str(packages))
    sys.modules.pop("sample_kinds", None)  # that of the test before
    return root


def built(root, text):
    (root / "s.yaml").write_text(HEAD + text)
    return compiler.build(root, ["s.yaml"])


def problems(root, text):
    return [
        f"{diagnostic.message} ({diagnostic.rule}): {diagnostic.hint}" for diagnostic in built(root, text).diagnostics
    ]


def test_a_plan_names_the_kinds_that_a_package_brings(project):
    text = (
        "plugins: [orchestra-sample]\nmethods: {t: {driver: pages}}\n"
        "health: {web: {service: {run: [web], port: 8000}, ready: {line: {send: PING}}}}\n" + TESTS
    )
    (plan,) = built(project, text).plans
    assert [(plugin.name, plugin.probes, plugin.drivers) for plugin in plan.plugins] == [
        ("orchestra-sample", ("line",), ("pages",))
    ]
    assert (plan.methods[0].plugin, plan.components[0].ready.probe.plugin) == ("orchestra-sample", "orchestra-sample")


FAULTS = {
    "not installed": ("[orchestra-nowhere]", 'the plug-in "orchestra-nowhere" is not installed (plug-in): pip install orchestra-nowhere'),
    "no plug-in": ("[plain]", 'the package "plain" 1.0 is no plug-in: it has no entry point orchestra.probes, orchestra.drivers, orchestra.formats, orchestra.engines (plug-in): remove it, or correct the name'),
    "the same kind twice": ("[orchestra-sample, orchestra-twin]", 'the plug-in "orchestra-twin" 1.0 brings a probe "line", as does orchestra-sample (plug-in): use only one of the packages "orchestra-sample" and "orchestra-twin"'),
    "not used": ("[orchestra-sample]", 'the plug-in "orchestra-sample" is not used: it brings probe line and driver pages (plug-in): use it, or remove it from `plugins:`'),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_of_a_plug_in_names_its_package(project, case):
    named, problem = FAULTS[case]
    driver = "pages" if case == "the same kind twice" else "playwright"
    assert problems(project, f"plugins: {named}\nmethods: {{t: {{driver: {driver}}}}}\n{TESTS}") == [problem]


FORMAT = """
from orchestra.report.forms import Form

SAME_NAME = Form("report.other", str)
SAME_FILE = Form("junit.xml", str)
"""


@pytest.mark.parametrize(
    "points, said, hint",
    [
        ({"orchestra-sample": "junit = sample_kinds:SAME_NAME"}, '"junit" of the plug-in "orchestra-sample" has the name of one of orchestra', LEAVE),
        ({"orchestra-sample": "own = sample_kinds:SAME_FILE"}, '"own" of the plug-in "orchestra-sample" is written to "junit.xml", as is "junit" of orchestra', LEAVE),
        ({"orchestra-sample": "own = sample_kinds:SAME_NAME", "orchestra-twin": "own = sample_kinds:SAME_NAME"}, '"own" of the plug-in "orchestra-twin" has the name of one of orchestra-sample', ONE),
        ({"orchestra-sample": "own = sample_kinds:SAME_NAME", "orchestra-twin": "too = sample_kinds:SAME_NAME"}, '"too" of the plug-in "orchestra-twin" is written to "report.other", as is "own" of orchestra-sample', ONE),
    ],
)  # fmt: skip
def test_a_format_that_another_has_names_its_owner(project, points, said, hint):
    packages = project.parent / "packages"
    (packages / "sample_kinds.py").write_text(FORMAT)
    for name, point in points.items():
        folder = packages / f"{name.replace('-', '_')}-1.0.dist-info"
        (folder / "entry_points.txt").write_text(f"[orchestra.formats]\n{point}\n")
    (plan,) = built(project, f"plugins: [{', '.join(points)}]\n{TESTS}").plans
    with pytest.raises(PluginError) as caught:
        forms_of(plan, project)
    assert (caught.value.message, caught.value.hint) == (f"the format {said}", hint)


def test_a_probe_that_orchestra_has_names_orchestra(project):
    folder = project.parent / "packages" / "orchestra_sample-1.0.dist-info"
    (folder / "entry_points.txt").write_text("[orchestra.probes]\nhttp = sample_kinds:PROBE\n")
    said = 'the plug-in "orchestra-sample" 1.0 brings a probe "http", as does orchestra (plug-in)'
    assert problems(project, f"plugins: [orchestra-sample]\n{TESTS}") == [f"{said}: {LEAVE}"]


STEP = """
from orchestra.steps.schemas import NUMBER, TEXT
from orchestra.steps.verb import Verb
def text(step, args): return repr(args)
SHOUT = Verb("NAME", "Shout.", {"word": "a"}, fields=(Field("word", TEXT, "it", "a"), Field("tone", NUMBER, "how", 1.5, default=2.0)),
    short="word", browser=NEEDS, text=TEXT_OF)
PAGES = DriverKind("pages", "pages", frozenset({"browser"}), "sample_driver", browsers=(), steps=(SHOUT,))
"""


def bring(project, name="shout", page="True", text="text"):
    """Let the driver of the package bring a step."""
    step = STEP.replace("NAME", name).replace("NEEDS", page).replace("TEXT_OF", text)
    module = project.parent / "packages" / "sample_kinds.py"
    module.write_text(MODULE + step)


def test_a_driver_brings_steps(project):
    bring(project)
    head = "plugins: [orchestra-sample]\nmethods: {t: {driver: pages}, cli: {driver: playwright}}\n"
    head += "blocks: {b: {params: [n], steps: [{shout: {word: '${n}', tone: '${n}'}}]}}\n"
    own = "{A: {methods: [t], steps: [{shout: a}, {use: {b: {n: 3}}}]}, B: {methods: [cli], steps: [reload]}}"
    assert problems(project, f"{head}tests: {own}\n") == []
    (plan,) = built(project, f"{head}tests: {own}\n").plans
    steps = {test.id: test.steps for test in plan.tests}["A"]
    assert [step.args for step in steps] == [{"tone": 2.0, "word": "a"}, {"tone": 3.0, "word": "3"}]
    wrong = own.replace("n: 3", "n: x").replace("methods: [t], ", "")
    (problem,) = problems(project, f"{head}tests: {wrong}\n")
    owner = 'the step "shout" is of the driver "pages" of orchestra-sample'
    assert problem.startswith(f'{owner}, and the method "cli", by which "A" runs, has the driver "playwright"')
    (problem,) = problems(project, f"{head}tests: {own.replace('n: 3', 'n: x')}\n")
    assert problem.startswith('"tone" becomes "x" here')


@pytest.mark.parametrize(
    "name, page, text, fault",
    [
        ("goto", "True", "text", 'brings a step "goto", as does orchestra'),
        ("shout", "False", "text", 'brings a step "shout" that needs no page or has no text'),
        ("shout", "True", "None", 'brings a step "shout" that needs no page or has no text'),
    ],
)
def test_a_step_that_no_driver_may_bring_names_its_package(project, name, page, text, fault):
    bring(project, name, page, text)
    (problem,) = problems(project, f"plugins: [orchestra-sample]\nmethods: {{t: {{driver: pages}}}}\n{TESTS}")
    assert problem.startswith(f'the plug-in "orchestra-sample" 1.0 {fault} (plug-in)')


def test_what_is_no_name_is_a_problem_of_the_schema_alone(project):
    found = built(project, f"plugins: [3]\n{TESTS}").diagnostics
    assert [one.rule for one in found] == ["schema-type"]


def test_an_unknown_driver_names_the_package_that_brings_it(project):
    (problem,) = problems(project, f"methods: {{t: {{driver: pages}}}}\n{TESTS}")
    assert problem.endswith("write `plugins: [orchestra-sample]`, which brings the driver pages")


def test_an_unknown_probe_names_the_package_that_brings_it(project):
    health = "health: {web: {service: {run: [web], port: 8000}, ready: {line: {send: PING}}}}\n"
    _lacks, unknown = problems(project, f"{health}{TESTS}")
    assert unknown.endswith("write `plugins: [orchestra-sample]`, which brings the probe line")


def test_a_page_of_a_plug_in_cannot_begin_with_a_login(project):
    head = "plugins: [orchestra-sample]\nmethods: {t: {driver: pages}}\nlogins: {a: {steps: [{set: {x: 1}}]}}\n"
    (problem,) = problems(project, f"{head}tests: {{A: {{login: a, steps: [{{goto: 'http://localhost/'}}]}}}}\n")
    reason = 'the driver "pages" of the method "t" has pages of its own'
    assert problem.startswith(f'"A" cannot begin with the login "a": {reason}')


def test_a_driver_is_asked_for_its_steps_and_its_keys(project):
    head = "plugins: [orchestra-sample]\nmethods: {t: {driver: pages}, h: {driver: http}}\n"
    lacks = f"{head}tests: {{A: {{methods: [t], emulate: {{locale: de-DE}}, steps: [{{goto: 'http://localhost/'}}, reload]}},"
    lacks += f" B: {{methods: [t], {STEPS}}}, C: {{methods: [h], steps: [{{http: {{GET: 'http://localhost/'}}}}]}}}}\n"
    assert [problem.partition(" (")[0] for problem in problems(project, lacks)] == [
        'the driver "pages" of the method "t" does not emulate anything for "A"',
        'the driver "pages" of the method "t" has no step "reload"; it has "goto"',
    ]
