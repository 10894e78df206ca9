"""Text of a spec stays text: any Unicode in any field, in each output, judged by the real readers of that output."""

from __future__ import annotations

import ast
import itertools
import os
import re
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from orchestra import draw, plan_file
from orchestra import plan as plans
from orchestra.compiler.emit import escape, files, marker
from orchestra.plan import (
    Command,
    Component,
    Gate,
    Group,
    Job,
    Method,
    Outputs,
    Plan,
    Probe,
    Ready,
    Service,
    SpeedClass,
)
from tests.support.hostile import NASTY

texts = (
    st.lists(
        st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=3
    )
    .map("".join)
    .filter(bool)
)
patient = settings(suppress_health_check=[HealthCheck.too_slow])


def each_nasty(function):
    for text in NASTY:
        function = example(text)(function)
    return function


# ------------------------------------------------------------------------------------------------------------- a plan
@st.composite
def hostile_plans(draw_from) -> Plan:
    return plan_of(*(draw_from(texts) for _ in range(14)))


def plan_of(*words: str) -> Plan:
    """A plan of a fixed shape whose every free text is one of 14 words."""
    suite, one, two, group, skip, tag, component, url, name, message, require, method, source, argument = words
    return Plan(
        suite="shop",
        title=suite,
        tests=(
            plans.Test("T1", one, ("cli", "mcp"), group="g", tags=(tag,), skip=skip),
            plans.Test(name, two, ("cli", "mcp"), needs=("T1",), after=("T1",), requires=(name,), resources={name: 1}),
            plans.Test("T3", two, ("cli",), needs=(name,), command=Command((argument, argument), env={name: argument})),
        ),
        methods=(
            Method("cli", method, "playwright", command="cli"),
            Method("mcp", method, "mcp", command="mcp", tool_calls=True),
        ),
        groups=(Group("g", group),),
        components=(
            Component("a", component, url=url, ready=Ready(Probe("http", {"path": url, name: [argument]}))),
            Component(name, component, job=Job((argument,))),
            Component("c", component, service=Service((argument, argument), env={"K": argument})),
        ),
        gates=(Gate("after", name, require, message=message),),
        speed=(SpeedClass(name, "😊", 1.0), SpeedClass("slow", "😴")),
        outputs=Outputs(docs="docs/shop.md"),
        sources=(source,),
    )


PLAIN = plan_of(*["x"] * 14)


def made(plan: Plan) -> dict[str, str]:
    return {file.path: file.content.decode() for file in files.files([plan])}


RAW = ("$0", "${CLAUDE_SESSION_ID}", "!`ls`", "```!\nls\n```", "@/etc/passwd", "{{ x }}", "`$x`", "\u202e")
COMMANDS = (".claude/commands/cli.md", ".claude/commands/mcp.md")


# --------------------------------------------------------------------------------------------------------------- Python
@patient
@given(texts)
@each_nasty
def test_a_literal_is_one_line_and_gives_the_text_back(text):
    literal = escape.python(text)
    assert ast.literal_eval(literal) == text
    assert len(literal.splitlines()) == 1
    assert draw.visible(literal) == literal


@patient
@given(hostile_plans())
def test_dodo_executes_to_the_data_of_the_plan(plan):
    seen = []

    class Suites:
        config = "config"
        tasks = "tasks"

        def __init__(self, file, suites):
            seen.append((file, suites))

    modules = {
        "itertools": itertools,
        "os": os,
        "sys": SimpleNamespace(path=["", "kept"]),
        "orchestra.dodo": SimpleNamespace(Suites=Suites),
    }

    def fake_import(name, *_):
        return modules[name]

    scope = {"__file__": "here", "__builtins__": {"__import__": fake_import}}
    exec(compile(made(plan)["dodo.py"], "dodo.py", "exec"), scope)
    assert seen == [
        (
            "here",
            {
                "shop": {
                    "title": plan.title,
                    "spec": plan.sources,
                    "plan": ".orchestra/shop/plan.json",
                    "methods": ("cli", "mcp"),
                    "tests": tuple((test.id, test.title, test.needs, test.methods) for test in plan.tests),
                }
            },
        )
    ]
    assert modules["sys"].path == ["kept"]
    ours = {"Suites", "suites", "DOIT_CONFIG", "task_suites"}
    assert set(scope) == {"__file__", "__builtins__", "itertools", "os", "sys", *ours}


@patient
@given(hostile_plans())
def test_the_plan_comes_back_from_its_file(plan):
    assert plan_file.load(made(plan)[".orchestra/shop/plan.json"].encode(), "plan.json") == plan


# ------------------------------------------------------------------------------------------------------------- Markdown
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
CONTEXTS = {
    "line": ("before {} after", "before ", " after"),
    "alone": ("{}", "", ""),
    "heading": ("# {}", "", ""),
    "item": ("- {}", "", ""),
    "quote": ("> {}", "", ""),
    "cell": ("| a |\n|---|\n| {} |\n", "", ""),
}


def spoken(markdown: str) -> tuple[list[str], str]:
    """The types of the block tokens, and the text of the last inline one, which may be nothing but text."""
    tokens = READER.parse(markdown)
    inline = [token for token in tokens if token.type == "inline"][-1]
    assert {child.type for child in inline.children} <= {"text"}, inline.children
    return [token.type for token in tokens], "".join(child.content for child in inline.children)


@pytest.mark.parametrize("context", CONTEXTS)
def test_escaped_text_is_nothing_but_that_text_anywhere(context):
    form, before, after = CONTEXTS[context]
    plain = spoken(form.format("x"))[0]

    @patient
    @given(texts)
    @each_nasty
    def holds(text):
        types, shown = spoken(form.format(draw.markdown(text)))
        assert types == plain
        assert shown == before + draw.visible(text) + after

    holds()


def shape(markdown: str) -> list[tuple[str, int]]:
    """What a page is made of, without its text: block tokens, and what is inline except text and code."""
    found = []
    for token in READER.parse(markdown):
        found.append((token.type, token.level))
        inside = [child for child in token.children or () if child.type not in {"text", "code_inline"}]
        found += [(child.type, child.level) for child in inside]
    return found


@patient
@given(hostile_plans())
def test_pages_and_commands_keep_their_shape(plan):
    hostile, plain = made(plan), made(PLAIN)
    for path in ("docs/shop.md", *COMMANDS):
        assert shape(body(hostile[path])) == shape(body(plain[path]))


@patient
@given(hostile_plans())
def test_each_title_stands_in_its_cell(plan):
    cells = [token for token in READER.parse(made(plan)["docs/shop.md"]) if token.type == "inline"]
    shown = ["".join(child.content for child in token.children) for token in cells]
    for text in (plan.groups[0].title, *(test.title for test in plan.tests), plan.components[0].title):
        assert draw.visible(text) in shown
    assert draw.visible(draw.clip(plan.title, 160)) in shown


def body(text: str) -> str:
    """A command without its frontmatter and a page without its mark, which are not Markdown."""
    head = CLIENT_HEAD.match(text)
    return text[head.end() :] if head else text.partition("\n")[2]


# ------------------------------------------------------------------------------------------------------------- commands
# The frontmatter as Claude Code reads it: the first `---` ends it, wherever it is.
CLIENT_HEAD = re.compile(r"^---\s*\n([\s\S]*?)---\s*\n?")
dashed = texts | st.text(st.sampled_from("-|: \"\\\n'#ab"), min_size=1, max_size=24)


SKILLS = (".agents/skills/cli/SKILL.md", ".agents/skills/mcp/SKILL.md")


def for_both(plan: Plan) -> Plan:
    return msgspec.structs.replace(plan, outputs=Outputs(docs="docs/shop.md", hosts=("claude-code", "agent-skills")))


def triggers(text: str) -> list[str]:
    """What a client would act on: placeholders, attached files, inline shell, templates, and spans that are not ours."""
    # Every backtick of ours: fences alone on their lines, and spans of plain words.
    ours = text.replace("Text behind `|` is of", "")
    rest = re.sub(r"`[0-9A-Za-z][^`$@!<>|\\&\n]*`", "", re.sub(r"^```$", "", ours, flags=re.MULTILINE))
    rest = re.sub(r"`[._/=\[\],:-][0-9A-Za-z._/=\[\],: -]*`", "", rest)
    hidden = [] if draw.visible(text) == text else ["hidden"]
    return re.findall(r"\$.{0,10}", text) + re.findall(r"@|!`|```!|\{\{|\{%|\{#", text) + re.findall("`", rest) + hidden


@patient
@given(hostile_plans())
def test_a_command_holds_no_trigger_from_the_spec(plan):
    texts_of = made(for_both(plan))
    for path in COMMANDS:
        assert triggers(texts_of[path]) == ["$ARGUMENTS"]
    for path in SKILLS:
        assert triggers(texts_of[path]) == []


@pytest.mark.parametrize("path", [*COMMANDS, *SKILLS])
@pytest.mark.parametrize("raw", RAW)
def test_a_trigger_that_is_not_escaped_is_seen(path, raw):
    """A control of the test above: the same texts do stand out where nothing escapes them."""
    text = made(for_both(plan_of("TITLE", *["x"] * 13)))[path]
    assert "# TITLE: " in text
    assert set(triggers(text.replace("# TITLE: ", f"# {raw}: "))) > set(triggers(text))


@patient
@given(dashed)
@each_nasty
def test_the_client_reads_the_whole_frontmatter(text_of_all):
    plan = plan_of(*[text_of_all] * 14)
    for path in COMMANDS:
        text = made(plan)[path]
        head = CLIENT_HEAD.match(text)
        assert text[head.end() :].startswith("# ")
        data = YAML(typ="safe", pure=True).load(head[1])
        assert set(data) == {"metadata", "description", "argument-hint", "disable-model-invocation", "allowed-tools"}
        assert draw.clip(draw.one_line(plan.title), 160) in data["description"]
        assert marker.read(text.encode()) == (marker.FORMAT, None)


@patient
@given(texts)
@each_nasty
def test_a_skill_has_the_keys_of_the_open_specification_and_no_placeholder(text_of_all):
    plan = plan_of(*[text_of_all] * 14)
    plan = msgspec.structs.replace(plan, outputs=Outputs(docs="docs/shop.md", hosts=("agent-skills",)))
    skills = {path: text for path, text in made(plan).items() if path.startswith((".agents", ".claude"))}
    assert len(skills) == len(COMMANDS)
    for path, text in skills.items():
        head = CLIENT_HEAD.match(text)
        data = YAML(typ="safe", pure=True).load(head[1])
        assert set(data) == {"name", "metadata", "description", "compatibility", "allowed-tools"}
        assert path == f".agents/skills/{data['name']}/SKILL.md"
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", data["name"])
        assert len(data["name"]) <= 64
        assert len(data["description"]) <= 1024
        assert len(data["compatibility"]) <= 500
        assert all(isinstance(value, str) for value in data["metadata"].values())
        assert "," not in data["allowed-tools"]
        assert "$ARGUMENTS" not in text
        assert marker.read(text.encode()) == (marker.FORMAT, None)


@patient
@given(texts)
@each_nasty
def test_a_yaml_scalar_gives_the_text_back(text):
    literal = escape.yaml(text)
    assert YAML(typ="safe", pure=True).load(literal) == text
    assert not set(literal) & set("\n\r$@`")
    assert "---" not in literal


# -------------------------------------------------------------------------------------------------------------- Mermaid
LABEL = r"\"(?:[^\"#\n`<>&;{}|\[\]\\%$@~*_:=!^+]|#[0-9]+;)*\""
NODE = "[A-Za-z0-9_]*"
GRAMMAR = re.compile(
    rf"graph LR(\n(  subgraph g_{NODE}\[{LABEL}\]|(?:  )?  t_{NODE}\[{LABEL}\]|  end|  t_{NODE} (-->|-\.->) t_{NODE}))+"
)


@patient
@given(hostile_plans())
def test_a_graph_is_what_the_grammar_of_ours_allows(plan):
    graph = draw.mermaid(plan)
    assert GRAMMAR.fullmatch(graph)
    assert len(re.findall(r"\[\"", graph)) == 4
    assert len(re.findall(r" --> ", graph)) == 2
    assert len(re.findall(r" -\.-> ", graph)) == 1


# ------------------------------------------------------------------------------------------------------------- terminal
@patient
@given(st.lists(texts, min_size=1, max_size=4))
def test_a_terminal_table_is_lines_of_visible_text(cells):
    shown = draw.terminal_table(["head"] * (len(cells) + 1), [[*cells, "end"]])
    assert shown.endswith("end")
    assert len(shown.split("\n")) == 2
    assert len(shown.splitlines()) == 2
    assert draw.visible(shown) == shown
