"""Graph and tables: what they show, how they are cut, and how text looks in each form."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra import draw
from orchestra import plan as plans
from orchestra.plan import Group
from tests.support import plans as plan_samples


@pytest.mark.parametrize(
    "text, shown",
    [
        ("Market status", "Market status"),
        ("\x1b[31mred\x00\x7f", "␛[31mred␀␡"),
        ("a\u202eb\u200b\ufeff", "a⟨U+202E⟩b⟨U+200B⟩⟨U+FEFF⟩"),
        ("tag \U000e0041\U000e007f", "tag ⟨U+E0041⟩⟨U+E007F⟩"),
        ("👨\u200d👩 ❤\ufe0f", "👨\u200d👩 ❤\ufe0f"),
        ("line\nbreak\ttab", "line\nbreak\ttab"),
    ],
)
def test_what_does_not_show_becomes_visible(text, shown):
    assert draw.visible(text) == shown


@pytest.mark.parametrize(
    "text, escaped",
    [
        ("snake_case stays, _this_ does not", r"snake_case stays, \_this\_ does not"),
        ("*a* [b](c) ~~d~~ # e", r"\*a\* \[b\](c) \~\~d\~\~ \# e"),
        ("<b> & `c` | d\\", "&lt;b&gt; &amp; &#96;c&#96; &#124; d&#92;"),
        (
            "$ARGUMENTS $1 ${CLAUDE_X} @src/x !`ls`",
            "&#36;ARGUMENTS &#36;1 &#36;&#123;CLAUDE_X&#125; &#64;src/x &#33;&#96;ls&#96;",
        ),
        ("{{ jinja }} {% liquid %}", "&#123;&#123; jinja &#125;&#125; &#123;% liquid %&#125;"),
        ("see http://x and WWW.y.z", "see http&#58;//x and WWW&#46;y.z"),
        ("1. one", "1&#46; one"),
        ("12) one", "12&#41; one"),
        ("- one", "&#45; one"),
        ("---", "&#45;--"),
        ("+ one", "&#43; one"),
        ("===", "&#61;=="),
        ("156.0.8078.108", "156.0.8078.108"),
        ("-0.1 s to +0.4 s", "-0.1 s to +0.4 s"),
        ("1.", "1&#46;"),
        (" a ", "&#32;a&#32;"),
        ("a\nb\tc\u00a0d", "a&#10;b&#9;c&#160;d"),
        ("Wow! It is 5 + 5 - 3 = 7", "Wow! It is 5 + 5 - 3 = 7"),
        ("", ""),
    ],
)
def test_markdown_escapes_what_means_something_and_no_more(text, escaped):
    assert draw.markdown(text) == escaped


@pytest.mark.parametrize(
    "text, marked",
    [
        ("B001", "`B001`"),
        ("B006[NVDA]", "`B006[NVDA]`"),
        ("npx playwright test", "`npx playwright test`"),
        ("specs/market.yaml", "`specs/market.yaml`"),
        ("a`b", "a&#96;b"),
        ("$HOME", "&#36;HOME"),
        (" x", "&#32;x"),
        ("a|b", "a&#124;b"),
    ],
)
def test_code_only_for_plain_text(text, marked):
    assert draw.code(text) == marked


@pytest.mark.parametrize(
    "text, cell",
    [
        ('a >= 1.0 && b == "x"', '`a >= 1.0 && b == "x"`'),
        ("a || b", r"`a \|\| b`"),
        ("a == `b`", "a == &#96;b&#96;"),
        ("a\nb", "a&#10;b"),
        ("", ""),
    ],
)
def test_a_condition_is_code_in_a_table(text, cell):
    assert draw.code_cell(text) == cell


def test_codes_have_commas_between_them():
    assert draw.codes(["a", "b"]) == "`a`, `b`"


@pytest.mark.parametrize("text", ["market", "self:cli", "tasks/dodo.py"])
def test_plain_names_pass(text):
    assert draw.plain_name(text) == text


@pytest.mark.parametrize("text", ["", "a b", "$x", "-x", "a\n", "é"])
def test_no_other_name_gets_into_a_command_line(text):
    with pytest.raises(ValueError, match="is not a plain name"):
        draw.plain_name(text)


@pytest.mark.parametrize("text, clipped", [("abc", "abc"), ("abcd", "ab…"), ("a bcd", "a…")])
def test_clip(text, clipped):
    assert draw.clip(text, 3) == clipped


def test_a_markdown_table():
    assert draw.markdown_table(("a", "b"), [("1", "2"), ("", "3")]) == "| a | b |\n|---|---|\n| 1 | 2 |\n|  | 3 |"


def test_mermaid_by_test():
    assert draw.mermaid(plan_samples.market()) == (
        "graph LR\n"
        '  subgraph g_compatibility["Browser compatibility"]\n'
        '    t_B001["B001 The page renders in Chromium"]\n'
        '    t_B002["B002 The page renders in Firefox"]\n'
        "  end\n"
        '  subgraph g_basics["Basic functions"]\n'
        '    t_B004["B004 Market status"]\n'
        '    t_B005["B005 One ticker #124; two"]\n'
        "  end\n"
        "  t_B001 --> t_B004\n  t_B002 -.-> t_B004\n  t_B001 --> t_B005\n"
        '  t_B006_5b_NVDA_5d_["B006#91;NVDA#93; Ticker #36;#123;vars.ticker#125;"]\n'
        "  t_B004 --> t_B006_5b_NVDA_5d_\n  t_B005 --> t_B006_5b_NVDA_5d_\n"
        '  t_B020["B020 A file of the suite that this team has"]\n'
        '  t_B021["B021 By a shell"]'
    )


@given(st.lists(st.text("aB1_.-[] é", max_size=5), unique=True, max_size=8))
def test_each_name_has_a_node_of_its_own_that_no_other_changes(names):
    nodes = [draw.node_name("t", name) for name in names]
    assert len(set(nodes)) == len(names)
    assert all(re.fullmatch("t_[A-Za-z0-9_]*", node) for node in nodes)


@pytest.mark.parametrize(
    "text, label",
    [
        ('a"]; b', '"a#34;#93;#59; b"'),
        ("- list", '"#45; list"'),
        ("1. list", '"1#46; list"'),
        ("a\n\tb", '"a b"'),
        ("fas:fa-car", '"fa s#58;fa-car"'),
        ("ﬂ°lt¶ß", '"ﬂ °lt¶ß"'),
        ("x" * 61, f'"{"x" * 59}…"'),
    ],
)
def test_labels_hold_only_text(text, label):
    assert draw.label(text) == label


def test_many_tests_are_drawn_by_group():
    plan = plan_samples.large(61, groups=2)
    assert draw.mermaid(plan) == ('graph LR\n  g_g0["Group 0"]\n  g_g1["Group 1"]\n  g_g0 --> g_g1\n  g_g1 --> g_g0')


def test_a_need_has_its_else_as_a_label():
    needing = plans.Test("C", "c", ("cli",), needs=("A", "B"), unmet={"B": "skip"})
    tests = (plans.Test("A", "a", ("cli",)), plans.Test("B", "b", ("cli",)), needing)
    drawn = draw.mermaid(msgspec.structs.replace(plan_samples.small(), tests=tests, groups=()))
    assert drawn.splitlines()[-2:] == ["  t_A --> t_C", "  t_B -->|else skip| t_C"]
    assert draw.needs_of(needing) == ["A", "B (else skip)"]


def test_a_needed_group_is_drawn_solid_even_when_it_is_also_awaited():
    tests = [
        plans.Test("A", "a", ("cli",), group="x"),
        plans.Test("B", "b", ("cli",), group="y", needs=("A",), after=("A",)),
    ]
    others = [plans.Test(f"C{number}", "c", ("cli",), after=("A",)) for number in range(60)]
    plan = msgspec.structs.replace(
        plan_samples.small(), tests=(*tests, *others), groups=(Group("x", "X"), Group("y", "Y"))
    )
    assert draw.mermaid(plan) == ('graph LR\n  g_x["X"]\n  g_y["Y"]\n  g_["no group"]\n  g_x --> g_y\n  g_x -.-> g_')


def test_many_edges_are_drawn_by_group():
    ids = [f"T{number}" for number in range(30)]
    tests = tuple(plans.Test(name, "t", ("cli",), needs=tuple(ids[:number])) for number, name in enumerate(ids))
    assert draw.mermaid(plan_samples.small(tests=tests)) == 'graph LR\n  g_["no group"]'


def test_many_groups_are_cut():
    lines = draw.mermaid(plan_samples.large(200, groups=70)).splitlines()
    nodes = [line for line in lines if '["' in line]
    assert len(nodes) == draw.MOST_NODES + 1
    assert nodes[-1] == '  rest["10 more groups"]'
    assert len([line for line in lines if ">" in line]) <= draw.MOST_EDGES


def test_the_tests_of_a_group_are_not_listed_one_by_one_where_a_test_closes_it():
    tests = (
        plans.Test("B1", "1", ("cli",), group="inner", outer=("outer",)),
        plans.Test("B2", "2", ("cli",), group="inner", outer=("outer",), after=("B1",)),
        plans.Test("B8", "8", ("cli",), group="outer", after=("B1", "B2")),
        plans.Test("B9", "9", ("cli",), group="outer", after=("B8", "B1", "B2", "B0")),
        plans.Test("B0", "0", ("cli",)),
    )
    outer = Group("outer", "o", after_all=("B8", "B9"))
    plan = msgspec.structs.replace(
        plan_samples.market(), tests=tests, groups=(Group("inner", "i", outer=("outer",)), outer)
    )
    after = draw.followed(plan)
    assert {name: str(one) for name, one in after.items()} == {
        "B1": "",
        "B2": "B1",
        "B8": "all of outer",
        "B9": "B8 B0, all of outer",
        "B0": "",
    }
    assert "B9    9             B8 B0, all of outer  cli" in draw.terminal_graph(plan)


@pytest.mark.parametrize("text, columns", [("abc", 3), ("漢字", 4), ("e\u0301", 1), ("❤\ufe0f", 1), ("é", 1)])
def test_width(text, columns):
    assert draw.width(text) == columns


def test_a_terminal_table_lines_up_and_holds_no_control():
    rows = [("B001", "漢字\n\x1b[2J", "x"), ("B2", "plain", "")]
    assert draw.terminal_table(("id", "title", "n"), rows) == ("id    title      n\nB001  漢字 ␛[2J  x\nB2    plain")


def test_the_graph_on_a_terminal():
    assert draw.terminal_graph(plan_samples.market()) == (
        "Browser compatibility\n"
        "test  title                         needs  after  methods\n"
        "B001  The page renders in Chromium                cli mcp\n"
        "B002  The page renders in Firefox                 cli mcp\n"
        "\n"
        "Basic functions\n"
        "test  title             needs  after  methods\n"
        "B004  Market status     B001   B002   cli mcp\n"
        "B005  One ticker | two  B001          cli mcp\n"
        "\n"
        "test        title                                   needs      after  methods\n"
        "B006[NVDA]  Ticker ${vars.ticker}                   B004 B005         cli\n"
        "B020        A file of the suite that this team has                    cli\n"
        "B021        By a shell                                                cli"
    )
