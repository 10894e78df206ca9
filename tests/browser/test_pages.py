"""Tabs and popups: named, switched between and closed, the same by both browser methods."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.support.both import failed, passed
from tests.support.nights import by_day, in_one
from tests.support.site import page

pytestmark = pytest.mark.browser

POPUP = quote(
    "<title>Popup</title><p id=here>popup</p><button onclick='opener.said.textContent = 1; window.close()'>Allow</button>"
    "<script>opener.popups.textContent++</script>"
)
START = page(
    f"<p id=here>start</p><p id=said>0</p><p id=popups>0</p><a href='/html?{quote('<title>Second</title><p id=here>tab</p>')}' target=_blank>Tab</a>"
    f"""<button onclick="window.open('/html?{POPUP}', '', 'width=300,height=200')">Popup</button>"""
    f"""<button onclick="setTimeout(() => window.open('/html?{POPUP}'), 300)">Later</button>"""
)


def here(text: str) -> dict:
    return {"expect": {"css": "#here", "to": {"have_text": text}, "within_seconds": 10}}


def test_a_test_goes_between_its_pages(both):
    passed(
        both(
            START,
            {"click": {"text": "Tab"}},
            here("start"),
            {"page": {"as": "tab"}},
            here("tab"),
            {"expect": {"page": {"title": {"have_text": "Second"}}}},
            {"page": {"name": "main"}},
            {"page": {"as": "popup", "opens_with": [{"click": {"text": "Later"}}]}},
            here("popup"),
            {"page": {"name": "tab"}},
            here("tab"),
            {"evaluate": {"script": "document.hasFocus()", "equals": True}},
            "close_page",
            here("start"),
            {"page": {"name": "popup"}},
            {"click": {"text": "Allow"}},
            {"expect": {"css": "#said", "to": {"have_text": "1"}}},
            here("start"),
            {"click": {"text": "Popup"}},
            {"page": {"as": "popup"}},
            {"page": {"name": "main"}},
            {"close_page": {"name": "popup"}},
            here("start"),
            opened=False,
        )
    )
    assert both.tools["page"] == both.tools["close_page"] == {"browser_tabs"}


WRONG = {
    "no page opens": ([{"page": {"as": "x", "within_seconds": 0.3}}], "failed", 'no page opened within 0.3 s that could be named "x"'),
    "no such page": ([{"page": {"name": "mian"}}], "error", 'no page is named "mian" (did you mean "main"?); known are "main"'),
    "the first page": (["close_page"], "error", 'the page "main" stays open until the end of the test'),
    "a closed page": ([{"click": {"text": "Tab"}}, {"page": {"as": "x"}}, "close_page", {"page": {"name": "x"}}], "failed", 'the page "x" is closed'),
    "a name twice": ([{"click": {"text": "Tab"}}, {"page": {"as": "main"}}], "error", 'a page is named "main" already'),
}  # fmt: skip


def test_only_a_page_of_opens_with_gets_the_name(both):
    older = [{"click": {"text": "Popup"}}, {"page": {"as": "older"}}, {"page": {"name": "main"}}]
    both_open = {"expect": {"css": "#popups", "to": {"have_text": "2"}, "within_seconds": 10}}
    unnamed = [*older, {"click": {"text": "Popup"}}, both_open]
    opens = {"page": {"as": "t", "opens_with": [{"click": {"css": "#here"}}, {"click": {"text": "Tab"}}]}}
    passed(both(START, *unnamed, opens, here("tab"), {"page": {"as": "popup"}}, here("popup"), opened=False))
    nothing = {"page": {"as": "t", "opens_with": [{"click": {"css": "#here"}}], "within_seconds": 3}}
    for result in failed(both.again()(START, *unnamed, nothing, opened=False)):
        assert result.failure.message == 'no page opened within 3 s that could be named "t"'


# By day a page that does not come, one that is not named, one that is gone; at night what a name and a page cannot be.
@pytest.mark.parametrize("cases", in_one(WRONG, "no page opens", "no such page", "a closed page"))
def test_both_word_a_missing_page_alike(both, cases):
    said = [[START, *WRONG[case][0]] for case in cases]
    for case, (results, _) in zip(cases, both.cases(*said, opened=False), strict=True):
        _, outcome, message = WRONG[case]
        for result in failed(results, outcome, "assertion" if outcome == "failed" else "setup", case):
            assert result.failure.message == message


def test_a_failure_lists_the_open_pages(both):
    steps = [
        {"click": {"text": "Tab"}},
        {"page": {"as": "tab"}},
        {"expect": {"css": "#here", "to": {"have_text": "x"}, "within_seconds": 0.3}},
    ]
    for result in failed(both(START, *steps, opened=False)):
        pages = result.failure.hint.partition("open pages: ")[2]
        assert pages.startswith('"main" (http://')
        assert '"tab" (http://' in pages
        assert ", current)" in pages.partition('"tab" (')[2]
    passed(both.again()(START, here("start"), opened=False))  # the next test begins with one page


CLOSES = {"evaluate": {"script": "() => { setTimeout(() => window.close(), 2000) }"}}
OPEN_POPUP = {"page": {"as": "t", "opens_with": [{"click": {"text": "Popup"}}]}}
LOST = {
    "an expect that waits": {"expect": {"css": "#said", "to": {"have_text": "0"}, "within_seconds": 5}},
    "a wait for what main shows": {"wait": {"css": "#said", "within_seconds": 5}},
    "a click that waits": {"click": {"text": "Nowhere", "within_seconds": 5}},
    "a press that waits": {"press": {"text": "Nowhere", "key": "Enter", "within_seconds": 5}},
    "a wait for what is hidden": {"expect": {"css": "#here", "to": {"be": "hidden"}, "within_seconds": 5}},
}


# One that asks again, and one that waits in the server; at night others, and what the first page would answer.
@pytest.mark.parametrize("case", by_day(LOST, "a wait for what main shows", "a click that waits"))
def test_a_page_that_closes_by_itself_fails_the_step_on_it(both, case):
    for result in failed(both(START, OPEN_POPUP, CLOSES, LOST[case], opened=False)):
        assert result.failure.message == 'the page "t" was closed'
        assert result.failure.hint.partition("open pages: ")[2].startswith('"main" (http://')


def test_a_closed_page_is_left_by_a_page_step_alone(both):
    passed(both(START, OPEN_POPUP, CLOSES, {"page": {"name": "main"}}, here("start"), opened=False))
    click_closes = {
        "evaluate": {
            "script": "() => { document.querySelector('button').onclick = () => setTimeout(() => window.close(), 300) }"
        }
    }
    passed(both.again()(START, OPEN_POPUP, click_closes, {"click": {"text": "Allow"}}, here("start"), opened=False))
