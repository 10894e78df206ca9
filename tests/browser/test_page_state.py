"""A page of each test is as good as new: what the test before has stored is gone, by both browser drivers."""

from __future__ import annotations

import pytest

from tests.support.both import failed, passed
from tests.support.site import page

browser = pytest.mark.browser

KEEPER = {"goto": "${s.url}/keeper.html"}
EMPTY = {"local": None, "session": None, "cookie": "", "caches": [], "databases": [], "workers": 0, "files": []}
FULL = {
    "local": "here",
    "session": "here",
    "cookie": "x=here",
    "caches": ["here"],
    "databases": ["here"],
    "workers": 1,
    "files": ["here"],
}
FRAMED = page("<script>document.write(`<iframe src='//localhost:${location.port}/keeper.html'></iframe>`)</script>")


def judged(script, wanted, **target):
    return {"evaluate": {"script": script, "equals": wanted, **target}}


@browser
def test_storage_of_every_kind_is_forgotten(both):
    passed(both(KEEPER, judged("() => read()", EMPTY), judged("() => write()", FULL), opened=False))
    passed(both.again()(KEEPER, judged("() => read()", EMPTY), opened=False))


@browser
def test_storage_of_a_frame_of_another_site_is_forgotten(both):
    """A browser keeps it apart from what the same site stores in a page of its own."""
    frame = {"frame": "iframe", "css": "html"}
    script = "async (html) => { const own = html.ownerDocument.defaultView; return own.eval('%s()') }"
    write = {"evaluate": {"script": script % "write", **frame}}
    passed(both(FRAMED, judged(script % "read", EMPTY, **frame), write, opened=False))
    passed(both.again()(FRAMED, judged(script % "read", EMPTY, **frame), opened=False))


STAND_INS = page(
    """<button onclick="out.textContent = 'clicked'">Go</button><input aria-label=Name><p id=out data-testid=out></p>
<script>
const later = setTimeout;
window.setTimeout = window.setInterval = window.requestIdleCallback = () => 0;
window.clearTimeout = window.clearInterval = () => {};
window.Date = class extends Date { constructor() { super(0); } static now() { return 0; } };
performance.now = () => 0;
window.MutationObserver = class { observe() {} disconnect() {} };
later(() => document.body.insertAdjacentHTML('beforeend', '<p data-testid=late>late</p>'), 700);
</script>"""
)


@browser
def test_a_page_may_put_stand_ins_in_the_place_of_its_timers(both):
    _, mcp = passed(
        both(
            STAND_INS,
            {"click": {"role": "button"}},
            {"expect": {"testid": "out", "to": {"have_text": "clicked"}}},
            {"fill": {"label": "Name", "value": "x"}},
            {"press": {"label": "Name", "key": "Enter"}},
            {"wait": {"testid": "late"}},
            {"evaluate": {"script": "() => Date.now()", "equals": 0}},
            {"expect": {"role": "button", "to": {"be": "enabled"}}},
            {"screenshot": "it"},
            opened=False,
        )
    )
    lag = next(step.lag_seconds for step in mcp.steps if step.verb == "wait")
    assert lag is not None
    assert lag < 60  # by the true clock


@browser
def test_a_wait_in_vain_ends_on_a_page_with_stand_ins(both):
    failed(both(STAND_INS, {"wait": {"testid": "never", "within_seconds": 0.5}}, opened=False))
