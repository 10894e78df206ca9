"""Each cause excuses only as many errors as it can make, and only for a moment."""

from __future__ import annotations

import pytest

from orchestra.runtime.driver.own_doing import GRACE_SECONDS, OwnDoing

STYLE = "Content-Security-Policy: The page's settings blocked an inline style (style-src-elem) from being applied"
LOOP = "ResizeObserver loop completed with undelivered notifications."
GIVEN_UP = "TypeError: NetworkError when attempting to fetch resource."


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def own(clock):
    return OwnDoing(clock)


def test_nothing_is_ours_at_first(own):
    assert not any(own.made("page", text) for text in (STYLE, LOOP, GIVEN_UP))


def test_a_picture_excuses_its_styles_and_no_more(own, clock):
    own.picture(2)
    assert own.made("page", STYLE)
    own.pictured()
    clock.now += GRACE_SECONDS / 2
    assert [own.made("console", STYLE) for _ in range(2)] == [True, False]
    assert own.made("page", LOOP)
    assert not own.made("page", GIVEN_UP)
    clock.now += GRACE_SECONDS
    assert not own.made("page", LOOP)


def test_a_picture_that_puts_no_style_into_the_page(own):
    own.picture(0)
    assert not own.made("page", STYLE)


@pytest.mark.parametrize("earlier", [False, True])
def test_a_page_that_is_left_excuses_the_requests_that_it_gave_up(own, clock, earlier):
    own.leaving()
    if earlier:
        own.left()
    own.gave_up(earlier=earlier)
    assert [own.made("page", GIVEN_UP) for _ in range(2)] == [True, False]
    assert own.made("console", GIVEN_UP)
    assert not own.made("page", STYLE)
    clock.now += 2 * GRACE_SECONDS
    own.left()
    assert not own.made("page", GIVEN_UP)


def test_a_request_that_the_page_there_gives_up_is_its_own_matter(own, clock):
    own.leaving()
    own.left()
    own.gave_up(earlier=False)
    assert not own.made("page", GIVEN_UP)
    clock.now += GRACE_SECONDS
    own.gave_up(earlier=True)
    own.leaving()
    assert not own.made("page", GIVEN_UP)


def test_a_page_that_takes_long_to_be_left(own, clock):
    own.leaving()
    clock.now += 60
    own.leaving()
    own.gave_up(earlier=False)
    assert own.made("page", GIVEN_UP)


def test_a_page_excuses_nothing_of_the_page_after_the_next(own):
    own.leaving()
    own.gave_up(earlier=False)
    own.left()
    own.gave_up(earlier=True)
    assert own.made("page", GIVEN_UP)
    own.leaving()
    assert own.made("console", GIVEN_UP)  # of the first page yet, and late
    own.left()
    assert not own.made("page", GIVEN_UP)
    assert not own.made("console", GIVEN_UP)


def test_a_request_given_up_long_ago_excuses_nothing_when_the_next_page_is_left(own, clock):
    own.leaving()
    own.gave_up(earlier=False)
    own.left()
    clock.now += GRACE_SECONDS
    own.leaving()
    assert not own.made("page", GIVEN_UP)


def test_the_text_of_chromium_is_never_ours(own):
    own.leaving()
    own.gave_up(earlier=False)
    assert not own.made("page", "TypeError: Failed to fetch")


def test_the_oldest_request_is_excused_first(own):
    for left in (True, False):
        own.leaving()
        own.gave_up(earlier=False)
        if left:
            own.left()
    assert own.made("page", GIVEN_UP)
    own.left()
    assert own.made("page", GIVEN_UP)
