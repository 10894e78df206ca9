"""Two branches that each add a test, merged by real git: what conflicts, and what one compile makes of the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.project import SuiteProject

Files = Mapping[str, str]
Edit = Callable[[Path], None]

METHODS = """methods:
  cli: {driver: playwright, command: test_SUITE_cli}
  mcp: {driver: mcp, command: test_SUITE_mcp}
compile: {docs: docs/SUITE.md}
"""


def entry(name: str, more: str = "") -> str:
    return f'  {name}:\n    title: Test {name}\n{more}    steps:\n      - goto: "https://a.example/{name}"\n'


def spec(names: list[str], *, suite: str = "shop", head: str = "", group: Callable[[int], str] = lambda _: "") -> str:
    tests = "".join(entry(name, group(index)) for index, name in enumerate(names))
    return f"orchestra: 1\nsuite: {suite}\n{METHODS.replace('SUITE', suite)}{head}tests:\n{tests}"


def names(count: int, letter: str = "T") -> list[str]:
    return [f"{letter}{number:03}" for number in range(1, count + 1)]


def add(after: str, name: str, more: str = "", file: str = "specs/shop.yaml") -> Edit:
    """Add a test behind another one; before all of them where `after` is empty."""

    def edit(root: Path) -> None:
        path = root / file
        text = path.read_text()
        place = text.index("tests:\n") + 7
        if after:
            begin = text.index(f"\n  {after}:\n") + 1
            later = re.compile(r"^  \S", re.MULTILINE).search(text, begin + 2)
            place = later.start() if later is not None else len(text)
        path.write_text(text[:place] + entry(name, more) + text[place:])

    return edit


def replace(old: str, new: str, file: str = "specs/shop.yaml") -> Edit:
    def edit(root: Path) -> None:
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new, 1))

    return edit


def write(file: str, text: str) -> Edit:
    return lambda root: (root / file).write_text(text)


GROUPS = "groups:\n  first: {title: First}\n  second: {title: Second}\n  third: {title: Third}\n"
HALVES = lambda index: f"    group: {'first' if index < 4 else 'second'}\n"  # noqa: E731
PART = "tests:\n" + entry("P1")
INCLUDES = "include:\n  - specs/parts/a.yaml\n  - specs/parts/b.yaml\n"
PARTS = {f"specs/parts/{name}.yaml": PART.replace("P1", f"P{name}") for name in "ab"}
PROFILES = "vars: {x: one}\nprofiles: {other: {vars: {x: two}}, third: {vars: {x: three}}}\n"

LAYOUTS: dict[str, tuple[Files, list[Edit], list[Edit]]] = {
    "at the start, and at the end": ({"specs/shop.yaml": spec(names(8))}, [add("", "A")], [add("T008", "B")]),
    "in the middle, two tests apart": ({"specs/shop.yaml": spec(names(8))}, [add("T003", "A")], [add("T005", "B")]),
    "one test apart": ({"specs/shop.yaml": spec(names(8))}, [add("T003", "A")], [add("T004", "B")]),
    "each at the end of a group": (
        {"specs/shop.yaml": spec(names(8), head=GROUPS, group=HALVES)},
        [add("T004", "A", "    group: first\n")],
        [add("T008", "B", "    group: second\n")],
    ),
    "each in a file of its own": (
        {"specs/shop.yaml": spec(names(4), head=INCLUDES), **PARTS},
        [add("Pa", "A", file="specs/parts/a.yaml")],
        [add("Pb", "B", file="specs/parts/b.yaml")],
    ),
    "each in a suite of its own": (
        {"specs/shop.yaml": spec(names(6)), "specs/admin.yaml": spec(names(6, "U"), suite="admin")},
        [add("T003", "A")],
        [add("U003", "B", file="specs/admin.yaml")],
    ),
    "each with a new file that is included": (
        {"specs/shop.yaml": spec(names(4), head=INCLUDES), **PARTS},
        [
            replace("include:\n", "include:\n  - specs/parts/c.yaml\n"),
            write("specs/parts/c.yaml", PART.replace("P1", "A")),
        ],
        [replace("b.yaml\n", "b.yaml\n  - specs/parts/d.yaml\n"), write("specs/parts/d.yaml", PART.replace("P1", "B"))],
    ),
    "each with a new group": (
        {"specs/shop.yaml": spec(names(8), head=GROUPS, group=HALVES)},
        [replace("groups:\n", "groups:\n  new_a: {title: New A}\n"), add("", "A", "    group: new_a\n")],
        [
            replace("third: {title: Third}\n", "third: {title: Third}\n  new_b: {title: New B}\n"),
            add("T008", "B", "    group: new_b\n"),
        ],
    ),
    "in a suite with profiles that is drawn by group and cut": (
        {"specs/shop.yaml": spec(names(140), head=GROUPS + PROFILES, group=lambda index: HALVES(index // 18))},
        [add("T020", "A", "    group: first\n")],
        [add("T120", "B", "    group: second\n")],
    ),
    "one that needs a test, and a matrix": (
        {"specs/shop.yaml": spec(names(8))},
        [add("T002", "A", "    needs: [T001]\n")],
        [add("T006", "B", "    matrix: {browser: [chromium, firefox]}\n    after: [T002]\n")],
    ),
}


def conflicts(project: SuiteProject, layout: tuple[Files, list[Edit], list[Edit]]) -> list[str]:
    """Build two branches of a layout, merge them, and give the paths that conflict; what merges is compiled and compared."""
    files, *branches = layout
    for name, text in files.items():
        project.write(text, name)
    project.git("init", "-q")
    commit(project)
    for branch, edits in zip("ab", branches, strict=True):
        project.git("checkout", "-q", "-b", branch, "main")
        for edit in edits:
            edit(project.root)
        commit(project)
    try:
        project.git("merge", "-q", "--no-edit", "a")
    except Exception:  # noqa: BLE001 - the paths say what came of it
        return project.git("diff", "--name-only", "--diff-filter=U").split()
    done = project.run("compile")
    assert done.code == 0, done.err
    assert "by hand" not in done.err
    merged = (project.root / "dodo.py").read_text()
    assert len(re.findall(r"'(?:A|B|B\[[a-z]+\])'", merged)) >= 2
    assert project.run("compile", "--check", "--full").code == 0
    return []


def commit(project: SuiteProject) -> None:
    project.compile()
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "a step")


def test_two_branches_with_one_new_test_each_merge_in_nine_of_ten_layouts(tmp_path):
    found: dict[str, list[str]] = {}
    for number, (name, layout) in enumerate(LAYOUTS.items()):
        root = tmp_path / str(number)
        root.mkdir()
        (root / "pyproject.toml").write_text("[tool.orchestra]\n")
        found[name] = conflicts(SuiteProject(root), layout)
    assert len(LAYOUTS) == 10
    assert {name: paths for name, paths in found.items() if paths} == {}


def test_a_conflict_in_the_spec_is_named_with_its_fix_and_one_compile_writes_the_rest(project):
    project.write(spec(names(3)), "specs/shop.yaml").git("init", "-q")
    commit(project)
    for branch in "ab":
        project.git("checkout", "-q", "-b", branch, "main")
        add("T003", branch.upper())(project.root)
        commit(project)
    with pytest.raises(Exception, match="merge"):
        project.git("merge", "--no-edit", "a")
    for words in (["compile"], ["validate"], ["compile", "--check"]):
        done = project.run(*words)
        assert done.code == 2
        assert re.search(r"specs/shop\.yaml:\d+:1: unresolved merge conflict \[yaml-conflict\]", done.err + done.out)
    run = project.run("run")
    assert (run.code, "it holds the conflict markers of a merge" in run.err) == (2, True)
    file = project.root / "specs/shop.yaml"
    file.write_text(re.sub(r"^(<<<<<<<|=======|>>>>>>>).*\n", "", file.read_text(), flags=re.MULTILINE))
    done = project.run("compile")
    assert done.code == 0, done.err
    assert "dodo.py: overwrote the conflict markers of a merge" in done.err
    assert project.run("compile", "--check", "--full").code == 0
    assert {"'A'", "'B'"} <= set(re.findall("'[AB]'", (project.root / "dodo.py").read_text()))


def test_a_suite_that_a_merge_brings_back_is_found_and_removed(project):
    project.write(spec(names(2)), "specs/shop.yaml").write(spec(names(2, "U"), suite="admin"), "specs/admin.yaml").git(
        "init", "-q"
    )
    commit(project)
    gone = [".orchestra/admin/plan.json", "docs/admin.md"]
    before = {path: (project.root / path).read_bytes() for path in gone}
    (project.root / "specs/admin.yaml").unlink()
    commit(project)
    assert not any((project.root / path).exists() for path in gone)
    for path, content in before.items():  # as a checkout of a path, or a merge, puts them back
        (project.root / path).parent.mkdir(exist_ok=True)
        (project.root / path).write_bytes(content)
    checked = project.run("compile", "--check")
    assert checked.code == 1
    assert all(f"{path}: orphaned: " in checked.err for path in gone)
    done = project.run("compile")
    assert ".orchestra/admin/plan.json: removed: no spec produces it any more" in done.err
    assert "docs/admin.md: left alone: no spec produces it; delete it" in done.err
    assert project.run("run", "--dry-run").code == 0, "there is one suite"


def test_a_suite_that_was_compiled_by_its_file_alone_is_known_when_its_spec_is_gone(project):
    project.write(spec(names(2)), "specs/shop.yaml").compile()
    project.write(spec(names(2, "U"), suite="admin"), "specs/admin.yaml")
    assert project.run("compile", "specs/admin.yaml").code == 0
    (project.root / "specs/admin.yaml").unlink()
    done = project.run("compile")
    assert done.code == 0, done.err
    for path in (".orchestra/admin/plan.json", "docs/admin.md", ".claude/commands/test_admin_cli.md"):
        assert f"{path}: removed: no spec produces it any more" in done.err
        assert not (project.root / path).exists()
