"""Globs of URLs, compared with Playwright's own reading of them."""

from __future__ import annotations

import re

import pytest
from playwright._impl._glob import glob_to_regex_pattern

from orchestra.steps.url_glob import url_pattern

GLOBS = ["**/api/*", "https://a.example/*", "**/{a,b}.json", "**/*?q=*", "**", "https://a.example/x(1)+.[y]", "**/{a,b"]
URLS = [
    "https://a.example/",
    "https://a.example/api/x",
    "https://a.example/api/x/y",
    "https://a.example/b.json",
    "https://a.example/c.json",
    "https://a.example/api/x?q=1",
    "https://a.example/x(1)+.[y]",
    "https://a.example/{a,b",
]


@pytest.mark.parametrize("glob", GLOBS[:-1])
def test_a_glob_of_urls_is_read_as_playwright_reads_it(glob):
    theirs = re.compile(glob_to_regex_pattern(glob))
    assert [bool(url_pattern(glob).match(url)) for url in URLS] == [bool(theirs.match(url)) for url in URLS]


def test_an_open_brace_is_itself():
    assert [url for url in URLS if url_pattern(GLOBS[-1]).match(url)] == [URLS[-1]]
