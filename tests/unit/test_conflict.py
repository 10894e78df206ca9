"""Conflict markers of git are found where all three begin a line, in order."""

from __future__ import annotations

import pytest

from orchestra import conflict

OURS, BETWEEN, THEIRS = b"<<<<<<< ours\n", b"=======\n", b">>>>>>> theirs\n"


@pytest.mark.parametrize(
    "content, line",
    [
        (b"a\n" + OURS + b"b\n" + BETWEEN + b"c\n" + THEIRS, 2),
        (OURS + BETWEEN + THEIRS, 1),
        (OURS + BETWEEN, 0),
        (OURS + THEIRS + BETWEEN, 0),
        (b" " + OURS + BETWEEN + THEIRS, 0),
        (b"<<<<<<<\n" + BETWEEN + THEIRS, 0),
        (b"", 0),
    ],
)
def test_the_line_of_the_first_marker(content, line):
    assert conflict.line(content) == line
    assert conflict.marked(content) == (line > 0)
