"""Dragging, scrolling, focus, clicks at a point and dropped files: both browser methods, and Playwright's own calls."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, sync_playwright

from orchestra.runtime.browsers.finder import launch_options
from tests.support.both import passed
from tests.support.nights import in_one
from tests.support.site import page

pytestmark = pytest.mark.browser

BODY = """<style>html { scroll-behavior: smooth }</style><p data-testid=log></p>
<div id=item draggable=true style="width:60px;height:20px">item</div><div id=done style="width:90px;height:40px">done</div>
<canvas id=area width=100 height=50 style="border:3px solid"></canvas><label>Name <input id=name value=abc></label><button>Elsewhere</button>
<div id=box style="height:60px;overflow:auto"><p style="margin:400px 0 0">inside</p></div>
<div id=zone style="height:40px">zone</div><p id=far style="margin-top:4000px">far</p>
<script>
const log = (text) => { document.querySelector('[data-testid=log]').textContent += text + ';'; };
item.addEventListener('dragstart', (event) => event.dataTransfer.setData('text/plain', 'moved'));
for (const target of [done, zone]) target.addEventListener('dragover', (event) => event.preventDefault());
done.addEventListener('drop', (event) => { event.preventDefault(); log(event.dataTransfer.getData('text/plain')); });
zone.addEventListener('drop', async (event) => { event.preventDefault();
  const files = [...event.dataTransfer.files]; log(files.map((file) => file.name).join('+')); });
area.addEventListener('click', (event) => log(`at ${event.offsetX},${event.offsetY} ${event.detail}`));
for (const type of ['focus', 'blur']) document.querySelector('#name').addEventListener(type, () => log(type));
const state = () => [document.querySelector('[data-testid=log]').textContent, Math.round(scrollY), box.scrollTop, document.activeElement.id];
</script>"""

STEPS: list[dict[str, Any]] = [
    {"drag": {"css": "#item", "onto": {"css": "#done"}}},
    {"click": {"css": "#area", "position": {"x": 10, "y": 5}}},
    {"click": {"css": "#area", "position": {"x": 1, "y": 2}, "count": 2}},
    {"upload": {"css": "#zone", "files": ["a.txt", "b.txt"], "drop": True}},
    {"focus": {"label": "Name"}},
    {"expect": {"label": "Name", "to": {"be": "focused"}}},
    {"blur": {"label": "Name"}},
    {"expect": {"label": "Name", "to": {"not": {"be": "focused"}}}},
    {"scroll": {"css": "#far"}},
    {"expect": {"css": "#far", "to": {"be": "in_viewport"}}},
    {"scroll": "top"},
    {"scroll": {"css": "#box", "to": "bottom"}},
    {"scroll": {"to": {"y": 300}}},
]


@pytest.fixture(scope="module")
def plain_state(chromium, tmp_path_factory) -> Any:
    """The state of the page after the same by Playwright's own calls."""
    folder: Path = tmp_path_factory.mktemp("plain")
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options(chromium, dict(os.environ)))
        shown: Page = browser.new_page(viewport={"width": 1280, "height": 800})
        shown.set_content(unquote(page(BODY)["goto"].partition("?")[2]))
        shown.drag_and_drop("#item", "#done")
        shown.click("#area", position={"x": 10, "y": 5})
        shown.click("#area", position={"x": 1, "y": 2}, click_count=2)
        shown.locator("#zone").drop({"files": [str(folder / "a.txt"), str(folder / "b.txt")]})
        shown.focus("#name")
        shown.locator("#name").blur()
        shown.locator("#far").scroll_into_view_if_needed()
        shown.evaluate("scrollTo({top: 300, behavior: 'instant'}); box.scrollTop = box.scrollHeight")
        state = shown.evaluate("state()")
        browser.close()
    return state


def test_each_leaves_the_page_as_playwright_does(both, plain_state):
    assert plain_state[0].count(";") == 7, plain_state
    passed(both(page(BODY), *STEPS, {"evaluate": {"script": "state()", "equals": plain_state}}, opened=False))
    assert both.tools["drag"] == {"browser_evaluate", "browser_drag"}


WRONG = {
    "nothing to drag": ({"drag": {"text": "Nowhere", "onto": {"css": "#done"}}}, 'no element matches {text: "Nowhere"} within 1.5 s'),
    "nothing to drop it onto": ({"drag": {"css": "#item", "onto": {"text": "Nowhere"}}}, 'no element matches {text: "Nowhere"} within 1.5 s'),
    "onto several": ({"drag": {"css": "#item", "onto": {"css": "div"}}}, '{css: "div"} matches 4 elements'),
    "nothing to scroll to": ({"scroll": {"text": "Nowhere"}}, 'no element matches {text: "Nowhere"} within 1.5 s'),
    "nothing to focus": ({"focus": {"text": "Nowhere"}}, 'no element matches {text: "Nowhere"} within 1.5 s'),
    "nothing to drop files onto": ({"upload": {"text": "Nowhere", "files": ["a.txt"], "drop": True}}, 'no element matches {text: "Nowhere"} within 1.5 s'),
    "no such file": ({"upload": {"css": "#zone", "files": ["none.txt"], "drop": True}}, 'the file to upload "none.txt" is not there'),
    "what does not take it": ({"upload": {"css": "#area", "files": ["a.txt"], "drop": True}}, None),
}  # fmt: skip


# At night each verb says by the same words that there is nothing, or too much.
FOUND = ("nothing to drop it onto", "no such file", "what does not take it")


@pytest.mark.parametrize("cases", in_one(WRONG, *FOUND))
def test_both_fail_alike(both, cases):
    said = []
    for case in cases:
        step, message = WRONG[case]
        ((verb, body),) = step.items()
        seconds = 1.5 if "1.5 s" in str(message) else 30  # what is told at once has time on a busy machine
        said.append([page(BODY), {verb: {**body, "within_seconds": seconds}}])
    for case, ((cli, mcp), _) in zip(cases, both.cases(*said, opened=False), strict=True):
        message = WRONG[case][1]
        assert cli.failure.message == mcp.failure.message, case
        assert message is None or cli.failure.message == message


UNFIT_PAGE = page(
    "<input id=hidden style='display:none'><input id=off disabled><input id=fixed readonly value=a><h1>Head</h1><button>Go</button><p id=text>text</p>"
)
UNFIT = {
    "type into a hidden input": ({"type": {"css": "#hidden", "value": "x"}}, 'type of {css: "#hidden"} is not possible: element is not visible'),
    "type into a disabled input": ({"type": {"css": "#off", "value": "x"}}, 'type of {css: "#off"} is not possible: element is not enabled'),
    "type into a readonly input": ({"type": {"css": "#fixed", "value": "x"}}, 'type of {css: "#fixed"} is not possible: element is not editable'),
    "type into a heading": ({"type": {"css": "h1", "value": "x"}}, 'type of {css: "h1"} is not possible: element does not take the focus'),
    "type into a button": ({"type": {"css": "button", "value": "x"}}, 'type of {css: "button"} is not possible: element takes no text'),
    "type without a focus": ({"type": {"value": "x"}}, "type is not possible: no element has the focus"),
    "press on a hidden input": ({"press": {"css": "#hidden", "key": "a"}}, 'press of {css: "#hidden"} is not possible: element is not visible'),
    "press on a disabled input": ({"press": {"css": "#off", "key": "a"}}, 'press of {css: "#off"} is not possible: element is not enabled'),
    "focus a hidden input": ({"focus": {"css": "#hidden"}}, 'focus of {css: "#hidden"} is not possible: element is not visible'),
    "focus a disabled input": ({"focus": {"css": "#off"}}, 'focus of {css: "#off"} is not possible: element is not enabled'),
    "focus a heading": ({"focus": {"css": "h1"}}, 'focus of {css: "h1"} is not possible: element does not take the focus'),
    "scroll to a negative place": ({"scroll": {"to": {"y": -5}}}, "scroll is not possible: there is no place at y: -5"),
    "scroll what does not scroll": ({"scroll": {"css": "#text", "to": "bottom"}}, 'scroll of {css: "#text"} is not possible: element does not scroll'),
    "scroll a page that fits": ({"scroll": {"to": {"y": 300}}}, "scroll is not possible: there is nothing to scroll along y"),
}  # fmt: skip


# By day one state that Playwright knows and a reason of our own of each verb; at night each by each verb that gives it.
REASONS = ("type into a hidden input", "type without a focus", "focus a heading", "scroll a page that fits")


@pytest.mark.parametrize("cases", in_one(UNFIT, *REASONS))
def test_a_step_that_cannot_do_its_work_fails(both, cases):
    said = []
    for case in cases:
        ((verb, body),) = UNFIT[case][0].items()
        said.append([UNFIT_PAGE, {verb: {**body, "within_seconds": 1.5}}])
    for case, (results, _) in zip(cases, both.cases(*said, opened=False), strict=True):
        for result in results:
            assert result.failure is not None, case
            assert result.failure.message == UNFIT[case][1]


def test_an_answer_that_comes_too_late_changes_no_message(both):
    result = both.run("mcp", [UNFIT_PAGE, {"type": {"css": "button", "value": "x", "within_seconds": 0.001}}])
    assert result.failure.message == UNFIT["type into a button"][1]


def test_an_input_that_becomes_fit_is_awaited(both):
    shows = {
        "evaluate": {"script": "() => setTimeout(() => document.querySelector('#hidden').style.display = 'block', 300)"}
    }
    typed = {"expect": {"css": "#hidden", "to": {"have_value": "x"}}}
    passed(
        both(
            UNFIT_PAGE,
            shows,
            {"type": {"css": "#hidden", "value": "x"}},
            typed,
            {"scroll": {"to": "bottom"}},
            opened=False,
        )
    )
