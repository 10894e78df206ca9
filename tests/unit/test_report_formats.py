"""summary.md, junit.xml, ctrf.json and the lines of the console: to the character, and for any text."""

from __future__ import annotations

import itertools
import json
import pkgutil
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from lxml import etree
from markdown_it import MarkdownIt

from orchestra import draw, resources
from orchestra import plan as plans
from orchestra.report import formats
from orchestra.report.console import lines
from orchestra.report.formats.ctrf import ctrf
from orchestra.report.formats.junit import junit, legal
from orchestra.report.formats.markdown import markdown
from orchestra.report.forms import FORMS
from orchestra.report.html import SCRIPTS, html
from orchestra.report.rows import Report
from tests.support import golden
from tests.support import runs as samples
from tests.support.pages import data_of, legible
from tests.support.paths import DATA
from tests.support.runs import events

GOLDEN = DATA / "report"
FOLDER = ".orchestra/market/runs/" + samples.RUN

ANY = st.text(st.characters(codec="utf-8"), max_size=60)
HOSTILE = st.sampled_from(
    [
        "a | b",
        "\x1b[31mred\x1b]0;title\x07",
        "<script>alert(1)</script>",
        "]]>",
        "&lt;&amp;",
        "!`id`",
        "$ARGUMENTS @file {{ x }}",
        "line\r\nline\rline\x85line\u2028line",
        "\u202eevil",
        "[link](http://example.com)",
        "# heading\n\n- item\n\n| a | b |\n|---|---|",
        "[[ATTACHMENT|/etc/passwd]]",
        "\0\x7f\ufffe",
    ]
)
TEXT = ANY | HOSTILE | st.tuples(HOSTILE, ANY, HOSTILE).map("".join)


def hostile_report(text: str) -> Report:
    """A run in which the text stands wherever text of a spec, a page or a program can stand."""
    plan = msgspec.structs.replace(
        samples.PLAN,
        title=text,
        tests=(plans.Test("B001", text, ("cli", "mcp"), group=text), plans.Test("B002", text, ("cli",), tags=(text,))),
        methods=(plans.Method("cli", "x", "playwright"), plans.Method("mcp", "x", "mcp")),
    )
    shot = samples.evidence("attempts/1/log.txt", text)
    error = samples.failure(message=text, expected=text, found=text, hint=text, log=text, at=None)
    made = [
        samples.run_started(
            plan,
            ["cli:B001", "mcp:B001", "cli:B002"],
            provenance={"git": {"branch": text}, "tools": {text: text}, "user": text},
        ),
        samples.service("failed", reason=text, url=text),
        *samples.attempt("cli:B001", 1, "failed", error=error, evidence=[shot]),
        samples.verdict("cli:B001", "failed", reason=text, degraded=[text]),
        *samples.attempt("mcp:B001", 1, "failed", error=error, retry=True),
        *samples.attempt("mcp:B001", 2, findings=samples.beside(text), network=samples.network(text)),
        samples.verdict("mcp:B001", "flaky", attempts=2, reason=text),
        samples.verdict("cli:B002", "skipped", 0, 0, reason=text),
        samples.gate("pass_rate", "failed", {"x": text}, text),
        ("note", {"message": text}),
        samples.run_finished(),
    ]
    return samples.reported(plan, events(made))


# --------------------------------------------------------------------------------------------------------------- golden
@pytest.mark.parametrize("name", FORMS)
def test_a_run_with_everything_is_written_as_agreed(name, tmp_path):
    report = samples.reported(
        samples.PLAN, samples.ledger(tmp_path, samples.everything()), lambda _: "specs/market.yaml:7:9"
    )
    text = FORMS[name].make(report, FOLDER)
    golden.check(GOLDEN / FORMS[name].file, legible(text) if name == "html" else text)


def test_every_module_of_a_format_has_a_row():
    modules = {f"{formats.__name__}.{module.name}" for module in pkgutil.iter_modules(formats.__path__)}
    assert sorted(modules - {form.make.__module__ for form in FORMS.values()}) == [], "not in FORMS"


@pytest.mark.parametrize("name", FORMS)
def test_a_run_that_never_began_is_written_all_the_same(name):
    text = FORMS[name].make(samples.reported(samples.PLAN, []), FOLDER)
    assert "never ran" in text


def test_a_run_that_selected_nothing_is_written_all_the_same():
    report = samples.reported(samples.PLAN, events([samples.run_started(selection=[]), samples.run_finished(0)]))
    assert "none selected" in markdown(report, FOLDER)
    assert ET.fromstring(junit(report, FOLDER)).get("tests") == "0"
    assert json.loads(ctrf(report, FOLDER))["results"]["tests"] == []


# ----------------------------------------------------------------------------------------------------------- every form
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "text", ["a\nFORGED", "a\r\nFORGED", "a\x85FORGED", "a\u2028FORGED", "\x1b[31mFORGED", "\u202eFORGED"]
)
def test_no_text_of_a_run_begins_a_line_or_is_hidden(name, text):
    form = FORMS[name]
    made = form.make(hostile_report(text), FOLDER)
    assert not re.search("[\x1b\u202e]", made)
    if form.file.endswith(".json"):
        json.loads(made)
    elif form.file.endswith(".xml"):
        ET.fromstring(made)
    elif not form.file.endswith(".html"):  # its tests are below; in all others a line is a statement
        assert [line for line in made.splitlines() if line.startswith("FORGED")] == []


# ------------------------------------------------------------------------------------------------------------------ XML
def test_what_fails_the_run_is_red_in_junit_and_in_ctrf():
    for verdict in ("failed", "timeout", "error", "blocked", "interrupted"):
        made = [samples.run_started(selection=["cli:B001"]), samples.verdict("cli:B001", verdict, attempts=0)]
        report = samples.reported(samples.PLAN, events(made))
        root = ET.fromstring(junit(report, FOLDER))
        assert int(root.get("failures", "")) + int(root.get("errors", "")) == 1, verdict
        assert json.loads(ctrf(report, FOLDER))["results"]["summary"]["failed"] == 1, verdict


def test_what_does_not_fail_the_run_is_not_red():
    for verdict in ("passed", "flaky", "unchanged", "skipped"):
        made = [samples.run_started(selection=["cli:B001"]), samples.verdict("cli:B001", verdict)]
        report = samples.reported(samples.PLAN, events(made))
        root = ET.fromstring(junit(report, FOLDER))
        assert (root.get("failures"), root.get("errors")) == ("0", "0"), verdict
        assert json.loads(ctrf(report, FOLDER))["results"]["summary"]["failed"] == 0, verdict


SCHEMAS = DATA / "schemas"
JUNIT = etree.XMLSchema(etree.parse(SCHEMAS / "junit-10.xsd"))
CTRF = Draft7Validator(json.loads((SCHEMAS / "ctrf.schema.json").read_text(encoding="utf-8")))


def test_both_formats_meet_their_published_schemas(tmp_path):
    """That of Jenkins' xUnit plugin is the strictest of JUnit in use."""
    report = samples.reported(samples.PLAN, samples.ledger(tmp_path, samples.everything()))
    JUNIT.assertValid(etree.fromstring(junit(report, FOLDER).encode()))
    CTRF.validate(json.loads(ctrf(report, FOLDER)))
    broken = etree.fromstring(junit(report, FOLDER).replace("<testcase ", '<testcase line="3" ').encode())
    assert not JUNIT.validate(broken), "the schema refuses an attribute that it does not know"


def test_junit_counts_its_cases(tmp_path):
    root = ET.fromstring(junit(samples.reported(samples.PLAN, samples.ledger(tmp_path, samples.everything())), FOLDER))
    for suite in root:
        cases = suite.findall("testcase")
        assert suite.get("tests") == str(len(cases))
        for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert suite.get(name) == str(sum(case.find(tag) is not None for case in cases))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(TEXT)
def test_xml_gives_back_the_same_legal_text(text):
    made = junit(hostile_report(text), FOLDER).encode()
    JUNIT.assertValid(etree.fromstring(made))
    root = ET.fromstring(made)
    first, second = root.findall("testsuite/testcase")[:2]
    assert first.get("name") == draw.one_line(f"B001 {text}")
    failure = first.find("failure")
    assert failure is not None
    assert failure.get("message") == legal(text or text)
    assert second.get("name") == draw.one_line(f"B002 {text}")
    attachments = [line for line in (first.findtext("system-out") or "").split("\n") if line.startswith("[[ATTACHMENT")]
    assert attachments == [f"[[ATTACHMENT|{FOLDER}/attempts/1/log.txt]]"]


# ------------------------------------------------------------------------------------------------------------- Markdown
def plain_text(token) -> str:
    return "".join(child.content if child.type == "text" else "" for child in token.children or ())


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(TEXT)
def test_markdown_keeps_its_cells_and_nothing_in_a_text_is_markup(text):
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(markdown(hostile_report(text), FOLDER))
    cells: list[list[str]] = []
    for before, token in itertools.pairwise(tokens):
        if before.type == "tr_open":
            cells.append([])
        if before.type in {"th_open", "td_open"}:
            cells[-1].append(plain_text(token))
    shown = draw.one_line(text)
    assert cells[0] == ["test", "title", "cli", "mcp"]
    assert cells[1] == ["B001", shown, "1.2 s failed", "😊 1.2 s flaky"]
    assert cells[2] == ["B002", shown, "skipped", "-"]
    for token in tokens:
        for child in token.children or ():
            if child.type == "html_inline":
                assert child.content == "<br>"
            elif child.type == "link_open":
                assert child.attrs["href"] == "attempts/1/log.txt"
            else:
                assert child.type in {"text", "code_inline", "link_close", "softbreak", "strong_open", "strong_close"}
    assert not [
        token.type for token in tokens if token.type in {"html_block", "fence", "code_block", "blockquote_open"}
    ]
    titles = [plain_text(token) for before, token in itertools.pairwise(tokens) if before.type == "heading_open"]
    assert titles[0] == shown
    assert titles[2] == draw.one_line(f"cli:B001 {text}")


# ----------------------------------------------------------------------------------------------------------------- HTML
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(TEXT)
def test_the_page_has_no_markup_and_no_code_but_its_own(text):
    told = html(hostile_report(text), FOLDER)
    elements = MarkupReader.elements_of(told)
    assert [tag for tag, _ in elements if tag in {"script", "style"}] == ["style", "script", "script"]
    harmless = html(hostile_report("harmless"), FOLDER)
    assert elements == MarkupReader.elements_of(harmless)
    assert draw.visible(text) in [one["title"] for one in data_of(told)["tests"]]


class MarkupReader(HTMLParser):
    """The elements of a page with their attributes, without the one that holds the digests of its own style and script."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(attrs)))

    @classmethod
    def elements_of(cls, text: str):
        reader = cls()
        reader.feed(text)
        return reader.elements


def test_the_script_of_the_page_makes_no_element_of_a_text():
    """The policy would stop it, in the browsers that know this policy."""
    script = "".join(resources.read_text("templates", f"report/{name}") for name in SCRIPTS)
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|</script"
    assert not re.search(markup, script, re.IGNORECASE)


# ----------------------------------------------------------------------------------------------------------------- JSON
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(TEXT)
def test_json_is_json_and_gives_back_the_text(text):
    document = json.loads(ctrf(hostile_report(text), FOLDER).encode(errors="backslashreplace"))
    first = document["results"]["tests"][0]
    assert first["name"] == draw.one_line(f"B001 {text}")
    assert first.get("message", "") == draw.visible(text)


# ------------------------------------------------------------------------------------------------------------- terminal
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(TEXT)
def test_no_line_holds_anything_that_a_terminal_obeys(text):
    report = hostile_report(text)
    said = [
        *lines.closing(report, [text], 80),
        *(line for row in report.rows for line in lines.verdict_lines(row, FOLDER)),
        lines.line(text, text),
    ]
    for line in said:
        assert not re.search(f"[{draw.HIDDEN}\n\r\v\f]", line)


def test_every_event_has_a_line_or_none(tmp_path):
    made = [
        *samples.everything(),
        ("run_resumed", {"run": samples.RUN, "rerun": ["cli:B001"]}),
        ("interrupted", {"signal": "SIGINT"}),
        ("note", {"message": "a remark"}),
        ("rolled_back", {"to_seq": 3, "reopened": ["cli:B001"], "restored": {}, "baseline": None}),
        ("group_completed", {"method": "cli", "group": "basics"}),
    ]
    told = [lines.event_line(event.body) for event in samples.ledger(tmp_path, made)]
    golden.check(GOLDEN / "lines.txt", "".join(f"{line}\n" for line in told if line))


def test_half_a_surrogate_pair_in_a_message_does_not_stop_a_report(tmp_path):
    made = [samples.run_started(selection=["cli:B001"]), samples.verdict("cli:B001", "error", reason="half \ud800")]
    report = samples.reported(samples.PLAN, events(made))
    for name, form in FORMS.values():
        (tmp_path / name).write_bytes(form(report, FOLDER).encode(errors="backslashreplace"))
        assert "half ⟨U+D800⟩" in (tmp_path / name).read_text()


def test_a_profile_a_resumption_and_a_plan_compiled_anew_are_told():
    made = [samples.run_started(profile="staging", plan_digest="sha256:old")]
    made.append(("run_resumed", {"run": samples.RUN, "rerun": []}))
    report = samples.reported(samples.PLAN, events(made))
    text = markdown(report, FOLDER)
    assert "| profile | staging |" in text
    assert "| resumed | 1 time |" in text
    assert "the plan was recompiled after this run" in text
    assert json.loads(ctrf(report, FOLDER))["results"]["environment"]["testEnvironment"] == "staging"
    assert '<property name="profile" value="staging" />' in junit(report, FOLDER)
