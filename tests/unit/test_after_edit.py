"""A compile after an edit of some tests gives the bytes of a whole compile, or leaves it to one."""

from __future__ import annotations

import shutil

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestra import draw
from orchestra.compiler import after_edit, expansion, kept_specs
from orchestra.compiler.build import build
from orchestra.compiler.emit import files as emit
from orchestra.compiler.outputs import stamp
from orchestra.current import compiled
from orchestra.project import find
from orchestra.runtime.load_plan import StaleError, load_plan
from orchestra.verbs.compiling import compile_specs
from orchestra.yamltext.parse import parse

SPEC = "specs/shop.yaml"
HEAD = """\
orchestra: 1
suite: shop
vars: {product: tea}
health:
  shop: {url: "http://127.0.0.1:8000", ready: {http: {path: /health, status: 200}}}
  other: {url: "http://127.0.0.1:8001", ready: {http: {path: /health, status: 200}}}
methods:
  cli: {driver: playwright, command: test_cli}
  api: {driver: command, command: test_api}
pools: {users: [{name: a}, {name: b}]}
logins:
  admin: {steps: [{goto: "${shop.url}/login"}]}
profiles:
  quick: {tests: {T01: {timeout_seconds: 50}}}
groups:
  one: {title: One, before_all: [T00]}
  two: {title: Two, after: [one], before: [{goto: "${shop.url}/two"}], takes: {user: users}}
blocks:
  send:
    params: [message]
    steps:
      - fill: {label: Message, value: "${message}"}
  rowed: {steps: [{fill: {label: Q, value: "${row.q}"}}]}
  greet: {steps: [{fill: {label: Q, value: "${saved.x}"}}]}
  slow: {steps: [{wait: {css: p, within_seconds: 90}}]}
gates: {after: {rate: {require: 'pass_rate >= 1.0 && test.KD.seconds_max < 60.0'}}}
tests:
  T00:
    title: Once
    group: one
    steps: [{goto: "${shop.url}/"}]
  T01:
    title: First
    group: one
    steps: [{goto: "${shop.url}/"}, {use: {send: {message: hello}}}]
"""
TESTS = """\
  {0}A:
    title: Plain {0}
    group: one
    needs: [T01]
    timeout_seconds: 60
    steps:
      - goto: "${{shop.url}}/${{vars.product}}"
      - click: {{role: button, name: Send {0}}}
      - screenshot: plain {0}
  # about the next one
  {0}B:
    title: Matrix ${{matrix.size}} of {0}
    group: two
    matrix: {{size: [1, 2]}}
    steps:
      - goto: "${{shop.url}}/${{matrix.size}}/${{user.name}}"
      - set: {{x: "1"}}
      - use: {{greet: {{}}}}
  {0}C:
    title: Rows {0}
    rows: [{{id: a, q: one}}, {{id: b, q: two}}]
    steps:
      - goto: "${{shop.url}}/"
      - use: {{rowed: {{}}}}

  {0}D:
    title: >
      Folded
      title
    needs: [{{test: {0}B, else: run}}]
    steps:
      - goto: "${{shop.url}}/"
      - fill:
          label: Text
          value: |
            first {0}
            # no comment

            last
  {0}E:
    title: Login {0}
    login: admin
    after: [{0}D]
    steps:
      - goto: "${{other.url}}/"
      - press: Enter
  {0}F:
    title: Command {0}
    command: {{argv: ["true"], junit: "${{attempt.dir}}/r.xml"}}
    tags: [slow]
"""
SHOP = HEAD + "".join(TESTS.format(letter) for letter in "KLM")


@pytest.fixture(autouse=True)
def short_limits(monkeypatch):
    """A spec of twenty tests is a long one here."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(kept_specs, "LEAST_TESTS", 5)
    monkeypatch.setattr(draw, "MOST_NODES", 3)
    monkeypatch.setattr(emit, "MOST_COMMAND_LINES", 3)
    known = stamp.compiler()
    monkeypatch.setattr(stamp, "compiler", lambda: known)


class Shop:
    """A project, compiled, whose spec is edited."""

    def __init__(self, root, text=SHOP, **more):
        (root / "specs").mkdir(parents=True)
        (root / "pyproject.toml").write_text("[tool.orchestra]\n")
        self.root = root
        self.project = find(root)
        for name, content in more.items():
            self.write(content, f"specs/{name}.yaml" if name != "part" else "parts/part.yaml")
        self.write(text)
        done = compile_specs(self.project)
        assert done.code == 0, done.lines

    def write(self, text, path=SPEC):
        file = self.root / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode())

    def edited(self):
        """Return what is compiled after the edit, which must be what a whole compile gives; None if it is left to one."""
        edited = after_edit.compiled(self.root, self.project.spec_files())
        if edited is not None:
            built = build(self.root, self.project.spec_files())
            assert built.diagnostics == ()
            assert facts(edited.files) == facts(emit.files(built.plans))
            kept = {spec.paths[0]: kept_specs._kept(spec) for spec in built.specs}
            assert edited.kept[edited.spec] == kept[edited.spec]
        return edited


def facts(files):
    return {file.path: (file.content, file.kind == "plan" and (file.sources, file.source_digest)) for file in files}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return tmp_path_factory.mktemp("shop")


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path / "shop")


HARMLESS = {
    "a title": ("Plain M", "Simple M"),
    "a step": ("name: Send L}", "name: Post L}"),
    "a step more": ("      - screenshot: plain L\n", "      - screenshot: plain L\n      - press: Enter\n"),
    "a step less": ("      - screenshot: plain M\n", ""),
    "a limit": ("timeout_seconds: 60\n    steps:\n      - goto", "timeout_seconds: 61\n    steps:\n      - goto"),
    "tests next to each other": (
        "      - screenshot: plain L\n  # about the next one\n  LB:",
        "      - press: Enter\n  LB:",
    ),
    "a comment": ("  # about the next one\n  LB:", "  # about the last one\n  LB:"),
    "an empty line": ("  LB:", "\n  LB:"),
    "a title with names": ("Matrix ${matrix.size} of M", "Size ${matrix.size} of ${vars.product}"),
    "a component more": ("      - press: Enter\n  MF:", '      - goto: "${shop.url}/x"\n  MF:'),
    "steps before and after": (
        "    after: [MD]\n",
        "    after: [MD]\n    before: [{press: A}]\n    finally: [{press: B}]\n",
    ),
    "a folded text": ("first M", "first of all"),
    "the last test": ("    tags: [slow]\n", "    tags: [quick, slow]\n"),
    "a reason to skip": ("    title: Rows M\n", "    title: Rows M\n    skip: not yet\n"),
}


@pytest.mark.parametrize("old, new", HARMLESS.values(), ids=HARMLESS)
def test_an_edit_of_some_tests_gives_the_bytes_of_a_whole_compile(shop, old, new):
    before, found, behind = SHOP.rpartition(old)
    assert found
    shop.write(before + new + behind)
    assert shop.edited() is not None
    assert compile_specs(shop.project).code == 0
    shop.write(SHOP)  # from the copy that this compile left
    assert shop.edited() is not None


CONCERNS_OTHERS = {
    "the head": ("product: tea", "product: coffee"),
    "an id": ("  MA:", "  MX:"),
    "needs": ("    after: [MD]", "    after: [MC]"),
    "a group": ("    title: Rows M\n", "    title: Rows M\n    group: one\n"),
    "a new test": ("  MB:", "  MX: {steps: [{goto: '${shop.url}/'}]}\n  MB:"),
    "a test less": (TESTS.format("M")[TESTS.format("M").index("  ME") :], ""),
    "the kind of a test": (
        '- goto: "${shop.url}/${vars.product}"\n      - click: {role: button, name: Send M}\n      - screenshot: plain M\n',
        '- http: {GET: "${shop.url}/"}\n',
    ),
    "a recording": ("      - screenshot: plain M\n", "      - har: {file: a.har, update: true}\n"),
    "a test of before_all": ("    title: Once\n", "    title: Only once\n"),
    "a title in the slash command": ("title: First", "title: The first"),
    "a wrong step": ("name: Send M}", "nam: Send M}"),
    "an unknown name": ("Plain M", "Plain ${vars.nothing}"),
    "a name that others have": ("plain M", "plain ${row.q}"),
    "a block for others": ("- screenshot: plain M", "- use: {rowed: {}}"),
    "too long a wait": ("- screenshot: plain M", "- use: {slow: {}}"),
    "an anchor": ("title: Rows M", "title: &rows Rows M"),
    "a text without an end": ("title: Rows M", 'title: "Rows M'),
    "a marker of a conflict": ("title: Rows M", "title: Rows M\n<<<<<<< a\n=======\n>>>>>>> b"),
    "bytes that are no text": ("title: Rows M", "title: Rows \0M"),
    "a line that continues a comment": ("  MB:", "            # text\n      foo\n  MB:"),
    "no mapping any more": ("tests:\n  T00:", "- tests:\n  T00:"),
}


@pytest.mark.parametrize("old, new", CONCERNS_OTHERS.values(), ids=CONCERNS_OTHERS)
def test_what_may_concern_others_is_left_to_a_whole_compile(shop, old, new):
    assert old in SHOP
    shop.write(SHOP.replace(old, new))
    assert shop.edited() is None


def test_a_comment_can_continue_the_text_of_the_test_before(shop):
    """Of the tests left over the one before ends with no text: only with its neighbour in place the line is part of one."""
    shop.write(SHOP.replace("            last\n  ME:", "            last\n            # part of the text\n  ME:"))
    edited = shop.edited()
    assert edited is not None
    assert b"# part of the text" in facts(edited.files)[".orchestra/shop/plan.json"][0]


WORDS = (
    "x",
    "a b",
    "${vars.product}",
    "${nope}",
    '"',
    "'",
    " #",
    "|",
    "[",
    "{",
    "012",
    "&a b",
    "*a",
    "T01",
    "1",
    "true",
    "é",
    ": ",
)
LINES = (
    "      - press: Enter\n", "      - use: {rowed: {}}\n", "      - use: {greet: {}}\n", "      - use: {slow: {}}\n", "    tags: [x]\n",
    "    skip: later\n", "    timeout_seconds: 20\n", "    needs: [T01]\n", "# comment\n", "            # comment\n", "\n", "      more\n",
    "  foo:\n", "foo: 1\n", "---\n", "...\n", "    title: |\n", '      - goto: "${saved.x}"\n', '      - goto: "${user.name}"\n',
    "      - har: {file: a.har, update: true}\n", "    login: admin\n", "      - http: {GET: '${shop.url}'}\n", "  - x\n", '      "\n',
)  # fmt: skip
EDITS = st.lists(
    st.tuples(
        st.integers(HEAD.count("\n") - 8, SHOP.count("\n") - 1),
        st.sampled_from(("drop", "twice", "word", "line", "swap", "margin")),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=2,
)


def changed(text, edits):
    """Return a text with lines that were dropped, doubled, added, swapped or changed."""
    lines = text.splitlines(keepends=True)
    for place, kind, number in edits:
        at = place % len(lines)
        words = lines[at].split(" ")
        if kind == "drop":
            del lines[at]
        elif kind == "twice":
            lines.insert(at, lines[at])
        elif kind == "line":
            lines.insert(at, LINES[number % len(LINES)])
        elif kind == "swap":
            lines[at : at + 2] = reversed(lines[at : at + 2])
        elif kind == "margin":
            lines[at] = " " * (number % 10) + lines[at].lstrip(" ")
        else:
            words[number % len(words)] = WORDS[number % len(WORDS)]
            lines[at] = " ".join(words).rstrip("\n") + "\n"
    return "".join(lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EDITS, min_size=1, max_size=3))
def test_any_edits_give_the_bytes_and_the_problems_of_a_whole_compile(template, several):
    shutil.rmtree(template / "p", ignore_errors=True)
    shop = Shop(template / "p")
    text = SHOP
    for edits in several:
        text = changed(text, edits)
        shop.write(text)
        shop.edited()
        done = compile_specs(shop.project)
        built = build(shop.root, [SPEC])
        assert (done.code == 0) == (built.diagnostics == ())
        if not built.diagnostics:
            made = {file.path: file.content for file in emit.files(built.plans)}
            assert {path: (shop.root / path).read_bytes() for path in made} == made


# ----------------------------------------------------------------------------------------------------- files and suites
def test_an_edit_of_an_included_file(tmp_path):
    tests = SHOP.index("  MA:")
    head = SHOP[:tests].replace("suite: shop\n", "suite: shop\ninclude: [parts/part.yaml, parts/empty.yaml]\n")
    part = "tests:\n" + SHOP[tests:] + "resources: {desk: 1}\n"
    (tmp_path / "shop" / "parts").mkdir(parents=True)
    (tmp_path / "shop" / "parts" / "empty.yaml").write_text("tags: {}\n".replace("tags", "vars"))
    shop = Shop(tmp_path / "shop", head, part=part)
    shop.write(part.replace("Plain M", "Simple M"), "parts/part.yaml")
    assert shop.edited() is not None
    shop.write(head.replace("Plain L", "Simple L"))
    assert shop.edited() is None, "two files were edited"
    shop.write(part, "parts/part.yaml")
    assert shop.edited() is not None
    shop.write(head)
    shop.write("vars: {more: 1}\n", "parts/empty.yaml")
    assert shop.edited() is None


def test_suites_next_to_it_stay_as_they_are(tmp_path):
    other = SHOP.replace("suite: shop", "suite: zoo").replace("test_cli", "zoo_cli").replace("test_api", "zoo_api")
    shop = Shop(tmp_path / "shop", zoo=other.replace("Plain", "Animal"))
    shop.write(SHOP.replace("Plain M", "Simple M"))
    edited = shop.edited()
    assert (edited.suite, edited.spec, edited.tests) == ("shop", SPEC, {"shop": 26, "zoo": 26})
    assert compile_specs(shop.project, suite="shop").last == "compiled: 1 suite, 26 tests"
    shop.write(SHOP.replace("Rows M", "Lines M"))
    assert shop.edited() is None, "the tasks of both suites have the same lines: which one is meant?"
    assert compile_specs(shop.project).last == "compiled: 2 suites, 52 tests"


@pytest.mark.parametrize(
    "where, name, value",
    [
        (after_edit, "MOST_EDITED", 0),
        (after_edit, "_MOST_KEPT", 3),
        (expansion, "MOST_STEPS_IN_ALL", 60),
        (draw, "MOST_NODES", 60),
        (stamp, "digest_of", lambda *_: "0"),
    ],
)
def test_beyond_its_limits_it_is_left_to_a_whole_compile(shop, monkeypatch, where, name, value):
    shop.write(SHOP.replace("      - screenshot: plain M\n", "      - press: A\n" * 30))
    assert shop.edited() is not None
    monkeypatch.setattr(where, name, value)
    assert after_edit.compiled(shop.root, [SPEC]) is None


# ------------------------------------------------------------------------------------------------------------ the copies
@pytest.mark.parametrize(
    "text",
    [
        "- a\n",
        "x\n",
        "tests: {A: 1,\n  B: 2}\n",
        "tests:\n  A: 1\n  ? B\n  : 2\n",
        "tests:\n  A: &a 1\n  B: *a\n",
        "override: [tests.A]\ntests:\n  A: 1\n",
        "{tests:\n  {A: 1}}\n",
        "tests: {}\n",
        "tests:\n",
        "tests:\n- A\n- B\n",
        "title: a\rtests:\r  A: 1\r  B: 2\r",
    ],
)
def test_a_file_whose_tests_are_no_blocks_of_lines_is_not_kept(text):
    assert kept_specs.blocks_of(parse(text.encode(), "a.yaml")) is None


def test_where_the_tests_of_a_file_are():
    text = "# top\ntests:\n  A: 1\n  # about B\n  'B b':\n    c: 2\n\n# end\nvars: {}\n"
    blocks = kept_specs.blocks_of(parse(text.encode(), "a.yaml"))
    assert blocks.ids == ["A", "B b"]
    pieces = [text[one:two] for one, two in zip(blocks.starts, blocks.starts[1:], strict=False)]
    assert pieces == ["  A: 1\n  # about B\n", "  'B b':\n    c: 2\n\n# end\n"]
    none = kept_specs.blocks_of(parse(b"vars: {a: 1}\n", "a.yaml"))
    assert (none.ids, none.starts) == ([], [13])


def test_a_short_spec_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_specs, "LEAST_TESTS", 50)
    shop = Shop(tmp_path / "shop")
    assert not (shop.root / kept_specs.PATH).exists()
    shop.write(SHOP.replace("Plain M", "Simple M"))
    assert shop.edited() is None


def test_a_spec_with_anchors_is_not_kept(tmp_path):
    shop = Shop(tmp_path / "shop", SHOP.replace("title: Rows K", "title: &rows Rows K"))
    assert not (shop.root / kept_specs.PATH).exists()


def test_copies_count_only_with_the_mac_of_the_user(shop, monkeypatch):
    shop.write(SHOP.replace("Plain M", "Simple M"))
    path = shop.root / kept_specs.PATH
    content = path.read_bytes()
    for damaged in (b"", content[:-1], content.replace(b"Plain", b"plain"), b"\xff" + content):
        path.write_bytes(damaged)
        assert shop.edited() is None
    path.write_bytes(content)
    assert shop.edited() is not None
    path.unlink()
    path.mkdir()
    assert compile_specs(shop.project).code == 0, "a disk that refuses only costs time"
    path.rmdir()
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "")
    kept_specs.keep(shop.root, {})
    assert not path.exists()


def test_copies_that_cannot_be_written_leave_no_file(shop):
    kept = kept_specs.load(shop.root)
    (shop.root / kept_specs.PATH).unlink()
    (shop.root / kept_specs.PATH).mkdir()
    there = sorted(shop.root.rglob("*"))
    kept_specs.keep(shop.root, kept)
    assert sorted(shop.root.rglob("*")) == there


def test_without_a_clean_compile_before_it_is_left_to_a_whole_one(shop):
    assert shop.edited() is None, "nothing was edited"
    shop.write(SHOP.replace("Plain M", "Simple M"))
    (shop.root / stamp.PATH).unlink()
    assert shop.edited() is None


def test_a_changed_output_is_left_to_a_whole_compile(shop):
    page = shop.root / "docs" / "shop.md"
    page.write_text(page.read_text() + "more\n")
    assert shop.edited() is None


# --------------------------------------------------------------------------------------------------------- the command
def test_the_command_reports_what_a_whole_compile_would(shop, monkeypatch):
    shop.write(SHOP.replace("Plain M", "Simple M"))
    check, full = (compile_specs(shop.project, check=True, full=one, diff=True) for one in (False, True))
    assert check == full
    whole = shop.root.parent / "whole"
    shutil.copytree(shop.root, whole)
    done = compile_specs(shop.project)
    monkeypatch.setattr(after_edit, "compiled", lambda *_: None)
    assert done == compile_specs(find(whole))
    assert stamp.unchanged(shop.root, [SPEC])


def test_a_run_asks_for_the_plan_after_the_edit(shop, monkeypatch):
    text = SHOP.replace("Plain M", "Simple M")
    shop.write(text)
    for profile in ("", "quick"):
        with pytest.raises(StaleError) as stale:
            load_plan(shop.project, "shop", profile)
        whole = next(plan for plan in build(shop.root, [SPEC]).plans if plan.profile == profile)
        with monkeypatch.context() as patched:
            patched.setattr("orchestra.compiler.build.build", lambda *_: pytest.fail("all was compiled"))
            assert compiled(shop.project, stale.value.plan) == whole
        monkeypatch.setenv("CI", "1")
        assert compiled(shop.project, stale.value.plan) == whole
        monkeypatch.delenv("CI")


def test_a_run_of_another_suite_or_profile_compiles_its_spec(shop):
    shop.write(SHOP.replace("Plain M", "Simple M"))
    with pytest.raises(StaleError) as stale:
        load_plan(shop.project, "shop")
    for other in ({"suite": "zoo"}, {"profile": "gone"}):
        assert compiled(shop.project, msgspec.structs.replace(stale.value.plan, **other)) is None
