"""The page as text at a failure: the same by both methods, with its frames, without references and secrets."""

from __future__ import annotations

import pytest

from orchestra.runtime.driver.page_text import MOST, keep_page_text
from tests.support.both import failed
from tests.support.site import page

pytestmark = pytest.mark.browser

FRAME = "<iframe title=Terms srcdoc='<button>Agree</button>'></iframe>"
PAGE = page(f"<h1>The basket</h1><ul><li>apples<li>pears</ul><button disabled>Pay</button>{FRAME}<script>1</script>")
MISSED = {"expect": {"css": "h1", "to": {"have_text": "Another"}, "within_seconds": 0.2}}


def texts(both):
    return [(both._folder / name / "page.yaml").read_text() for name in ("playwright", "mcp")]


def test_the_page_as_text_is_the_same_by_both_methods(both):
    results = failed(both(PAGE, {"wait": {"css": "iframe"}}, MISSED, opened=False, evidence="on_failure"))
    assert [[one.kind for one in result.evidence if one.path == "page.yaml"] for result in results] == [["page"]] * 2
    cli, mcp = texts(both)
    assert cli == mcp
    for line in (
        '- heading "The basket" [level=1]',
        "- listitem: apples",
        '- button "Pay" [disabled]',
        '- button "Agree"',
    ):
        assert line in cli
    assert "ref=" not in cli
    assert "script" not in cli


def test_a_secret_on_the_page_is_masked_in_its_text(both, monkeypatch):
    monkeypatch.setenv("PAGE_SECRET", "quite-secret-1234")
    failed(
        both(page("<h1>quite-secret-1234</h1>"), MISSED, opened=False, evidence="on_failure", secrets=("PAGE_SECRET",))
    )
    for text in texts(both):
        assert "quite-secret" not in text
        assert "***PAGE_SECRET***" in text


def test_an_empty_page_has_no_text(both):
    failed(both(page(""), MISSED, opened=False, evidence="on_failure"))
    assert not list(both._folder.glob("*/page.yaml"))


def test_a_long_page_is_cut(tmp_path):
    assert keep_page_text(tmp_path, f"- text: {'x' * MOST}", str)
    assert (tmp_path / "page.yaml").stat().st_size == MOST + 1
