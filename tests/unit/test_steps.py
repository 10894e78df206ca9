"""The table of steps, and each step as a line of Python and as tool calls."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.compiler.lower.steps import lower_step
from orchestra.steps import page_script
from orchestra.steps.conditions import conditions
from orchestra.steps.moment import milliseconds
from orchestra.steps.page_script import literal
from orchestra.steps.step import Step
from orchestra.steps.target import KINDS, NARROWING, Target, js_locator, target_of
from orchestra.steps.tool_call import ToolCall
from orchestra.steps.verb import Verb
from orchestra.steps.verbs.files import chooser_calls, file_name
from orchestra.steps.verbs.runner import graphql_body
from orchestra.steps.vocabulary import DEFAULTS, VERBS, argument, mcp_calls, playwright_text
from orchestra.steps.wait_script import observable, observer

SEND = Target("role", "button", name="Send")
REPLY = Target("testid", "reply")


def test_what_a_step_carries_is_never_a_key_of_a_target():
    for verb in VERBS.values():
        if verb.target != "none":
            assert {field.name for field in verb.fields}.isdisjoint({*KINDS, *NARROWING}), verb.name


def test_short_forms_name_a_field_that_suffices():
    for verb in VERBS.values():
        if verb.short and verb.name != "use":
            assert {field.name for field in verb.fields if field.required} <= {verb.short}
            assert verb.short in {field.name for field in verb.fields}
            assert verb.target != "required"


def test_names_are_those_of_the_table():
    assert all(name == verb.name for name, verb in VERBS.items())


@pytest.mark.parametrize("name", [name for name in VERBS if name != "use"])
def test_each_example_has_both_forms_and_uses_the_tools_that_the_table_says(name: str):
    verb = VERBS[name]
    step = lower_step(name, verb.example, (), {})
    ast.parse(playwright_text(step))
    calls = mcp_calls(step, 10)
    assert {call.tool for call in calls} <= set(verb.mcp)
    assert bool(calls) == bool(verb.mcp)


@pytest.mark.parametrize(
    "name, limit", [("a b/../c", "a-b-..-c"), ("conversation.json", "conversation.json"), ("é 1", "é-1"), ("...", "unnamed"), ("", "unnamed"), ("/etc/passwd", "etc-passwd")]
)  # fmt: skip
def test_file_name(name: str, limit: str):
    assert file_name(name) == limit


@given(st.text())
def test_a_file_name_stays_in_its_folder(name: str):
    made = file_name(name)
    assert made not in ("", ".", "..")
    assert not set(made) & set("/\\\0\n")


def test_milliseconds():
    assert [milliseconds(seconds) for seconds in (5, 0.2, 0.0001)] == [5000, 200, 1]


def test_conditions_are_flat():
    wanted = {"be": "visible", "not": {"contain": "a", "match": "b"}}
    assert list(conditions(wanted)) == [("be", "visible", False), ("contain", "a", True), ("match", "b", True)]


ID = Target("testid", "t")
ONE = "page.get_by_test_id('t')"


def wanted(**to: object) -> Step:
    """Return an expectation on the element with the test id."""
    return Step("expect", target=ID, args={"to": to})


PYTHON: list[tuple[Step, str]] = [
    (Step("goto", args={"url": "/"}), "page.goto('/')"),
    (Step("click", target=SEND), "page.get_by_role('button', name='Send').click()"),
    (
        Step("click", target=SEND, args={"count": 2, "button": "right", "modifiers": ["Shift"]}),
        "page.get_by_role('button', name='Send').click(click_count=2, button='right', modifiers=['Shift'])",
    ),
    (Step("press", args={"key": "Enter"}), "page.keyboard.press('Enter')"),
    (Step("press", target=REPLY, args={"key": "Enter"}), "page.get_by_test_id('reply').press('Enter')"),
    (
        Step("expect", target=REPLY, args={"to": {"contain": "NVDA"}, "within_seconds": 5.0}),
        "expect(page.get_by_test_id('reply')).to_contain_text('NVDA', timeout=5000)",
    ),
    (
        Step(
            "expect",
            target=REPLY,
            args={"to": {"be": "visible", "not": {"match": "^x", "have_attribute": {"a": "1", "b": "2"}}}},
        ),
        (
            "expect(page.get_by_test_id('reply')).to_be_visible(timeout=5000); "
            "expect(page.get_by_test_id('reply')).not_to_have_text(re.compile('^x'), timeout=5000); "
            "expect(page.get_by_test_id('reply')).not_to_have_attribute('a', '1', timeout=5000); "
            "expect(page.get_by_test_id('reply')).not_to_have_attribute('b', '2', timeout=5000)"
        ),
    ),
    (
        Step("expect", args={"page": {"title": {"have_text": "A"}, "url": {"not": {"contain": "a.b"}}}}),
        "expect(page).to_have_title('A', timeout=5000); expect(page).not_to_have_url(re.compile('a\\\\.b'), timeout=5000)",
    ),
    (
        Step("wait", target=REPLY, args={"be": "hidden", "within_seconds": 1}),
        "page.get_by_test_id('reply').wait_for(state='hidden', timeout=1000)",
    ),
    (
        Step("wait", target=REPLY, args={"unless": {"testid": "oops"}}),
        (
            "page.get_by_test_id('reply').or_(page.get_by_test_id('oops')).first.wait_for(state='visible', timeout=30000); "
            "expect(page.get_by_test_id('oops')).not_to_be_visible(timeout=1)"
        ),
    ),
    (
        Step("wait", target=REPLY, args={"be": "hidden", "unless": {"testid": "oops"}}),
        (
            "page.get_by_test_id('reply').wait_for(state='hidden', timeout=30000); "
            "expect(page.get_by_test_id('oops')).not_to_be_visible(timeout=1)"
        ),
    ),
    (Step("evaluate", args={"script": "() => 1"}), "page.evaluate('() => 1')"),
    (
        Step("evaluate", args={"script": "() => 1", "equals": 1, "below": 2}),
        "assert page.evaluate('() => 1') == 1 and page.evaluate('() => 1') < 2",
    ),
    (
        Step("evaluate", target=REPLY, args={"script": "e => e.id", "save": "one", "equals": "x"}),
        "saved['one'] = page.get_by_test_id('reply').evaluate('e => e.id'); assert saved['one'] == 'x'",
    ),
    (Step("evaluate", args={"script": "() => 1", "save": "one"}), "saved['one'] = page.evaluate('() => 1')"),
    (
        Step("screenshot", args={"as": "start page", "full_page": True}),
        "page.screenshot(path='start-page.png', full_page=True)",
    ),
    (
        Step("screenshot", target=REPLY, args={"as": "a", "full_page": True}),
        "page.get_by_test_id('reply').screenshot(path='a.png')",
    ),
    (
        Step("download", target=SEND, args={"as": "a.json", "within_seconds": 2}),
        "with page.expect_download(timeout=2000) as download: page.get_by_role('button', name='Send').click()  # kept as 'a.json'",
    ),
    (Step("dialog", args={"accept": True}), "page.once('dialog', lambda dialog: dialog.accept())"),
    (Step("dialog", args={"accept": True, "text": "x"}), "page.once('dialog', lambda dialog: dialog.accept('x'))"),
    (
        Step("dialog", args={"accept": True, "type": "alert", "message": "x"}),
        "page.once('dialog', lambda dialog: dialog.accept())  # expected: dialog.type == 'alert' and dialog.message == 'x'",
    ),
    (
        Step("dialog", args={"accept": False, "message": {"contain": "x", "match": "^y"}}),
        "page.once('dialog', lambda dialog: dialog.dismiss())  # expected: 'x' in dialog.message and re.search('^y', dialog.message)",
    ),
    (
        Step("dialog", args={"accept": False, "default_value": "x"}),
        "page.once('dialog', lambda dialog: dialog.dismiss())  # expected: dialog.default_value == 'x'",
    ),
    (Step("dialog", args={"accept": False, "text": "x"}), "page.once('dialog', lambda dialog: dialog.dismiss())"),
    (Step("viewport", args={"width": 1, "height": 2}), "page.set_viewport_size({'width': 1, 'height': 2})"),
    (Step("back"), "page.go_back()"),
    (
        Step(
            "http",
            args={
                "method": "POST",
                "url": "/x",
                "base": "backend",
                "headers": {"A": "b"},
                "json": {"c": 1},
                "within_seconds": 3.0,
            },
        ),
        "httpx.request('POST', '${backend.url}/x', headers={'A': 'b'}, json={'c': 1}, timeout=3)",
    ),
    (
        Step("http", args={"method": "GET", "url": "http://a/", "headers": {}}),
        "httpx.request('GET', 'http://a/', timeout=30)",
    ),
    (Step("set", args={"values": {"a": 1}}), "saved.update({'a': 1})"),
    (Step("scroll", target=ID), "page.get_by_test_id('t').scroll_into_view_if_needed()"),
    (
        Step("upload", target=ID, args={"files": ["a.txt"], "drop": True}),
        "page.get_by_test_id('t').drop({'files': ['a.txt']})",
    ),
    (Step("type", args={"value": "x"}), "page.keyboard.type('x')"),
    (
        Step("scroll", target=ID, args={"to": "bottom"}),
        f"page.get_by_test_id('t').evaluate({page_script.scrolling('bottom')!r})",
    ),
    (Step("page", args={"name": "shop"}), "page = pages['shop']"),
    (Step("page", args={"as": "shop"}), "page = pages['shop'] = page.context.pages[-1]"),
    (
        Step("har", args={"file": "a.har", "url": "**", "not_found": "network", "update": True}),
        "context.route_from_har('a.har', url='**', not_found='fallback', update=True)",
    ),
    (Step("har", args={"file": "a.har"}), "context.route_from_har('a.har', url='**', not_found='abort')"),
    (
        Step("expect", target=ID, args={"look": "a", "mask": [{"css": "b"}], "threshold": 0.1}),
        f"expect({ONE}).to_have_screenshot('a', mask=[{{'css': 'b'}}], threshold=0.1, timeout=5000)",
    ),
    (
        Step("http", args={"method": "POST", "url": "http://a/", "graphql": {"query": "{ a }", "operation": "b"}}),
        "httpx.request('POST', 'http://a/', json={'query': '{ a }', 'operationName': 'b'}, timeout=30)",
    ),
    (
        Step("mock", args={"url": "**/a", "abort": "failed"}),
        "context.route('**/a', lambda route: route.abort('failed'))",
    ),
    (Step("clock", args={"advance_seconds": 2}), "context.clock.fast_forward(2000)"),
    (Step("clock", args={"resume": True}), "context.clock.resume()"),
    (wanted(have_number={"between": [1, 2], "pattern": "x"}), f"assert (1 <= number({ONE}.text_content(), 'x') <= 2)"),
    (
        wanted(have_number={"above": 1, "below": 3}),
        f"assert (number({ONE}.text_content()) > 1 and number({ONE}.text_content()) < 3)",
    ),
    (wanted(have_count={"at_least": 2}), f"assert ({ONE}.count() >= 2)"),
    (wanted(have_class={"set": ["a"]}), f"assert (set({ONE}.get_attribute('class').split()) == set(['a']))"),
    (wanted(have_class={"exact": "a b"}), f"expect({ONE}).to_have_class('a b', timeout=5000)"),
    (wanted(have_attribute={"href": None}), f"assert ({ONE}.get_attribute('href') is None)"),
    (wanted(have_css={"color": "red"}), f"expect({ONE}).to_have_css('color', 'red', timeout=5000)"),
    (
        Step("expect", target=ID, args={"all": {"be": "visible"}}),
        f"assert all(holds(lambda one: expect(one).to_be_visible(timeout=5000), one) for one in {ONE}.all())",
    ),
    (
        Step("expect", args={"a11y": {"impact": "serious"}}),
        "assert accessible(page, {'impact': 'serious'}, timeout=5000)",
    ),
    (
        Step("expect", target=ID, args={"look": "home", "max_diff_ratio": 0.1}),
        f"expect({ONE}).to_have_screenshot('home', max_diff_ratio=0.1, timeout=5000)",
    ),
    (Step("expect", args={"request": {"url": "**/a"}}), "assert sent(context, {'url': '**/a'}, timeout=5000)"),
]


@pytest.mark.parametrize("step, text", PYTHON)
def test_python(step: Step, text: str):
    assert playwright_text(step) == text
    ast.parse(text)


MCP: list[tuple[Step, list[ToolCall]]] = [
    (Step("goto", args={"url": "/"}), [ToolCall("browser_navigate", {"url": "/"})]),
    (Step("click", target=SEND, args={"count": 1}), [ToolCall("browser_click", {"target": "getByRole('button', { name: 'Send' })"})]),
    (
        Step("click", target=REPLY, args={"count": 2, "button": "right", "modifiers": ["Alt"]}),
        [ToolCall("browser_click", {"target": "getByTestId('reply')", "doubleClick": True, "button": "right", "modifiers": ["Alt"]})],
    ),
    (Step("fill", target=REPLY, args={"value": 5}), [ToolCall("browser_type", {"target": "getByTestId('reply')", "text": "5"})]),
    (Step("press", args={"key": "a"}), [ToolCall("browser_press_key", {"key": "a"})]),
    (Step("select", target=REPLY, args={"value": [1, "b"]}), [ToolCall("browser_select_option", {"target": "getByTestId('reply')", "values": ["1", "b"]})]),
    (Step("select", target=REPLY, args={"value": "b"}), [ToolCall("browser_select_option", {"target": "getByTestId('reply')", "values": ["b"]})]),
    (Step("evaluate", args={"script": "() => 1"}), [ToolCall("browser_evaluate", {"function": page_script.evaluation("() => 1")})]),
    (Step("dialog", args={"accept": False}), [ToolCall("browser_handle_dialog", {"accept": False})]),
    (Step("dialog", args={"accept": True, "text": "x"}), [ToolCall("browser_handle_dialog", {"accept": True, "promptText": "x"})]),
    (Step("http", args={"method": "GET", "url": "/"}), []),
    (Step("set", args={"values": {}}), []),
]  # fmt: skip


@pytest.mark.parametrize("step, calls", MCP)
def test_mcp(step: Step, calls: list[ToolCall]):
    assert list(mcp_calls(step, 10)) == calls


EXPRESSIONS: list[tuple[Step, str, str]] = [
    (wanted(have_role="button"), "browser_run_code_unsafe", "const ok = await has(wanted)"),
    (wanted(have_accessible_name=" Send  it"), "browser_run_code_unsafe", "ok = found === wanted.trim()"),
    (
        Step("expect", target=ID, args={"all": {"be": "visible"}}),
        "browser_run_code_unsafe",
        "getByTestId('t').evaluateAll(",
    ),
    (
        Step("expect", target=ID, args={"any": {"contain": "x"}}),
        "browser_run_code_unsafe",
        "getByTestId('t').evaluateAll(",
    ),
    (wanted(have_text=["a", "b"]), "browser_run_code_unsafe", "getByTestId('t').evaluateAll("),
    (wanted(aria="- button"), "browser_run_code_unsafe", "'to.match.aria'"),
    (wanted(be="editable"), "browser_run_code_unsafe", "isEditable("),
    (Step("scroll", target=ID), "browser_run_code_unsafe", "scrollIntoViewIfNeeded("),
    (Step("scroll", target=ID, args={"to": "top"}), "browser_evaluate", page_script.scrolling("top")),
    (Step("goto", args={"url": "/", "until": "commit"}), "browser_run_code_unsafe", '"waitUntil":"commit"'),
]
"""Steps with the tool of their last call, and a part of what it is given."""


@pytest.mark.parametrize("step, tool, part", EXPRESSIONS)
def test_code_and_functions_of_tools(step: Step, tool: str, part: str):
    *_, last = mcp_calls(step, 10)
    assert last.tool == tool
    assert any(part in str(given) for given in last.arguments.values()), last.arguments


def test_an_upload_drops_its_files_or_answers_the_chooser():
    dropped = mcp_calls(Step("upload", target=ID, args={"files": ["a.txt"], "drop": True}), 10)
    assert list(dropped) == [ToolCall("browser_drop", {"target": "getByTestId('t')", "paths": ["a.txt"]})]
    click, answer = chooser_calls(Step("upload", target=ID, args={"files": ["a.txt", 1]}))
    assert (click.tool, answer) == ("browser_click", ToolCall("browser_file_upload", {"paths": ["a.txt", "1"]}))


def test_the_body_of_a_request_of_graphql_has_the_names_of_the_protocol():
    asked = {"query": "query A { a }", "operation": "A"}
    assert graphql_body(asked) == {"query": "query A { a }", "operationName": "A"}
    assert graphql_body({"query": "{ a }", "variables": {"n": 1}}) == {"query": "{ a }", "variables": {"n": 1}}


def test_a_step_without_an_argument_has_its_default():
    assert argument(Step("goto", args={"url": "/"}), "until") == "load"
    assert argument(Step("goto", args={"url": "/", "until": "commit"}), "until") == "commit"


def test_three_clicks_have_no_tool():
    (call,) = mcp_calls(Step("click", target=SEND, args={"count": 3}), 10)
    assert call.tool == "browser_run_code_unsafe"
    assert """.click({"clickCount":3,"button":"left","modifiers":[]})""" in call.arguments["code"]


def test_each_condition_of_the_page_is_a_question_of_its_own():
    page = {"url": {"match": "^x"}, "title": {"contain": "a", "not": {"have_text": "b"}}}
    calls = mcp_calls(Step("expect", args={"page": page}), 10)
    assert [call.tool for call in calls] == ["browser_evaluate"] * 3
    functions = [call.arguments["function"] for call in calls]
    assert ["document.location.href" in text for text in functions] == [True, False, False]
    assert ["ok: !(" in text for text in functions] == [False, False, True]


@pytest.mark.parametrize("unless", [{"role": "alert"}, {"testid": "oops"}])
def test_a_wait_by_locator_watches_the_marker_too(unless: dict[str, str]):
    (call,) = mcp_calls(Step("wait", target=SEND, args={"unless": unless}), 10)
    assert call.tool == "browser_run_code_unsafe"
    assert call.arguments["code"].count("waitFor") == 2
    assert js_locator(target_of(unless)) in call.arguments["code"]


def test_a_marker_that_only_a_locator_finds_makes_a_wait_by_locator():
    (call,) = mcp_calls(Step("wait", target=REPLY, args={"unless": {"role": "alert"}}), 10)
    assert call.tool == "browser_run_code_unsafe"


def test_an_observer_takes_one_of_several():
    assert "select('p').slice(-2).slice(0, 1)" in observer(Target("css", "p", nth=-2), "hidden", None, 1)


def test_files_are_kept_in_the_folder():
    (shot,) = mcp_calls(Step("screenshot", args={"as": "a b", "full_page": True}), 10, "/evidence/")
    assert shot.arguments == {"filename": "/evidence/a-b.png", "type": "png", "scale": "css", "fullPage": True}
    (download,) = mcp_calls(Step("download", target=SEND, args={"as": "../a.json"}), 10, "/evidence/")
    assert "'/evidence/a.json'" in download.arguments["code"]


@pytest.mark.parametrize(
    "poll, within, limit", [(10, 60, "10000"), (10, 3, "3000"), (0.5, 3, "500")],
)  # fmt: skip
@pytest.mark.parametrize("target", [REPLY, SEND])
def test_no_wait_is_longer_than_a_poll(poll: float, within: float, limit: str, target: Target):
    (call,) = mcp_calls(Step("wait", target=target, args={"within_seconds": within}), poll)
    assert call.kind == "wait"
    assert re.search(rf"\b{limit}\b", call.arguments.get("function", "") + call.arguments.get("code", ""))


@pytest.mark.parametrize(
    "to, absent_ok",
    [
        ({"be": "hidden"}, [True]),
        ({"be": "visible"}, [False]),
        ({"not": {"be": "visible"}}, [True]),
        ({"not": {"be": "hidden"}}, [False]),
        ({"not": {"contain": "x"}}, [False]),
        ({"be": "enabled", "have_count": 0}, [False, False]),
    ],
)
def test_absence_is_good_only_for_what_is_to_be_hidden(to: dict[str, Any], absent_ok: list[bool]):
    calls = mcp_calls(Step("expect", target=REPLY, args={"to": to}), 10)
    assert [call.absent_ok for call in calls] == absent_ok
    assert {call.kind for call in calls} == {"ask"}


@pytest.mark.parametrize(
    "target, seen",
    [
        (REPLY, True),
        (Target("text", "x", nth=1), True),
        (Target("css", "main > p.a[b='c']"), True),
        (Target("css", "p:has-text('x')"), False),
        (Target("css", "main >> p"), False),
        (Target("css", "//p"), False),
        (Target("css", "text=x"), False),
        (SEND, False),
        (Target("label", "x"), False),
        (Target("testid", "x", within=REPLY), False),
        (Target("testid", "x", frame="iframe"), False),
        (Target("testid", "x", has_text="y"), False),
    ],
)
def test_observable(target: Target, seen):
    assert observable(target) is seen


def test_the_text_engine_is_sent_only_when_a_text_is_looked_for():
    assert "textOf" not in observer(REPLY, "visible", None, 1)
    assert "textOf" in observer(REPLY, "visible", Target("text", "x"), 1)


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2), max_leaves=4))  # fmt: skip
def test_a_literal_is_one_line(value: Any):
    assert not set(literal(value)) & set("\n\r\u2028\u2029")


# Not raw: each is text that a spec may hold.
@given(st.text())
def test_python_text_is_one_statement_whatever_the_texts(text: str):
    for step in (
        Step("fill", target=Target("label", text), args={"value": text}),
        Step("expect", target=Target("css", text), args={"to": {"match": text}}),
        Step("evaluate", args={"script": text, "equals": text}),
        Step("goto", args={"url": text}),
    ):
        assert len(ast.parse(playwright_text(step)).body) == 1
        assert "\n" not in playwright_text(step)


@pytest.mark.parametrize(
    "ask, lacks",
    [(playwright_text, "neither `text` nor `method`"), (lambda step: mcp_calls(step, 1), "no `calls`")],
)
def test_what_the_row_of_a_step_lacks_is_named(monkeypatch: pytest.MonkeyPatch, ask, lacks):
    monkeypatch.setitem(VERBS, "visit", Verb("visit", "Visit.", {}))
    monkeypatch.setitem(DEFAULTS, "visit", {})
    with pytest.raises(LookupError, match=f"^'?the step \"visit\" has {lacks} in its row of orchestra.steps.verbs'?$"):
        ask(Step("visit"))
