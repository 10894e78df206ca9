"""A target of the spec, and the locators that it becomes; test_calls_mcp.py shows that the real server takes them."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.steps.target import (
    Call,
    Target,
    in_words,
    js_locator,
    js_pattern,
    js_string,
    python_calls,
    python_locator,
    target_of,
)

CASES = [
    (Target("role", "button"), "getByRole('button')", ".get_by_role('button')"),
    (
        Target("role", "button", name="Send"),
        "getByRole('button', { name: 'Send' })",
        ".get_by_role('button', name='Send')",
    ),
    (
        Target("role", "button", name="Send", exact=True),
        "getByRole('button', { name: 'Send', exact: true })",
        ".get_by_role('button', name='Send', exact=True)",
    ),
    (
        Target("role", "checkbox", name_match="^a/b$", checked=False, expanded=True),
        "getByRole('checkbox', { name: /^a\\/b$/, checked: false, expanded: true })",
        ".get_by_role('checkbox', name=re.compile('^a\\\\/b$'), checked=False, expanded=True)",
    ),
    (
        Target("role", "heading", level=2),
        "getByRole('heading', { level: 2 })",
        ".get_by_role('heading', level=2)",
    ),
    (Target("role", "button", exact=True), "getByRole('button')", ".get_by_role('button')"),
    (Target("label", "Message"), "getByLabel('Message')", ".get_by_label('Message')"),
    (
        Target("placeholder", "Ask", exact=True),
        "getByPlaceholder('Ask', { exact: true })",
        ".get_by_placeholder('Ask', exact=True)",
    ),
    (Target("text", "it's"), "getByText('it\\'s')", '.get_by_text("it\'s")'),
    (Target("alt", "A"), "getByAltText('A')", ".get_by_alt_text('A')"),
    (Target("title", "A"), "getByTitle('A')", ".get_by_title('A')"),
    (Target("testid", "a", exact=True), "getByTestId('a')", ".get_by_test_id('a')"),
    (Target("css", "a > b", nth=-1), "locator('a > b').nth(-1)", ".locator('a > b').nth(-1)"),
    (
        Target("label", "Toggle", within=Target("role", "listitem", has_text="milk"), nth=0),
        "getByRole('listitem').filter({ hasText: 'milk' }).getByLabel('Toggle').nth(0)",
        ".get_by_role('listitem').filter(has_text='milk').get_by_label('Toggle').nth(0)",
    ),
    (
        Target("css", "p", frame="iframe#x", within=Target("css", "main")),
        "locator('main').frameLocator('iframe#x').locator('p')",
        ".locator('main').frame_locator('iframe#x').locator('p')",
    ),
]


@pytest.mark.parametrize("target, javascript, python", CASES)
def test_locators(target: Target, javascript: str, python: str):
    assert js_locator(target) == javascript
    assert python_locator(target) == python


def test_python_calls_are_the_links_of_the_locator():
    target = Target("role", "button", name="Send", nth=1)
    assert python_calls(target) == (Call("get_by_role", ("button",), {"name": "Send"}), Call("nth", (1,)))


def test_target_of_a_mapping():
    data = {
        "role": "button",
        "name": "Send",
        "exact": True,
        "nth": 2,
        "has_text": "x",
        "frame": "iframe",
        "within": {"testid": "row"},
        "value": "not a target's",
    }
    assert target_of(data) == Target("role", "button", "Send", True, 2, "x", Target("testid", "row"), "iframe")
    assert target_of({"css": "p"}) == Target("css", "p")
    assert target_of({"value": "x"}) is None


@given(st.text())
def test_python_locator_is_source_of_its_text(text: str):
    call = ast.parse("page" + python_locator(Target("text", text)), mode="eval").body
    assert isinstance(call, ast.Call)
    assert [ast.literal_eval(argument) for argument in call.args] == [text]


def test_target_with_a_pattern_and_states():
    data = {"role": "checkbox", "name": {"match": "^Send"}, "checked": False, "level": 1}
    target = target_of(data)
    assert target == Target("role", "checkbox", name_match="^Send", checked=False, level=1)
    assert in_words(target) == '{role: "checkbox", name: {match: "^Send"}, checked: false, level: 1}'
    assert in_words(Target("css", "a", within=target)).startswith('{css: "a", within: {role: "checkbox", name: {match:')


@pytest.mark.parametrize(
    "pattern, literal",
    [("", "/(?:)/"), ("a/b", r"/a\/b/"), (r"a\/b", r"/a\/b/"), ("[/]\\", r"/[\/]\\/"), ("a\n\u2028", r"/a\n\u2028/")],
)
def test_js_pattern(pattern, literal):
    assert js_pattern(pattern) == literal


@given(st.text())
def test_js_pattern_ends_where_it_ends(text: str):
    literal = js_pattern(text)
    assert re.fullmatch(r"/(?:[^\\/\n\r\u2028\u2029]|\\[^\n\r\u2028\u2029])+/", literal)


@given(st.text())
def test_js_string_ends_where_it_ends(text: str):
    quoted = js_string(text)
    assert quoted[0] == quoted[-1] == "'"
    inside = quoted[1:-1].replace("\\\\", "").replace("\\'", "")
    assert "'" not in inside
    assert not any(letter in quoted for letter in "\n\r\u2028\u2029")
