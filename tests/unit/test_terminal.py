"""Output as a person sees it: escape sequences, carriage returns, pieces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.runtime.terminal import Lines, seen


@pytest.mark.parametrize(
    "text, shown",
    [
        ("\x1b[36mhttp://127.0.0.1:\x1b[1m5173\x1b[22m/\x1b[39m", "http://127.0.0.1:5173/"),
        ("\x1b[38;5;196;48;2;1;2;3mred\x1b[0m", "red"),
        ("\x1b]8;;https://a.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;title\x07ready", "ready"),
        ("\x1b[2K\x1b[1Gdone\x1b[?25h", "done"),
        ("\x9b1mbold\x9b0m", "bold"),
        ("|\b/\b-\bready", "ready"),
        ("\x1b(Bplain\x1b=", "plain"),
        ("half \x1b[3", "half "),
        ("half \x1b", "half "),
        ("nothing of it [36m", "nothing of it [36m"),
    ],
)
def test_what_is_seen_of_a_text(text, shown):
    assert seen(text) == shown


@pytest.mark.parametrize(
    "pieces, lines, rest",
    [
        (["listening on 184", "77\n"], ["listening on 18477"], ""),
        (["building 1%\rbuilding 2%\rdone\n"], ["building 1%", "building 2%", "done"], ""),
        (["ready\r\n"], ["ready"], ""),
        (["ready\r", "\nnext\r", "more"], ["ready", "next"], "more"),
        (["a\n\nb"], ["a", ""], "b"),
        (["\x1b[3", "6mport 1\x1b[", "0m\n"], ["port 1"], ""),
        (["a\r", "", "\n", "b\n"], ["a", "b"], ""),
    ],
)
def test_lines_come_whole_whatever_the_pieces(pieces, lines, rest):
    output = Lines()
    assert [line for piece in pieces for line in output.feed(piece)] == lines
    assert output.rest == rest


@given(st.text(alphabet="ab\r\n\x1b[m1", max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_where_a_piece_ends_makes_no_difference(text, cuts):
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    whole, pieces = Lines(), Lines()
    expected = whole.feed(text)
    assert [line for a, b in itertools.pairwise(places) for line in pieces.feed(text[a:b])] == expected
    assert pieces.rest == whole.rest


def test_a_million_backspaces_are_read_in_one_walk():
    assert seen("a" * 500_000 + "\x08" * 500_000 + "b") == "b"
