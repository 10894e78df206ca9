"""A secret is found in every form that programs write, wherever it lies, and nothing else is."""

from __future__ import annotations

import base64
import functools
import random
import re
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestra.runtime.mask import Masks, weakness
from orchestra.runtime.mask.forms import pieces
from orchestra.runtime.mask.spelling import spelling, spellings
from tests.support.mask_forms import BYTES, FORMS
from tests.support.nights import by_day

MARK = "***TOKEN***"
SAMPLES = (
    's3cr3t/väl ue+&"x',
    "p<w'\\it\"h &all>{[]}\u20ac!$`",
    "пароль-секрет",
    "!@#$%^&*()",
    "a-b-c-d-e-f",
    "\\\\server\\share\\x",
    "it's \"quoted\" 'twice'",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "100%-säfe 😊 &amp; sound",
    "postgres://user:pa%73s@db/x?y=z",
    " spaces   within  ",
)


@functools.lru_cache(maxsize=20)
def masks_of(secret: str) -> Masks:
    """The pattern of a secret takes a hundred times as long to make as a search for it."""
    return Masks(["TOKEN"], {"TOKEN": secret})


def masked(secret: str, text: str) -> str:
    return masks_of(secret).text(text)


# By day one with each kind of letter that programs escape, one of another alphabet, and one that none escapes.
DAY = (SAMPLES[0], SAMPLES[1], SAMPLES[2], SAMPLES[7], SAMPLES[9])


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("secret", by_day(SAMPLES, *DAY))
def test_a_secret_is_masked_in_each_form(secret, name):
    form = FORMS[name](secret.strip())
    shown = masked(secret, f"before: {form} :after")
    assert MARK in shown, shown
    assert shown.startswith("before: ")
    assert shown.endswith(" :after")
    if not name.startswith(("base64", "hex", "colours")):  # around these there is more
        rest = shown.removeprefix("before: ").removesuffix(" :after").replace(MARK, "")
        assert not re.findall(r"\w{6}", rest), rest


@pytest.mark.parametrize("name", BYTES)
@pytest.mark.parametrize("secret", SAMPLES)
def test_a_secret_is_masked_in_bytes_that_are_no_text(secret, name):
    stream = masks_of(secret).stream()
    data = BYTES[name](f"before\n{secret}\nafter\n")
    shown = stream.feed(data) + stream.finish()
    assert MARK.encode() in shown
    assert len(shown) < len(data)


SECRETS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=8, max_size=40).filter(
    lambda text: text.strip() == text and len(set(text)) > 3
)


@given(SECRETS, st.sampled_from(sorted(FORMS)), st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_no_form_of_any_secret_survives(secret, name, around):
    form = FORMS[name](secret)
    if name.startswith(("lower", "upper", "cut")):  # of an ordinary word these are no secret
        assume(len(form) <= len(secret) + 3 and not weakness("", secret))
    shown = masked(secret, f"{around} {form} {around}")
    assert form not in shown
    assert MARK in shown


@given(st.binary(max_size=7), SECRETS, st.binary(max_size=7))
def test_no_base64_holds_a_secret_wherever_it_lies(before, secret, after):
    code = base64.b64encode(before + secret.encode() + after).decode()
    shown = masked(secret, code)
    rest = base64.b64decode(
        shown.partition(MARK)[0] + "===="[: -len(shown.partition(MARK)[0]) % 4 or 4], validate=False
    )
    assert MARK in shown
    assert len(rest) <= len(before) + 3


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_text_is_as_it_was_where_nothing_is_masked(text, more):
    assume("s3cr3t" not in (text + more).lower())
    assert masked("s3cr3t-t0ken-of-mine", text + more) == text + more


@given(SECRETS, st.text(max_size=30))
def test_a_text_that_is_masked_again_stays(secret, around):
    once = masked(secret, f"{around}{secret}{around}")
    assert masked(secret, once) == once


@pytest.mark.parametrize("letter", string.printable.strip() + " äß€😊жé")
def test_every_usual_escape_of_a_character_is_one_of_its_pattern(letter):
    pattern = re.compile(spelling(letter), re.DOTALL)
    for escape in spellings(letter):
        if not letter.isalnum() or not letter.isascii():
            assert pattern.fullmatch(escape), escape


def test_no_text_makes_the_search_slow():
    """Backslashes, ampersands and percent signs, of which a pattern could try every part, take time by their number."""
    secret = "\\\\\\\\abc%%%%&&&&''''\"\"\"\"    \\\\\\\\"
    masks = Masks(["TOKEN"], {"TOKEN": secret})
    for noise in ("\\" * 4000, "&amp;" * 4000, "%25" * 7000, "'\"" * 9000, "abc" * 1500, " " * 20000, "[0m" * 7000):
        assert MARK in masks.text(noise + secret + noise)


PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    + base64.encodebytes(random.Random(1).randbytes(300)).decode()
    + "-----END PRIVATE KEY-----"
)


@pytest.mark.parametrize("value", [PEM, PEM.replace("\n", "\r\n"), PEM.replace("\n", "\\n"), f"\n  {PEM}\n"])
def test_a_value_of_several_lines_is_masked_line_by_line(value):
    lines = [line for line in PEM.splitlines() if len(line) >= 8]
    text = "\n".join(f"12:00:0{number % 10} web | {line}" for number, line in enumerate(lines))
    shown = masked(value, text)
    assert [line.partition(" | ")[2] for line in shown.splitlines()] == [MARK] * len(lines)
    assert set(lines) <= set(pieces(value))


def test_lines_of_fewer_than_eight_characters_are_masked_only_where_there_is_no_longer_one():
    assert pieces("user: x\npassword: s3cr3t-of-mine\n") == ["password: s3cr3t-of-mine"]
    assert pieces("a\nbc\nd") == ["a\nbc\nd"]
    assert masked("ab\ncd\nef", '{"k": "ab\\ncd\\nef"} ab\ncd\nef') == f'{{"k": "{MARK}"}} {MARK}'


def test_the_longest_of_two_secrets_names_the_mark():
    masks = Masks(["A", "B"], {"A": "token-abc", "B": "token-abc-long-one"})
    assert masks.text("token-abc-long-one and token-abc") == "***B*** and ***A***"


def test_a_value_that_is_not_utf_8_is_masked():
    secret = b"caf\xe9-secret\xff".decode(errors="surrogateescape")
    stream = Masks(["TOKEN"], {"TOKEN": secret}).stream()
    assert stream.feed(b"x caf\xe9-secret\xff y\n") == b"x ***TOKEN*** y\n"
