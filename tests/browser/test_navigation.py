"""Pages that ask whether they may be left, and navigations that did not happen: by both browser drivers."""

from __future__ import annotations

import socket
from urllib.parse import quote

import pytest

from tests.support.both import failed, passed
from tests.support.nights import by_day, in_one
from tests.support.site import page

browser = pytest.mark.browser

GUARDED = page(
    """<label>Name <input></label><a href="/other.html">Away</a>
<button onclick="onbeforeunload = (event) => { event.preventDefault(); return 'x' }">Dirty</button>"""
)
DIRTY = [GUARDED, {"fill": {"label": "Name", "value": "abc"}}, {"click": {"role": "button", "name": "Dirty"}}]
OTHER = {"goto": "${s.url}/other.html"}
IS_OTHER = {"expect": {"page": {"title": {"have_text": "Other page"}}}}
EMPTY = {"expect": {"label": "Name", "to": {"have_value": ""}}}
ACCEPT, REFUSE = {"dialog": {"accept": True}}, {"dialog": {"accept": False}}
LEFT = {
    "goto": [OTHER, IS_OTHER],
    "click": [{"click": {"text": "Away"}}, IS_OTHER],
    "reload": ["reload", EMPTY],
    "back": ["back", IS_OTHER],
    "asked for": [ACCEPT, OTHER, IS_OTHER],
    "asked for, reload": [ACCEPT, "reload", EMPTY],
}


@browser
@pytest.mark.parametrize("ways", in_one(LEFT, "click", "asked for, reload"))  # at night each with and without a step
def test_a_page_with_unsaved_changes_is_left(both, ways):
    steps = [step for way in ways for step in (OTHER, *DIRTY, *LEFT[way])]
    for result in passed(both(*steps, opened=False, timeout_seconds=300)):
        assert not any(finding.layer == "open_dialogs" for finding in result.findings)
        assert "dialogs_that_never_came" not in result.facts


@browser
@pytest.mark.parametrize("verb", by_day(["goto", "reload", "back"], "goto"))  # one function judges all
def test_a_page_that_is_not_to_be_left(both, verb):
    url = {"url": OTHER["goto"]} if verb == "goto" else {}
    cli, mcp = failed(both(OTHER, *DIRTY, REFUSE, {verb: {**url, "within_seconds": 2}}, opened=False))
    assert cli.failure.message == f"{verb} did not leave the page: its beforeunload dialog was dismissed"
    assert mcp.failure.message == cli.failure.message
    assert mcp.failure.step == 5


@browser
def test_a_link_of_a_page_that_is_not_to_be_left(both):
    stays = {"expect": {"label": "Name", "to": {"have_value": "abc"}}}
    passed(both(*DIRTY, REFUSE, {"click": {"text": "Away"}}, stays, opened=False))


@browser
def test_a_page_that_asks_harms_no_test_after_it(both):
    """By `mcp` the page is the same one: it is left before the next test."""
    passed(both(*DIRTY, opened=False))
    _, mcp = passed(both.again()(OTHER, IS_OTHER, opened=False))
    assert mcp.session.continuity == "kept"
    assert mcp.session.died == ()


@browser
def test_there_is_no_page_to_go_back_to(both):
    cli, mcp = failed(both("back", opened=False))
    assert mcp.failure.message == cli.failure.message == "back has no page to go to"


@browser
def test_every_kind_of_address_counts_as_a_page(both):
    addresses = ["${s.url}/steps.html#part", "${s.url}/steps.html", "about:blank", "data:text/html,x"]
    passed(both(*({"goto": address} for address in addresses for _ in range(2))))


SLOW = """<button onclick="location.href = '/silent'">Silent</button>
<button onclick="location.href = 'http://127.0.0.1:1/'">Refused</button><a href="/cut-off">File</a>
<form action="/redirect"><button>Send</button></form>"""


@browser
@pytest.mark.parametrize("name", by_day(["Refused", "File", "Send"], "Refused", "File"))
def test_a_click_that_asks_for_a_document(both, name):
    passed(both(page(SLOW), {"click": {"text": name}}, opened=False))


@browser
def test_a_click_whose_document_does_not_come(both):
    cli, mcp = failed(
        both(page(SLOW), {"click": {"text": "Silent", "within_seconds": 7}}, opened=False), fault="connection"
    )
    assert "was done, and the page that it asked for did not come within" in cli.failure.message
    assert mcp.failure.message == cli.failure.message


@browser
def test_dialogs_one_after_the_other_while_a_page_loads(both):
    """The answer to the first is sent before the second opens."""
    alerts = page("<script>for (const number of [1, 2, 3]) alert(number)</script><h1>Loaded</h1>")
    for result in passed(both(alerts, {"expect": {"css": "h1", "to": {"have_text": "Loaded"}}}, opened=False)):
        assert [sign.text for sign in result.findings if sign.layer == "open_dialogs"] == [
            f"alert: {number}" for number in (1, 2, 3)
        ]


ALERTS = {
    # A dialog that has nothing to do with the click opens while the click waits for its element.
    "before the click": (
        "<button id=go disabled onclick=\"log.textContent += 'clicked;'\">Go</button><p id=log data-testid=log></p>"
        "<script>setTimeout(() => { alert('first'); setTimeout(() => { go.disabled = false }, 700) }, 400)</script>"
    ),
    "in the click": (
        "<button onclick=\"log.textContent += 'clicked;'; alert('in it')\">Go</button><p id=log data-testid=log></p>"
    ),
    # The browser itself may drop the click then.
    "at the press": "<button onmousedown=\"log.textContent = 'clicked;'; alert('down')\">Go</button><p id=log data-testid=log></p>",
}


@browser
@pytest.mark.parametrize("cases", in_one(ALERTS, "before the click", "at the press"))
def test_a_dialog_that_opens_around_a_click(both, cases):
    done = {"expect": {"testid": "log", "to": {"have_text": "clicked;"}}}
    said = [[page(ALERTS[when]), {"click": {"role": "button"}}, done] for when in cases]
    for when, (results, _) in zip(cases, both.cases(*said, opened=False), strict=True):
        passed(results, when)


@browser
def test_a_click_that_a_dialog_kept_from_being_done_is_no_pass(both):
    never = "<button disabled>Go</button><script>setTimeout(() => alert('x'), 300)</script>"
    failed(both(page(never), {"click": {"role": "button", "within_seconds": 2}}, opened=False))
    # By `mcp` the click waits in the server for five seconds in all: it is not made on the page of the next test.
    counted = "<button onclick='n += 1'>Go</button><script>n = 0; setTimeout(() => document.title = `${n} clicks`, 4500)</script>"
    none = {"expect": {"page": {"title": {"have_text": "0 clicks"}}, "within_seconds": 20}}
    passed(both.again()(page(counted), none, opened=False))


@browser
def test_an_address_that_is_asked_for_while_a_dialog_is_open(both):
    opens = page("<script>setTimeout(() => alert('x'), 300)</script>")
    wait = {"http": {"GET": "${s.url}/slow?1"}}
    passed(both(opens, wait, OTHER, IS_OTHER, opened=False))


@browser
def test_dialogs_of_a_window_that_the_page_opens(both):
    window = quote("<script>setTimeout(() => { opener.document.title = 'said ' + confirm('sure?') }, 500)</script>")
    opens = f"""<button onclick="window.open('/html?{window}')">Go</button>"""
    told = {"expect": {"page": {"title": {"have_text": "said true"}}, "within_seconds": 20}}
    passed(both(page(opens), ACCEPT, {"click": {"text": "Go"}}, told, opened=False))


@browser
def test_a_document_that_never_comes_costs_no_picture(both):
    """An image that hangs holds up `load`, and a whole document that hangs holds up the picture itself."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(8)
        deaf_url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        goto = {"goto": {"url": deaf_url, "within_seconds": 2}}
        for result in failed(both(goto, opened=False, evidence="on_failure"), fault="connection"):
            assert "cannot be opened: not loaded within 2 s" in result.failure.message
            assert "screenshot" in {kept.kind for kept in result.evidence}
            assert not [finding for finding in result.findings if finding.layer == "failed_requests"]
