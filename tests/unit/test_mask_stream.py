"""A stream is masked as its whole, wherever its pieces end."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.runtime.mask import Masks
from orchestra.runtime.mask.stream import LINE_BYTES
from tests.support.mask_forms import BYTES, FORMS

SECRET = "p<w'\\it\"h/&all-s3cr3t>{[]}\u20ac!$`"
MASKS = Masks(["TOKEN"], {"TOKEN": SECRET})


def passed(data: bytes, *sizes: int) -> bytes:
    """What comes out of a stream that is fed pieces of these sizes, again and again."""
    stream, out, at, turn = MASKS.stream(), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        out.append(stream.feed(data[at : at + size]))
        at, turn = at + size, turn + 1
    return b"".join([*out, stream.finish()])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 76, 77, 78])
@pytest.mark.parametrize("name", [*FORMS, *BYTES])
def test_a_secret_across_pieces_is_masked_in_each_form(name, size):
    form = FORMS[name](SECRET).encode() if name in FORMS else BYTES[name](SECRET)
    data = b"first line\n" + form + b"\nlast line"
    shown = passed(data, size)
    assert b"***TOKEN***" in shown
    assert form not in shown
    assert shown.startswith(b"first line\n")
    assert shown.endswith(b"\nlast line")


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 50), min_size=1, max_size=4))
def test_the_pieces_make_no_difference(parts, sizes):
    whole = SECRET.encode().join(parts)
    assert passed(whole, *sizes) == passed(whole, len(whole) + 1)


@pytest.mark.parametrize("gap", [0, 1, 20, 60])
def test_a_secret_in_a_line_that_is_longer_than_what_is_held_is_masked(gap):
    noise = b"x" * (LINE_BYTES - gap)
    shown = passed(noise + SECRET.encode() + noise + SECRET.encode() + noise, 1000)
    assert shown == noise + b"***TOKEN***" + noise + b"***TOKEN***" + noise


def test_whole_lines_are_passed_on_at_once_and_the_beginning_of_one_is_not():
    stream = MASKS.stream()
    assert stream.feed(b"one\ntwo\nthr") == b"one\ntwo\n"
    assert stream.feed(b"ee") == b""
    assert stream.held() == b"three"
    assert stream.feed(b"\r50 %\r") == b"three\r"
    assert stream.finish() == b"50 %\r"
    assert stream.finish() == b""


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_base64_that_was_broken_into_lines_is_masked_across_pieces_that_end_with_them(end):
    code = base64.b64encode(b"z" * 40 + SECRET.encode() + b"z" * 40)
    lines = [code[at : at + 64] + end for at in range(0, len(code), 64)]
    stream = MASKS.stream()
    shown = b"".join([*(stream.feed(line) for line in lines), stream.feed(b"that was it\n")])
    assert b"***TOKEN***" in shown
    assert base64.b64encode(SECRET.encode() + b"z" * 3)[4:20] not in shown.replace(end, b"")
    assert shown.endswith(b"that was it\n")


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_short_secret_in_a_stream_is_masked_as_a_word(size):
    stream, whole = Masks(["A"], {"A": "on"}).stream(), b"on, only on-off con\non"
    pieces = [stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)]
    assert b"".join([*pieces, stream.finish()]) == b"***A***, only ***A***-off con\n***A***"
