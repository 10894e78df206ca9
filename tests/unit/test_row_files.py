"""Rows of tests from files: the data, the place of every value, and what is refused."""

from __future__ import annotations

import pytest

from orchestra.compiler import include
from orchestra.compiler.build import build
from orchestra.compiler.row_files import read
from orchestra.errors import SpecError
from orchestra.yamltext.digest import digest_files

SPEC = """\
orchestra: 1
suite: shop
tests:
  B001:
    rows: {file: data/cases.csv}
    steps: [{goto: "https://shop.example/${row.input}"}]
  B002:
    rows: {file: data/more.json}
    steps: [{goto: "https://shop.example/${row.input}"}]
  B003:
    rows: {file: data/cases.csv}
    steps: [{goto: "https://shop.example/again/${row.input}"}]
"""


@pytest.fixture
def project(tmp_path):
    """A project with a spec and two files of rows."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cases.csv").write_text('id,input,note\nlong,"a, ""b""",x\n\n7,,y\n')
    (tmp_path / "data" / "more.json").write_text('[\n\t{"id": "one", "input": 1.5}\n]\n')
    (tmp_path / "shop.yaml").write_text(SPEC)
    return tmp_path


def problems(root):
    return [problem.text().split("\n")[0] for problem in build(root, ["shop.yaml"]).diagnostics]


def test_each_row_of_a_file_is_a_test_and_the_file_is_a_source_of_the_plan(project):
    (plan,) = build(project, ["shop.yaml"]).plans
    assert {test.id: test.steps[0].args["url"] for test in plan.tests} == {
        "B001[long]": 'https://shop.example/a, "b"',
        "B001[7]": "https://shop.example/",
        "B002[one]": "https://shop.example/1.5",
        "B003[long]": 'https://shop.example/again/a, "b"',
        "B003[7]": "https://shop.example/again/",
    }
    assert plan.sources == ("shop.yaml", "data/cases.csv", "data/more.json")
    assert plan.source_digest == digest_files(project, plan.sources)


def test_line_ends_of_a_checkout_change_neither_rows_nor_digest(project):
    csv = project / "data" / "cases.csv"
    csv.write_bytes(b'id,input,note\na,"two\nlines",x\n')
    (before,) = build(project, ["shop.yaml"]).plans
    csv.write_bytes(csv.read_bytes().replace(b"\n", b"\r\n"))
    assert build(project, ["shop.yaml"]).plans == (before,)


def test_every_value_of_a_csv_file_has_its_place(project):
    spec = include.load(project, "shop.yaml")
    rows = ("tests", "B003", "rows")
    assert spec.place((*rows, 0, "input")) == ("data/cases.csv", 2, 6)
    assert spec.place((*rows, 0, "note")) == ("data/cases.csv", 2, 17)
    assert spec.place((*rows, 1, "note")) == ("data/cases.csv", 4, 4)
    assert spec.place((*rows, 1, "note"), key=True) == ("data/cases.csv", 1, 10)
    assert spec.place((*rows, 1)) == ("data/cases.csv", 4, 1)
    assert spec.place(rows) == ("shop.yaml", 11, 11)


def test_a_message_about_a_row_has_the_line_of_its_file(project):
    (project / "data" / "cases.csv").write_text("id,input\na,b\na,${x}\n")
    assert problems(project) == [
        'data/cases.csv:3:1: "a" is the id of two rows, so two tests would be "B001[a]" [row-id]',
        'data/cases.csv:3:1: "a" is the id of two rows, so two tests would be "B003[a]" [row-id]',
        'data/cases.csv:3:3: unknown name "${x}" [unknown-name]',
    ]


def test_a_profile_may_name_another_file(project):
    (project / "shop.yaml").write_text(
        f"{SPEC}profiles: {{big: {{tests: {{B001: {{rows: {{file: data/big.yaml}}}}}}}}}}\n"
    )
    (project / "data" / "big.yaml").write_text("- {id: huge, input: all}\n- {id: yes, input: none}\n")
    assert problems(project) == [
        'data/big.yaml:2:8: "yes" is a text here, and a truth value in other YAML readers [yaml-trap]'
    ]
    (project / "data" / "big.yaml").write_text("- {id: huge, input: all}\n- {id: huge, input: x}\n")
    assert problems(project) == [
        'data/big.yaml:2:8: with profile "big": "huge" is the id of two rows, so two tests would be "B001[huge]" [row-id]'
    ]
    (project / "data" / "big.yaml").write_text("- {id: huge, input: all}\n")
    plans = build(project, ["shop.yaml"]).plans
    assert [plan.tests[0].id for plan in plans] == ["B001[long]", "B001[huge]"]


@pytest.mark.parametrize(
    "file, text, message",
    [
        ("a.txt", "x", "a.txt:1:1: the kind of the file with rows is unknown"),
        ("a.csv", "", "a.csv:1:1: the file is empty"),
        ("a.csv", "id,input\n", "a.csv:2:1: the file has no rows"),
        ("a.csv", "id,input,id\nx,y,z\n", 'a.csv:1:10: two columns have the name "id"'),
        ("a.csv", "id,,x\na,b,c\n", "a.csv:1:4: column 2 has no name"),
        ("a.csv", "id;input\na;b\n", 'a.csv:1:1: the only column has the name "id;input"'),
        ("a.csv", "id,input\na,b\nc\n", "a.csv:3:1: the row has 1 values, and the first line names 2 columns"),
        ("a.csv", 'id,input\na,"b"c\n', "a.csv:2:1: the line is not CSV: ',' expected after '\"'"),
        ("a.csv", "id\n\x00\n", "a.csv:2:1: found the character U+0000"),
        ("a.json", "{}", "a.json:1:1: the file is no list of rows"),
        ("a.yaml", "[]", "a.yaml:1:1: the file is no list of rows"),
        ("a.json", "\n", "a.json:1:1: the file is empty"),
    ],
)
def test_a_file_that_is_no_list_of_rows_is_refused_at_its_place(file, text, message):
    with pytest.raises(SpecError) as caught:
        read(text.encode(), file)
    assert [problem.text().partition(" [")[0] for problem in caught.value.diagnostics] == [message]


def test_files_that_cannot_be_read_are_refused_together_at_their_names(project):
    text = SPEC.replace("cases.csv", "gone.csv", 1).replace("data/more.json", "../more.json")
    (project / "shop.yaml").write_text(text)
    (project / "data" / "cases.csv").write_text("id\n")
    assert problems(project) == [
        "data/cases.csv:2:1: the file has no rows [row-file]",
        'shop.yaml:5:18: the row file "data/gone.csv" does not exist [row-file]',
        f'shop.yaml:8:18: the row file "../more.json" is outside the project root "{project}" [row-file]',
    ]


@pytest.mark.parametrize("rows", ["3", "{fil: x}", "{file: 3}", "[x]"])
def test_another_form_is_for_the_schema(project, rows):
    (project / "shop.yaml").write_text(SPEC.replace("{file: data/cases.csv}", rows))
    found = problems(project)
    assert found
    assert all("[schema-" in text for text in found)


def test_include_adds_combinations_after_those_of_the_lists(project):
    matrix = "{size: [s, m], exclude: [{size: m, row: b}], include: [{row: b, size: xl}]}"
    rows = "[{id: a}, {id: b}]"
    step = '{goto: "https://shop.example/${matrix.size}"}'
    (project / "shop.yaml").write_text(
        f"orchestra: 1\nsuite: shop\ntests:\n  B001: {{matrix: {matrix}, rows: {rows}, steps: [{step}]}}\n"
    )
    (plan,) = build(project, ["shop.yaml"]).plans
    assert [test.id for test in plan.tests] == ["B001[s,a]", "B001[s,b]", "B001[m,a]", "B001[xl,b]"]
    assert plan.tests[3].steps[0].args["url"] == "https://shop.example/xl"
