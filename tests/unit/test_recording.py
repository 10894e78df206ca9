"""From what was done in a browser to steps of a spec: logs of agents' sessions, locators, files of suites."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import SpecError, UsageError
from orchestra.recording import calls, files, locator
from orchestra.recording.draft import Draft
from orchestra.recording.javascript import NotReadError, expression, statements
from orchestra.recording.session import draft_of
from orchestra.recording.suite import entry_lines, free_name, new_suite, step_lines, with_test
from orchestra.steps.target import js_locator, js_string, target_of
from orchestra.yamltext.flow import flow
from orchestra.yamltext.insert import NotBlockError, add_entry
from orchestra.yamltext.parse import parse
from tests.support.paths import DATA

SESSION = (DATA / "recording" / "session.md").read_text(encoding="utf-8")

# ---------------------------------------------------------------------------------------------------------- sessions

STEPS = """\
- goto: "${frontend.url}/"
- fill: {role: textbox, name: Message, value: Market status}
- press: {role: textbox, name: Message, key: Enter}
- expect: {role: heading, name: Market Parser, to: {be: visible}}
- expect: {role: button, name: Export JSON, to: {be: visible}}
- download: {role: button, name: Export JSON, as: market-conversation.json}
- dialog: {accept: true}
- click: {role: button, name: Clear conversation}
- upload: {role: button, name: Import conversation, files: [/project/specs/data/conversation.json]}
- click: {role: button, name: Settings}
- select: {label: Theme, value: dark}
- check: {label: Compact view}
- hover: {css: "#status"}
- press: Escape"""


LOST = "not found in the current page snapshot. Try capturing new snapshot."


def drafted(*called: calls.Called) -> Draft:
    return draft_of(called, Draft())


def lines(draft: Draft) -> list[str]:
    return [line.removeprefix("- ") for line in step_lines(draft.steps)]


def test_a_session_of_the_mcp_server_becomes_steps():
    draft = draft_of(calls.read(SESSION), Draft({"frontend": "http://127.0.0.1:3000"}))
    assert "\n".join(step_lines(draft.steps)) == STEPS
    assert [re.sub(r"\d+", "N", note) for note in draft.notes] == [
        "line N: no step does what browser_evaluate does: it is left out",
        f"line N: browser_click had failed and is left out: Error: Ref eN {LOST}",
    ]
    assert draft.expectations == 2


def transcript(form: str) -> str:
    """Return the session of the file in a form of JSON lines."""
    rows = []
    for number, call in enumerate(calls.read(SESSION)):
        text = "\n".join(
            f"### {title}\n{body}"
            for title, body in (
                ("Error", call.error),
                ("Ran Playwright code", call.code and f"```js\n{call.code}\n```"),
                ("Events", call.events),
            )
            if body
        )
        content = [{"type": "text", "text": text}]
        if form == "claude-code":
            use = {"type": "tool_use", "id": f"t{number}", "name": f"mcp__playwright__{call.tool}", "input": call.args}
            back = {
                "type": "tool_result",
                "tool_use_id": f"t{number}",
                "content": content,
                "is_error": bool(call.error),
            }
            rows += [{"message": {"content": [part]}} for part in ({"type": "text", "text": "Next."}, use, back)]
            rows.append({"message": {"content": "a text alone"}})
        elif form == "protocol":
            params = {"name": call.tool, "arguments": call.args}
            rows.append({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
            rows.append({"jsonrpc": "2.0", "id": number, "result": {"content": content, "isError": bool(call.error)}})
        else:
            rows.append({"tool": call.tool, "args": json.dumps(call.args), "result": text, "isError": bool(call.error)})
    return "\n".join(["no JSON", "[]", *map(json.dumps, rows)])


@pytest.mark.parametrize("form", ["claude-code", "protocol", "plain"])
def test_a_transcript_gives_the_steps_of_the_session(form):
    draft = draft_of(calls.read(transcript(form)), Draft({"frontend": "http://127.0.0.1:3000"}))
    assert ("\n".join(step_lines(draft.steps)), len(draft.notes)) == (STEPS, 2)


def test_a_log_without_calls_of_the_server_has_none():
    assert calls.read('# Notes\n{"tool": "Bash", "args": {}}\n{"id": 3, "result": {"content": "x"}}\n') == []


def test_a_result_that_is_an_object_or_an_error_of_the_protocol():
    plain = {"name": "browser_click", "input": {"target": "#a"}, "result": {"content": "### Error\nno such element"}}
    refused = [
        {"id": 1, "method": "tools/call", "params": {"name": "browser_click", "arguments": {"target": "#b"}}},
        {"id": 1, "error": {"code": -32000}},
    ]
    text = "\n".join(map(json.dumps, [{**plain, "error": True}, *refused]))
    assert [call.error for call in calls.read(text)] == ["no such element", "{'code': -32000}"]


CALLS = {
    "a double click": ("browser_click", {"target": "#a", "doubleClick": True}, 'click: {css: "#a", count: 2}'),
    "another button": (
        "browser_click",
        {"target": "#a", "button": "right", "modifiers": ["Shift"]},
        'click: {css: "#a", button: right, modifiers: [Shift]}',
    ),
    "slow typing": ("browser_type", {"target": "#a", "text": "x", "slowly": True}, 'type: {css: "#a", value: x}'),
    "typing at the focus": ("browser_press_sequentially", {"text": "x"}, "type: {value: x}"),
    "several options": (
        "browser_select_option",
        {"target": "#a", "values": ["a", "b"]},
        'select: {css: "#a", value: [a, b]}',
    ),
    "one option": ("browser_select_option", {"target": "#a", "value": "b"}, 'select: {css: "#a", value: b}'),
    "unchecked": ("browser_uncheck", {"target": "#a"}, 'uncheck: {css: "#a"}'),
    "checked": ("browser_check", {"target": "#a"}, 'check: {css: "#a"}'),
    "dragged": (
        "browser_drag",
        {"startTarget": "#a", "endTarget": "#b"},
        'drag: {css: "#a", onto: {css: "#b"}}',
    ),
    "dropped files": (
        "browser_drop",
        {"target": "#a", "paths": ["x.txt"]},
        'upload: {css: "#a", files: [x.txt], drop: true}',
    ),
    "a text that goes": (
        "browser_wait_for",
        {"textGone": "Loading", "time": 5},
        "wait: {text: Loading, nth: 0, be: hidden, within_seconds: 5}",
    ),
    "a text that comes": ("browser_wait_for", {"text": "Ready"}, "wait: {text: Ready, nth: 0}"),
    "a text": ("browser_verify_text_visible", {"text": "Ready"}, "expect: {text: Ready, nth: 0, to: {be: visible}}"),
    "a role": (
        "browser_verify_element_visible",
        {"role": "button", "accessibleName": "Send"},
        "expect: {role: button, name: Send, to: {be: visible}}",
    ),
    "a value": ("browser_verify_value", {"target": "#a", "value": "7"}, 'expect: {css: "#a", to: {have_value: "7"}}'),
    "a state": (
        "browser_verify_value",
        {"target": "#a", "type": "checkbox", "value": "false"},
        'expect: {css: "#a", to: {not: {be: checked}}}',
    ),
    "items": ("browser_verify_list_visible", {"target": "#a", "items": ["x"]}, 'expect: {css: "#a", to: {contain: x}}'),
    "a new tab": ("browser_tabs", {"action": "select", "index": 1}, "page: {as: page_1}"),
    "the first tab": ("browser_tabs", {"action": "select", "index": 0}, "page: main"),
    "a tab that closes": ("browser_tabs", {"action": "close"}, "close_page"),
    "a tab by its index": ("browser_tabs", {"action": "close", "index": 2}, "close_page: page_2"),
    "a tab by hand": ("browser_tabs", {"action": "new", "url": "http://a/"}, 'goto: "http://a/"'),
    "back": ("browser_navigate_back", {}, "back"),
    "again": ("browser_reload", {}, "reload"),
    "a size": ("browser_resize", {"width": 390, "height": 844}, "viewport: {width: 390, height: 844}"),
    "a name in a text": ("browser_type", {"target": "#a", "text": "${x}"}, 'fill: {css: "#a", value: "$${x}"}'),
}


@pytest.mark.parametrize("tool, args, step", CALLS.values(), ids=CALLS)
def test_a_call_is_a_step(tool, args, step):
    assert lines(drafted(calls.Called(tool, args))) == [step]


LEFT_OUT = {
    "a pause": ("browser_wait_for", {"time": 3}, "a pause is left out"),
    "a chooser that is cancelled": ("browser_file_upload", {}, "a file chooser was cancelled"),
    "a chooser without a click": ("browser_file_upload", {"paths": ["a"]}, "no click had opened"),
    "a text that is dropped": ("browser_drop", {"target": "#a", "data": {"text/plain": "x"}}, "only files"),
    "a reference without code": ("browser_click", {"target": "e12"}, "--codegen=typescript"),
    "the mouse": ("browser_mouse_click_xy", {"x": 1, "y": 2}, "no step does what browser_mouse_click_xy does"),
    "a check of nothing": ("browser_verify_element_visible", {"target": "e1"}, "--codegen=typescript"),
    "a pattern": ("browser_click", {"target": "getByText(/x/i)"}, "the pattern /x/i has no key"),
}


@pytest.mark.parametrize("tool, args, note", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_no_step_expresses_is_a_note(tool, args, note):
    draft = drafted(calls.Called(tool, args, line=7))
    assert (lines(draft), len(draft.notes)) == ([], 1)
    assert note in draft.notes[0]


def test_a_form_is_a_step_for_each_field():
    fields = [
        {"name": "Name", "type": "textbox", "target": "e1", "value": "Ada"},
        {"name": "Plan", "type": "combobox", "target": "e2", "value": "Pro"},
        {"name": "News", "type": "checkbox", "target": "e3", "value": "false"},
        {"name": "Terms", "type": "radio", "target": "e4", "value": "true"},
        "no field",
    ]
    code = "\n".join(
        f"await page.getByLabel('{name}').{call};"
        for name, call in (
            ("Name", "fill('Ada')"),
            ("Plan", "selectOption('Pro')"),
            ("News", "uncheck()"),
            ("Terms", "check()"),
        )
    )
    draft = drafted(calls.Called("browser_fill_form", {"fields": fields}, code))
    assert lines(draft) == [
        "fill: {label: Name, value: Ada}",
        "select: {label: Plan, value: Pro}",
        "uncheck: {label: News}",
        "check: {label: Terms}",
    ]


def test_a_drag_by_references_takes_both_locators_from_the_code():
    code = "await page.getByText('Buy milk').dragTo(page.getByTestId('done'));"
    draft = drafted(calls.Called("browser_drag", {"startTarget": "e1", "endTarget": "e2"}, code))
    assert lines(draft) == ["drag: {text: Buy milk, onto: {testid: done}}"]


def test_a_tab_is_named_once():
    select = [calls.Called("browser_tabs", {"action": "select", "index": index}) for index in (1, 0, 1)]
    assert lines(drafted(*select)) == ["page: {as: page_1}", "page: main", "page: page_1"]


def clicked(name, events=""):
    return calls.Called("browser_click", {"target": "e1"}, f"await page.getByText('{name}').click();", events=events)


def test_a_download_belongs_to_the_click_before_its_beginning_whenever_it_ends():
    end = '- Downloaded file a.csv to "out/a.csv"'
    ended_late = drafted(clicked("Export", "- Downloading file a.csv ..."), clicked("Close"), clicked("Clear", end))
    expected = ["download: {text: Export, as: a.csv}", "click: {text: Close}", "click: {text: Clear}"]
    assert (lines(ended_late), ended_late.notes) == (expected, [])
    look = calls.Called("browser_snapshot", {}, events=f"- Downloading file a.csv ...\n{end}")
    told_late = drafted(clicked("Export"), look, clicked("Close"))
    assert (lines(told_late), told_late.notes) == (expected[:2], [])


# ------------------------------------------------------------------------------------------------------------- drafts


def test_a_dialog_comes_before_the_action_that_opens_it():
    draft = Draft()
    draft.goto("http://a/")
    draft.add("click", {"text": "Delete"})
    draft.add("expect", {"text": "Sure?"}, to={"be": "visible"})
    draft.dialog(accept=True, text="yes")
    draft.dialog(accept=False, text="ignored")
    assert lines(draft) == [
        'goto: "http://a/"',
        'dialog: {accept: true, text: "yes"}',
        "dialog: {accept: false}",
        "click: {text: Delete}",
        "expect: {text: Sure., to: {be: visible}}".replace("Sure.", '"Sure?"'),
    ]


def test_a_download_without_a_click_is_a_note():
    draft = Draft()
    draft.download("a.txt")
    assert (draft.steps, len(draft.notes)) == ([], 1)


def test_a_password_is_in_no_step():
    draft = Draft()
    draft.fill({"label": "Password"}, "hunter2")
    draft.fill({"css": "#p"}, "hunter2", secret=True)
    assert draft.secrets == {"PASSWORD"}
    assert lines(draft) == [
        'fill: {label: Password, value: "${env.PASSWORD}"}',
        'fill: {css: "#p", value: "${env.PASSWORD}"}',
    ]


def test_the_last_content_of_an_input_is_the_one_that_counts():
    draft = Draft()
    for value in ("N", "NV", "NVDA"):
        draft.fill({"label": "Ticker"}, value)
    draft.fill({"label": "Other"}, "x")
    assert lines(draft) == ["fill: {label: Ticker, value: NVDA}", "fill: {label: Other, value: x}"]


@pytest.mark.parametrize(
    "url, written",
    [
        ("http://h:1", "${web.url}"),
        ("http://h:1/a?b#c", "${web.url}/a?b#c"),
        ("http://h:1?x", "${web.url}?x"),
        ("http://h:1/api/x", "${api.url}/x"),
        ("http://h:10/", "http://h:10/"),
        ("http://h:1/${x}", "${web.url}/$${x}"),
    ],
)
def test_an_address_below_a_component_has_its_name(url, written):
    assert Draft({"web": "http://h:1/", "api": "http://h:1/api", "none": ""}).address(url) == written


def test_files_of_uploads_are_inside_the_project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.txt").touch()
    (tmp_path / "b.txt").touch()
    draft = Draft()
    draft.add("upload", {"css": "#f"}, files=[str(root / "a.txt"), "gone.txt", str(tmp_path / "b.txt")])
    files.relative(draft, root, lambda path: f"specs/files/{path.name}")
    assert draft.steps[0]["upload"]["files"] == ["a.txt", "gone.txt", "specs/files/b.txt"]
    assert draft.notes == ['the file "gone.txt" of an upload is not there']


# ----------------------------------------------------------------------------------------------------------- locators

LOCATORS = {
    "#a > b": {"css": "#a > b"},
    "page.getByTestId('x')": {"testid": "x"},
    "getByText('A', { exact: true }).first()": {"text": "A", "exact": True, "nth": 0},
    "getByAltText('A').last()": {"alt": "A", "nth": -1},
    "getByTitle('A').nth(2)": {"title": "A", "nth": 2},
    "getByRole('listitem').filter({ hasText: 'Buy' }).getByLabel('Done')": {
        "label": "Done",
        "within": {"role": "listitem", "has_text": "Buy"},
    },
    "locator('li', { hasText: 'Buy' })": {"css": "li", "has_text": "Buy"},
    "frameLocator('#f').getByText('x')": {"text": "x", "frame": "#f"},
    "locator('iframe').contentFrame().getByText('x')": {"text": "x", "frame": "iframe"},
    "getByTestId('f').contentFrame().getByText('x')": {"text": "x", "frame": 'iframe[data-testid="f"]'},
    "getByTitle('f').contentFrame().getByText('x')": {"text": "x", "frame": 'iframe[title*="f" i]'},
    "locator('#a').contentFrame().locator('#b').contentFrame().getByText('x')": {
        "text": "x",
        "frame": "#b",
        "within": {"css": "html", "frame": "#a"},
    },
    "frameLocator('#a').frameLocator('#b').getByText('x')": {
        "text": "x",
        "frame": "#b",
        "within": {"css": "html", "frame": "#a"},
    },
    r"getByText('it\'s \u00e9\x21\n\u{1F600}')": {"text": "it's é!\n😀"},
    "getByPlaceholder(`a`)": {"placeholder": "a"},
    "getByRole('heading', { level: 2 })": {"role": "heading", "level": 2},
    "getByRole('button', { name: 'Bold', pressed: false })": {"role": "button", "name": "Bold", "pressed": False},
}


@pytest.mark.parametrize("text, target", LOCATORS.items(), ids=list(LOCATORS))
def test_a_locator_is_a_target(text, target):
    assert locator.of_text(text) == target


@pytest.mark.parametrize(
    "text, reason",
    [
        ("getByRole('button', { disabled: true })", "by disabled"),
        ("getByRole('button', { name: /send/i })", "the pattern /send/i"),
        ("getByText('a').filter({ has: page.getByText('b') })", "a filter by has"),
        ("getByText('a').and(page.getByText('b'))", r"and\(\)"),
        ("getByText('a').nth(0).nth(1)", "nth after an index"),
        ("getByText('a').filter({ hasText: 'x' }).filter({ hasText: 'y' })", "has-text"),
        ("getByText('a').contentFrame().getByText('x')", "by a CSS selector alone"),
        ("frameLocator('#a')", "a frame itself"),
        ("first()", "first of the page"),
        ("getByText(page.getByText('b'))", "a locator inside a locator"),
        ("getByText(null)", "null has no key"),
        ("locator('a', { hasNotText: 'x' })", "hasNotText"),
    ],
)
def test_a_locator_that_no_target_expresses_is_refused(text, reason):
    with pytest.raises(locator.NoTargetError, match=reason):
        locator.of_text(text)


def test_a_locator_of_the_recorder_is_a_target():
    inner = {"kind": "label", "body": "Done", "options": {"exact": True}}
    data = {"kind": "role", "body": "listitem", "options": {"attrs": [], "name": "Buy"}, "next": inner}
    assert locator.of_json(data) == {"label": "Done", "exact": True, "within": {"role": "listitem", "name": "Buy"}}
    assert locator.of_json(
        {"kind": "nth", "body": "1"} | {"kind": "default", "body": "a", "next": {"kind": "nth", "body": "1"}}
    ) == {
        "css": "a",
        "nth": 1,
    }
    for bad in (
        None,
        {"kind": "default", "body": "a", "options": {"hasNotText": "x"}},
        {"kind": "default", "body": "a", "next": {"kind": "visible"}},
    ):
        with pytest.raises(locator.NoTargetError):
            locator.of_json(bad)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_the_javascript_form_of_a_target_leads_back_to_it(value, name):
    data = {"role": value, "name": name, "exact": True, "has_text": value, "nth": 1, "within": {"css": name}}
    target = target_of(data)
    assert locator.of_calls(expression(js_locator(target)).calls) == data
    assert next(statements(f"await page.fill({js_string(value)});")).calls[0].args == (value,)


@pytest.mark.parametrize("text", ["", "(", "a(", "a(1 2)", "a({1: 2})", "a({b 2})", "a.(", "a()b", "a([1 2])", "a(=>)"])
def test_what_is_no_chain_of_calls_is_refused(text):
    with pytest.raises(NotReadError):
        expression(text)


def test_statements_that_cannot_be_read_are_passed_over():
    code = "\n// Press Escape\nawait page.a([1, -2.5, true], { 'b': null, });\nconst x = 1;\nawait page.b();"
    assert [chain.calls[0].name for chain in statements(code)] == ["a", "b"]


# -------------------------------------------------------------------------------------------------------------- suites

SUITES = {
    "with comments": "orchestra: 1\ntests:\n  A:  # first\n    steps: [back]  # so\n  # the end\ngates: {}\n",
    "in another indent": "tests:\n    A: {steps: [{goto: /}, # x\n      back]}\norchestra: 1",
    "with a block text": "orchestra: 1\ntests:\n  A:\n    title: |\n      one\n\n      two\n\n\n# c\nvars: {}\n",
    "with line feeds of Windows": "orchestra: 1\r\ntests:\r\n  A: {steps: [back]}\r\n",
    "without tests": "orchestra: 1\nsuite: x",
    "with an alias": "orchestra: 1\nvars: &v {}\ntests:\n  A: *v\n",
}


@pytest.mark.parametrize("text", SUITES.values(), ids=SUITES)
def test_a_test_more_changes_no_other_line(text):
    entry = entry_lines("R001", "A new one", [{"goto": "/"}, {"back": {}}], ["cli"])
    changed = with_test(text, "specs/x.yaml", entry)
    before, after = parse(text.encode(), "x").data, parse(changed.encode(), "x").data
    new = {"R001": {"title": "A new one", "methods": ["cli"], "steps": [{"goto": "/"}, "back"]}}
    assert after == {**before, "tests": {**before.get("tests", {}), **new}}
    rest = iter(changed.splitlines())
    assert all(line in rest for line in text.splitlines()), "each line is there, in its order"
    assert ("\r\n" in text) == ("\r\n" in changed)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("orchestra: 1\ntests: {A: {steps: [back]}}\n", "lines of their own"),
        ("orchestra: 1\ntests: [A]\n", "lines of their own"),
        ("{orchestra: 1}\n", "lines of their own"),
        ("a: 1\n", "no spec of orchestra"),
        ("- a\n", "no spec of orchestra"),
    ],
)
def test_a_file_that_takes_no_test_is_refused(text, reason):
    with pytest.raises(UsageError, match=reason):
        with_test(text, "specs/x.yaml", entry_lines("R001", "t", [{"back": {}}]))


def test_a_file_that_cannot_be_read_is_refused():
    with pytest.raises(SpecError):
        with_test("a: [", "specs/x.yaml", ["R001: {}"])


def test_a_new_suite_has_both_methods_and_its_secrets():
    data = parse(new_suite("shop", entry_lines("R001", "t", [{"back": {}}]), {"PASSWORD"}).encode(), "x").data
    assert (data["suite"], data["secrets"], [*data["methods"]], [*data["tests"]]) == (
        "shop",
        ["PASSWORD"],
        ["cli", "mcp"],
        ["R001"],
    )


def test_the_next_id_is_the_first_that_is_free():
    assert free_name({"R001", "R003", "B001"}) == "R002"


def test_an_entry_of_what_is_no_block_is_refused():
    with pytest.raises(NotBlockError):
        add_entry("a: {}\n", "a", ["b: 1"])
    assert add_entry("a: [{b: 1}]\n", "c", ["d: 1", ""]) == "a: [{b: 1}]\nc:\n  d: 1\n\n"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS


@given(st.recursive(PLAIN, lambda part: st.lists(part) | st.dictionaries(TEXTS, part), max_leaves=20))
def test_a_value_in_flow_style_is_read_as_itself(value):
    assert parse(f"- {flow(value)}\n".encode(), "x").data == [value]


@pytest.mark.parametrize(
    "word",
    ["yes", "No", "NULL", "~", "1", "0x1", ".5", "...", "a: b", "a #b", "-", "- a", "", " a", "a ", "2026-01-01", "="],
)
def test_a_word_that_a_reader_may_take_for_something_else_is_quoted(word):
    assert flow(word) == json.dumps(word)
