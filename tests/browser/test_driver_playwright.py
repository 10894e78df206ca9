"""Every verb, target form, expectation and failure of the driver `playwright`, on a real page in a real browser."""

from __future__ import annotations

import json
import os
import time

import msgspec
import pytest

from orchestra.ledger.parts import Died
from orchestra.runtime.driver.contract import Deadline, Job, StepError
from orchestra.runtime.driver.fault import Meaning, read, read_assertion
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.playwright.driver import PlaywrightDriver
from orchestra.runtime.driver.playwright.verbs import VERBS
from orchestra.runtime.driver.sections import carry_out
from orchestra.runtime.scope import Scope
from orchestra.steps.conditions import CONDITIONS, STATES
from orchestra.steps.vocabulary import VERBS as VOCABULARY
from tests.support.both import going_on
from tests.support.expectations import CASES, NOT_HELD, PAGE, REPLY, SEND
from tests.support.mcp_page import Started
from tests.support.nights import at_night, in_one
from tests.support.requests import request
from tests.support.site import site, unused_address

OPEN = {"goto": "${s.url}/steps.html"}


@pytest.fixture(scope="module")
def url():
    with site() as address:
        yield address


@pytest.fixture(scope="module")
def started():
    return Started()


@pytest.fixture(scope="module")
def warm(started):
    driver, http = PlaywrightDriver(os.environ), Http()
    yield driver, http
    driver.close()
    http.close()


@pytest.fixture
def run(tmp_path, url, warm, chromium):
    """Carry out steps on the page, which is opened first."""

    def one(*said, opened=True, **options):
        told = [OPEN, *said] if opened else said
        names = {"s.url": url, "down.url": unused_address()}
        return carry_out(request(tmp_path, told, browser=chromium, names=names, **options), *warm)

    return one


@pytest.fixture
def cases(run):
    """Carry out cases in one attempt, each on the page, which is opened again; return the result of each."""

    def each(*cases):
        told = [[OPEN, *case] for case in cases]
        with going_on([len(case) for case in told], ()) as found:
            steps = [step for case in told for step in case]
            passed(run(*steps, opened=False, evidence="off", timeout_seconds=300))
        return [result for result, _ in found["playwright"]]

    return each


def passed(result):
    assert result.outcome == "passed", result.failure
    return result


def failure(result, outcome="failed", fault="assertion"):
    assert (result.outcome, result.failure and result.failure.kind) == (outcome, fault), result
    return result.failure


def logged(text):
    return {"expect": {"testid": "log", "to": {"contain": text}}}


def expected(target, to, within=0.3, **more):
    return {"expect": {**target, "to": to, "within_seconds": within, **more}}


browser = pytest.mark.browser
in_both = pytest.mark.nightly
"""Marks what test_driver_mcp.py has by day through both drivers."""


def test_every_browser_verb_has_a_function():
    assert set(VERBS) == {name for name, verb in VOCABULARY.items() if verb.browser}


# --------------------------------------------------------------------------------------------------------------- verbs


@in_both
@browser
def test_pointer_and_keyboard(run):
    send, box = {"role": "button", "name": "Send"}, {"label": "Message", "exact": True}
    result = passed(
        run(
            {"hover": send},
            logged("over;"),
            {"click": send},
            logged("click 0;"),
            {"click": {**send, "button": "right"}},
            logged("aux 2;"),
            {"click": {**send, "modifiers": ["Shift"]}},
            logged("click 0 shift;"),
            {"click": {**send, "count": 2}},
            logged("double;"),
            {"fill": {**box, "value": "new"}},
            expected(box, {"have_value": "new"}),
            {"press": {**box, "key": "A"}},
            logged("key A;"),
            {"press": "Escape"},
            logged("key Escape;"),
            {"press": {**box, "key": "Enter"}},
            logged("submit;"),
        )
    )
    assert {step.outcome for step in result.steps} == {"passed"}
    assert [step.index for step in result.steps] == list(range(19))


@in_both
@browser
def test_form_controls(run):
    passed(
        run(
            {"check": {"label": "Compact view"}},
            {"check": {"label": "Compact view"}},
            logged("compact true;"),
            {"uncheck": {"label": "Compact view"}},
            logged("compact true; compact false;"),
            {"check": {"label": "Large"}},
            expected({"label": "Large"}, {"be": "checked"}),
            {"select": {"label": "Ticker", "value": "AMD"}},
            expected({"label": "Ticker"}, {"have_value": "A"}),
            {"select": {"label": "Ticker", "value": "N"}},
            expected({"label": "Ticker"}, {"have_value": "N"}),
            {"select": {"label": "Many", "value": ["one", "three"]}},
            {
                "evaluate": {
                    "label": "Many",
                    "script": "(many) => [...many.selectedOptions].map((o) => o.value)",
                    "equals": ["one", "three"],
                }
            },
        )
    )


@in_both
@browser
def test_upload_of_a_hidden_input(run, tmp_path):
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "b.txt").write_text("second")
    passed(
        run(
            {"upload": {"label": "Import file", "files": ["a.txt", "${attempt.dir}/b.txt"]}},
            expected({"testid": "imported"}, {"have_text": "first + second"}, within=5),
        )
    )


@in_both
@browser
def test_history_and_viewport(run):
    passed(
        run(
            {"click": {"text": "Other page"}},
            {"expect": {"page": {"title": {"have_text": "Other page"}}}},
            "back",
            {"expect": {"page": {"title": {"have_text": "Step test page"}}}},
            {"fill": {"label": "Message", "exact": True, "value": "gone"}},
            "reload",
            expected({"label": "Message", "exact": True}, {"have_value": "old"}),
            expected({"css": "[title='en-US 1280x800']"}, {"have_count": 1}),
            {"viewport": {"width": 390, "height": 844}},
            {"evaluate": {"script": "() => [innerWidth, innerHeight]", "equals": [390, 844]}},
        )
    )


@browser
def test_downloads_are_kept_and_judged(run, tmp_path):
    result = passed(
        run(
            {
                "download": {
                    "role": "link",
                    "name": "Export JSON",
                    "as": "data.json",
                    "expect": {"json": {"$.messages[1].price": 121.67}},
                }
            },
            {
                "download": {
                    "text": "Export CSV",
                    "as": "a table.csv",
                    "expect": {"csv": {"rows": 2, "contains": {"text": "NVDA, now"}}},
                }
            },
            {"download": {"text": "Export text", "as": "note.md", "expect": {"text": {"match": r"\A# Note\n"}}}},
            {"download": {"text": "Export text", "as": "note.md"}},
        )
    )
    assert [(one.path, one.kind) for one in result.evidence] == [
        ("data.json", "download"),
        ("a-table.csv", "download"),
        ("note.md", "download"),
    ]
    assert json.loads((tmp_path / "data.json").read_text())["done"] is True


@browser
def test_dialogs_are_answered_in_their_order_and_others_dismissed(run):
    confirm, prompt = {"click": {"role": "button", "name": "Confirm"}}, {"click": {"role": "button", "name": "Prompt"}}
    result = passed(
        run(
            {"dialog": {"accept": True}},
            confirm,
            logged("confirmed true;"),
            {"dialog": {"accept": True, "text": "this"}},
            prompt,
            logged("answered this;"),
            {"dialog": {"accept": True}},
            prompt,
            logged("answered ;"),
            {"dialog": {"accept": False}},
            confirm,
            logged("confirmed false;"),
            prompt,
            logged("answered null;"),
            {"dialog": {"accept": True}},
        )
    )
    assert result.facts["unexpected_dialogs"] == ["prompt: which?"]
    assert result.facts["dialogs_that_never_came"] == 1


@in_both
@browser
def test_evaluate_judges_and_saves(run):
    passed(
        run(
            {"evaluate": {"script": "() => ({a: [1, null]})", "save": "it"}},
            {"evaluate": {"script": "() => ({a: [1, null]})", "equals": "${saved.it}"}},
            {"evaluate": {"testid": "reply", "script": "(reply) => reply.dataset.ticker", "equals": "NVDA"}},
            {"evaluate": {"script": "async () => 2.5", "below": 2.6}},
            {"evaluate": "() => { window.left = `$${1 + 1}` }"},
            {"evaluate": {"script": "() => window.left", "equals": "2"}},
        )
    )


@browser
def test_pictures_are_listed(run, tmp_path):
    result = passed(
        run(
            {"screenshot": "start page"},
            {"screenshot": {"as": "all", "full_page": True}},
            {"screenshot": {"testid": "reply", "as": "a/b"}},
        )
    )
    assert [(one.path, one.kind) for one in result.evidence] == [
        (f"{name}.png", "screenshot") for name in ("start-page", "all", "a-b")
    ]
    sizes = [int.from_bytes((tmp_path / one.path).read_bytes()[20:24], "big") for one in result.evidence]
    assert sizes[0] == 800
    assert sizes[1] > 3000
    assert sizes[2] < 100


# ---------------------------------------------------------------------------------------------------------------- wait


@browser
@pytest.mark.parametrize(
    "press, step",
    [
        at_night("Slow", {"testid": "slow"}),
        at_night("Slow", {"testid": "slow", "unless": {"testid": "error-banner"}}),
        at_night("Go", {"testid": "going", "be": "hidden"}),
        at_night("Go", {"testid": "going", "be": "hidden", "unless": {"testid": "error-banner"}}),
        ("Slow", {"testid": "slow", "unless": {"frame": "#inner", "text": "no"}}),
    ],
)
def test_a_wait_ends_with_the_change(run, press, step):
    passed(run({"click": {"role": "button", "name": press, "exact": True}}, {"wait": step}))


@in_both
@browser
def test_a_wait_in_a_frame(run):
    slow = {"click": {"frame": "#inner", "role": "button", "name": "Frame slow"}}
    passed(
        run(slow, {"wait": {"frame": "#inner", "text": "late", "exact": True, "unless": {"testid": "error-banner"}}})
    )


# ------------------------------------------------------------------------------------------------------------- targets


TARGETS = [
    {"role": "button", "name": "Send"},
    {"label": "Compact view"},
    {"placeholder": "Ask me"},
    {"text": "Hello NVDA it is"},
    {"alt": "A chart"},
    {"title": "The message"},
    {"testid": "reply"},
    {"css": "#send.big"},
    {"testid": "twin", "nth": -1},
    {"text": "Twin", "nth": 0},
    {"role": "listitem", "has_text": "eggs"},
    {"label": "Toggle Todo", "within": {"role": "listitem", "has_text": "eggs"}},
    {"label": "Toggle Todo", "within": {"role": "listitem", "has_text": "Buy milk", "nth": 1}},
    {"role": "button", "name": "Framed", "frame": "#inner"},
    {"text": "In the shadow"},
    {"testid": "shady"},
    {"testid": "far"},
]


@in_both
@browser
def test_each_target_finds_its_element(run):
    passed(run(*(expected(target, {"have_count": 1, "be": "visible"}, within=5) for target in TARGETS)))


@in_both
@browser
def test_what_is_in_frames_and_shadows_can_be_used(run):
    passed(
        run(
            {"fill": {"frame": "iframe", "label": "Inside", "value": "x"}},
            {"click": {"frame": "iframe", "role": "button", "name": "Framed"}},
            logged("framed x;"),
            {"click": {"role": "button", "name": "Shadow button"}},
            logged("shadow;"),
        )
    )


# -------------------------------------------------------------------------------------------------------- expectations

FOCUS = {"press": {"placeholder": "Ask me", "key": "Shift"}}


def test_every_condition_is_tried():
    tried = {name for to, *_ in CASES.values() for name in to} | {"aria"}  # tests/browser/test_aria.py
    assert tried == set(CONDITIONS)
    assert {to["be"] for to, *_ in CASES.values() if "be" in to} == set(STATES)


@in_both
@browser
def test_every_condition_holds_where_it_holds_and_not_where_it_does_not(run):
    held = [expected(yes, to, within=5) for to, yes, _, _ in CASES.values()]
    refused = [expected(no, {"not": to}, within=5) for to, _, no, _ in NOT_HELD.values()]
    passed(run(FOCUS, *held, *refused))


@in_both
@browser
def test_expect_waits_for_the_change(run):
    passed(run({"click": {"text": "Slow"}}, expected({"testid": "slow"}, {"match": "(?<a>there)"}, within=10)))
    passed(run({"click": {"text": "Slow"}}, expected({"testid": "slow"}, {"have_text": "there"}, within=10)))


# ------------------------------------------------------------------------------------------------------------ failures


TWIN = {"testid": "twin"}
NO_ERROR = {"unless": {"testid": "error-banner"}}
FAIL = {"click": {"role": "button", "name": "Fail"}}
MARKED = {"starts": '{testid: "error-banner"} came before', "found": '"it failed"'}
ABSENT = {"found": "no element", "ends": "within 0.3 s, but no element matches"}
SEVERAL = {"message": '{testid: "twin"} matches 2 elements', "hints": ["nth", "within"]}


def waited(finds):
    return {"starts": "waited 0.4 s for {", "finds": finds}


def absent(to):
    return [expected({"testid": "nowhere"}, to)], ABSENT


FAULTS = {
    "download: content": ([{"download": {"as": "x", "text": "Export JSON", "expect": {"json": {"$.format": "no"}}}}], {"has": 'the download "x" has another value at $.format'}),
    "download: none": ([{"download": {"as": "x", "role": "button", "name": "Send", "within_seconds": 1}}], {"has": 'no download began within 1 s of the click on {role: "button", name: "Send"}'}),
    "download: cut off": ([{"download": {"as": "x", "text": "Export cut off"}}], {"has": "the download failed:"}),
    "download: no element": ([{"download": {"as": "x", "text": "No such link", "within_seconds": 0.3}}], {"has": 'no element matches {text: "No such link"} within 0.3 s'}),
    "script: value": ([{"evaluate": {"script": "() => 1", "equals": True}}], {"expected": "true", "finds": "1"}),
    "script: below": ([{"evaluate": {"script": "() => 3", "below": 2}}], {"expected": "a number below 2", "finds": "3"}),
    "script: no number": ([{"evaluate": {"script": "() => 'x'", "below": 2}}], {"expected": "a number below 2", "finds": '"x"'}),
    "script: date": ([{"evaluate": {"script": "() => new Date(0)", "equals": 1}}], {"expected": "1", "finds": '"1970-01-01T00:00:00.000Z"'}),
    "script: error": ([{"evaluate": {"script": "() => { throw new Error('broken') }"}}], {"expected": "", "finds": "broken"}),
    "marker": ([FAIL, {"wait": {"testid": "slow", **NO_ERROR, "within_seconds": 50}}], MARKED),
    "marker: hidden": ([FAIL, {"wait": {"testid": "going", "be": "hidden", **NO_ERROR, "within_seconds": 50}}], MARKED),
    "marker: frame": ([FAIL, {"wait": {"frame": "#inner", "text": "late", **NO_ERROR, "within_seconds": 50}}], MARKED),
    "wait": ([{"wait": {"testid": "slow", "within_seconds": 0.4}}], waited("no element")),
    "wait: not visible": ([{"wait": {"testid": "ghost", "within_seconds": 0.4}}], waited("locator resolved to hidden")),
    "wait: not visible, with marker": ([{"wait": {"testid": "ghost", **NO_ERROR, "within_seconds": 0.4}}], waited("")),
    "wait: hidden": ([{"wait": {"testid": "going", "be": "hidden", "within_seconds": 0.4}}], waited("locator resolved to visible")),
    "wait: frame": ([{"wait": {"frame": "#inner", "text": "late", **NO_ERROR, "within_seconds": 0.4}}], waited("no element")),
    # By a script; by Playwright's own assertions in test_driver_mcp.py, and at night here.
    "absent: be": absent({"be": "visible"}),
    "absent: have_text": absent({"have_text": "x"}),
    "absent: not": absent({"not": {"contain": "x"}}),
    "absent: match": absent({"match": "(?<a>x)"}),
    "absent: enabled": absent({"be": "enabled"}),
    "a condition that makes no sense": ([expected(REPLY, {"have_value": "x"})], {"has": "Not an input element"}),
    **{
        f"page: {case}": ([{"expect": {"page": yes}}, {"expect": {"page": no, "within_seconds": 0.3}}], {"starts": "expected the page's ", "finds": found, "step": 2})
        for case, (yes, no, found) in PAGE.items()
    },
    "several: click": ([{"click": TWIN}], SEVERAL),
    "several: wait": ([{"wait": TWIN}], SEVERAL),
    "several: wait with marker": ([{"wait": {**TWIN, **NO_ERROR}}], SEVERAL),
    "several: have_text": ([{"expect": {**TWIN, "to": {"have_text": "x"}}}], SEVERAL),
    "several: match": ([{"expect": {**TWIN, "to": {"match": "(?<a>x)"}}}], SEVERAL),
    "several: evaluate": ([{"evaluate": {**TWIN, "script": "() => 1"}}], SEVERAL),
    "several: screenshot": ([{"screenshot": {**TWIN, "as": "x"}}], SEVERAL),
    "several: download": ([{"download": {**TWIN, "as": "x"}}], SEVERAL),
    "wrong kind: fill": ([{"fill": {"css": "h1", "value": "x"}}], {"has": "Element is not an <input>"}),
    "wrong kind: select": ([{"select": {"css": "h1", "value": "x"}}], {"has": "Element is not a <select> element"}),
    "wrong kind: check": ([{"check": {"css": "h1"}}], {"has": "Not a checkbox or radio button"}),
}  # fmt: skip
UNFIT = {
    "key": ({"press": "NoSuchKey"}, 'Unknown key: "NoSuchKey"'),
    "url": ({"goto": "/relative"}, "Cannot navigate to invalid URL"),
    "selector": ({"click": {"css": "h1[["}}, "while parsing css selector"),
    "selector of expect": ({"expect": {"css": "h1[[", "to": {"be": "visible"}}}, "while parsing css selector"),
    "pattern of Python": ({"expect": {"css": "h1", "to": {"match": "(?P<x>y)"}}}, "Invalid regular expression"),
    "pattern": ({"expect": {"css": "h1", "to": {"match": "("}}}, "Invalid regular expression"),
    "pattern of the page": ({"expect": {"page": {"title": {"match": "("}}}}, "Invalid regular expression"),
    "no file": ({"upload": {"label": "Import file", "files": ["missing.txt"]}}, 'the file to upload "missing.txt" is not there'),
    "file outside": ({"upload": {"label": "Import file", "files": ["../x"]}}, 'the path "../x" leaves the project root'),
    "name of a text": ({"fill": {"label": "Message", "value": "${saved.x}"}}, "no earlier step has saved ${saved.x}"),
    "name": ({"click": {"testid": "${saved.x}"}}, "no earlier step has saved ${saved.x}"),
    "port": ({"goto": "http://127.0.0.1:1/"}, "ERR_UNSAFE_PORT"),  # the last: no page is opened after that of the error
}  # fmt: skip
DAY_FAULTS = (
    *("download: none", "download: no element", "script: value", "script: no number", "marker", "wait: not visible"),
    *("absent: match", "a condition that makes no sense", "page: title not"),  # test_driver_mcp.py has other pages
    *("several: click", "several: have_text", "wrong kind: select"),
)
"""By an action and an assertion; at night by each verb."""
DAY_UNFIT = ("key", "pattern of the page", "no file", "name")


def tells(told, case, **wanted):
    """Check a failure: its texts whole, or what is at an end of its message or in a text."""
    starts, ends, has, finds, hints = (wanted.pop(one, "") for one in ("starts", "ends", "has", "finds", "hints"))
    assert {name: getattr(told, name) for name in wanted} == wanted, case
    assert told.message.startswith(starts), (case, told.message)
    assert told.message.endswith(ends), (case, told.message)
    assert has in told.message, (case, told.message)
    assert finds in told.found, (case, told.found)
    assert all(hint in told.hint for hint in hints), (case, told.hint)


@browser
@pytest.mark.parametrize("names", in_one(FAULTS, *DAY_FAULTS))
def test_a_failure_is_told(cases, names):
    for case, result in zip(names, cases(*(FAULTS[name][0] for name in names)), strict=True):
        tells(failure(result), case, **FAULTS[case][1])


@browser
@pytest.mark.parametrize("names", in_one(UNFIT, *DAY_UNFIT))
def test_a_step_that_cannot_be_carried_out_as_written(cases, names):
    for case, result in zip(names, cases(*([UNFIT[name][0]] for name in names)), strict=True):
        assert UNFIT[case][1] in failure(result, "error", "setup").message, case


# Actions wait for half a minute; in these tests the time of the test is over earlier, which tells the same reason.
@browser
@pytest.mark.parametrize(
    "step, reason",
    [
        at_night({"click": {"testid": "nowhere"}}, 'no element matches {testid: "nowhere"} within '),
        ({"click": {"text": "Never"}}, "element is not enabled"),
        # At night other words of the same log of Playwright.
        at_night({"click": {"testid": "ghost"}}, "element is not visible"),
        at_night({"fill": {"label": "Fixed", "value": "x"}}, "element is not editable"),
        ({"select": {"label": "Ticker", "value": "TSLA"}}, "did not find some options"),
    ],
    ids=str,
)
def test_an_action_that_never_becomes_possible(run, step, reason):
    told = failure(run(step, timeout_seconds=1.5), "timeout", "timeout")
    assert told.message.startswith(f"the test's 1.5 s were over in step 2 ({next(iter(step))}): ")
    assert reason in told.message


@browser
def test_what_covers_an_element_is_told(run):
    told = failure(run({"click": {"text": "Cover"}}, {"click": SEND}, timeout_seconds=2), "timeout", "timeout")
    assert '<div id="cover"></div> intercepts pointer events' in told.message


@browser
def test_a_page_that_cannot_be_opened(run):
    told = failure(run({"goto": "${down.url}/"}, opened=False), "failed", "connection")
    assert told.message.endswith("cannot be opened: net::ERR_CONNECTION_REFUSED")
    told = failure(run({"goto": "http://nowhere.invalid/"}, opened=False), "failed", "connection")
    assert told.found == "net::ERR_NAME_NOT_RESOLVED"


@browser
def test_a_page_that_never_loads(run):
    told = failure(run({"goto": "${s.url}/silent"}, opened=False, timeout_seconds=0.7), "timeout", "timeout")
    assert "in step 1 (goto)" in told.message


@browser
def test_a_page_that_is_closed(tmp_path, warm, chromium):
    asked = request(tmp_path, [{"click": SEND}], browser=chromium)
    session = warm[0].open(asked)
    session.stage.page.close()
    job = Job(asked.test.steps[0], tmp_path, tmp_path, Scope({}), Deadline(time.monotonic() + 5), 5)
    with pytest.raises(StepError, match="the page was closed") as told:
        session.do(job)
    session.close()
    assert (told.value.outcome, told.value.kind) == ("failed", "assertion")


@browser
def test_a_page_that_hangs_loses_its_browser_and_the_next_test_has_a_new_one(run):
    hangs = {"evaluate": "() => { for (;;) {} }"}
    hung = run(hangs, {"click": SEND}, timeout_seconds=1, last=[{"set": {"a": 1}}])
    told = failure(hung, "timeout", "timeout")
    assert told.message == "the test's 1 s were over in step 2 (evaluate): the page hangs; its browser was ended"
    after = passed(run(expected(SEND, {"be": "visible"})))
    assert (hung.died, after.died) == ((), ()), "it was ended by us, and did not die"


def killed(*recovery_steps, reason="the browser died", before=False):
    return Died(part="browser", reason=reason, recovery_steps=recovery_steps, before=before)


def killing(run, monkeypatch, kill, *said):
    """Carry out steps of which each `hover` kills something first."""
    monkeypatch.setitem(VERBS, "hover", lambda stage, job: (kill(), stage.page.evaluate("1"))[1])
    return run({"hover": SEND}, *said)


@browser
def test_a_renderer_that_crashes_is_told_and_the_browser_is_fit_for_the_next_test(run, monkeypatch, started):
    passed(run())
    before = started.browser_process().pid
    result = killing(run, monkeypatch, lambda: [process.kill() for process in started.renderers()])
    assert failure(result, "error", "crash").message == "the page crashed in this step"
    [died] = result.died
    assert died.seconds > 0
    assert msgspec.structs.replace(died, seconds=0.0) == killed("page", reason="the page crashed")
    assert result.alive == {"browser": True}
    assert passed(run(expected(SEND, {"be": "visible"}))).died == ()
    assert started.browser_process().pid == before


@browser
def test_a_browser_that_dies_is_told_and_relaunched_before_the_next_test(run, monkeypatch, started):
    passed(run())
    before = started.browser_process().pid
    result = killing(run, monkeypatch, lambda: started.browser_process().kill())
    assert failure(result, "error", "crash").message == "the browser died in this step"
    [died] = result.died
    assert died.seconds > 0
    assert msgspec.structs.replace(died, seconds=0.0) == killed("relaunch")
    after = started.browser_process().pid
    assert after != before
    assert passed(run(expected(SEND, {"be": "visible"}))).died == ()
    assert started.browser_process().pid == after


@browser
def test_a_browser_that_died_between_two_tests_is_told_with_the_next_one(run, started):
    passed(run())
    started.browser_process().kill()
    result = passed(run(expected(SEND, {"be": "visible"})))
    [died] = result.died
    assert died.seconds > 0
    assert msgspec.structs.replace(died, seconds=0.0) == killed("relaunch", reason="the browser had died", before=True)


@browser
def test_no_browser_on_this_machine(tmp_path, warm):
    told = failure(carry_out(request(tmp_path, [OPEN], browser=None), *warm), "error", "setup")
    assert told.message == "no chromium on this machine"


@browser
def test_a_browser_that_does_not_start(tmp_path, warm, chromium):
    broken = type(chromium)("chromium", "/bin/false", None, (), (), "0", "a test")
    told = failure(carry_out(request(tmp_path, [OPEN], browser=broken), *warm), "error", "crash")
    assert told.message.startswith("/bin/false does not start: ")


# ------------------------------------------------------------------------------------------------------------ evidence

NOISE = {"goto": "${s.url}/other.html"}


@browser
def test_evidence_of_a_failure_is_the_page_before_finally(run, tmp_path):
    result = run(
        NOISE,
        {"wait": {"css": "h1"}},
        {"evaluate": "() => noise.then(() => true)"},
        expected({"css": "h1"}, {"have_text": "x"}),
        last=[{"evaluate": "() => { document.body.innerHTML = '' }"}],
    )
    failure(result)
    assert [(one.path, one.kind) for one in result.evidence] == [
        ("failure.png", "screenshot"),
        ("page.yaml", "page"),
        ("console.log", "console"),
        ("network.jsonl", "network"),
    ]
    assert (tmp_path / "failure.png").read_bytes().startswith(b"\x89PNG")
    console = (tmp_path / "console.log").read_text()
    assert "[log] plain word" in console
    assert "[error] bad word" in console
    assert "[uncaught] Error: uncaught word" in console
    network = [json.loads(line) for line in (tmp_path / "network.jsonl").read_text().splitlines()]
    assert [(entry["method"], entry["status"], entry["url"].split("/", 3)[3]) for entry in network] == [
        ("GET", 503, "status/503")
    ]
    assert result.facts["page_errors"] == 1
    assert result.facts["console_errors"] == 2  # its own, and Chromium's about the 503
    assert result.facts["failed_requests"] == 1
    assert result.facts["browser"].startswith("chromium ")


@browser
def test_evidence_always_and_never(run, tmp_path):
    result = passed(run(evidence="always"))
    assert [one.path for one in result.evidence] == ["end.png", "page.yaml"]
    assert passed(run()).evidence == ()
    assert run(expected(SEND, {"have_text": "x"}), evidence="off").evidence == ()
    result = run(last=[expected(SEND, {"have_text": "x"})])
    assert [one.path for one in result.evidence] == ["failure.png", "page.yaml"]


@browser
def test_each_test_has_a_context_of_its_own(run):
    passed(run({"evaluate": "() => { localStorage.setItem('a', '1'); document.cookie = 'a=1' }"}))
    passed(run({"evaluate": {"script": "() => [localStorage.getItem('a'), document.cookie]", "equals": [None, ""]}}))


@browser
def test_projects_without_authorities_of_their_own_share_a_browser(tmp_path, warm, chromium, started):
    """Their roots are no reason to start another one."""
    browsers = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        passed(carry_out(request(tmp_path / name, [{"goto": "data:text/html,x"}], browser=chromium), *warm))
        browsers.append(started.browser_process().pid)
    assert browsers[0] == browsers[1]


@browser
def test_the_clipboard_is_allowed(run):
    passed(
        run(
            {
                "evaluate": {
                    "script": "async () => { await navigator.clipboard.writeText('x'); return navigator.clipboard.readText() }",
                    "equals": "x",
                }
            }
        )
    )


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "message, said",
    [
        ("Page.goto: NS_ERROR_CONNECTION_REFUSED", Meaning("connection", "NS_ERROR_CONNECTION_REFUSED")),
        ("Page.goto: Could not connect to server", Meaning("connection", "Could not connect to server")),
        ("Locator.click: Target crashed ", Meaning("crash", "Target crashed")),
        (
            "Locator.click: Timeout 5ms exceeded.\nCall log:\n  - waiting for x\n    - locator resolved to <p>a</p>",
            Meaning("blocked"),
        ),
        (
            "Locator.click: Timeout 5ms exceeded.\nCall log:\n  - performing click action\n  - click action done",
            Meaning("loading"),
        ),
        ("Something else", Meaning("other", "Something else")),
        ("", Meaning("other", "")),
    ],
)
def test_what_an_error_says(message, said):
    assert read(message) == said


@pytest.mark.parametrize(
    "message, meaning",
    [
        ("Locator expected to have text 'a'\nActual value: b\nc \nCall log:\n  - x", Meaning("unmet", "b\nc")),
        (
            "Locator expected to have text 'a'\nActual value: Target crashed \nCall log:\n  - x",
            Meaning("unmet", "Target crashed"),
        ),
        (
            "Locator expected to be visible\nActual value: None\nError: element(s) not found \nCall log:\n  - x",
            Meaning("absent"),
        ),
        ("Locator expected to have text 'a'\nActual value: None \nCall log:\n  - x", Meaning("unmet")),
        (
            "Locator expected to have text 'a'\nActual value: None\nError: strict mode violation: x resolved to 2 elements: ",
            Meaning("strict", "2 elements", 2),
        ),
    ],
)
def test_what_an_assertion_says(message, meaning):
    assert read_assertion(message) == meaning
