"""How long an action waits for its element, and what its failure says of the page: by both browser drivers."""

from __future__ import annotations

import pytest

from tests.support.both import failed, passed
from tests.support.nights import at_night, by_day
from tests.support.site import page

browser = pytest.mark.browser

BUTTONS = """<main><button>Send</button><button id=sent>Sent items</button><a href="#">Send a file</a>
<label>Message <input></label><p data-testid=reply>one</p><ul><li>Twin <b>one</b></li><li class=x>Twin two</li></ul></main>"""
ACTIONS = {
    "click": {"click": {"role": "button", "name": "Sned"}},
    "fill": {"fill": {"label": "Mesage", "value": "x"}},
    "press": {"press": {"label": "Mesage", "key": "x"}},
    "check": {"check": {"label": "Mesage"}},
    "hover": {"hover": {"text": "Sned"}},
    "evaluate": {"evaluate": {"role": "button", "name": "Sned", "script": "() => 1"}},
    "screenshot": {"screenshot": {"role": "button", "name": "Sned", "as": "x"}},
    "upload": {"upload": {"label": "Mesage", "files": ["a.txt"]}},
}


def waiting(step, seconds):
    ((verb, body),) = step.items()
    return {verb: {**body, "within_seconds": seconds}}


@browser
@pytest.mark.parametrize("verb", by_day(ACTIONS, "click", "upload"))  # a tool that waits, and a driver that does
def test_an_action_waits_as_long_as_its_step_says(both, verb):
    cli, mcp = failed(both(page(BUTTONS), waiting(ACTIONS[verb], 0.4), opened=False))
    assert cli.failure.message.startswith("no element matches {")
    assert cli.failure.message.endswith(" within 0.4 s")
    assert (mcp.failure.message, mcp.failure.hint) == (cli.failure.message, cli.failure.hint)
    assert "nearest on the page: " in cli.failure.hint


@browser
def test_an_action_waits_as_long_as_its_test_says(both):
    cli, mcp = failed(
        both(page(BUTTONS), ACTIONS["click"], opened=False, action_timeout_seconds=0.5, action_idle_seconds=0.5)
    )
    assert (
        cli.failure.message == mcp.failure.message == 'no element matches {role: "button", name: "Sned"} within 0.5 s'
    )


@browser
@pytest.mark.parametrize(
    "setup, within",
    [("", "0.5 s"), ("<script>fetch('/slow?20')</script>", "2 s")],
    ids=["a page that waits for nothing", "a page that waits for an answer"],
)
def test_an_action_waits_longer_while_a_request_is_under_way(both, setup, within):
    limits = {"action_timeout_seconds": 2.0, "action_idle_seconds": 0.5}
    cli, mcp = failed(both(page(BUTTONS + setup), ACTIONS["click"], opened=False, **limits))
    assert cli.failure.message == mcp.failure.message
    assert cli.failure.message.endswith(f" within {within}")


LEAVING = {
    "a script's request": "fetch('/slow?20')",
    "a picture": "new Image().src = '/slow?20'",
    "a stream of events": "new EventSource('/slow?20')",
    "a video": "document.body.append(Object.assign(document.createElement('video'), { src: '/slow?20' }))",
    "a frame": "document.body.append(Object.assign(document.createElement('iframe'), { src: '/slow?20' }))",
}


# One that fails when its page is left, and a stream, of which no browser says so; at night other kinds of requests.
@browser
@pytest.mark.parametrize("case", by_day(LEAVING, "a script's request", "a stream of events"))
def test_an_action_does_not_wait_for_requests_of_a_page_that_was_left(both, case):
    leaves = [page(BUTTONS), {"evaluate": {"script": f"() => {{ {LEAVING[case]} }}"}}]
    limits = {"action_timeout_seconds": 8.0, "action_idle_seconds": 0.5}
    cli, mcp = failed(both(*leaves, page(BUTTONS), ACTIONS["click"], opened=False, **limits))
    assert cli.failure.message == mcp.failure.message
    assert cli.failure.message.endswith(" within 0.5 s")


@browser
def test_an_action_does_not_wait_for_requests_of_the_test_before(both):
    passed(both(page(BUTTONS), {"evaluate": {"script": "() => { fetch('/slow?20') }"}}, opened=False))
    limits = {"action_timeout_seconds": 8.0, "action_idle_seconds": 0.5}
    cli, mcp = failed(both.again()(page(BUTTONS), ACTIONS["click"], opened=False, **limits))
    assert cli.failure.message == mcp.failure.message
    assert cli.failure.message.endswith(" within 0.5 s")


@browser
def test_what_comes_with_an_answer_is_waited_for(both):
    late = "<script>fetch('/slow?1.5').then(() => document.body.insertAdjacentHTML('beforeend', '<button>Late</button>'))</script>"
    step = {"click": {"role": "button", "name": "Late"}}
    passed(both(page(late), step, opened=False, action_timeout_seconds=30.0, action_idle_seconds=0.3))


@browser
@pytest.mark.parametrize(
    "step, reason",
    [
        ({"click": {"role": "button", "name": "Off"}}, "element is not enabled"),
        at_night({"fill": {"label": "Locked", "value": "x"}}, "element is not editable"),
        at_night({"click": {"text": "Hidden"}}, "element is not visible"),
    ],
)
def test_a_short_limit_gives_the_reason_too(both, step, reason):
    shut = "<button disabled>Off</button><label>Locked <input readonly></label><button style='display:none'>Hidden</button>"
    cli, mcp = failed(both(page(shut), waiting(step, 1), opened=False))
    assert reason in cli.failure.message
    assert mcp.failure.message == cli.failure.message


NEAR = [
    ({"role": "button", "name": "Sned"}, '{role: "button", name: "Send"}'),
    at_night({"role": "link", "name": "Sent a file"}, '{role: "link", name: "Send a file"}'),
    at_night({"role": "button", "name": "Other"}, '{role: "button", name: "Send"}'),
    at_night({"label": "Mesage"}, '{role: "textbox", name: "Message"}'),
    ({"testid": "replay"}, '{testid: "reply"}'),
]


@browser
@pytest.mark.parametrize("target, near", NEAR)
def test_what_is_near_a_target_is_listed(both, target, near):
    short = {"to": {"be": "visible"}, "within_seconds": 0.3}
    cli, mcp = failed(both(page(BUTTONS), {"expect": {**target, **short}}, opened=False))
    assert near in cli.failure.hint
    assert mcp.failure.hint == cli.failure.hint


@browser
def test_what_is_near_a_target_in_a_frame_is_listed(both):
    framed = page("<iframe srcdoc='<button>Inside</button>'></iframe><button>Insides</button>")
    cli, mcp = failed(
        both(framed, {"click": {"frame": "iframe", "text": "Insite", "within_seconds": 0.5}}, opened=False)
    )
    assert cli.failure.hint == mcp.failure.hint == 'nearest on the page: {role: "button", name: "Inside"}'


@browser
@pytest.mark.parametrize(  # one list, told by an action and at night by an expectation
    "step", [{"click": {"role": "listitem"}}, at_night({"expect": {"role": "listitem", "to": {"have_text": "x"}}})]
)
def test_elements_that_match_are_listed_with_their_places(both, step):
    cli, mcp = failed(both(page(BUTTONS), step, opened=False))
    assert cli.failure.found == (
        "2 elements: 1) <li>Twin one at body > main > ul > li:nth-of-type(1);"
        ' 2) <li class="x">Twin two at body > main > ul > li:nth-of-type(2)'
    )
    assert mcp.failure.found == cli.failure.found
