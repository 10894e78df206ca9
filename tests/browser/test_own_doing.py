"""Errors that our own actions cause are none of the product: pictures, the end of a page, the end of a test."""

from __future__ import annotations

import os

import pytest

from orchestra.runtime.browsers.finder import Browser, find
from tests.support.both import Both, failed, passed
from tests.support.nights import at_night, by_day
from tests.support.paths import ROOT
from tests.support.site import page

pytestmark = pytest.mark.browser

OTHER = page("<h1>Other</h1>")
PICTURE, WHOLE = {"screenshot": {"as": "picture"}}, {"screenshot": {"as": "whole", "full_page": True}}
SETTLE = {"evaluate": "() => new Promise((done) => setTimeout(done, 300))"}
GAVE_UP = {"evaluate": "async () => { while (!window.gaveUp) { await new Promise((done) => setTimeout(done, 10)); } }"}
NO_STYLES = "<meta http-equiv=Content-Security-Policy content=\"style-src 'self'\">"


@pytest.fixture(scope="module", params=["chromium", pytest.param("firefox", marks=pytest.mark.nightly)])
def engine(request: pytest.FixtureRequest) -> Browser:
    """Each engine that starts on this machine; only Chromium must."""
    if request.param == "chromium":
        return request.getfixturevalue("chromium")
    found = find(request.param, os.environ, ROOT)
    if not isinstance(found, Browser):
        pytest.skip(found.text())
    return found


@pytest.fixture
def each(tmp_path, step_url, both_drivers, engine) -> Both:
    """Run steps through both drivers, in each engine."""
    return Both(tmp_path, step_url, both_drivers, engine)


def texts(results, *layers):
    """Return the errors that were found on the pages, by method."""
    wanted = layers or ("page_errors", "console_errors", "failed_requests")
    return [[sign.text for sign in result.findings if sign.layer in wanted] for result in passed(results)]


ALL_PICTURES = [PICTURE, WHOLE, {"screenshot": {"as": "part", "css": "p"}}]


@pytest.mark.parametrize("pictures", [at_night([]), at_night([PICTURE]), ALL_PICTURES])  # fewer are a part of all
def test_a_picture_of_a_page_that_forbids_styles(each, pictures):
    framed = page(f"{NO_STYLES}<p>text</p><input autofocus><iframe srcdoc='<p>in</p>'></iframe>")
    assert texts(each(framed, *pictures, SETTLE, opened=False, evidence="always")) == [[], []]


@pytest.mark.nightly
@pytest.mark.parametrize("engine", ["firefox"], indirect=True)
def test_in_firefox_pictures_and_a_page_that_is_left_are_no_errors(each):
    """One program of both, of which each by itself runs in Firefox, too."""
    framed = page(f"{NO_STYLES}<p>text</p><input autofocus><iframe srcdoc='<p>in</p>'></iframe>")
    steps = [framed, PICTURE, WHOLE, SETTLE, HANDLED, OTHER, SETTLE]
    assert texts(each(*steps, opened=False, evidence="always")) == [[], []]


def test_a_style_of_the_page_that_is_refused(each):
    """Its own is an error of the page, with or without a picture after it."""
    styled = page(f"{NO_STYLES}<style>p {{ color: red }}</style><p>text</p>")
    for signs in texts(each(styled, SETTLE, PICTURE, SETTLE, opened=False)):
        assert len(signs) == 1, signs
        assert "style" in signs[0]


LOOP = """<div id=box style="width: 50vw; height: 50vh">box</div><div id=inner style="height: 3000px">x</div><script>
let more = 0;
new ResizeObserver(() => { inner.style.height = `${3000 + ++more % 2}px`; box.style.width = `${400 + more}px`; }).observe(WHERE);
</script>"""


def test_a_page_that_resizes_at_each_picture(each):
    grows = page(LOOP.replace("WHERE", "document.documentElement"))
    results = each(grows, SETTLE, WHOLE, SETTLE, opened=False)
    first, second = texts(results, "page_errors", "console_errors")
    assert len(first) == len(second) <= 1


GIVES_UP = """<script>for (const name of ['a', 'b']) { fetch('/silent?' + name).then((answer) => answer.json()); }
const asks = new XMLHttpRequest(); asks.open('GET', '/silent'); asks.onerror = () => console.error('it failed'); asks.send();
</script>"""


def test_requests_that_are_given_up_because_the_page_is_left(each):
    assert texts(each(page(GIVES_UP), SETTLE, OTHER, SETTLE, opened=False), "page_errors", "failed_requests") == [
        [],
        [],
    ]


ABORTS = page(
    "<script>addEventListener('unhandledrejection', () => { window.gaveUp = true; });"
    "const end = new AbortController(); fetch('/silent', end); end.abort();</script>"
)
HANDLED = page("<script>for (let more = 4; more--;) fetch('/silent?' + more).catch(() => 0);</script>")
ASKS = page(
    "<script>for (let more = 4; more--;) { const asks = new XMLHttpRequest(); asks.open('GET', '/silent?' + more); asks.send(); }</script>"
)
REFUSED = page("<script>fetch('http://127.0.0.1:1/')</script>")


def test_a_request_that_the_page_gives_up_itself(each):
    """The page is not left: its promise that nothing handles is an error of the page."""
    for signs in texts(each(ABORTS, GAVE_UP, SETTLE, opened=False), "page_errors"):
        assert len(signs) == 1
        assert "abort" in signs[0].lower()


def test_a_request_that_fails_before_the_page_is_left(each):
    for signs in texts(each(REFUSED, SETTLE, OTHER, SETTLE, opened=False), "page_errors"):
        assert len(signs) == 1
        assert "fetch" in signs[0]


@pytest.mark.parametrize(
    "earlier, own",
    [
        pytest.param(HANDLED, [ABORTS, GAVE_UP], id="handled and aborts"),
        at_night(HANDLED, [REFUSED, SETTLE], id="handled and refused"),  # by day of an earlier test, below
        pytest.param(ASKS, [REFUSED], id="no promise and refused"),
    ],
)
def test_requests_given_up_by_an_earlier_page_excuse_none_of_a_later_one(each, earlier, own):
    """The pages follow each other within the time in which an error of the first could still come."""
    results = each(earlier, *([] if earlier is ASKS else [OTHER]), *own, SETTLE, opened=False)
    assert [len(signs) for signs in texts(results, "page_errors")] == [1, 1]


@pytest.mark.parametrize(
    "own", [at_night([ABORTS, GAVE_UP], id="aborts"), pytest.param([REFUSED, SETTLE], id="refused")]
)
def test_requests_given_up_by_an_earlier_test_excuse_none_of_a_later_one(each, own):
    passed(each(HANDLED, OTHER, opened=False))
    assert [len(signs) for signs in texts(each.again()(*own, SETTLE, opened=False), "page_errors")] == [1, 1]


def test_requests_of_a_test_that_has_ended_are_charged_to_none(each):
    passed(each(page(GIVES_UP), opened=False))
    assert texts(each.again()(OTHER, SETTLE, opened=False)) == [[], []]


def test_a_window_that_a_link_opens_has_no_error_of_ours(each):
    link = page("<a target=_blank href='/steps.html'>open</a><a target=_blank rel=opener href='/steps.html'>other</a>")
    clicks = [{"click": {"text": name}} for name in ("open", "other")]
    results = each(link, *clicks, SETTLE, opened=False)
    assert texts(results, "page_errors", "console_errors") == [[], []]


# Of a page that has loaded: the MCP server waits ten seconds for one that has not.
NEVER = """() => {
    const style = '<style>@font-face { font-family: never; src: url(/silent) } p { font-family: never }</style>';
    document.head.insertAdjacentHTML('beforeend', style); document.body.offsetHeight;
}"""
IMAGE = page("<p data-testid=text>text</p><img src=/silent>")
HAS_TEXT = {"expect": {"testid": "text", "to": {"have_text": "text"}}}


def test_a_font_that_never_comes_costs_no_picture(each, monkeypatch):
    for module in ("playwright.stage", "mcp.browser", "mcp.session"):
        monkeypatch.setattr(f"orchestra.runtime.driver.{module}.FONTS_SECONDS", 0.5)
    steps = [page("<p>text</p>"), {"evaluate": NEVER}, PICTURE, WHOLE]
    for result in passed(each(*steps, opened=False, evidence="always")):
        pictures = {evidence.path for evidence in result.evidence if evidence.kind == "screenshot"}
        assert {"picture.png", "whole.png"} < pictures, pictures


# By `mcp` the server waits ten seconds for what the step does not wait for; at night for less of a page.
@pytest.mark.parametrize("until", by_day(["domcontentloaded", "commit"], "domcontentloaded"))
def test_a_page_counts_as_open_when_the_step_says(each, until):
    passed(each({"goto": {"url": IMAGE["goto"], "until": until}}, HAS_TEXT, opened=False))


def test_a_page_whose_image_never_comes_does_not_load(each):
    cli, mcp = failed(each({"goto": {"url": IMAGE["goto"], "within_seconds": 2}}, opened=False), fault="connection")
    assert cli.failure.message == mcp.failure.message
    assert "until: domcontentloaded" in cli.failure.hint == mcp.failure.hint


@pytest.mark.nightly
def test_the_first_bytes_of_a_page(each):
    """As `until: commit` above, of a document that never ends."""
    passed(each({"goto": {"url": "${s.url}/dribble", "until": "commit"}}, opened=False))


def test_back_to_a_page_that_the_browser_has_stored(each):
    title = {"expect": {"page": {"title": {"have_text": "Step test page"}}}}
    passed(each(OTHER, "back", title, OTHER, "back", title))
