"""How long an action waits for its element, and what its failure says of the page: by both browser drivers."""

from __future__ import annotations

import pytest

from tests.support.both import failed, passed
from tests.support.nights import at_night, in_one
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
@pytest.mark.parametrize("verbs", in_one(ACTIONS, "click", "upload"))  # a tool that waits, and a driver that does
def test_an_action_waits_as_long_as_its_step_says(both, verbs):
    said = [[page(BUTTONS), waiting(ACTIONS[verb], 0.4)] for verb in verbs]
    for verb, (results, _) in zip(verbs, both.cases(*said, opened=False), strict=True):
        cli, mcp = failed(results, case=verb)
        assert cli.failure.message.startswith("no element matches {"), verb
        assert cli.failure.message.endswith(" within 0.4 s"), verb
        assert (mcp.failure.message, mcp.failure.hint) == (cli.failure.message, cli.failure.hint), verb
        assert "nearest on the page: " in cli.failure.hint, verb


@browser
def test_an_action_waits_as_long_as_its_test_says(both):
    cli, mcp = failed(
        both(page(BUTTONS), ACTIONS["click"], opened=False, action_timeout_seconds=0.5, action_idle_seconds=0.5)
    )
    assert (
        cli.failure.message == mcp.failure.message == 'no element matches {role: "button", name: "Sned"} within 0.5 s'
    )


@browser
def test_an_action_waits_longer_while_a_request_is_under_way(both):
    limits = {"action_timeout_seconds": 2.0, "action_idle_seconds": 0.5}
    pages = {
        "a page that waits for nothing": ("", "0.5 s"),
        "a page that waits for an answer": ("<script>fetch('/slow?20')</script>", "2 s"),
    }
    said = [[page(BUTTONS + setup), ACTIONS["click"]] for setup, _ in pages.values()]
    for case, (results, _) in zip(pages, both.cases(*said, opened=False, **limits), strict=True):
        cli, mcp = failed(results, case=case)
        assert cli.failure.message == mcp.failure.message, case
        assert cli.failure.message.endswith(f" within {pages[case][1]}"), case


LEAVING = {
    "a script's request": "fetch('/slow?20')",
    "a picture": "new Image().src = '/slow?20'",
    "a stream of events": "new EventSource('/slow?20')",
    "a video": "document.body.append(Object.assign(document.createElement('video'), { src: '/slow?20' }))",
    "a frame": "document.body.append(Object.assign(document.createElement('iframe'), { src: '/slow?20' }))",
}


# One that fails when its page is left, and a stream, of which no browser says so; at night other kinds of requests.
@browser
@pytest.mark.parametrize("cases", in_one(LEAVING, "a script's request", "a stream of events"))
def test_an_action_does_not_wait_for_requests_of_a_page_that_was_left(both, cases):
    said = [
        [page(BUTTONS), {"evaluate": {"script": f"() => {{ {LEAVING[case]} }}"}}, page(BUTTONS), ACTIONS["click"]]
        for case in cases
    ]
    limits = {"action_timeout_seconds": 8.0, "action_idle_seconds": 0.5}
    for case, (results, _) in zip(cases, both.cases(*said, opened=False, **limits), strict=True):
        cli, mcp = failed(results, case=case)
        assert cli.failure.message == mcp.failure.message, case
        assert cli.failure.message.endswith(" within 0.5 s"), case


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


SHUT = page(
    "<button disabled>Off</button><label>Locked <input readonly></label><button style='display:none'>Hidden</button>"
)
REASONS = {
    "not enabled": {"click": {"role": "button", "name": "Off"}},
    "not editable": {"fill": {"label": "Locked", "value": "x"}},
    "not visible": {"click": {"text": "Hidden"}},
}


@browser
@pytest.mark.parametrize("reasons", in_one(REASONS, "not enabled"))
def test_a_short_limit_gives_the_reason_too(both, reasons):
    said = [[SHUT, waiting(REASONS[reason], 1)] for reason in reasons]
    for reason, (results, _) in zip(reasons, both.cases(*said, opened=False), strict=True):
        cli, mcp = failed(results, case=reason)
        assert f"element is {reason}" in cli.failure.message, reason
        assert mcp.failure.message == cli.failure.message, reason


NEAR = {
    '{role: "button", name: "Sned"}': ({"role": "button", "name": "Sned"}, '{role: "button", name: "Send"}'),
    '{role: "link"}': ({"role": "link", "name": "Sent a file"}, '{role: "link", name: "Send a file"}'),
    '{role: "button", name: "Other"}': ({"role": "button", "name": "Other"}, '{role: "button", name: "Send"}'),
    "{label}": ({"label": "Mesage"}, '{role: "textbox", name: "Message"}'),
    "{testid}": ({"testid": "replay"}, '{testid: "reply"}'),
}


@browser
@pytest.mark.parametrize("cases", in_one(NEAR, '{role: "button", name: "Sned"}', "{testid}"))
def test_what_is_near_a_target_is_listed(both, cases):
    short = {"to": {"be": "visible"}, "within_seconds": 0.3}
    said = [[page(BUTTONS), {"expect": {**NEAR[case][0], **short}}] for case in cases]
    framed = page("<iframe srcdoc='<button>Inside</button>'></iframe><button>Insides</button>")
    said += [[framed, {"click": {"frame": "iframe", "text": "Insite", "within_seconds": 0.5}}]]
    *listed, (in_frame, _) = both.cases(*said, opened=False)
    for case, (results, _) in zip(cases, listed, strict=True):
        cli, mcp = failed(results, case=case)
        assert NEAR[case][1] in cli.failure.hint, case
        assert mcp.failure.hint == cli.failure.hint, case
    cli, mcp = failed(in_frame, case="in a frame")
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
