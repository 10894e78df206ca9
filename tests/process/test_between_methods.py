"""What components declare between methods: done once before the next method, in order, and bounded."""

from __future__ import annotations

import pytest

from tests.support.outages import asks, backend, suite

HEAD = "orchestra: 1\nsuite: s\nmethods: {cli: {driver: command, workers: 2}, other: {driver: command}}\n"
TESTS = "".join(f"  {name}: {{{asks()}\n" for name in "abc")


def starts(project) -> int:
    return len((project.root / "backend/starts").read_text().split())


def test_a_component_and_what_needs_it_are_started_again_between_two_methods(project):
    front = "  front: {needs: [backend], service: {run: [python, -c, \"open('fronts', 'a').write('x'); import time; time.sleep(600)\"]}}\n"
    tests = TESTS + "  d: {requires: [front], after: [a, b, c], command: {argv: [python, -c, pass]}}\n"
    suite(project, backend(more="between_methods: [restart]") + front, tests, head=HEAD)
    done = project.run("run")
    assert done.code == 0, done.err
    assert (starts(project), (project.root / "fronts").read_text()) == (2, "xx")
    [note] = [event["body"] for event in project.events("note")]
    assert (note["kind"], note["message"].startswith('"backend" is renewed before the tests of other')) == (
        "between_methods",
        True,
    )
    assert project.events("incident") == []
    assert project.run("run", "--method", "cli").code == 0
    assert starts(project) == 3, "of one method nothing is between"


def test_a_command_between_two_methods_leaves_the_server_running(project):
    step = "between_methods: [{run: [python, -c, \"open('reset', 'a').write('x')\"]}]"
    suite(project, backend(more=step), TESTS, head=HEAD)
    done = project.run("run")
    assert done.code == 0, done.err
    assert (starts(project), (project.root / "reset").read_text()) == (1, "x")


@pytest.mark.parametrize(
    "argv, said", [("[python, -c, 'raise SystemExit(7)']", "exit code 7"), ("[no-such-program]", "was not found")]
)
def test_a_command_that_fails_between_two_methods_blocks_the_next_one(project, argv, said):
    suite(project, backend(more=f"between_methods: [{{run: {argv}}}]"), TESTS, head=HEAD)
    done = project.run("run")
    assert done.code == 3, done.err
    verdicts = project.verdicts()
    assert {verdicts[f"cli:{name}"] for name in "abc"} == {"passed"}
    assert {verdicts[f"other:{name}"] for name in "abc"} == {"blocked"}
    assert said in project.reasons()["other:a"]
