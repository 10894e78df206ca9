"""A plan, a stamp or a source that a pull request brings runs nothing that the spec does not say."""

from __future__ import annotations

import json
import shutil

import msgspec
import pytest

from orchestra import outputs, plan_file
from orchestra import plan as plans
from orchestra.compiler.outputs import stamp
from tests.support.project import HEAD, STATE, SuiteProject, py

SPEC = f"""{HEAD}tests:
  T1: {py("open('ran', 'a').write('as the spec says')")}
health:
  api:
    service: {{run: [python, -c, "import time; print('up', flush=True); time.sleep(60)"]}}
    ready: {{log: {{match: up}}}}
  tool: {{ready: {{run: {{argv: [python, -c, pass]}}}}}}
"""
PLAN = ".orchestra/s/plan.json"
ANOTHER = {"XDG_STATE_HOME": str(STATE.with_name(f"{STATE.name}-another"))}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> SuiteProject:
    project = SuiteProject(tmp_path_factory.mktemp("compiled"))
    (project.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    return project.write(SPEC).compile()


@pytest.fixture
def project(compiled, tmp_path) -> SuiteProject:
    """The compiled project at another place, with a stamp of this place."""
    root = shutil.copytree(compiled.root, tmp_path / "project", symlinks=True)
    project = SuiteProject(root)
    assert project.run("compile", "--check").code == 0
    return project


def plant(project: SuiteProject, plan: plans.Plan) -> None:
    """Write a plan, with its digest in the index of the outputs."""
    index = project.root / outputs.PATH
    [entry] = outputs.parse(index.read_bytes())[PLAN]
    content = plan_file.dump(plan)
    (project.root / PLAN).write_bytes(content)
    index.write_text(index.read_text().replace(entry.content, outputs.digest(content)))


def tamper(project: SuiteProject) -> None:
    """Let test, service and probe write a file; the digests of the plan are those of the new content."""
    file = project.root / PLAN
    plan = plan_file.load(file.read_bytes(), PLAN)
    text = plans.encode(plan).decode().replace("as the spec says", "as it does not")
    text = text.replace("print('up'", "open('ran', 'a'); print('up'").replace('"pass"', """"open('ran', 'a')\"""")
    plant(project, msgspec.json.decode(text, type=plans.Plan))
    assert plan_file.load(file.read_bytes(), PLAN) != plan


VERBS = [("run",), ("doit",), ("up",), ("health",), ("health", "--start")]


def carried_out(project: SuiteProject, words: tuple[str, ...], **env: str):
    ended = project.doit(**env) if words == ("doit",) else project.run(*words, **env)
    if words == ("up",):
        project.run("down", **env)
    return ended


@pytest.mark.parametrize(
    "words, env",
    [*((words, {}) for words in VERBS), (("run",), {"CI": "1"}), (("doit",), {"CI": "1"}), (("run",), ANOTHER)],
    ids=" ".join,
)
def test_a_plan_that_the_spec_does_not_compile_to_is_refused(project, words, env):
    tamper(project)
    ended = carried_out(project, words, **env)
    assert ended.code == 2
    assert f'{PLAN}: the spec (specs/s.yaml) compiles to another plan: "T1" differs' in ended.err
    assert "orchestra compile" in ended.err
    assert not (project.root / "ran").exists()


@pytest.mark.parametrize(
    "words, env",
    [*((words, {}) for words in VERBS), (("run",), {"CI": "1"}), (("doit",), {"CI": "1"})],
    ids=" ".join,
)
def test_the_plan_of_the_spec_is_executed(project, words, env):
    """The control; a row that nobody has started is not healthy."""
    assert carried_out(project, words, **env).code == (3 if words == ("health",) else 0)
    assert (project.root / "ran").exists() == (words[0] in {"run", "doit"})


def test_a_component_alone_is_enough(project):
    file = project.root / PLAN
    plan = plan_file.load(file.read_bytes(), PLAN)
    plant(project, msgspec.structs.replace(plan, components=()))
    ended = project.run("run")
    assert (ended.code, '"components" differs' in ended.err) == (2, True)


def planted_stamp(project: SuiteProject, **changes: object) -> None:
    """Let the stamp have seen the files as they are now, as far as one can who has not the user's key."""
    file = project.root / stamp.PATH
    known = json.loads(file.read_text())
    known["files"] = {path: stamp.digest_of(project.root, path) for path in known["files"]}
    file.write_text(json.dumps({**known, **changes}))


@pytest.mark.parametrize("changes", [{}, {"mac": "0" * 32}, {"mac": ""}, {"mac": None}, {"files": {}}], ids=str)
def test_a_stamp_that_the_user_did_not_make_vouches_for_nothing(project, changes):
    tamper(project)
    planted_stamp(project, **changes)
    assert project.run("run").code == 2
    checked = project.run("compile", "--check")
    assert checked.code == 1
    assert f"{PLAN}: stale" in checked.err


def test_a_stamp_of_another_project_vouches_for_nothing(project, tmp_path):
    other = SuiteProject(shutil.copytree(project.root, tmp_path / "other"))
    tamper(project)
    tamper(other)
    assert not stamp_is_asked(project)
    assert project.run("compile").code == 0
    assert stamp_is_asked(project)
    shutil.copy(project.root / stamp.PATH, other.root / stamp.PATH)
    shutil.copy(project.root / PLAN, other.root / PLAN)
    assert not stamp_is_asked(other)


def stamp_is_asked(project: SuiteProject) -> bool:
    """Whether the next check is answered by the stamp."""
    return "nothing has changed since the last check" in project.run("compile", "--check").err


@pytest.mark.parametrize("target", ["/dev/zero", "/etc/hostname"])
def test_a_source_that_leads_out_is_not_read(project, target):
    (project.root / "specs/s.yaml").unlink()
    (project.root / "specs/s.yaml").symlink_to(target)
    ended = project.run("run")
    assert ended.code == 2
    assert "its spec specs/s.yaml cannot be read: it is outside the project" in ended.err


@pytest.mark.parametrize("source", ["/dev/zero", "../outside.yaml", "a\\u0000b"])
def test_a_source_that_a_plan_names_is_of_the_project(project, source):
    file = project.root / PLAN
    plan = plan_file.load(file.read_bytes(), PLAN)
    tampered = msgspec.structs.replace(plan, sources=(json.loads(f'"{source}"'),))
    plant(project, tampered)
    ended = project.run("run")
    assert (ended.code, "cannot be read" in ended.err) == (2, True)
