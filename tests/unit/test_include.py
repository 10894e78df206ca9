"""Specs in several files: what merges, what collides, and where every line stands."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.compiler.include import load
from orchestra.errors import SpecError, UsageError
from orchestra.yamltext.decoding import MAX_BYTES
from orchestra.yamltext.digest import digest_files
from tests.support.golden import check
from tests.support.paths import DATA

ERR = DATA / "err" / "include"


@pytest.fixture
def project(tmp_path):
    """Writes files by path into a fresh project and gives its root."""

    def write(**files):
        for name, text in files.items():
            target = tmp_path / name.replace("__", "/")
            target = target.with_name(target.name + ".yaml")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return tmp_path

    return write


def refuse(root, name):
    with pytest.raises(SpecError) as caught:
        load(root, "main.yaml")
    check(ERR / f"{name}.out", f"{caught.value}\n".replace(str(root), "ROOT"))


def test_one_file_is_itself(project):
    root = project(main="orchestra: 1\ntests: {B001: {title: x}}\n")
    spec = load(root, "main.yaml")
    assert spec.data == {"orchestra": 1, "tests": {"B001": {"title": "x"}}}
    assert spec.paths == ("main.yaml",)
    assert spec.digest == digest_files(root, spec.paths)
    assert spec.place(("tests", "B001", "title")) == ("main.yaml", 2, 23)


def test_included_entries_come_first_in_the_order_in_which_a_reader_meets_them(project):
    root = project(
        main="orchestra: 1\ninclude: [parts/a.yaml, parts/b.yaml]\ntests: {T5: {}, T6: {}}\ntitle: x\n",
        parts__a="orchestra: 1\ninclude: [parts/c.yaml]\ntests: {T2: {}}\nvars: {}\n",
        parts__b="tests: {T4: {}, T3: {}}\nvars: {v: 1}\n",
        parts__c="tests: {T1: {}}\nsecrets: [A]\n",
    )
    spec = load(root, "main.yaml")
    assert list(spec.data) == ["tests", "secrets", "orchestra", "vars", "title"]
    assert list(spec.data["tests"]) == ["T1", "T2", "T4", "T3", "T5", "T6"]
    assert spec.data["vars"] == {"v": 1}
    assert spec.paths == ("main.yaml", "parts/a.yaml", "parts/c.yaml", "parts/b.yaml")
    assert spec.digest == digest_files(root, spec.paths)
    assert spec.place(("tests", "T4"), key=True) == ("parts/b.yaml", 1, 9)
    assert spec.place(("tests", "T1", "gone")) == ("parts/c.yaml", 1, 13)
    assert spec.place(("tests",), key=True) == ("main.yaml", 3, 1)
    assert spec.place(("secrets", 0)) == ("parts/c.yaml", 2, 11)
    assert spec.place(("nowhere", "x")) == ("main.yaml", 1, 1)


def test_an_override_replaces_the_unit_wholly_and_keeps_its_place_in_the_order(project):
    root = project(
        main="include: [a.yaml]\noverride: [tests.T1, title, gates.before.up]\ntests: {T1: {title: mine}}\n"
        'title: mine\ngates: {before: {up: {require: "2"}}}\n',
        a='title: theirs\ntests: {T1: {title: theirs, tags: [yes]}, T2: {tags: [no]}}\ngates: {before: {up: {require: "1"}, also: {}}}\n',
    )
    spec = load(root, "main.yaml")
    assert spec.data == {
        "title": "mine",
        "tests": {"T1": {"title": "mine"}, "T2": {"tags": ["no"]}},
        "gates": {"before": {"up": {"require": "2"}, "also": {}}},
    }
    assert list(spec.data["tests"]) == ["T1", "T2"]
    assert spec.place(("tests", "T1", "title")) == ("main.yaml", 3, 21)
    assert spec.place(("gates", "before", "up", "require")) == ("main.yaml", 5, 32)
    assert spec.place(("gates", "before", "also"), key=True) == ("a.yaml", 3, 38)
    assert [(trap.path, trap.place.file) for trap in spec.traps] == [(("tests", "T2", "tags", 0), "a.yaml")]


def test_traps_of_the_include_list_itself_are_no_business_of_the_rules(project):
    root = project(main="include: [yes]\ntests: {x: off}\n")
    (root / "yes").write_text("vars: {v: 012}\n", encoding="utf-8")
    assert [trap.text for trap in load(root, "main.yaml").traps] == ["off", "012"]


def test_a_main_file_that_is_no_mapping_is_left_to_the_schema(project):
    spec = load(project(main="- include: [x]\n"), "main.yaml")
    assert spec.data == [{"include": ["x"]}]
    assert spec.place((0, "include", 0)) == ("main.yaml", 1, 13)


def test_paths_are_normal_and_an_absolute_one_inside_the_root_is_made_relative(project):
    root = project(specs__main="include: [./specs/../specs/a.yaml]\n", specs__a="title: x\n")
    for path in ("specs/main.yaml", "./specs//main.yaml", str(root / "specs" / "main.yaml")):
        assert load(root, path).paths == ("specs/main.yaml", "specs/a.yaml")


def test_a_link_may_lead_anywhere_inside_the_root(project):
    root = project(real__main="title: x\n")
    (root / "link.yaml").symlink_to(root / "real" / "main.yaml")
    assert load(root, "link.yaml").place(("title",)) == ("link.yaml", 1, 8)


@pytest.mark.parametrize(
    "path, message",
    [
        ("gone.yaml", 'the spec "gone.yaml" does not exist'),
        ("folder", 'the spec "folder" is not a file'),
        ("../x.yaml", 'the spec "../x.yaml" is outside the project root'),
        ("/etc/hostname", 'the spec "/etc/hostname" is outside the project root'),
        ("out.yaml", 'the spec "out.yaml" is outside the project root'),
        ("n" * 300, "cannot be read: file name too long"),
        ("a\0b", "cannot be read: embedded null byte"),
    ],
)
def test_a_spec_that_cannot_be_read_is_a_usage_error(project, path, message):
    root = project(main="title: x\n")
    (root / "folder").mkdir()
    (root / "out.yaml").symlink_to("/etc/hostname")
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        load(root, path)
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_spec_without_permission_is_a_usage_error(project):
    root = project(main="title: x\n")
    (root / "main.yaml").chmod(0)
    with pytest.raises(UsageError, match="permission denied"):
        load(root, "main.yaml")


def test_a_file_over_the_limit_is_not_read_whole(project):
    root = project(main="")
    with (root / "main.yaml").open("wb") as handle:
        handle.truncate(MAX_BYTES * 40)
    with pytest.raises(SpecError, match="yaml-size"):
        load(root, "main.yaml")


def test_includes_that_cannot_be_followed(project):
    root = project(
        specs__main="title: x\n",
        main="include: [gone.yaml, ../x.yaml, folder, out.yaml, /etc/hostname, 7, broken.yaml, ABS]\n",
        broken="a: 1\na: 2\n",
    )
    main = root / "main.yaml"
    main.write_text(main.read_text("utf-8").replace("ABS", f"{root}/specs/main.yaml"), "utf-8")
    (root / "folder").mkdir()
    (root / "out.yaml").symlink_to("/etc/hostname")
    refuse(root, "unreadable")


def test_an_include_that_exists_beside_the_including_file(project):
    root = project(main="include: [parts/a.yaml]\n", parts__a="include: [b.yaml]\n", parts__b="title: x\n")
    refuse(root, "beside")


@pytest.mark.parametrize("key", ["include", "override"])
def test_a_list_that_is_none(project, key):
    refuse(project(main=f"{key}: text\n"), f"no-list-{key}")


def test_an_override_that_is_no_text(project):
    refuse(project(main="override: [7]\n"), "no-text")


def test_a_file_that_includes_itself(project):
    refuse(project(main="title: x\ninclude:\n  - ./main.yaml\n"), "itself")


def test_a_circle_of_includes(project):
    refuse(project(main="include: [a.yaml]\n", a="include: [b.yaml]\n", b="include: [a.yaml, main.yaml]\n"), "circle")


def test_a_file_included_twice(project):
    refuse(project(main="include: [a.yaml, b.yaml, a.yaml]\n", a="title: x\n", b="include: [a.yaml]\n"), "twice")


def test_units_defined_twice(project):
    root = project(
        main="orchestra: 2\ninclude: [a.yaml, b.yaml]\ntests:\n  T1: {}\ntitle: x\nvars: {v: 1}\ngates: {before: {up: 1}, after: {up: 1}}\n",
        a="orchestra: 1\ntests: {T1: {}, T2: {}}\ngates: {before: {up: 2}}\n",
        b="orchestra: 1\ntests: {T2: {}}\ntitle: x\nvars: {w: 1}\n",
    )
    refuse(root, "duplicate")


def test_a_version_of_another_type_is_a_duplicate(project):
    refuse(project(main="orchestra: true\ninclude: [a.yaml]\n", a="orchestra: 1\n"), "version")


def test_a_section_that_is_a_mapping_in_one_file_only(project):
    root = project(main="include: [a.yaml]\ntests: {T1: {}}\nvars: 1\n", a="tests: [x]\nvars: {v: 1}\n")
    refuse(root, "mixed")


def test_overrides_that_override_nothing(project):
    root = project(
        main="include: [a.yaml]\noverride: [tests.T01, zzz, tests, tests.T2, vars.own]\nvars: {own: 1}\ntests: {T1: {}}\n",
        a="tests: {T1: {}, T2: {}}\n",
    )
    refuse(root, "override")


def test_an_override_reaches_only_what_the_file_includes(project):
    root = project(
        main="include: [a.yaml, b.yaml]\n",
        a="title: x\n",
        b="override: [title]\ntitle: y\n",
    )
    refuse(root, "override-sibling")


def test_an_included_file_that_is_no_mapping_adds_nothing_and_is_refused(project):
    refuse(project(main="include: [a.yaml]\ntitle: x\n", a="- title: y\n"), "no-mapping")


NAMES = st.lists(st.sampled_from([f"T{order}" for order in range(12)]), unique=True, max_size=12)


@given(NAMES, st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_how_a_spec_is_cut_into_files_changes_nothing_but_the_order(tmp_path_factory, names, where):
    root = tmp_path_factory.mktemp("cut")
    parts = [[name for name, part in zip(names, where, strict=False) if part == number] for number in range(4)]
    for number, inside in enumerate(parts):
        text = "".join(f"  {name}: {{title: {name} of {number}}}\n" for name in inside)
        (root / f"p{number}.yaml").write_text(f"orchestra: 1\ntests:\n{text}" if text else "orchestra: 1\n", "utf-8")
    (root / "main.yaml").write_text("include: [p0.yaml, p1.yaml, p2.yaml, p3.yaml]\ntests: {last: {}}\n", "utf-8")
    spec = load(root, "main.yaml")
    assert list(spec.data["tests"]) == [*(name for part in parts for name in part), "last"]
    for name, part in zip(names, where, strict=False):
        assert spec.data["tests"][name] == {"title": f"{name} of {part}"}
        place = spec.place(("tests", name), key=True)
        assert (root / place.file).read_text("utf-8").splitlines()[place.line - 1].startswith(f"  {name}:")
