"""A run in a job of GitHub Actions annotates the spec and adds to the summary of the job by itself."""

from __future__ import annotations

from tests.support.project import HEAD, SuiteProject

TESTS = """tests:
  a: {command: {argv: [sh, -c, "echo '::add-mask::all'; exit 3"]}}
  b: {command: {argv: ["true"]}}
"""


def test_a_run_annotates_its_job_and_outside_of_one_it_does_not(project: SuiteProject):
    project.write(f"{HEAD}{TESTS}").compile()
    summary = project.root / "summary"
    job = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(project.root), "GITHUB_STEP_SUMMARY": str(summary)}
    ended = project.run("run", **job)
    commands = [line for line in ended.err.splitlines() if line.lstrip().startswith("::")]
    assert [line.partition(" ")[0] for line in commands] == ["::group::Tests", "::endgroup::", "::error"], ended.err
    head, text = commands[2].split("::", 2)[1:]
    assert head == "error file=specs/s.yaml,line=5,col=16,title=a a (cli)%3A failed"
    assert text.startswith('"sh" ended with exit code 3%0A')
    assert "### cli:a a" in summary.read_text()
    assert ended.code == 1
    assert "::" not in project.run("run", "b").err
