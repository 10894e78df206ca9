"""Tests that run once for a group, before and after the others: failures, resume, shards, selection, doit, both methods."""

from __future__ import annotations

import re

import pytest

from tests.support.project import ANY_LOAD, HEAD, SuiteProject

# Each test writes its method and its id; b passes once there is a file `good`, and `setup` unless there is one `bad`.
WRITE = 'echo "$0:$1" >> ran'
ONCE = f"""{HEAD}
baseline: {{{ANY_LOAD}}}
blocks:
  say: {{params: [then], command: {{argv: [sh, -c, '{WRITE}; ${{then}}', "${{method.id}}", "${{test.id}}"]}}}}
groups:
  orders: {{before_all: [setup], after_all: [clean]}}
tests:
  clean: {{group: orders, use: {{say: {{then: "true"}}}}}}
  a: {{group: orders, use: {{say: {{then: "true"}}}}}}
  b: {{group: orders, use: {{say: {{then: "test -e good"}}}}}}
  c: {{group: orders, needs: [b], use: {{say: {{then: "true"}}}}}}
  setup: {{group: orders, use: {{say: {{then: "test ! -e bad"}}}}}}
  x: {{use: {{say: {{then: "true"}}}}}}
"""
TWICE = re.sub("methods:.*", "methods: {one: {driver: command, workers: 4}, two: {driver: command}}", ONCE)


@pytest.fixture
def shop(project: SuiteProject) -> SuiteProject:
    return project.write(ONCE).compile()


def ran(project: SuiteProject, method: str = "cli") -> list[str]:
    """Return the tests that ran by a method since the last call, in order."""
    file = project.root / "ran"
    lines = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return [line.removeprefix(f"{method}:") for line in lines if line.startswith(f"{method}:")]


def ends(order: list[str]) -> tuple[str, set[str], str]:
    return order[0], set(order[1:-1]), order[-1]


def test_they_run_around_the_others_by_each_method(project):
    project.write(TWICE).compile()
    (project.root / "good").touch()
    done = project.run("run", "orders")
    lines = (project.root / "ran").read_text().split()
    by = {method: [line[4:] for line in lines if line.startswith(method)] for method in ("one", "two")}
    assert done.code == 0, done.err
    assert {method: ends(order) for method, order in by.items()} == dict.fromkeys(
        by, ("setup", {"a", "b", "c"}, "clean")
    )


def test_both_drivers_of_pages_agree(project):
    spec = ONCE.partition("groups:")[2]
    steps = re.sub(r"use: \{say: .*\}\}\}", "steps: [{set: {done: here}}]}", spec)
    methods = "methods: {cli: {driver: playwright, workers: 2}, mcp: {driver: mcp, workers: 2}}"
    project.write(re.sub("methods:.*", methods, HEAD) + f"groups:{steps}").compile()
    done = project.run("run", "orders")
    assert done.code == 0, done.err
    started = [event["body"] for event in project.events("attempt_started")]
    for method in ("cli", "mcp"):
        assert ends([one["test"] for one in started if one["method"] == method]) == ("setup", {"a", "b", "c"}, "clean")


def test_a_failure_before_blocks_the_others_and_the_end_comes_all_the_same(shop):
    (shop.root / "bad").touch()
    assert shop.run("run", "orders").code == 1
    assert ran(shop) == ["setup", "clean"]
    assert shop.verdicts() == {
        "cli:setup": "failed", "cli:a": "blocked", "cli:b": "blocked", "cli:c": "blocked", "cli:clean": "passed",
    }  # fmt: skip
    assert shop.reasons()["cli:a"] == "needs cli:setup failed"


def test_the_end_comes_after_failures_and_its_failure_is_one_of_the_run(shop):
    shop.write(
        ONCE.replace(
            'clean: {group: orders, use: {say: {then: "true"}}}', 'clean: {group: orders, use: {say: {then: "false"}}}'
        )
    )
    shop.compile()
    assert shop.run("run", "a", "b").code == 1
    assert ends(ran(shop)) == ("setup", {"a", "b"}, "clean")
    assert shop.verdicts()["cli:clean"] == "failed"
    assert shop.run("run", "a").code == 1


def test_only_tests_of_the_group_bring_them(shop):
    assert shop.run("run", "x").code == 0
    assert ran(shop) == ["x"]
    assert shop.run("run", "a", "x").code == 0
    order = ran(shop)
    assert sorted(order) == ["a", "clean", "setup", "x"]
    assert order.index("setup") < order.index("a") < order.index("clean")
    assert shop.doit("cli:a").code == 0
    assert ran(shop) == ["setup", "a", "clean"]
    assert "once       after all others of orders" in shop.run("show", "clean").out
    assert "once       before all others of orders" in shop.run("show", "setup").out
    assert "cli:clean  clean  (after_all)\n" in shop.run("run", "a", "--dry-run").out


def test_a_test_of_the_group_that_another_one_needs_brings_them(shop):
    shop.write(ONCE.replace("x: {use", "x: {needs: [a], use")).compile()
    for run in (lambda: shop.run("run", "x"), lambda: shop.doit("cli:x")):
        done = run()
        order = ran(shop)
        assert (done.code, sorted(order)) == (0, ["a", "clean", "setup", "x"])
        assert order.index("setup") < order.index("a") < order.index("clean")


def test_a_resumed_run_repeats_them_if_a_test_of_the_group_is_left(shop):
    assert shop.run("run").code == 1
    assert sorted(ran(shop)) == ["a", "b", "clean", "setup", "x"]
    (shop.root / "good").touch()
    assert shop.run("run", "--resume").code == 0
    assert ran(shop) == ["setup", "b", "c", "clean"]
    assert set(shop.verdicts().values()) == {"passed"}


def test_a_resumed_run_leaves_them_out_if_none_is_left(shop):
    shop.write(ONCE.replace('x: {use: {say: {then: "true"}}}', 'x: {use: {say: {then: "test -e other"}}}')).compile()
    (shop.root / "good").touch()
    assert shop.run("run").code == 1
    assert len(ran(shop)) == 6
    (shop.root / "other").touch()
    assert shop.run("run", "--resume").code == 0
    assert ran(shop) == ["x"]


def test_a_group_with_them_stays_in_one_shard(shop):
    (shop.root / "good").touch()
    parts = []
    for shard in ("1/2", "2/2"):
        assert shop.run("run", "--shard", shard).code == 0
        parts.append(ran(shop))
    assert sorted(map(sorted, parts)) == [["a", "b", "c", "clean", "setup"], ["x"]]
    many = shop.run("plan", "--shards", "3")
    assert (many.code, "leaves 2 to share out" in many.err) == (2, True)
    assert 'the group "orders" has tests that run once (before_all, after_all)' in shop.run("plan", "--shards", "2").out


def test_the_end_comes_when_so_many_failures_end_the_run(shop):
    shop.write(ONCE.replace("a: {group", "a: {needs: [b], group")).compile()
    assert shop.run("run", "orders", "--max-failures", "1").code == 1
    assert ran(shop) == ["setup", "b", "clean"]
    (shop.root / "bad").touch()
    assert shop.run("run", "orders", "--max-failures", "1").code == 1
    assert ran(shop) == ["setup", "clean"]


def test_no_end_of_a_group_that_has_not_begun(shop):
    shop.write(
        ONCE.replace('x: {use: {say: {then: "true"}}}', 'x: {use: {say: {then: "false"}}}')
        .replace("orders: {before", "orders: {after: [others], before")
        .replace("groups:", "groups:\n  others: {}")
        .replace("x: {use", "x: {group: others, use")
    ).compile()
    assert shop.run("run", "--max-failures", "1").code == 1
    assert ran(shop) == ["x"]
    assert shop.verdicts()["cli:clean"] == "blocked"
