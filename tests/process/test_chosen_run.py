"""RUN as a positional argument of each verb about a run, in one suite or several, and --method where methods matter."""

from __future__ import annotations

import shutil

import pytest

from tests.support.project import ANY_LOAD, SuiteProject

SPEC = """
orchestra: 1
suite: {suite}
methods: {{one: {{driver: command}}, two: {{driver: command}}}}
groups: {{first: {{}}, second: {{after: [first]}}}}
baseline: {{LOAD}}
tests:
  a: {{group: first, command: {{argv: ["true"]}}}}
  b: {{group: second, methods: [one], command: {{argv: ["true"]}}}}
""".replace("LOAD", ANY_LOAD)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> SuiteProject:
    """Two runs of suite s and one of suite t; no test changes them."""
    root = tmp_path_factory.mktemp("done")
    (root / "pyproject.toml").write_text("[tool.orchestra]\n")
    (root / "specs").mkdir()
    for suite in ("s", "t"):
        (root / f"specs/{suite}.yaml").write_text(SPEC.format(suite=suite))
    project = SuiteProject(root).compile()
    for suite in ("s", "s", "t"):
        assert project.run("run", "--suite", suite).code == 0
    return project


def runs(project: SuiteProject, suite: str) -> list[str]:
    """The ids of the runs of a suite, the oldest first."""
    return sorted(path.name for path in (project.root / f".orchestra/{suite}/runs").iterdir() if not path.is_symlink())


def unique(project: SuiteProject, name: str) -> str:
    """The shortest end of an id that no other run has, and that is no number: `rollback 05` goes back to an event."""
    others = [other for suite in ("s", "t") for other in runs(project, suite) if other != name]
    return next(
        part for size in range(len("Z-0000"), 30) if not any((part := name[-size:]) in other for other in others)
    )


@pytest.mark.parametrize(
    "words, shows",
    [
        (("status", "{run}"), "run         {id}"),
        (("events", "{run}", "--type", "run_started"), "run         {id}  "),
        (("report", "{run}", "--format", "md"), "{id}"),
        (("audit", "{run}"), "{id}: sealed whole"),
        (("rollback", "{run}"), "one:second"),
        (("show", "{run}", "a"), "one:a"),
        (("show", "{run}"), "one:b"),
        (("compare", "{run}"), "two against one: 1 test by both"),
        (("compare", "{run}", "two", "one"), "one against two: 1 test by both"),
        (("compare", "{run}", "{id}"), "nothing is compared with itself"),
    ],
)
def test_each_verb_takes_a_part_of_an_id_and_finds_its_suite(done, words, shows):
    for suite in ("s", "t"):
        name = runs(done, suite)[0]
        told = done.run(*(word.format(run=unique(done, name), id=name) for word in words))
        assert shows.format(id=name) in told.out + told.err, (told, suite)


def test_a_part_that_several_runs_have_is_refused_with_their_ids(done):
    several = done.run("status", "20")
    assert (several.code, '"20" is part of runs of 2 suites' in several.err) == (2, True)
    assert "name the suite with --suite" in several.err
    two = done.run("audit", "20", "--suite", "s")
    assert (two.code, '"20" is part of 2 runs' in two.err) == (2, True)
    assert done.run("status", "--suite", "t", runs(done, "s")[0]).code == 2
    assert "there are 2 suites" in done.run("status", "last").err


def test_the_default_suite_wins_where_both_have_the_part(done, tmp_path):
    copy = SuiteProject(shutil.copytree(done.root, tmp_path / "copy", symlinks=True))
    (copy.root / "pyproject.toml").write_text('[tool.orchestra]\nsuite = "t"\n')
    assert runs(copy, "t")[0] in copy.run("status", "20").out
    assert runs(copy, "s")[0] in copy.run("status", unique(copy, runs(copy, "s")[0])).out


def test_a_lone_word_of_rollback_is_a_checkpoint_before_it_is_a_run(done, tmp_path):
    copy = SuiteProject(shutil.copytree(done.root, tmp_path / "copy", symlinks=True))
    older, newest = runs(copy, "s")
    points = copy.run("rollback", newest).out.split()
    assert f"{newest}: back at one:first" in copy.run("rollback", points[0], "--suite", "s").out
    assert f"{older}: back at two:first" in copy.run("rollback", unique(copy, older), "two:first").out
    assert f"{older}: back at one:first" in copy.run("rollback", "--run", older, "first", "--method", "one").out
    unknown = copy.run("rollback", "--suite", "s", "third")
    assert (unknown.code, 'no checkpoint "third"' in unknown.err) == (2, True)
    many = copy.run("rollback", older, "one:first", "x")
    assert (many.code, "one run and one checkpoint are meant" in many.err) == (2, True)


def test_a_test_called_like_a_part_of_an_id_is_the_test(project):
    spec = SPEC.format(suite="s").replace("  a: ", '  "20": ').replace("  b: ", "  b: ")
    project.write(spec).compile()
    assert project.run("run").code == 0
    assert "by one (command)" in project.run("show", "20").out
    assert "passed" in project.run("show", project.folder.name, "20").out
    assert "passed" in project.run("show", "--run", "20", "20").out


@pytest.mark.parametrize(
    "words, has, has_not",
    [
        (("plan", "--method", "two"), "a", "second"),
        (("events", "last", "--method", "two"), "two:a", "one:a"),
        (("events", "last", "--method", "two"), "passed      two:a", "one:second"),
        (("status", "last", "--method", "two"), "1 passed; 1 in all", "one:second"),
        (("rollback", "--method", "two"), "two:first", "one:first"),
        (("history", "--method", "two"), "two:a", "one:"),
        (("baseline", "show", "--method", "two"), "two:a", "one:"),
        (("compare", "{first}", "last", "--method", "two"), "1 test by both", "one:b"),
    ],
)
def test_method_filters(done, words, has, has_not):
    told = done.run(*(word.format(first=runs(done, "s")[0]) for word in words), "--suite", "s")
    assert told.code == 0, told.err
    assert has in told.out
    assert has_not not in told.out
    unknown = done.run(*(word.format(first="last").replace("two", "tow") for word in words), "--suite", "s")
    assert (unknown.code, 'unknown method "tow"' in unknown.err, 'did you mean "two"?' in unknown.err) == (
        2,
        True,
        True,
    )


@pytest.mark.parametrize(
    "words, shown",
    [
        ("plan --format json --method one", "--format json prints the whole plan"),
        ("status --json --method one", "--json prints the state.json of the whole run"),
        ("compare one two --method one", "--method is about runs and branches"),
        ("compare --method one", "has one method, one of these"),
        ("compare ona two", 'no run or method "ona"'),
        ("baseline reset --all --method one", "--all deletes the baselines of every test and method"),
        ("history --prune --method one", "--prune removes runs and shows no tests"),
    ],
)
def test_where_method_does_not_fit_it_is_refused(done, words, shown):
    told = done.run(*words.split(), "--suite", "s")
    assert (told.code, shown in told.err) == (2, True), told
