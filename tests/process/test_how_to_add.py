"""The lists of docs/how-to-add.md are true: each is followed in a copy of the repository, in no other file, and what is added works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import DATA, ROOT
from tests.support.project import Ended, SuiteProject, environment

LISTS = {
    title: items.strip().splitlines()
    for title, items in re.findall(
        r"^\*\*An? (.+?)\*\*\n\n((?:\d\. .*\n)+)",
        (ROOT / "docs/how-to-add.md").read_text(),
        re.MULTILINE,
    )
}

# For each list: the file, a text in it, and the text in its place; a file without a text is new.
ADDED = {
    "step": [
        ("orchestra/steps/verbs/elements.py", '    Verb(\n        "hover",', '    Verb("visit", "Focus an element.", {"label": "Message"}, target="required", fields=(FOR_ELEMENT,), playwright="locator.focus()", mcp=("browser_evaluate",), method="focus", calls=_on_target(page_script.focusing("focus"))),\n    Verb("look", "Look at the page.", {}, bare=True, playwright="page.title()", mcp=("browser_evaluate",), text=on_subject("title"), calls=_on_target("() => true")),\n    Verb(\n        "hover",'),
        ("orchestra/runtime/driver/playwright/verbs.py", '    "drag": ', '    "look": lambda stage, job: stage.page.title(),\n    "drag": '),
    ],
    "probe": [
        ("orchestra/probes/table.py", "_ALL: tuple[ProbeKind, ...] = (", 'async def _folder(args, scene):\n    return Answer() if (scene.root / args["path"]).is_dir() else Answer("it has no such folder")\n\n\n_ALL: tuple[ProbeKind, ...] = (\n    ProbeKind("folder", "a folder that must exist", {"path": "data"}, _folder, fields=(Field("path", TEXT, "the folder", "data", required=True, holds="path"),)),'),
    ],
    "driver": [
        ("orchestra/runtime/driver/text.py", "", (DATA / "plug-in/orchestra_sample/session.py").read_text()),
        ("orchestra/drivers.py", "_ALL: tuple[DriverKind, ...] = (", '_ALL: tuple[DriverKind, ...] = (\n    DriverKind("text", "pages as text", frozenset({"browser", "http"}), "orchestra.runtime.driver.text", (), frozenset({"goto", "expect"})),'),
    ],
    "recovery step": [
        ("orchestra/recovery.py", "_ALL: tuple[StepKind, ...] = (", '_ALL: tuple[StepKind, ...] = (\n    StepKind("look", "look", "looks"),'),
    ],
    "browser engine": [
        ("orchestra/engines.py", '        downloads=(("webkit", "pw_run.sh", False),),\n    ),\n', '        downloads=(("webkit", "pw_run.sh", False),),\n    ),\n    EngineKind("servo", "ORCHESTRA_SERVO", programs=("servoshell",), caches=((".cache/servo", "*/servoshell", False),)),\n'),
    ],
    "report format": [
        ("orchestra/report/formats/tap.py", "", (DATA / "plug-in/orchestra_sample/tap.py").read_text().partition("FORM =")[0].replace("from orchestra.report.forms import Form\n", "")),
        ("orchestra/report/forms.py", '    "ctrf": ', '    "tap": Form("report.tap", __import__("orchestra.report.formats.tap", fromlist=["tap"]).tap),\n    "ctrf": '),
    ],
    "metric": [
        ("orchestra/gates/catalogue.py", "_ALL: tuple[Metric, ...] = (", '_ALL: tuple[Metric, ...] = (\n    Metric("groups", "int", "groups", "groups of the suite", ALWAYS, "groups <= 9"),'),
        ("orchestra/runtime/gates/figures.py", '    values["total"] = ', '    values["groups"] = len(plan.groups)\n    values["total"] = '),
    ],
    "rule": [
        ("orchestra/compiler/rules/health.py", "RULES = (", '@rule\ndef shouted_title(context: Context) -> Iterator[Problem]:\n    """A title has upper-case letters alone."""\n    for name, row in _rows(context):\n        if row.get("title", "").isupper():\n            yield Problem(context.place(("health", name, "title")), f\'the title of "{name}" is shouted\', "write it in lower case")\n\n\nRULES = (\n    shouted_title,'),
    ],
    "sentence of a slash command": [
        ("templates/_command.md.j2", "The runner manages order, ", "Read the spec first. The runner manages order, "),
    ],
}  # fmt: skip
SPEC = """\
orchestra: 1
suite: s
methods: {text: {driver: text}}
health: {data: {title: TITLE, ready: {folder: {path: data}}, live: {folder: {path: data}}, recover: [look]}}
defaults: {requires: [data]}
gates: {after: {few: {require: groups <= 0}}}
tests: {A: {steps: [{set: {x: one}}]}}
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of the repository to which each list has added something."""
    copy = tmp_path_factory.mktemp("extended")
    for name in ("orchestra", "schemas", "templates", "docs", "scripts", "tests/data/agent"):
        # With what was compiled of them, for the copies have the times of the originals.
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("images"))
    shutil.copy(ROOT / "README.md", copy)
    for changes in ADDED.values():
        for name, old, new in changes:
            file = copy / name
            text = file.read_text(encoding="utf-8") if old else ""
            assert old in text, (name, old)
            file.write_text(text.replace(old, new, 1) if old else new, encoding="utf-8")
    done = python(copy, copy, "-m", "scripts.generate")
    assert done.code == 0, done.err
    return copy


def python(copy: Path, folder: Path, *words: str) -> Ended:
    env = environment(PYTHONPATH=str(copy))
    done = subprocess.run([sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("title", ADDED)
def test_a_list_is_short_and_names_the_files_that_an_addition_changes(title):
    items = LISTS[title]
    assert 0 < len(items) <= 5
    named = re.findall(r"`((?:orchestra|templates)/[\w/.]+)`", "\n".join(items))
    for path in (*named, *re.findall(r"`((?:tests|docs)/[\w/.]+)`", "\n".join(items))):
        assert (ROOT / path).exists(), path
    changed = [name for name, _, _ in ADDED[title]]
    covered = [
        path
        for path in named
        if any(name == path or (path.endswith("/") and name.startswith(path)) for name in changed)
    ]
    assert covered == named, "the list names a file that needs no change"
    for name in changed:
        assert any(name == path or (path.endswith("/") and name.startswith(path)) for path in named), name


def test_every_list_is_followed():
    assert set(LISTS) == set(ADDED)


def test_the_page_of_each_addition_is_made_from_its_row(extended):
    for page, text in {
        "docs/steps.md": "## visit",
        "docs/spec.md": "## FolderProbe",
        "docs/metrics.md": "| `groups` |",
        "docs/rules.md": "### shouted-title",
        "schemas/orchestra.schema.json": '"text"',
    }.items():
        assert text in (extended / page).read_text(encoding="utf-8"), page
        assert text not in (ROOT / page).read_text(encoding="utf-8") or page.startswith("schemas")


def test_what_was_added_works_from_the_spec_to_the_report(extended, project: SuiteProject):
    project.write(SPEC.replace("TITLE", "DATA"))
    done = python(extended, project.root, "-P", "-m", "orchestra", "validate")
    assert (done.code, "[shouted-title]" in done.out) == (2, True), done
    (project.root / "data").mkdir()
    project.write(SPEC.replace("TITLE", "data"))
    assert python(extended, project.root, "-P", "-m", "orchestra", "compile").code == 0
    done = python(extended, project.root, "-P", "-m", "orchestra", "run")
    assert done.code == 0, done.err
    folder = project.root / ".orchestra/s/runs/last"
    assert (folder / "report.tap").read_text() == "TAP version 13\n1..1\nok 1 - text:A passed\n"
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    (gate,) = (event["body"] for event in events if event["body"].get("name") == "few")
    assert (gate["result"], gate["values"]) == ("passed", {"groups": 0})


def test_an_added_sentence_is_in_the_commands_and_an_added_engine_is_looked_for(extended, project: SuiteProject):
    step = "{goto: 'http://127.0.0.1:1/'}"
    project.write(f"orchestra: 1\nsuite: s\ntests: {{A: {{browser: servo, steps: [{step}]}}}}\n")
    assert python(extended, project.root, "-P", "-m", "orchestra", "compile").code == 0
    commands = list((project.root / ".claude/commands").glob("*.md"))
    assert commands
    for command in commands:
        assert "Read the spec first. The runner manages order" in command.read_text(encoding="utf-8")
    done = python(extended, project.root, "-P", "-m", "orchestra", "run")
    assert "no servo on this machine" in done.out + done.err


def test_what_the_row_of_a_step_lacks_is_named(extended, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(extended, copy)
    table = copy / "orchestra/steps/verbs/elements.py"
    table.write_text(table.read_text().replace(', text=on_subject("title")', ""))
    done = python(copy, copy, "-m", "scripts.generate")
    assert done.code == 1
    assert 'LookupError: the step "look" has neither `text` nor `method` in its row' in done.err
