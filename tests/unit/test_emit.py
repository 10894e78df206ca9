"""What is emitted: golden files of a small and a bigger project, budgets, marks, and the shape of each output."""

from __future__ import annotations

import ast
import hashlib
import re
from typing import get_args

import jinja2
import msgspec
import pytest

from orchestra import draw, plan_file
from orchestra import plan as plans
from orchestra.cli import VERBS
from orchestra.compiler.emit import escape, files, marker
from orchestra.errors import UsageError
from orchestra.plan import Emulation, Gate, Group, Method, Outputs
from tests.support import golden
from tests.support import plans as plan_samples
from tests.support.paths import DATA, ROOT

GOLDEN = DATA / "golden"


def by_path(*given, default="") -> dict[str, str]:
    return {file.path: file.content.decode() for file in files.files(given, default)}


def sections(text: str) -> list[str]:
    return re.findall(r"^## (.*)", text, re.MULTILINE)


# ------------------------------------------------------------------------------------------------------------- golden
@pytest.mark.parametrize(
    "name, given, default",
    [
        ("small", [plan_samples.small()], ""),
        (
            "bigger",
            [
                plan_samples.small("self", title="This repository"),
                plan_samples.market(),
                msgspec.structs.replace(plan_samples.market(), profile="staging"),
            ],
            "self",
        ),
    ],
)
def test_golden(name, given, default):
    made = files.files(given, default)
    for file in made:
        golden.check(GOLDEN / name / (file.path.lstrip(".").replace("/.", "/") + ".txt"), file.content.decode())
    kept = {path.relative_to(GOLDEN / name).as_posix() for path in (GOLDEN / name).rglob("*.txt")}
    assert kept == {file.path.lstrip(".").replace("/.", "/") + ".txt" for file in made}


def test_a_row_names_the_environment_that_its_pages_see():
    plan = plan_samples.market()
    first, *others = plan.tests
    dark, german = Emulation(color_scheme="dark"), Emulation(locale="de-DE")
    emulating = msgspec.structs.replace(first, emulation=dark, emulation_by={"mcp": german})
    made = by_path(msgspec.structs.replace(plan, tests=(emulating, *others)))
    (row,) = (
        line for line in made["docs/market.md"].splitlines() if line.startswith(f"| `{first.id}` | {first.title}")
    )
    assert "emulates `color_scheme dark`; emulates `locale de-DE` by `mcp`" in row


def test_the_text_of_a_command_has_the_selection_and_no_front_matter():
    plan = plan_samples.market()
    text = files.command_text(plan, plan.methods[0], "B001 'B002'")
    whole = by_path(plan)[f".claude/commands/{plan.methods[0].command}.md"]
    assert text in whole.replace("$ARGUMENTS", "B001 'B002'")
    assert "B001 'B002'" in text
    assert "allowed-tools" not in text


def test_the_same_plans_give_the_same_bytes_in_any_order():
    one, two = plan_samples.small(), plan_samples.market()
    assert files.files([one, two]) == files.files([two, one])


def test_a_suite_without_one_client_has_no_commands_for_it():
    plan = plan_samples.market()
    outputs = msgspec.structs.replace(plan.outputs, hosts=("agent-skills",))
    made = files.files([msgspec.structs.replace(plan, outputs=outputs)])
    assert {file.kind for file in made} == {file.kind for file in files.files([plan])} - {"command"} | {"skill"}


def test_sorted_by_path_with_lf_and_a_line_end():
    made = files.files([plan_samples.market()])
    assert [file.path for file in made] == sorted(file.path for file in made)
    for file in made:
        assert b"\r" not in file.content
        assert file.content.endswith(b"\n")
        assert not file.content.endswith(b"\n\n")
        assert not re.search(rb"[ \t]\n", file.content), file.path


def test_kinds_and_sources():
    made = {file.path: file for file in files.files([plan_samples.market()])}
    assert {path: file.kind for path, file in made.items()} == {
        ".claude/commands/test_cli_full.md": "command",
        ".claude/commands/test_mcp_full.md": "command",
        ".orchestra/.gitattributes": "ignore",
        ".orchestra/.gitignore": "ignore",
        ".orchestra/market/plan.json": "plan",
        ".orchestra/outputs.txt": "index",
        "docs/market.md": "docs",
        "dodo.py": "doit",
    }
    plan = made[".orchestra/market/plan.json"]
    assert plan.sources == ("specs/market.yaml", "specs/parts/export.yaml")
    assert plan.source_digest == "sha256:" + "0" * 64
    loaded = plan_file.load(plan.content, "plan.json")
    assert loaded == msgspec.structs.replace(plan_samples.market(), source_digest="")


# --------------------------------------------------------------------------------------------------------------- dodo
def test_a_comment_in_the_spec_changes_one_line_of_the_index_alone():
    before = by_path(plan_samples.market())
    after = by_path(msgspec.structs.replace(plan_samples.market(), source_digest="sha256:" + "1" * 64))
    assert [path for path in before if before[path] != after[path]] == [".orchestra/outputs.txt"]
    old, new = (found[".orchestra/outputs.txt"].splitlines() for found in (before, after))
    [(_, line)] = [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]
    assert line.endswith(f" sha256:{'1' * 64} .orchestra/market/plan.json")


def test_a_title_changes_one_row_of_the_index():
    plan = plan_samples.market()
    tests = tuple(msgspec.structs.replace(test, title="Another") if test.id == "B004" else test for test in plan.tests)
    before, after = (
        by_path(given)["dodo.py"].splitlines() for given in (plan, msgspec.structs.replace(plan, tests=tests))
    )
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert changed == ["                ('B004', 'Another', ('B001',), ('cli', 'mcp')),  # after 'B002'"]


def test_the_index_holds_data_and_nothing_else():
    tree = ast.parse(by_path(plan_samples.market())["dodo.py"])
    kinds = {type(node) for node in ast.walk(tree)}
    assert not kinds & {ast.If, ast.For, ast.While, ast.FunctionDef, ast.Lambda, ast.ListComp, ast.JoinedStr, ast.BinOp}
    imports, guard = [ast.Import] * 3, ast.Assign  # the guard against files of the user that bear the name of a module
    assert [type(node) for node in tree.body] == [*imports, guard, ast.ImportFrom, ast.Assign, ast.Assign, ast.Assign]


def test_the_default_suite_comes_first():
    one, two = plan_samples.small("alpha"), plan_samples.small("beta")
    assert re.findall(r"^        '(\w+)'", by_path(two, one)["dodo.py"], re.MULTILINE) == ["alpha", "beta"]
    assert re.findall(r"^        '(\w+)'", by_path(one, two, default="beta")["dodo.py"], re.MULTILINE) == [
        "beta",
        "alpha",
    ]


def test_each_task_file_has_a_default_suite_of_its_own():
    one = plan_samples.small("alpha")
    two = plan_samples.small("beta", outputs=Outputs(doit="./tasks/dodo.py"))
    made = by_path(one, two)
    assert "'beta'" not in made["dodo.py"]
    assert "'alpha'" not in made["tasks/dodo.py"]
    assert "`doit -f tasks/dodo.py cli:ID`" in made[".claude/commands/test_beta.md"]


def test_a_suite_without_tests_is_still_python():
    assert ast.parse(by_path(plan_samples.small(tests=()))["dodo.py"])


def test_a_profile_is_a_plan_and_no_more():
    made = by_path(plan_samples.small(), plan_samples.small(profile="staging"))
    assert set(made) - set(by_path(plan_samples.small())) == {".orchestra/shop/plan.staging.json"}


@pytest.mark.parametrize(
    "given, path",
    [
        (
            [
                plan_samples.small("a", outputs=Outputs(docs="x.md")),
                plan_samples.small("b", outputs=Outputs(docs="x.md")),
            ],
            "x.md",
        ),
        ([plan_samples.small(outputs=Outputs(docs="dodo.py"))], "dodo.py"),
        ([plan_samples.small(outputs=Outputs(doit=".orchestra/.gitignore"))], ".orchestra/.gitignore"),
    ],
)
def test_no_path_is_written_twice(given, path):
    with pytest.raises(UsageError, match=f'"{re.escape(path)}" would be written twice'):
        files.files(given)


# ----------------------------------------------------------------------------------------------------------- commands
def test_commands_only_for_methods_that_ask():
    made = by_path(plan_samples.small(methods=(Method("cli", "Playwright", "playwright"),)))
    assert not [path for path in made if path.startswith(".claude")]


def test_a_command_lists_the_tests_of_its_method():
    made = by_path(plan_samples.market())
    assert "`B020`" in made[".claude/commands/test_cli_full.md"]
    assert "`B020`" not in made[".claude/commands/test_mcp_full.md"]
    assert "The tests of" in made[".claude/commands/test_mcp_full.md"]


@pytest.mark.parametrize("plan", [plan_samples.market(), plan_samples.large(16), plan_samples.large(1000, groups=3)])
def test_a_command_is_short(plan):
    for path, text in by_path(plan).items():
        if path.startswith(".claude"):
            assert len(text.splitlines()) <= 110
            assert len(text.encode()) <= 6144


def test_the_table_of_a_big_suite_says_where_the_rest_is():
    text = by_path(plan_samples.large(1000))[".claude/commands/test_large.md"]
    rows = len(re.findall(r"^\| `T", text, re.MULTILINE))
    assert rows > 20
    assert text.endswith("\nAnd more: `orchestra plan --suite large`.\n")


def test_the_table_is_cut_by_bytes_too():
    tests = tuple(plans.Test(f"T{number}", "漢" * 80, ("cli",), skip="字" * 80) for number in range(16))
    [text] = [text for path, text in by_path(plan_samples.small(tests=tests)).items() if path.startswith(".claude")]
    assert len(text.encode()) <= 6144
    assert "And more: `orchestra plan --suite shop`.\n" in text


@pytest.mark.parametrize("path", [".claude/commands/test_cli_full.md", ".claude/commands/test_mcp_full.md"])
def test_a_command_holds_no_trigger_but_its_arguments(path):
    text = by_path(plan_samples.market())[path]
    assert re.findall(r"\$\S*", text) == ["$ARGUMENTS"]
    assert not re.search(r"!`|```!|@", text)


@pytest.mark.parametrize("path", [".claude/commands/test_cli_full.md", ".claude/commands/test_mcp_full.md"])
def test_a_command_covers_a_client_that_inserts_no_arguments(path):
    paragraphs = by_path(plan_samples.market())[path].split("\n\n")
    [place] = [index for index, text in enumerate(paragraphs) if text.endswith(": $ARGUMENTS")]
    assert "has not inserted the selection" in paragraphs[place + 1]
    assert "do not run all tests" in paragraphs[place + 1]
    # In single quotes the word is refused (tests/process/test_run_bad.py); bare, it is an empty variable: all tests.
    [start] = [text for text in paragraphs if text.startswith("Append the selection")]
    assert "each word of it in single quotes" in start


@pytest.mark.parametrize("path", [".claude/commands/test_cli_full.md", ".claude/commands/test_mcp_full.md"])
def test_each_line_to_type_is_a_verb_that_exists(path):
    text = by_path(plan_samples.market())[path]
    lines = [
        line for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for line in block.splitlines()
    ]
    inline = re.findall(r"`(orchestra [^`]+|doit [^`]+)`", text)
    assert len(lines) == 5
    assert len(inline) >= 3
    for line in lines + inline:
        program, verb, *_ = line.split()
        assert program == "doit" or verb in VERBS, line
        assert not re.search(r"[$<>|&;=`]", line)


def test_the_command_of_a_suite_that_is_not_the_default_names_its_tasks_in_full():
    made = by_path(plan_samples.small("alpha"), plan_samples.small("beta"))
    assert "`doit cli:ID`" in made[".claude/commands/test_alpha.md"]
    assert "`doit beta:cli:ID`" in made[".claude/commands/test_beta.md"]


def test_a_task_file_that_no_command_line_can_name_is_not_named():
    made = by_path(plan_samples.small(outputs=Outputs(doit="$(x)/dodo.py")))
    assert "doit " not in made[".claude/commands/test_shop.md"].partition("# Shop")[2]


def test_a_launcher_with_a_path_has_no_doit_beside_it():
    made = by_path(plan_samples.small(outputs=Outputs(launcher=".venv/bin/orchestra")))
    text = made[".claude/commands/test_shop.md"].partition("# Shop")[2]
    assert ".venv/bin/orchestra run" in text
    assert "doit " not in text


@pytest.mark.parametrize(
    "reset, single, words",
    [
        ("storage", True, "All tests share one browser session; cookies and storage are cleared between tests;"),
        ("page", False, "Each test opens a new page;"),
        ("none", False, "Nothing is cleared between tests;"),
    ],
)
def test_the_mcp_command_says_what_is_kept_between_tests(reset, single, words):
    method = Method(
        "mcp", "MCP", "mcp", command="go", reset=reset, single_session=single, poll_seconds=2.5, tool_calls=True
    )
    text = by_path(plan_samples.small(methods=(method,)))[".claude/commands/go.md"]
    assert f"{words} waits check the page at least every 2.5 seconds." in " ".join(text.split())


# --------------------------------------------------------------------------------------------------------------- docs
def test_a_page_only_when_it_is_asked_for():
    assert not [path for path in by_path(plan_samples.small(outputs=Outputs())) if path.startswith("docs")]


def test_the_page_of_a_bare_suite():
    text = by_path(plan_samples.small())["docs/shop.md"]
    assert sections(text) == ["Methods", "Tests", "Graph", "Health matrix", "Gates", "Speed classes"]
    assert "This suite has no health matrix." in text
    assert "This suite has no gates." in text


def test_the_page_names_the_login_of_a_test_and_the_pools_that_it_takes_from():
    plan = plan_samples.small()
    first, *rest = plan.tests
    signed = msgspec.structs.replace(first, login="admin", takes={"user": "users"})
    assert "login admin; takes `users`" in by_path(msgspec.structs.replace(plan, tests=(signed, *rest)))["docs/shop.md"]


def test_a_test_that_closes_a_group_follows_all_of_it():
    plan = plan_samples.market()
    first, *rest = plan.tests
    last = msgspec.structs.replace(first, id="B099", group="basics", after=("B004", "B005", "B001"))
    groups = tuple(
        msgspec.structs.replace(one, after_all=("B099",)) if one.id == "basics" else one for one in plan.groups
    )
    made = by_path(msgspec.structs.replace(plan, tests=(first, *rest, last), groups=groups))
    for path in ("docs/market.md", ".claude/commands/test_cli_full.md"):
        [line] = [line for line in made[path].splitlines() if line.startswith("| `B099`")]
        assert "`B001`, all of `basics`" in line
    assert "  # after 'B001', all of 'basics'" in made["dodo.py"]


def test_no_environment_of_a_process_gets_into_the_page_or_a_command():
    made = by_path(plan_samples.market())
    assert [path for path, text in made.items() if "never shown" in text] == [".orchestra/market/plan.json"]


def test_groups_without_tests_are_left_out():
    assert "Nothing yet" not in by_path(plan_samples.market())["docs/market.md"]


def test_a_gate_says_what_a_failure_does():
    gates = (
        Gate("during", "a", "x", for_seconds=2.5, on_fail="stop", message="too | many"),
        Gate("after", "b", "y", severity="warn"),
        Gate("during", "c", "z", severity="warn", on_fail="throttle"),
    )
    text = by_path(plan_samples.small(gates=gates, groups=(Group("g", "G"),)))["docs/shop.md"]
    assert "| during | `a` | x | stop after 2.5 s: too &#124; many |" in text
    assert "| after | `b` | y | a warning |" in text
    assert "| during | `c` | z | throttle, a warning |" in text


# --------------------------------------------------------------------------------------------------- marks and escape
def test_every_file_carries_its_mark():
    for file in files.files([plan_samples.market()]):
        assert marker.read(file.content) == (marker.FORMAT, None), file.path
        assert marker.read(file.content.replace(b"\n", b"\r\n")) == (marker.FORMAT, None), file.path


FIRST = """# generated by orchestra 0.1.0 sha256:{digest}
# An index for reading: edit the spec and run `orchestra compile`.
from orchestra.dodo import Suites
"""


def test_the_mark_of_format_1_is_known_with_its_digest():
    digest = hashlib.sha256("".join(FIRST.splitlines(keepends=True)[1:]).encode()).hexdigest()
    content = FIRST.format(digest=digest).encode()
    assert marker.read(content) == (1, True)
    assert marker.read(content.replace(b"\n", b"\r\n")) == (1, True)
    assert marker.read(content + b"x") == (1, False)
    body = b'"tests": [\n]\n}\n'
    plan = (
        b'{"orchestra": {"body":"sha256:%s","compiler":"0.1.0","format":1},\n'
        % hashlib.sha256(body).hexdigest().encode()
    )
    assert (marker.read(plan + body), marker.read(plan + body + b" ")) == ((1, True), (1, False))


@pytest.mark.parametrize("content", [b"", b"# mine\n", b"\xff\xfe\x00", b'{"orchestra": {"body":"sha256:1"}}\n'])
def test_other_files_have_no_mark(content):
    assert marker.read(content) is None


def test_a_mark_further_down_is_a_quotation():
    [file] = [file for file in files.files([plan_samples.small()]) if file.kind == "doit"]
    assert marker.read(b"# mine\n" * 4 + file.content) is None


def test_a_title_that_looks_like_a_mark_is_not_taken_for_one():
    title = f"generated by orchestra, format 9 and generated by orchestra 9 sha256:{'0' * 64}"
    for file in files.files([plan_samples.small(title=title)]):
        assert marker.read(file.content) == (marker.FORMAT, None), file.path


def test_a_template_cannot_print_what_is_not_escaped():
    environment = files._environment().overlay(
        loader=jinja2.DictLoader({"x": "{{ title }}", "y": "{{ missing | md }}"})
    )
    with pytest.raises(TypeError, match="a template prints text that is not escaped: 'a'"):
        environment.get_template("x").render(title="a")
    with pytest.raises(jinja2.UndefinedError):
        environment.get_template("y").render()


@pytest.mark.parametrize(
    "text, literal",
    [
        ("it's", '"it\'s"'),
        ("é's \\ \n\r\t", r"'é\'s \\ \n\r\t'"),
        ("é\x85\u202e\U000e0041", r"'é\x85\u202e\U000e0041'"),
        ("😊 \U0001fae8", "'😊 \U0001fae8'"),
    ],
)
def test_python_literals_do_not_depend_on_the_version_of_unicode(text, literal):
    assert escape.python(text) == literal
    assert ast.literal_eval(literal) == text


@pytest.mark.parametrize("items, literal", [([], "()"), (["a"], "('a',)"), (["a", "b"], "('a', 'b')")])
def test_python_tuples(items, literal):
    assert escape.python_tuple(items) == literal


def test_the_page_about_compile_knows_every_kind_state_and_escape():
    text = (ROOT / "docs" / "compile.md").read_text()
    for kind in get_args(files.Kind):
        assert f"| {kind} |" in text
    for state in ("missing", "stale", "edited", "orphaned", "orphaned and edited", "foreign"):
        assert f"| {state} |" in text
    for char in "$@`{}<>&|\\":
        assert f"`{draw.markdown(char)}`" in text
    for sample in ("://", "www."):
        assert f"`{sample}`" in text
        assert draw.markdown(f"{sample}x").removesuffix("x").removesuffix("//") in text
    for number in (files.MOST_COMMAND_LINES, draw.LABEL_LENGTH, draw.MOST_NODES, draw.MOST_EDGES):
        assert str(number) in text
