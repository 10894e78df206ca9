"""Each condition of `expect` by both browser methods and by Playwright's own assertions, where it holds and where not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Error, Locator, Page, expect, sync_playwright

from orchestra.runtime.browsers.finder import launch_options
from tests.support.both import failed, passed
from tests.support.nights import at_night, by_day, in_one
from tests.support.plain import located
from tests.support.site import page

pytestmark = pytest.mark.browser

BODY = """<style>li { color: rgb(255, 0, 0) }</style>
<button class="primary  big" title=Ü aria-label="It's: &quot;x&quot;">Send</button><p class=ghost data-testid=plain> </p>
<ul><li class=a>Buy milk</li><li class="b c">Buy eggs</li><li class=d>Buy bread</li></ul>
<label>Tickers <select multiple><option selected>N</option><option selected value=A>AMD</option><option>X</option></select></label>
<label>Name <input value=abc></label><label>Fixed <input readonly value=1,234.5></label><label>Closed <input disabled></label>
<p data-testid=cost>about 1,234.50 ms, not 7</p><p data-testid=minus>\u22123 °C</p><p data-testid=empty></p>
<p data-testid=far style="margin-top:4000px">far</p><div hidden data-testid=off role=alert>off</div><h1>Mar  ket</h1>
<div data-testid=outer><button>Inner</button></div>"""

SEND, ITEMS, COST, MINUS = {"css": "button", "nth": 0}, {"css": "li"}, {"testid": "cost"}, {"testid": "minus"}
MANY, NAME, FIXED, EMPTY = {"css": "select"}, {"label": "Name"}, {"label": "Fixed"}, {"testid": "empty"}
FAR, OFF, OUTER, HEADING = {"testid": "far"}, {"testid": "off"}, {"testid": "outer"}, {"css": "h1"}

Case = tuple[dict[str, Any], dict[str, Any], bool, Callable[[Any], Any] | None]
CASES: list[Case] = [
    (SEND, {"have_class": {"exact": "primary big"}}, True, lambda it: it.to_have_class("primary  big")),
    (SEND, {"have_class": {"exact": "big primary"}}, False, lambda it: it.to_have_class("big primary")),
    (SEND, {"have_class": {"exact": "primary"}}, False, lambda it: it.to_have_class("primary")),
    (EMPTY, {"have_class": {"exact": ""}}, True, lambda it: it.to_have_class("")),
    (SEND, {"have_class": {"set": ["big", "primary"]}}, True, None),
    (SEND, {"have_class": {"set": ["big"]}}, False, None),
    (SEND, {"have_attribute": {"class": None}}, False, lambda it: it.not_to_have_attribute("class", re.compile(".*"))),
    (SEND, {"have_attribute": {"id": None, "title": "Ü"}}, True, lambda it: it.not_to_have_attribute("id", re.compile(".*"))),
    (FAR, {"be": "in_viewport"}, False, lambda it: it.to_be_in_viewport()),
    (SEND, {"be": "in_viewport"}, True, lambda it: it.to_be_in_viewport()),
    (EMPTY, {"be": "empty"}, True, lambda it: it.to_be_empty()),
    ({"testid": "plain"}, {"be": "empty"}, True, lambda it: it.to_be_empty()),
    (NAME, {"be": "empty"}, False, lambda it: it.to_be_empty()),
    (NAME, {"be": "editable"}, True, lambda it: it.to_be_editable()),
    (FIXED, {"be": "editable"}, False, lambda it: it.to_be_editable()),
    ({"label": "Closed"}, {"be": "editable"}, False, lambda it: it.to_be_editable()),
    ({**ITEMS, "nth": 1}, {"have_css": {"color": "rgb(255, 0, 0)"}}, True, lambda it: it.to_have_css("color", "rgb(255, 0, 0)")),
    (SEND, {"have_css": {"color": "rgb(255, 0, 0)"}}, False, lambda it: it.to_have_css("color", "rgb(255, 0, 0)")),
    (SEND, {"have_role": "button"}, True, lambda it: it.to_have_role("button")),
    (OUTER, {"have_role": "button"}, False, lambda it: it.to_have_role("button")),
    (OFF, {"have_role": "alert"}, True, lambda it: it.to_have_role("alert")),
    (SEND, {"have_accessible_name": "It's: \"x\""}, True, lambda it: it.to_have_accessible_name("It's: \"x\"")),
    (HEADING, {"have_accessible_name": " Mar ket "}, True, lambda it: it.to_have_accessible_name(" Mar ket ")),
    (OUTER, {"have_accessible_name": "Inner"}, False, lambda it: it.to_have_accessible_name("Inner")),
    (OUTER, {"have_accessible_name": ""}, True, lambda it: it.to_have_accessible_name("")),
    (OUTER, {"aria": '- button "Inner"'}, True, lambda it: it.to_match_aria_snapshot('- button "Inner"')),
    (OUTER, {"aria": "- button: Outer"}, False, lambda it: it.to_match_aria_snapshot("- button: Outer")),
    (MANY, {"have_values": ["N", "A"]}, True, lambda it: it.to_have_values(["N", "A"])),
    (MANY, {"have_values": ["N"]}, False, lambda it: it.to_have_values(["N"])),
    (ITEMS, {"have_text": ["Buy milk", " Buy  eggs", "Buy bread"]}, True, lambda it: it.to_have_text(["Buy milk", " Buy  eggs", "Buy bread"])),
    (ITEMS, {"have_text": ["Buy milk", "Buy eggs"]}, False, lambda it: it.to_have_text(["Buy milk", "Buy eggs"])),
    (ITEMS, {"contain": ["milk", "bread"]}, True, lambda it: it.to_contain_text(["milk", "bread"])),
    (ITEMS, {"contain": ["bread", "milk"]}, False, lambda it: it.to_contain_text(["bread", "milk"])),
    (ITEMS, {"have_class": ["a", "c", "d"]}, True, lambda it: it.to_contain_class(["a", "c", "d"])),
    (ITEMS, {"have_class": ["c", "a", "d"]}, False, lambda it: it.to_contain_class(["c", "a", "d"])),
    (ITEMS, {"have_count": {"at_least": 1, "at_most": 3, "between": [3, 4]}}, True, None),
    ({"text": "Nowhere"}, {"have_count": {"at_least": 1}}, False, None),
    ({"text": "Nowhere"}, {"have_count": {"at_most": 0}}, True, None),
    (COST, {"have_number": {"between": [1234.5, 1234.5]}}, True, None),
    (COST, {"have_number": {"below": 1234.5}}, False, None),
    (COST, {"have_number": {"below": 8, "above": 6, "pattern": "not ([0-9]+)"}}, True, None),
    (MINUS, {"have_number": {"below": 0, "above": -4}}, True, None),
    (FIXED, {"have_number": {"above": 1234, "below": 1235}}, True, None),
]  # fmt: skip


@pytest.fixture(scope="module")
def plain(chromium) -> Iterator[Page]:
    """The page in plain Playwright."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options(chromium, dict(os.environ)))
        shown = browser.new_page(viewport={"width": 1280, "height": 800})
        shown.set_content(unquote(page(BODY)["goto"].partition("?")[2]))
        yield shown
        browser.close()


def holds(locator: Locator, call: Callable[[Any], Any], *, wanted: bool) -> None:
    """Check that plain Playwright gives the same answer."""
    expect.set_options(timeout=1 if not wanted else 2000)
    try:
        call(expect(locator))
    except (AssertionError, Error):
        assert not wanted, locator
    else:
        assert wanted, locator


def said_of(
    target: dict[str, Any], to: dict[str, Any], *, holds: bool, key: str = "to", within: float = 5
) -> dict[str, Any]:
    return {"expect": {**target, key: to if holds else {"not": to}, "within_seconds": within}}


def test_each_condition_holds_where_playwright_says_so(both, plain):
    passed(both(page(BODY), *(said_of(target, to, holds=holds) for target, to, holds, _ in CASES), opened=False))
    for target, _, wanted, call in CASES:
        if call is not None:
            holds(located(plain, target), call, wanted=wanted)
    expect.set_options(timeout=5000)


NOWHERE = {"testid": "nowhere"}
NOT_WITHOUT_ELEMENT = {str(to): to for to in (
    {"contain": ["error"]}, {"have_number": {"above": 1}}, {"be": "enabled"}, {"contain": "error"}, {"be": "hidden"}, {"aria": "- list"},
    {"have_text": ["a"]}, {"have_class": ["a"]}, {"be": "in_viewport"}, {"be": "focused"}, {"be": "empty"}, {"have_css": {"color": "red"}},
    {"have_values": ["a"]}, {"have_role": "button"}, {"have_accessible_name": "a"}, {"have_attribute": {"id": None}}, {"have_class": {"set": ["a"]}},
)}  # fmt: skip


# By day one that one script reads, of all elements and of one, one that Playwright is asked for; at night each condition.
@pytest.mark.parametrize("cases", in_one(NOT_WITHOUT_ELEMENT, *list(NOT_WITHOUT_ELEMENT)[:3]))
def test_the_negation_of_a_condition_fails_where_no_element_matches(both, cases):
    said = [[page(BODY), said_of(NOWHERE, NOT_WITHOUT_ELEMENT[case], holds=False, within=1)] for case in cases]
    for case, (results, _) in zip(cases, both.cases(*said, opened=False), strict=True):
        for result in failed(results, case=case):
            assert result.failure.message.endswith("but no element matches"), case


LOGGED = {
    "a text": ({**ITEMS, "nth": 1}, {"have_text": "Buy tea"}, '"Buy eggs"'),
    "a number": (COST, {"have_number": {"below": 8}}, "1234.5"),
    "no element": (NOWHERE, {"have_number": {"below": 8}}, "no element"),
}


@pytest.mark.parametrize("cases", in_one(LOGGED, "a text", "a number"))
def test_a_failed_expectation_has_a_log_of_what_was_seen(both, cases):
    said = [[page(BODY), said_of(*LOGGED[case][:2], holds=True, within=3)] for case in cases]
    for case, (results, _) in zip(cases, both.cases(*said, opened=False), strict=True):
        for result in failed(results, case=case):
            lines = result.failure.log.splitlines()
            assert any(line.startswith("waiting for ") for line in lines), (case, lines)
            assert any(LOGGED[case][2] in line for line in lines[1:]), (case, lines)


def test_absence_is_hidden_not_visible_and_a_count_of_none(both):
    steps = [
        {"expect": {**NOWHERE, "to": {"be": "hidden"}}},
        {"expect": {**NOWHERE, "to": {"not": {"be": "visible"}}}},
        {"expect": {**NOWHERE, "to": {"have_count": 0}}},
        {"expect": {**NOWHERE, "to": {"not": {"have_count": {"at_least": 1}}}}},
    ]
    passed(both(page(BODY), *steps, opened=False))


NO_NUMBER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "above": (EMPTY, {"have_number": {"above": -1}}),
    "not above": (EMPTY, {"not": {"have_number": {"above": 5}}}),
    "not by a pattern": (COST, {"not": {"have_number": {"above": 5, "pattern": "about"}}}),
}


@pytest.mark.parametrize("case", by_day(NO_NUMBER, "not above"))  # at night also without a `not`, and with a pattern
def test_a_text_without_a_number_meets_no_bounds_and_no_negation(both, case):
    target, to = NO_NUMBER[case]
    for result in failed(both(page(BODY), {"expect": {**target, "to": to, "within_seconds": 1}}, opened=False)):
        assert "no number in: " in str(result.failure.found)


@pytest.mark.parametrize(
    "to", [{"not": {"have_css": {"colour": "red"}}}, at_night({"have_css": {"colour": ""}})], ids=str
)
def test_a_style_that_does_not_exist_is_refused(both, to):
    step = {"expect": {**SEND, "to": to, "within_seconds": 2}}
    for result in failed(both(page(BODY), step, opened=False)):
        assert 'but: "colour" is no CSS property' in result.failure.message


NUMBERS: list[tuple[str, float, str | None]] = [
    ("room A-3", 3, None), ("10-20", 10, None), ("10-20", 20, "10(.*)"), ("10 - 20", 20, "10(.*)"), ("10 -20", -20, "10(.*)"),
    ("2026-01-05", 5, "-01(.*)"), ("--5", 5, None), ("-5", -5, None), ("$-5", -5, None), ("(-1,000.5)", -1000.5, None), ("t: -5", -5, None),
    ("t=-5", -5, "t=(.*)"), ("x\u22123", 3, None), ("\u22123", -3, None), ("é-3", 3, None), ("1.5e-3 s", 0.0015, None), ("+7", 7, None),
]  # fmt: skip


def test_a_hyphen_within_a_word_or_a_range_is_no_minus(both):
    numbered = "".join(f"<p data-testid=n{index}>{text}</p>" for index, (text, _, _) in enumerate(NUMBERS))
    steps = []
    for index, (_, number, pattern) in enumerate(NUMBERS):
        wanted = {"between": [number, number], **({"pattern": pattern} if pattern else {})}
        steps.append({"expect": {"testid": f"n{index}", "to": {"have_number": wanted}, "within_seconds": 2}})
    passed(both(page(numbered), *steps, opened=False))


QUANTIFIED: list[tuple[str, dict[str, Any], bool]] = [
    ("all", {"contain": "Buy", "have_css": {"color": "rgb(255, 0, 0)"}, "be": "visible"}, True),
    ("all", {"have_text": "Buy milk"}, False),
    ("all", {"not": {"contain": "NVDA"}}, True),
    ("any", {"have_text": "Buy milk", "have_class": {"set": ["c", "b"]}}, True),
    ("any", {"match": "^Sell"}, False),
    ("any", {"be": "in_viewport", "not": {"have_attribute": {"class": "a"}}}, True),
    ("all", {"be": "enabled"}, True),
    ("any", {"be": "checked"}, False),
    ("any", {"be": "empty"}, False),
]


def test_all_or_any_of_the_matches(both):
    """A condition that does not hold for all does not hold for one of them."""
    other = {"all": "any", "any": "all"}
    steps = [
        {"expect": {**ITEMS, **({key: to} if holds else {other[key]: {"not": to}})}} for key, to, holds in QUANTIFIED
    ]
    fields = {
        "expect": {
            "css": "input",
            "all": {"be": "visible"},
            "any": {"be": "disabled", "have_value": "abc", "have_number": {"above": 1000}},
        }
    }
    passed(both(page(BODY), *steps, fields, opened=False))


MISSED = {
    "a list": (ITEMS, "to", {"have_text": ["Buy milk"]}, 'the list: expected {css: "li"} to have the texts ["Buy milk"] within 0.2 s', '["Buy milk", "Buy eggs", "Buy bread"]'),
    "all": (ITEMS, "all", {"contain": "milk"}, 'the list: expected all of {css: "li"} to contain "milk" within 0.2 s', '["Buy milk", "Buy eggs", "Buy bread"]'),
    "any": (ITEMS, "any", {"be": "in_viewport", "have_class": "x"}, 'the list: expected any of {css: "li"} to have the class "x" within 0.2 s', '["a", "b c", "d"]'),
    "all of none": ({"css": "li.none"}, "all", {"contain": "x"}, 'the list: expected all of {css: "li.none"} to contain "x" within 0.2 s, but no element matches', "no element"),
    "a number": (COST, "to", {"have_number": {"below": 5}}, 'the list: expected {testid: "cost"} to have a number {"below": 5} within 0.2 s', '"1234.5"'),
    "a count": (ITEMS, "to", {"have_count": {"at_most": 2}}, 'the list: expected {css: "li"} to match so many elements: {"at_most": 2} within 0.2 s', '"3"'),
    "a style": (SEND, "to", {"have_css": {"color": "red"}}, 'the list: expected {css: "button", nth: 0} to have the styles {"color": "red"} within 0.2 s', None),
    "a role": (OUTER, "to", {"have_role": "button"}, 'the list: expected {testid: "outer"} to have the role "button" within 0.2 s', "nothing"),
    "a name": (SEND, "to", {"have_accessible_name": "x"}, 'the list: expected {css: "button", nth: 0} to have the accessible name "x" within 0.2 s', None),
    "no select": (NAME, "to", {"have_values": ["x"]}, 'the list: expected {label: "Name"} to have the values ["x"] within 3 s, but: Not a select element with a multiple attribute', None),
}  # fmt: skip


# By day a list, both words for several elements, and a value of each way to look; at night each condition's own words.
WORDED = ("a list", "any", "all of none", "a number", "a role", "no select")


@pytest.mark.parametrize("cases", in_one(MISSED, *WORDED))
def test_both_word_a_failure_alike(both, cases):
    steps = []
    for target, key, to, message, _ in (MISSED[case] for case in cases):
        limit = 3 if "within 3 s" in message else 0.2  # the browser must have been asked once
        steps.append([page(BODY), {"expect": {**target, key: to, "within_seconds": limit, "message": "the list"}}])
    for case, (results, _) in zip(cases, both.cases(*steps, opened=False), strict=True):
        *_, message, found = MISSED[case]
        for result in failed(results, case=case):
            assert result.failure.message == message
            assert found is None or result.failure.found == found, case


LATE = page(
    "<p id=out>0</p><script>let n = 0; const p = out; setInterval(() => { p.textContent = ++n; if (n === 3) p.id = 'done' }, 50)</script>"
)


def test_a_script_is_asked_again_until_it_gives_the_value(both):
    asked = {"script": "() => document.querySelector('#done').textContent >= '3'", "equals": True, "within_seconds": 10}
    below = {"evaluate": {"script": "-n", "below": -5, "within_seconds": 10}}
    soon = "() => new Promise((resolve) => setTimeout(resolve, 50, 2))"
    settles = {"evaluate": {"script": soon, "equals": 2, "within_seconds": 20}}
    for results, _ in both.cases([LATE, {"evaluate": asked}, below], [page("x"), settles], opened=False):
        passed(results)


NEVER = "() => new Promise(() => {})"
UNSETTLED = "the script did not end: its promise did not settle, asked for 3 s"
VALUES = {
    "once": ({"script": "1", "equals": 2, "message": "one"}, "one: the script returned another value"),
    "throws": (
        {"script": "() => { throw new Error('no') }", "equals": 2, "within_seconds": 0.3},
        "evaluate failed: no, asked for 0.3 s",
    ),
    "a promise": ({"script": NEVER, "equals": 2, "within_seconds": 3}, UNSETTLED),
    "a promise of an element": ({"css": "p", "script": NEVER, "equals": 2, "within_seconds": 3}, UNSETTLED),
}


@pytest.mark.parametrize("cases", in_one(VALUES, "once", "throws", "a promise of an element"))
def test_a_script_that_never_gives_the_value_fails_in_time(both, cases):
    said = [[page("<p>x</p>"), {"evaluate": VALUES[case][0]}] for case in cases]
    for case, (results, _) in zip(cases, both.cases(*said, opened=False), strict=True):
        cli, mcp = failed(results, case=case)
        assert cli.failure.message == mcp.failure.message == VALUES[case][1], case
