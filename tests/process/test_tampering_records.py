"""A record that a pull request brings makes no test green, and is resumed with --trust only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestra import owner
from orchestra.ledger import history, run_record
from tests.support.forging import forge
from tests.support.project import HEAD, STATE, SuiteProject

SPEC = f"""{HEAD}tests:
  kept: {{inputs: [src.txt], command: {{argv: [sh, -c, "echo kept >> ran; test -e good"]}}}}
  other: {{command: {{argv: [sh, -c, "echo other >> ran; test -e good"]}}}}
"""
ANOTHER = {"XDG_STATE_HOME": str(STATE.with_name(f"{STATE.name}-another"))}
"""The environment of another user, as far as it is known who he is."""


@pytest.fixture(scope="module")
def passed(tmp_path_factory) -> SuiteProject:
    project = SuiteProject(tmp_path_factory.mktemp("passed"))
    for name in ("pyproject.toml", "src.txt", "good"):
        (project.root / name).write_text("[tool.orchestra]\n")
    project.write(SPEC).compile()
    assert project.run("run").code == 0
    (project.root / "good").unlink()
    return project


@pytest.fixture
def project(passed, tmp_path) -> SuiteProject:
    """A project with a good run whose tests would fail now."""
    return SuiteProject(shutil.copytree(passed.root, tmp_path / "project", symlinks=True))


def run_again(project: SuiteProject, **env: str) -> str:
    """The verdict on the test whose inputs are as they were when it passed."""
    project.run("run", **env)
    return project.verdicts()["cli:kept"]


def test_a_pass_that_is_on_record_is_not_repeated(project):
    """The control of all that follows."""
    assert run_again(project) == "unchanged"
    assert not project.events("note")


def without_its_run(project: SuiteProject) -> None:
    shutil.rmtree(project.folder)


def without_its_verdict(project: SuiteProject) -> None:
    ledger = project.folder / "events.jsonl"
    ledger.write_text("".join(line for line in ledger.read_text().splitlines(keepends=True) if "verdict" not in line))


def with_a_byte_changed(project: SuiteProject) -> None:
    ledger = project.folder / "events.jsonl"
    ledger.write_text(ledger.read_text().replace('"seconds":', '"seconds": ', 1))


def with_another_last_mark(project: SuiteProject) -> None:
    ledger = project.folder / "events.jsonl"
    head, mark, rest = ledger.read_text().rpartition('"mac":"')
    ledger.write_text(head + mark + "0" * owner.MAC_LENGTH + rest[owner.MAC_LENGTH :])


def forged_whole(project: SuiteProject) -> None:
    """A record in which the test has failed is made one in which it has passed, with a chain and a seal that hold."""
    forge(project.folder, lambda _, body: body)


def of_another_run(project: SuiteProject) -> None:
    """The history names a run as the pass of a test that failed there."""
    file = project.root / ".orchestra/s" / history.LAST
    digest = history.load(file)["cli:kept"].inputs
    assert project.run("run", "--force").code == 1
    file.write_bytes(history.encoded({"cli:kept": run_record.LastExecution(0.1, project.folder.name, digest)}))


TAMPERED = {
    without_its_run: "is missing or damaged",
    without_its_verdict: "is missing or damaged",
    with_a_byte_changed: "is missing or damaged",
    with_another_last_mark: "it was not written by this user on this machine",
    forged_whole: "it was not written by this user on this machine",
    of_another_run: "has no pass of cli:kept on these inputs",
}


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda one: one.__name__)
def test_a_pass_that_is_not_on_record_is_repeated(project, tamper):
    tamper(project)
    assert run_again(project) == "failed"
    [note] = [event["body"] for event in project.events("note")]
    assert note["kind"] == "unchanged_doubted"
    assert TAMPERED[tamper] in note["message"]


def test_a_history_alone_makes_nothing_green(project):
    """A forged `history.json` in a fresh checkout, without any run."""
    home = project.root / ".orchestra/s"
    digest = history.load(home / history.LAST)["cli:kept"].inputs
    shutil.rmtree(home / "runs")
    (home / history.EXECUTIONS).unlink()
    claimed = {"cli:kept": run_record.LastExecution(0.1, "20260101T000000Z-0001", digest)}
    (home / history.LAST).write_bytes(history.encoded(claimed))
    assert run_again(project) == "failed"
    assert "unchanged" not in project.run("audit", "--policy").out


def test_a_record_of_another_user_is_not_trusted(project):
    assert run_again(project, **ANOTHER) == "failed"


def test_in_ci_no_record_is_trusted(project):
    assert run_again(project, CI="true") == "failed"
    assert not project.events("note"), "it is so on every run of CI"


def test_without_a_key_no_record_is_trusted(project, tmp_path):
    """The user's state cannot be kept: his home is a file."""
    (tmp_path / "file").touch()
    assert run_again(project, XDG_STATE_HOME=str(tmp_path / "file")) == "failed"


def test_a_key_that_lies_in_the_checkout_is_none(project):
    """It may have come with it, and the record, too."""
    state = project.root / "state"
    assert run_again(project, XDG_STATE_HOME=str(state)) == "failed"
    assert not state.exists()


def test_a_key_that_others_may_read_is_none(tmp_path):
    environment = {"XDG_STATE_HOME": str(tmp_path / "state")}
    secret = owner.key(tmp_path / "project", environment)
    assert len(secret) == 32
    assert owner.key(tmp_path / "project", environment) == secret
    file = tmp_path / "state/orchestra/record.key"
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    assert owner.key(tmp_path / "project", environment) == b""
    file.chmod(0o600)
    file.write_bytes(secret[:-1])
    assert owner.key(tmp_path / "project", environment) == b""


def test_many_who_ask_first_get_one_key(tmp_path):
    environment = {"XDG_STATE_HOME": str(tmp_path / "state")}
    program = "import os, sys; from orchestra import owner; print(owner.key(sys.argv[1], os.environ).hex())"

    def asked(_: int) -> str:
        argv = [sys.executable, "-c", program, str(tmp_path / "project")]
        return subprocess.run(
            argv, env={**os.environ, **environment}, capture_output=True, text=True, check=True
        ).stdout

    with ThreadPoolExecutor(4) as pool:
        [key] = set(pool.map(asked, range(8)))
    assert len(key.strip()) == 64
    assert [path.name for path in (tmp_path / "state/orchestra").iterdir()] == ["record.key"]


def half_done(project: SuiteProject) -> Path:
    """Make a run in which one test has failed and the other has passed, and give its folder."""
    (project.root / "ran").write_text("")
    spec = project.root / "specs/s.yaml"
    spec.write_text(SPEC.replace("echo other >> ran; test -e good", "echo other >> ran"))
    project.compile()
    assert project.run("run", "--force").code == 1
    return project.folder


def ran(project: SuiteProject) -> list[str]:
    return sorted((project.root / "ran").read_text().split())


def test_a_run_of_ones_own_goes_on_and_says_by_what(project):
    folder = half_done(project)
    done = project.run("run", "--resume")
    assert done.code == 1
    assert "its chain is intact, and this user wrote it on this machine" in done.err
    assert project.folder == folder
    assert ran(project) == ["kept", "kept", "other"]


@pytest.mark.parametrize(
    "who", [{"CI": "1"}, ANOTHER, {"XDG_STATE_HOME": "/dev/null"}], ids=["in ci", "another", "keyless"]
)
def test_a_foreign_run_goes_on_with_trust_only(project, who):
    half_done(project)
    before = (project.folder / "events.jsonl").read_bytes()
    refused = project.run("run", "--resume", **who)
    assert (refused.code, refused.out) == (2, "")
    assert "cannot be resumed: " in refused.err
    assert "--trust" in refused.err
    assert (project.folder / "events.jsonl").read_bytes() == before
    trusted = project.run("run", "--resume", "--trust", **who)
    assert trusted.code == 1
    assert "are trusted: --trust was given, although " in trusted.err
    assert ran(project) == ["kept", "kept", "other"]
    assert project.run("audit").code == 0


def test_a_forged_run_goes_on_with_trust_only(project):
    half_done(project)

    def the_other_way_round(kind: str, body: dict) -> dict:
        outcome = "passed" if body.get("test") == "kept" else "failed"
        return (
            body | {"verdict" if kind == "verdict" else "outcome": outcome}
            if "attempts" in body or "outcome" in body
            else body
        )

    forge(project.folder, the_other_way_round)
    assert project.run("run", "--resume").code == 2
    assert ran(project) == ["kept", "other"]


def test_what_is_added_to_a_foreign_run_does_not_make_it_ones_own(project):
    half_done(project)
    forge(project.folder, lambda _, body: body)
    assert project.run("baseline", "reset", "--all").code == 0
    assert project.run("run", "--resume").code == 2


def test_what_is_added_to_a_run_of_ones_own_leaves_it_that(project):
    half_done(project)
    assert project.run("baseline", "reset", "--all").code == 0
    assert project.run("run", "--resume").code == 1


def test_trust_is_about_a_run_that_goes_on(project):
    assert project.run("run", "--trust").code == 2
