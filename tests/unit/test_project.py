"""Where a project begins, what its settings say, and which suite is meant."""

from __future__ import annotations

import os
import shutil

import pytest

from orchestra.errors import UsageError
from orchestra.project import Project, find


@pytest.fixture
def root(tmp_path):
    return tmp_path.resolve()


def settings(root, text):
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    return root


def refused(start):
    with pytest.raises(UsageError) as caught:
        find(start)
    return caught.value


def test_the_nearest_table_is_the_root(root):
    settings(root, '[tool.orchestra]\nsuite = "far"\n')
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / ".git").mkdir()
    assert find(root / "a" / "b") == Project(root, "far")
    settings(root / "a", "[tool.orchestra]\n")
    assert find(root / "a" / "b") == Project(root / "a")


def test_else_the_top_of_the_git_work_tree(root):
    (root / ".git").mkdir()
    (root / "a" / "b").mkdir(parents=True)
    assert find(root / "a" / "b").root == root
    (root / "a" / ".git").write_text("gitdir: elsewhere\n")
    assert find(root / "a" / "b").root == root / "a", "a work tree in a work tree; its .git is a file"


def test_else_the_folder_itself(root):
    assert find(root / ".") == Project(root)


def test_a_compiled_suite_or_specs_above_make_a_root_where_nothing_else_does(root):
    (root / "shop" / "specs").mkdir(parents=True)
    (root / "shop" / "e2e" / "deep").mkdir(parents=True)
    (root / "shop" / "specs" / "api.yaml").write_text("openapi: 3.1.0\n")
    assert find(root / "shop" / "e2e" / "deep").root == root / "shop" / "e2e" / "deep", "specs of another tool"
    (root / "shop" / "specs" / "s.yaml").write_text("# a suite\norchestra: 1\n")
    assert find(root / "shop" / "e2e" / "deep").root == root / "shop"
    (root / ".git").mkdir()
    assert find(root / "shop" / "e2e" / "deep").root == root, "git has the say while nothing is compiled"
    compiled(root / "shop", "s")
    assert find(root / "shop" / "e2e" / "deep").root == root / "shop"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
@pytest.mark.parametrize("name", [".orchestra", "specs"])
def test_what_somebody_else_has_put_above_is_no_project(root, name):
    (root / "below").mkdir()
    compiled(root, "s")
    (root / "specs").mkdir()
    (root / "specs" / "s.yaml").write_text("orchestra: 1\n")
    for other in {".orchestra", "specs"} - {name}:
        shutil.rmtree(root / other)
    assert find(root / "below").root == root
    os.chown(root / name, 12345, 12345)
    assert find(root / "below").root == root / "below"


def test_links_are_resolved(root):
    (root / "real").mkdir()
    settings(root / "real", "[tool.orchestra]\n")
    (root / "link").symlink_to("real")
    assert find(root / "link").root == root / "real"


@pytest.mark.parametrize(
    "text",
    [
        "[tool.orchestra-plus]\nx = 1\n",
        "[project]\nname = 'orchestra'\n",
        "# [tool.orchestra]\n[tool]\n",
        "tool = 'orchestra'\n",
        "[project]\nname = 'uses-orchestra'\nthis is not TOML",
        "[tool.ruff]\n",
    ],
)
def test_other_files_are_no_settings(root, text):
    settings(root, text)
    (root / "a").mkdir()
    assert find(root / "a").root == root / "a"


@pytest.mark.parametrize(
    "text",
    [
        '[tool.orchestra]\nsuite = "s"\n',
        '[tool]\norchestra = {suite = "s"}\n',
        'tool.orchestra.suite = "s"\n',
        '[ tool . orchestra ]\nsuite = "s"\n',
    ],
)
def test_every_way_to_write_the_table(root, text):
    assert find(settings(root, text)) == Project(root, "s")


@pytest.mark.parametrize(
    "text, message",
    [
        ("[tool.orchestra]\nsuite = \n", "this is not TOML (Invalid value (at line 2, column 9))"),
        ("[tool]\norchestra = 1\n", "tool.orchestra is 1; it must be a table"),
        (
            "[tool.orchestra]\nsuit = 'x'\n",
            'unknown key "suit" in [tool.orchestra] (did you mean "suite"?); allowed: "suite", "specs"',
        ),
        ("[tool.orchestra]\nsuite = 1\n", "[tool.orchestra] suite is 1; it must be a text"),
        ("[tool.orchestra]\nspecs = 'a'\n", "[tool.orchestra] specs is 'a'; it must be a list of globs"),
        ("[tool.orchestra]\nspecs = [1]\n", "[tool.orchestra] specs is [1]; it must be a list of globs"),
        ("[tool.orchestra]\nspecs = ['/a']\n", 'the glob "/a" of [tool.orchestra] specs leaves the project root'),
        (
            "[tool.orchestra]\nspecs = ['a/../..']\n",
            'the glob "a/../.." of [tool.orchestra] specs leaves the project root',
        ),
    ],
)
def test_wrong_settings(root, text, message):
    assert refused(settings(root, text)).message == f"{root / 'pyproject.toml'}: {message}"


def test_spec_files(root):
    for name in ("specs/b.yaml", "specs/a.yaml", "specs/deep/c.yaml", "specs/d.yml", "e2e/x.yaml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    (root / "specs" / "folder.yaml").mkdir()
    assert Project(root).spec_files() == ["specs/a.yaml", "specs/b.yaml"]
    assert Project(root, specs=("**/*.yaml", "specs/*")).spec_files() == [
        "e2e/x.yaml",
        "specs/a.yaml",
        "specs/b.yaml",
        "specs/d.yml",
        "specs/deep/c.yaml",
    ]
    with pytest.raises(UsageError, match=r'"\*\*a" of \[tool.orchestra\] specs is not a glob'):
        Project(root, specs=("**a",)).spec_files()


def compiled(root, *names):
    for name in names:
        folder = root / ".orchestra" / name
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text("{}")


def wrong(project, suite):
    with pytest.raises(UsageError) as caught:
        project.choose(suite)
    return caught.value.message, caught.value.hint


def test_choose(root):
    project = Project(root)
    assert wrong(project, None) == (
        f"no compiled suite below {root / '.orchestra'}",
        "write one with `orchestra compile`",
    )
    compiled(root, "market")
    (root / ".orchestra" / "demo").mkdir()
    assert project.suites() == ["market"]
    assert project.choose(None) == "market"
    assert project.choose("market") == "market"
    assert wrong(project, "marekt")[0] == 'unknown suite "marekt" (did you mean "market"?); there are "market"'
    compiled(root, "self")
    message, hint = wrong(project, None)
    assert message == 'there are 2 suites: "market", "self"'
    assert hint.startswith("name one with --suite, or set `suite = ")
    assert Project(root, "self").choose(None) == "self"
    assert Project(root, "gone").choose("market") == "market"
    assert wrong(Project(root, "gone"), None)[0] == message


def test_plan_file(root):
    assert Project(root).plan_file("market") == ".orchestra/market/plan.json"
    assert Project(root).plan_file("market", "staging") == ".orchestra/market/plan.staging.json"
