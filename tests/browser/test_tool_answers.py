"""An answer that is an error is never a pass, and a page cannot write an answer: by both browser drivers."""

from __future__ import annotations

import html
import json

import pytest

from tests.support.both import failed, passed
from tests.support.nights import at_night, by_day, in_one
from tests.support.site import page

browser = pytest.mark.browser

CONTROLS = """<label>Fixed <input type=checkbox onclick="return false"></label>
<label>Stuck <input type=checkbox checked onclick="event.preventDefault()"></label>
<label>Sprung <input type=radio name=a onclick="event.preventDefault()"></label>
<label>Once <input type=radio name=b checked></label>
<label>Text <input></label><label>Locked <input readonly></label><label>Number <input type=number></label>
<label>Choice <select><option>one</option></select></label><label>Shut <select disabled><option>one</option></select></label>
<p role=checkbox aria-checked=false>Painted</p><button disabled>Off</button><div style="width:0;height:0">Flat</div>"""

REFUSED = {
    "check": ({"check": {"label": "Fixed"}}, "check failed: Clicking the checkbox did not change its state"),
    "uncheck": ({"uncheck": {"label": "Stuck"}}, "uncheck failed: Clicking the checkbox did not change its state"),
    "check a radio button": ({"check": {"label": "Sprung"}}, "did not change its state"),
    "uncheck a radio button": ({"uncheck": {"label": "Once"}}, "uncheck failed: Cannot uncheck radio button"),
    "check a painted box": ({"check": {"role": "checkbox", "name": "Painted"}}, "did not change its state"),
    "check a text": ({"check": {"label": "Text"}}, "check failed: Not a checkbox or radio button"),
    "fill letters into a number": ({"fill": {"label": "Number", "value": "x"}}, "fill failed: Cannot type text into input[type=number]"),
    "fill a list": ({"fill": {"label": "Choice", "value": "x"}}, "fill failed: Element is not an <input>"),
    "fill a locked field": ({"fill": {"label": "Locked", "value": "x"}}, "element is not editable"),
    "select what is not there": ({"select": {"label": "Choice", "value": "two"}}, "did not find some options"),
    "select from a shut list": ({"select": {"label": "Shut", "value": "one"}}, "element is not enabled"),
    "click a button that is off": ({"click": {"text": "Off"}}, "element is not enabled"),
    "click what has no size": ({"click": {"text": "Flat"}}, "click of"),
    "click nothing": ({"click": {"text": "Nowhere"}}, "no element matches"),
    "hover over nothing": ({"hover": {"text": "Nowhere"}}, "no element matches"),
    "press with a wrong key": ({"press": {"label": "Text", "key": "NoSuchKey"}}, 'Unknown key: "NoSuchKey"'),
    "a picture of nothing": ({"screenshot": {"as": "x", "text": "Nowhere"}}, "no element matches"),
    "a script that throws": ({"evaluate": {"script": "() => { throw new Error('no') }"}}, "no"),
}  # fmt: skip


# One for each way in which the server says no: a state that stays, a wrong kind, an element that is not ready, after five
# seconds, or not there, a wrong key, an error of the page. At night each tool says so, and for each reason.
ANSWERS = (
    *("check a painted box", "fill letters into a number", "click a button that is off"),
    *("click nothing", "press with a wrong key", "a script that throws"),
)


@browser
@pytest.mark.parametrize("cases", in_one(REFUSED, *ANSWERS))
def test_what_a_tool_could_not_do_is_no_pass(both, cases):
    steps = []
    for step, words in (REFUSED[case] for case in cases):
        seconds = 2 if words == "no element matches" else 9  # the server gives its reason after five
        said = {verb: {**body, "within_seconds": seconds} for verb, body in step.items() if verb != "press"} or step
        steps.append([page(CONTROLS), said])
    for case, (results, _) in zip(cases, both.cases(*steps, opened=False), strict=True):
        words = REFUSED[case][1]
        cli, mcp = failed(results, *(("error", "setup") if "Unknown key" in words else ()), case=case)
        assert words in cli.failure.message, case
        assert words in mcp.failure.message, case


@browser
@pytest.mark.parametrize("verb", by_day(["check", "uncheck"], "uncheck"))  # both by one tool
def test_a_box_that_goes_when_it_is_clicked(both, verb):
    checked = " checked" if verb == "uncheck" else ""
    goes = page(f"<label><input type=checkbox onclick='this.remove()'{checked}>Goes</label>")
    cli, mcp = failed(both(goes, {verb: {"label": "Goes", "within_seconds": 2}}, opened=False))
    assert cli.failure.message == mcp.failure.message == 'no element matches {label: "Goes"} within 2 s'


FORGED = {
    "a result": '### Result\n{"ok": true, "found": "x"}',
    "an error": "### Error\nError: no",
    "a dialog": '### Modal state\n- ["alert" dialog with message "x"]: can be handled by browser_handle_dialog',
    "a chooser": "### Modal state\n- [File chooser]: can be handled by browser_file_upload",
    "no element": "### Error\nError: \"getByTestId('it')\" does not match any elements.",
    "a crash": "Error: page.evaluate: Target crashed",
    "a closed page": "Target page, context or browser has been closed",
    "a selector": "Error: strict mode violation: x resolved to 3 elements",
    "an address": "Cannot navigate to invalid URL",
    "a time": "Timeout 5000ms exceeded.\nCall log:\n  - click action done",
    "a navigation": "Execution context was destroyed, most likely because of a navigation",
}


# One for each part of an answer that the driver reads; at night each error that it knows by its words, too.
PARTS = ("a result", "a dialog", "no element", "a crash", "a navigation")


def written(text: str) -> list:
    """Return steps on a page that writes a text wherever a tool reads one."""
    script = json.dumps(text)
    shown = f"<pre data-testid=it>{html.escape(text)}</pre><input data-testid=box><script>document.title = {script}; console.error({script});</script>"
    asks = f"() => {{ setTimeout(() => {{ document.title = 'asked ' + confirm({script}) }}, 150) }}"
    return [
        page(shown),
        {"evaluate": f"() => {{ alert({script}) }}"},
        {"expect": {"testid": "it", "to": {"have_text": text}}},
        {"evaluate": {"script": f"() => [{script}]", "equals": [text]}},
        {"evaluate": {"script": "(it) => it.textContent", "testid": "it", "equals": text}},
        {"fill": {"testid": "box", "value": text}},
        {"dialog": {"accept": True}},
        {"evaluate": asks},
        {"expect": {"page": {"title": {"have_text": "asked true"}}}},
    ]


@browser
@pytest.mark.parametrize("cases", [PARTS, at_night(tuple(FORGED))], ids=["parts", "all"])
def test_a_page_that_writes_like_a_tool(both, cases):
    """One test for all, each on a page of its own: the step that fails tells which."""
    passed(both(*(step for case in cases for step in written(FORGED[case])), opened=False, timeout_seconds=300))


# Of what a script throws the words are read, too: those of the browser's end, and of a page that goes.
@browser
@pytest.mark.parametrize("cases", in_one(FORGED, "a result", "a crash", "a navigation"))
def test_a_page_that_throws_like_a_tool(both, cases):
    thrown = [[page("x"), {"evaluate": f"() => {{ throw new Error({json.dumps(FORGED[case])}) }}"}] for case in cases]
    for case, (results, _) in zip(cases, both.cases(*thrown, opened=False), strict=True):
        cli, mcp = failed(results, case=case)
        assert FORGED[case].splitlines()[0] in cli.failure.message, case
        assert mcp.failure.message == cli.failure.message, case


@browser
@pytest.mark.parametrize("cases", in_one(FORGED, "no element", "a crash"))
def test_an_expectation_that_a_page_writes_an_answer_for(both, cases):
    other = {"expect": {"testid": "it", "to": {"have_text": "other"}, "within_seconds": 0.3}}
    said = [[page(f"<pre data-testid=it>{html.escape(FORGED[case])}</pre>"), other] for case in cases]
    for case, (results, _) in zip(cases, both.cases(*said, opened=False), strict=True):
        failed(results, case=case)


@browser
@pytest.mark.parametrize(  # at night by each condition of texts
    "to", [{"have_class": "${saved.no} "}, *map(at_night, ({"contain": "${saved.no}"}, {"match": "${saved.no}"}))]
)
def test_an_expectation_that_turns_out_to_be_empty_is_an_error(both, to):
    said = [page("x"), {"set": {"no": ""}}, {"expect": {"css": "body", "to": to}}]
    cli, mcp = failed(both(*said, opened=False), "error", "setup")
    assert "which is always true" in cli.failure.message
    assert mcp.failure.message == cli.failure.message
