"""Both browser drivers, step by step: the same verdict, the same kind of fault at the same step, by the tools that are meant."""

from __future__ import annotations

import json

import pytest

from orchestra.plan import Method
from orchestra.runtime.driver.mcp.verbs import VERBS
from orchestra.runtime.driver.wording import target_text
from orchestra.steps.target import target_of
from orchestra.steps.vocabulary import VERBS as VOCABULARY
from tests.support.both import CODE, EVALUATE, OPEN, failed, passed
from tests.support.expectations import CASES, NOT_HELD, PAGE
from tests.support.nights import at_night, in_one
from tests.support.site import page

browser = pytest.mark.browser
SEND, BOX = {"role": "button", "name": "Send"}, {"label": "Message", "exact": True}


def logged(text):
    return {"expect": {"testid": "log", "to": {"contain": text}}}


def expect(target, to, within=0.3):
    return {"expect": {**target, "to": to, "within_seconds": within}}


def press(name, **more):
    return {"click": {"role": "button", "name": name, "exact": True, **more}}


def test_every_browser_verb_has_a_function():
    assert set(VERBS) == {name for name, verb in VOCABULARY.items() if verb.browser}


# --------------------------------------------------------------------------------------------------------------- verbs

VERB_RUNS = {
    "pointer": (
        [
            {"hover": SEND},
            logged("over;"),
            {"click": SEND},
            logged("click 0;"),
            {"click": {**SEND, "button": "right"}},
            logged("aux 2;"),
            {"click": {**SEND, "modifiers": ["Shift"]}},
            logged("click 0 shift;"),
            {"click": {**SEND, "count": 2}},
            logged("double;"),
        ],
        {"goto": {"browser_navigate"}, "click": {"browser_click"}, "hover": {"browser_hover"}, "expect": {EVALUATE}},
    ),
    "triple click": ([{"click": {**SEND, "count": 3}}, logged("double;")], {"click": {CODE}}),
    "keyboard": (
        [
            {"fill": {**BOX, "value": "new"}},
            expect(BOX, {"have_value": "new"}, 5),
            {"press": {**BOX, "key": "A"}},
            logged("key A;"),
            {"press": "Escape"},
            logged("key Escape;"),
            {"type": {**BOX, "value": "Q"}},
            logged("key Q;"),
            {"press": {**BOX, "key": "Enter"}},
            logged("submit;"),
        ],
        {"fill": {"browser_type"}, "press": {EVALUATE, "browser_press_key"}, "type": {EVALUATE, CODE}},
    ),
    "controls": (
        [
            {"check": {"label": "Compact view"}},
            {"check": {"label": "Compact view"}},
            {"uncheck": {"label": "Compact view"}},
            logged("compact true; compact false;"),
            {"check": {"label": "Large"}},
            expect({"label": "Large"}, {"be": "checked"}, 5),
            {"select": {"label": "Ticker", "value": "AMD"}},
            expect({"label": "Ticker"}, {"have_value": "A"}, 5),
            {"select": {"label": "Many", "value": ["one", "three"]}},
        ],
        {
            "check": {"browser_fill_form"},
            "uncheck": {"browser_fill_form"},
            "select": {"browser_select_option"},
            "expect": {EVALUATE, CODE},
        },
    ),
    "upload": (
        [
            {"upload": {"label": "Import file", "files": ["a.txt", "${attempt.dir}/b.txt"]}},
            expect({"testid": "imported"}, {"have_text": "first + second"}, 5),
        ],
        {"upload": {EVALUATE, CODE}},
    ),
    "history and viewport": (
        [
            {"click": {"text": "Other page"}},
            {"expect": {"page": {"title": {"have_text": "Other page"}}}},
            "back",
            {"expect": {"page": {"title": {"have_text": "Step test page"}}}},
            {"fill": {**BOX, "value": "gone"}},
            "reload",
            expect(BOX, {"have_value": "old"}, 5),
            expect({"css": "[title='en-US 1280x800']"}, {"have_count": 1}, 5),
            {"viewport": {"width": 390, "height": 844}},
            {"evaluate": {"script": "() => [innerWidth, innerHeight]", "equals": [390, 844]}},
        ],
        {
            "back": {"browser_navigate_back"},
            "reload": {CODE},
            "viewport": {"browser_resize"},
            "expect": {EVALUATE, CODE},
        },
    ),
    "back without a history": (["back", {"goto": "${s.url}/other.html"}, "back"], {"back": {"browser_navigate_back"}}),
    "downloads": (
        [
            {"download": {"text": "Export JSON", "as": "d.json", "expect": {"json": {"$.messages[1].price": 121.67}}}},
            {"download": {"text": "Export CSV", "as": "a table.csv", "expect": {"csv": {"rows": 2}}}},
        ],
        {"download": {CODE}},
    ),
    "dialogs": (
        [
            {"dialog": {"accept": True}},
            press("Confirm"),
            logged("confirmed true;"),
            {"dialog": {"accept": True, "text": "this"}},
            press("Prompt"),
            logged("answered this;"),
            press("Prompt"),
            logged("answered null;"),
            {"dialog": {"accept": False}},
            press("Confirm"),
            logged("confirmed false;"),
            {"dialog": {"accept": True}},
        ],
        {"click": {"browser_click", "browser_handle_dialog"}},
    ),
    "evaluate": (
        [
            {"evaluate": {"script": "() => ({a: [1, null]})", "save": "it"}},
            {"evaluate": {"script": "() => ({a: [1, null]})", "equals": "${saved.it}"}},
            {"evaluate": {"testid": "reply", "script": "(reply) => reply.dataset.ticker", "equals": "NVDA"}},
            {"evaluate": {"script": "async () => 2.5", "below": 2.6}},
            {"evaluate": {"script": "document.title", "equals": "Step test page"}},
            {"evaluate": {"script": "() => undefined", "equals": None}},
            {"evaluate": {"script": "() => '### Error\\n### Result\\n1'", "equals": "### Error\n### Result\n1"}},
        ],
        {"evaluate": {EVALUATE}},
    ),
    "pictures": (
        [{"screenshot": "start page"}, {"screenshot": {"testid": "reply", "as": "a/b"}}],
        {"screenshot": {"browser_take_screenshot"}},
    ),
    "frames and shadows": (
        [
            {"fill": {"frame": "iframe", "label": "Inside", "value": "x"}},
            {"click": {"frame": "iframe", "role": "button", "name": "Framed"}},
            logged("framed x;"),
            press("Shadow button"),
            logged("shadow;"),
        ],
        {"fill": {"browser_type"}, "click": {"browser_click"}},
    ),
    "http and set": (
        [
            {"http": {"GET": "${s.url}/echo", "save": {"how": "$.method"}}},
            {"set": {"word": "${saved.how} it"}},
            {"fill": {**BOX, "value": "${saved.word}"}},
            expect(BOX, {"have_value": "GET it"}, 5),
        ],
        {"fill": {"browser_type"}},
    ),
}  # fmt: skip


BACK = "back without a history"
LAST = ("history and viewport", "dialogs")
"""They leave another viewport, and an answer to a dialog that does not open."""
SHARED = (*(case for case in VERB_RUNS if case not in {BACK, *LAST}), *LAST)


@browser
@pytest.mark.parametrize("cases", [SHARED, (BACK,)], ids=["shared", BACK])
def test_every_verb_by_its_tools(both, cases):
    said, wanted = zip(*(VERB_RUNS[case] for case in cases), strict=True)
    for case, (results, used), tools in zip(cases, both.cases(*said), wanted, strict=True):
        passed(results, case)
        assert {verb: used.get(verb) for verb in tools} == tools, case


@browser
@pytest.mark.parametrize("delay", [45, *map(at_night, (20, 70, 95, 120, 180))])
def test_a_dialog_may_open_at_any_moment_of_a_question(both, delay):
    """Parts of a tool wait for a dialog without a word; it is answered beside them. At night in more of their parts."""
    opens = {"evaluate": f"() => {{ setTimeout(() => log('said ' + confirm('sure?')), {delay}) }}"}
    passed(both({"dialog": {"accept": True}}, opens, logged("said true;")))
    assert "browser_handle_dialog" in both.tools["evaluate"] | both.tools["expect"]


def test_every_browser_verb_is_tried():
    tried = {next(iter(one)) if isinstance(one, dict) else one for said, _ in VERB_RUNS.values() for one in said}
    tried |= {"goto", "wait"}  # in every run, and below
    tried |= {"drag", "scroll", "focus", "blur", "page", "close_page"}  # in test_more_steps.py and test_pages.py
    tried |= {"mock", "har", "clock"}  # in test_mock.py and test_clock.py
    assert tried >= set(VERBS)


# ---------------------------------------------------------------------------------------------------------------- wait

WAITS = {
    "testid": (press("Slow"), {"testid": "slow"}, EVALUATE),
    "text": (press("Slow"), {"text": "there", "exact": True}, EVALUATE),
    "css": (press("Slow"), {"css": "#slow[data-testid]"}, EVALUATE),
    "css and marker": (press("Slow"), {"css": "#slow[data-testid]", "unless": {"testid": "error-banner"}}, EVALUATE),
    "hidden": (press("Go"), {"testid": "going", "be": "hidden"}, EVALUATE),
    "hidden, with marker": (press("Go"), {"testid": "going", "be": "hidden", "unless": {"testid": "error-banner"}}, EVALUATE),
    "role": (press("Go"), {"role": "button", "name": "Send"}, CODE),
    "label": (press("Go"), {"label": "Compact view"}, CODE),
    "frame": ({"click": {"frame": "#inner", "role": "button", "name": "Frame slow"}}, {"frame": "#inner", "text": "late", "exact": True, "unless": {"testid": "error-banner"}}, CODE),
    "within": (press("Go"), {"label": "Toggle Todo", "within": {"role": "listitem", "has_text": "eggs"}}, CODE),
}  # fmt: skip


@browser
@pytest.mark.parametrize("cases", in_one(WAITS, "css and marker", "hidden", "role", "frame"))  # by each tool
def test_a_wait_ends_with_the_change(both, cases):
    said = [[WAITS[case][0], {"wait": WAITS[case][1]}] for case in cases]
    for case, (results, tools) in zip(cases, both.cases(*said), strict=True):
        _, mcp = passed(results, case)
        tool = WAITS[case][2]
        assert tools["wait"] == {tool}, case
        record = mcp.steps[-1]
        assert (record.calls, record.polls) == (1, 1), case
        assert (record.lag_seconds is not None) == (tool == EVALUATE), case


MARKED = {
    "testid": {"testid": "slow", "unless": {"testid": "error-banner"}},
    "hidden": {"testid": "going", "be": "hidden", "unless": {"testid": "error-banner"}},
    "role": {"role": "alert", "unless": {"testid": "error-banner"}},
    "frame": {"frame": "#inner", "text": "late", "unless": {"testid": "error-banner"}},
}


@browser
@pytest.mark.parametrize("cases", in_one(MARKED, "hidden", "frame"))
def test_the_marker_of_failure_ends_a_wait(both, cases):
    said = [[press("Fail"), {"wait": {**MARKED[case], "within_seconds": 50}}] for case in cases]
    for case, (results, _) in zip(cases, both.cases(*said), strict=True):
        cli, mcp = failed(results, case=case)
        assert mcp.failure.message == cli.failure.message, case
        assert mcp.failure.found == cli.failure.found == '"it failed"', case


IN_VAIN = {
    "testid": {"testid": "slow"},
    "no element": {"testid": "ghost"},
    "role": {"role": "alert"},
    "hidden": {"testid": "going", "be": "hidden"},
    "hidden, by role": {"role": "heading", "be": "hidden"},
    "frame": {"frame": "#inner", "text": "late", "unless": {"testid": "error-banner"}},
}


@browser
@pytest.mark.parametrize("cases", in_one(IN_VAIN, "role", "hidden", "frame"))
def test_a_wait_in_vain(both, cases):
    said = [[{"wait": {**IN_VAIN[case], "within_seconds": 0.4}}] for case in cases]
    for case, (results, _) in zip(cases, both.cases(*said), strict=True):
        cli, mcp = failed(results, case=case)
        assert mcp.failure.message == cli.failure.message, case


@browser
def test_a_long_wait_is_many_short_ones(both, monkeypatch):
    monkeypatch.setattr("tests.support.requests.Method", lambda *said: Method(*said, poll_seconds=0.2))
    late = {"evaluate": "() => { later(() => show('slow', 'there'), 3000) }"}
    mcp = both.run("mcp", [OPEN, late, {"wait": {"testid": "slow"}}])
    assert mcp.outcome == "passed", mcp.failure
    assert mcp.steps[-1].polls >= 3
    assert mcp.steps[-1].calls == mcp.steps[-1].polls


@browser
def test_a_wait_and_a_question_go_on_over_a_navigation(both):
    away = "() => { document.querySelector('h1').remove(); later(() => { location.href = 'other.html' }, 400) }"
    other = {"expect": {"page": {"title": {"have_text": "Other page"}}}}
    waits = [{"wait": {**target, "within_seconds": 20}} for target in ({"css": "h1"}, {"role": "heading"})]
    asks = {"expect": {"css": "h1", "to": {"have_text": "Other page"}, "within_seconds": 20}}
    leaves = {"evaluate": "() => { later(() => { location.href = 'other.html' }, 300) }"}
    for results, _ in both.cases(*([{"evaluate": away}, wait, other] for wait in waits), [leaves, asks]):
        passed(results)


@browser
def test_an_action_and_an_expectation_wait_for_their_element(both):
    late = {
        "evaluate": "() => { later(() => { const one = document.createElement('button'); one.textContent = 'Late one'; one.onclick = () => log('late'); document.body.append(one); }, 400) }"
    }
    soon = {"evaluate": "() => { later(() => { document.querySelectorAll('button')[1].disabled = false }, 400) }"}
    shown = expect({"testid": "slow"}, {"have_text": "there"}, 10)
    cases = [late, press("Late one"), logged("late;")], [soon, press("Never")], [press("Slow"), shown]
    for results, _ in both.cases(*cases):
        passed(results)


# -------------------------------------------------------------------------------------------------------- expectations

FOCUS = {"press": {"placeholder": "Ask me", "key": "Shift"}}


@browser
def test_every_condition_holds_where_it_holds_and_not_where_it_does_not(both):
    held = [expect(yes, to, 5) for to, yes, _, _ in CASES.values()]
    refused = [expect(no, {"not": to}, 5) for to, _, no, _ in NOT_HELD.values()]
    passed(both(FOCUS, *held, *refused))
    assert both.tools["expect"] == {EVALUATE, CODE}


# Each way to look, by day: a state that one script reads or Playwright is asked for, and a list.
# At night each condition has its own words; by day the test before asks for all of them.
LOOKS = ("be visible", "be checked", "have_values")


@browser
@pytest.mark.parametrize("cases", in_one(CASES, *LOOKS))
def test_a_condition_that_does_not_hold(both, cases):
    said = [[FOCUS, expect(CASES[case][2], CASES[case][0])] for case in cases]
    said += [[FOCUS, expect(CASES[case][1], {"not": CASES[case][0]})] for case in cases]
    came = both.cases(*said)
    for case, (results, tools), (negated, _) in zip(cases, came[: len(cases)], came[len(cases) :], strict=True):
        to, _, no, found = CASES[case]
        cli, mcp = failed(results, case=case)
        assert mcp.failure.message == cli.failure.message, case
        start, end = f"expected {target_text(target_of(no))} ", " within 0.3 s"
        assert cli.failure.message == f"{start}{cli.failure.expected}{end}", case
        assert cli.failure.expected.startswith("to "), case
        assert cli.failure.found == found, case
        in_code = to.keys() & {"have_count", "have_role", "have_accessible_name"}
        in_code = in_code or to.get("be") in {"enabled", "disabled", "checked", "editable"}
        assert tools["expect"] == {CODE if in_code else EVALUATE}, case
        cli, mcp = failed(negated, case=case)
        assert mcp.failure.message == cli.failure.message, case
        assert cli.failure.expected.startswith("not to "), case


ABSENT = {
    "be visible": {"be": "visible"},
    "have_text": {"have_text": "x"},
    "not contain": {"not": {"contain": "x"}},
    "match": {"match": "(?<a>x)"},
    "be enabled": {"be": "enabled"},
}


@browser
@pytest.mark.parametrize("cases", in_one(ABSENT, "have_text", "not contain", "be enabled"))
def test_an_element_that_is_not_there(both, cases):
    said = [[expect({"testid": "nowhere"}, ABSENT[case])] for case in cases]
    for case, (results, _) in zip(cases, both.cases(*said), strict=True):
        cli, mcp = failed(results, case=case)
        assert (mcp.failure.message, mcp.failure.found) == (cli.failure.message, cli.failure.found), case


@browser
def test_expect_asks_again_until_it_holds(both):
    """The value changes once it was looked at, however long the machine takes to ask."""
    changes = """() => {
        const box = document.querySelector('#box');
        let value = 'old';
        Object.defineProperty(box, 'value', { get() { setTimeout(() => { value = 'there' }, 100); return value } });
    }"""
    box = page("<input id=box>")
    mcp = both.run("mcp", [box, {"evaluate": changes}, expect({"css": "#box"}, {"have_value": "there"}, 30)])
    assert mcp.outcome == "passed", mcp.failure
    assert mcp.steps[-1].polls > 0
    assert mcp.steps[-1].lag_seconds > 0


@browser
@pytest.mark.parametrize("cases", in_one(PAGE, "title have_text", "url as JavaScript alone"))
def test_expectations_of_the_page(both, cases):
    said = [
        [{"expect": {"page": yes}}, {"expect": {"page": no, "within_seconds": 0.3}}]
        for yes, no, _ in (PAGE[case] for case in cases)
    ]
    for case, (results, tools) in zip(cases, both.cases(*said), strict=True):
        cli, mcp = failed(results, case=case)
        assert mcp.failure.message == cli.failure.message, case
        assert mcp.failure.step == 2, case
        assert tools["expect"] == {EVALUATE}, case


# ------------------------------------------------------------------------------------------------------------- targets

TARGETS = [
    {"role": "button", "name": "Send"}, {"label": "Compact view"}, {"placeholder": "Ask me"},
    {"text": "Hello NVDA it is"}, {"alt": "A chart"}, {"title": "The message"}, {"testid": "reply"}, {"css": "#send.big"},
    {"testid": "twin", "nth": -1}, {"text": "Twin", "nth": 0}, {"role": "listitem", "has_text": "eggs"},
    {"label": "Toggle Todo", "within": {"role": "listitem", "has_text": "eggs"}},
    {"label": "Toggle Todo", "within": {"role": "listitem", "has_text": "Buy milk", "nth": 1}},
    {"role": "button", "name": "Framed", "frame": "#inner"}, {"text": "In the shadow"}, {"testid": "shady"}, {"testid": "far"},
]  # fmt: skip


@browser
def test_every_form_of_target_finds_its_element(both):
    found = [expect(target, {"have_count": 1, "be": "visible"}, 5) for target in TARGETS]
    passed(both(*found, *({"hover": target} for target in TARGETS), timeout_seconds=300))


# ------------------------------------------------------------------------------------------------------------ failures

TWIN = {"testid": "twin"}
FAILURES = {
    "several: click": ([{"click": TWIN}], "failed", "assertion"),
    "several: wait": ([{"wait": TWIN}], "failed", "assertion"),
    "several: wait with marker": ([{"wait": {**TWIN, "unless": {"testid": "error-banner"}}}], "failed", "assertion"),
    "several: wait by role": ([{"wait": {"role": "listitem"}}], "failed", "assertion"),
    "several: expect": ([{"expect": {**TWIN, "to": {"have_text": "x"}}}], "failed", "assertion"),
    "several: enabled": ([{"expect": {**TWIN, "to": {"be": "enabled"}}}], "failed", "assertion"),
    "several: evaluate": ([{"evaluate": {**TWIN, "script": "() => 1"}}], "failed", "assertion"),
    "several: screenshot": ([{"screenshot": {**TWIN, "as": "x"}}], "failed", "assertion"),
    "several: download": ([{"download": {**TWIN, "as": "x"}}], "failed", "assertion"),
    "wrong kind: fill": ([{"fill": {"css": "h1", "value": "x"}}], "failed", "assertion"),
    "wrong kind: select": ([{"select": {"css": "h1", "value": "x"}}], "failed", "assertion"),
    "wrong kind: check": ([{"check": {"css": "h1"}}], "failed", "assertion"),
    "wrong kind: value": ([{"expect": {"testid": "reply", "to": {"have_value": "x"}}}], "failed", "assertion"),
    "wrong kind: upload": ([{"upload": {"css": "h1", "files": ["a.txt"]}}], "failed", "assertion"),
    "script: value": ([{"evaluate": {"script": "() => 1", "equals": True}}], "failed", "assertion"),
    "script: below": ([{"evaluate": {"script": "() => 3", "below": 2}}], "failed", "assertion"),
    "script: error": ([{"evaluate": {"script": "() => { throw new Error('broken') }"}}], "failed", "assertion"),
    "script: no script": ([{"evaluate": {"script": "() => {"}}], "failed", "assertion"),
    "download: content": ([{"download": {"text": "Export JSON", "as": "x", "expect": {"json": {"$.format": "no"}}}}], "failed", "assertion"),
    "download: none": ([{"download": {**SEND, "as": "x", "within_seconds": 1}}], "failed", "assertion"),
    "download: cut off": ([{"download": {"text": "Export cut off", "as": "x"}}], "failed", "assertion"),
    "download: no element": ([{"download": {"text": "No such link", "as": "x", "within_seconds": 0.3}}], "failed", "assertion"),
    "spec: key": ([{"press": "NoSuchKey"}], "error", "setup"),
    "spec: url": ([{"goto": "/relative"}], "error", "setup"),
    "spec: port": ([{"goto": "http://127.0.0.1:1/"}], "error", "setup"),
    "spec: selector": ([{"click": {"css": "h1[["}}], "error", "setup"),
    "spec: selector of a wait": ([{"wait": {"css": "h1[["}}], "error", "setup"),
    "spec: selector of expect": ([{"expect": {"css": "h1[[", "to": {"be": "visible"}}}], "error", "setup"),
    "spec: pattern": ([{"expect": {"css": "h1", "to": {"match": "("}}}], "error", "setup"),
    "spec: pattern of the page": ([{"expect": {"page": {"title": {"match": "("}}}}], "error", "setup"),
    "spec: no file": ([{"upload": {"label": "Import file", "files": ["missing.txt"]}}], "error", "setup"),
    "spec: file outside": ([{"upload": {"label": "Import file", "files": ["../x"]}}], "error", "setup"),
    "spec: name": ([{"click": {"testid": "${saved.x}"}}], "error", "setup"),
    "server: refused": ([{"goto": "${down.url}/"}], "failed", "connection"),
    "server: no name": ([{"goto": "http://nowhere.invalid/"}], "failed", "connection"),
    "server: a download": ([{"goto": "${s.url}/cut-off"}], "failed", "assertion"),
    "http: status": ([{"http": {"GET": "${s.url}/status/503"}}], "failed", "assertion"),
    "http: refused": ([{"http": {"GET": "${down.url}/"}}], "failed", "connection"),
}  # fmt: skip


# One of each kind, and of what a server does each. At night each verb has each kind of failure.
KINDS = (
    *("several: click", "several: wait with marker", "wrong kind: value", "script: below", "download: content"),
    *("download: cut off", "spec: selector of a wait", "spec: pattern", "server: a download", "server: refused"),
)
NOT_OPENED = ("spec: port", "server: refused", "server: no name")
"""The page that the browser shows of such an error may come late, so that no page is opened after it."""
NIGHT = tuple(case for case in FAILURES if case not in NOT_OPENED)


@browser
@pytest.mark.parametrize(
    "cases",
    [pytest.param(KINDS, id="day"), at_night(NIGHT, id="all"), *(at_night((case,), id=case) for case in NOT_OPENED)],
)
def test_a_failure_is_of_the_same_kind(both, cases):
    said = [FAILURES[case][0] for case in cases]
    for case, (results, _) in zip(cases, both.cases(*said), strict=True):
        _, outcome, fault = FAILURES[case]
        cli, mcp = failed(results, outcome, fault, case)
        if case.startswith(("several", "script: value", "script: below", "download", "server", "http")):
            assert mcp.failure.message == cli.failure.message, case


@browser
@pytest.mark.parametrize(
    "said",
    [
        [{"click": {"text": "Never"}}],
        [{"goto": "${s.url}/silent"}],
        *(
            at_night(said)
            for said in (
                [{"click": {"testid": "nowhere"}}],
                [{"fill": {"label": "Fixed", "value": "x"}}],
                [press("Cover"), {"click": SEND}],
                [{"wait": {"testid": "nowhere"}}],
                [{"expect": {"testid": "nowhere", "to": {"be": "visible"}, "within_seconds": 60}}],
            )
        ),
    ],
    ids=str,
)
def test_the_time_of_the_test_is_over(both, said):
    """Its time is enough for the steps before on a busy machine."""
    _, mcp = failed(both(*said, timeout_seconds=5), "timeout", "timeout")
    assert mcp.failure.message.startswith(f"the test's 5 s were over in step {len(said) + 1} ({next(iter(said[-1]))})")


@browser
@pytest.mark.parametrize("name", ["mcp", at_night("playwright")])  # test_driver_playwright.py has a page that hangs
def test_the_time_of_the_test_is_over_in_a_script(both, name):
    """One after the other: `playwright` ends what its process has started, which is more here than in a worker."""
    never = {"evaluate": "() => new Promise(() => {})"}
    failed([result := both.run(name, [OPEN, never], timeout_seconds=5)], "timeout", "timeout")
    assert result.failure.message.startswith("the test's 5 s were over in step 2 (evaluate)")


@browser
def test_finally_runs_after_a_failure(both):
    cli, mcp = failed(both(expect(SEND, {"have_text": "x"}), last=[press("Send"), logged("click 0;")]))
    assert mcp.steps[-1].section == cli.steps[-1].section == "finally"
    cli, mcp = failed(both.again()({"set": {"a": 1}}, last=[expect(SEND, {"have_text": "x"})]))


# ------------------------------------------------------------------------------------------------------------ evidence

NOISE = {"goto": "${s.url}/other.html"}


@browser
def test_evidence_of_a_failure(both, tmp_path):
    made = {"evaluate": "() => noise.then(() => true)"}
    missed = expect({"css": "h1"}, {"have_text": "x"})
    cli, mcp = failed(both(NOISE, made, missed, opened=False, evidence="on_failure"))
    kinds = {one.path: one.kind for one in mcp.evidence}
    assert kinds == {
        "failure.png": "screenshot",
        "page.yaml": "page",
        "console.log": "console",
        "network.log": "network",
        "mcp.jsonl": "mcp",
    }
    assert (tmp_path / "mcp" / "failure.png").read_bytes().startswith(b"\x89PNG")
    console = (tmp_path / "mcp" / "console.log").read_text()
    assert "plain word" in console
    assert "bad word" in console
    assert "uncaught word" in console
    assert "/status/503 => [503]" in (tmp_path / "mcp" / "network.log").read_text()
    for name in ("page_errors", "console_errors", "failed_requests"):
        assert mcp.facts[name] == cli.facts[name], name
    lines = [json.loads(line) for line in (tmp_path / "mcp" / "mcp.jsonl").read_text().splitlines()]
    assert {"verb", "tool", "arguments", "seconds", "outcome"} == set(lines[0])
    assert all(line["seconds"] >= 0 for line in lines)
    quiet = both.again()
    quiet(evidence="always")
    assert not (quiet._folder / "mcp" / "console.log").exists()  # what the test before said is not told again


@browser
def test_what_a_step_cost_is_recorded(both):
    _, mcp = passed(both({"click": SEND}, {"press": {**BOX, "key": "A"}}, {"set": {"a": 1}}))
    assert [(step.verb, step.calls) for step in mcp.steps] == [("goto", 1), ("click", 1), ("press", 2), ("set", 0)]
    assert mcp.facts["mcp_calls"] >= 4
