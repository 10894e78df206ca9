"""What is printed is no command of a terminal or of a CI, and says what the text says."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.printing import HIDDEN, as_json, as_xml, letter, one_line, printed, unbroken, visible
from tests.support.ci import PAYLOADS, READERS, obeyed
from tests.support.paths import ROOT

CASES = [(ci, payload) for ci, payloads in PAYLOADS.items() for payload in payloads]
pieces = st.lists(
    st.sampled_from(
        [
            "--- ",
            "^^^ ",
            "#",
            "##",
            "[",
            "::",
            ":",
            "vso[",
            "teamcity[",
            "\n",
            "\r",
            " ",
            "\t",
            "\u00a0",
            "x",
            "pwned",
            "]",
        ]
    )
    | st.characters(),
    max_size=12,
).map("".join)


@pytest.mark.parametrize("ci, payload", CASES)
def test_a_payload_is_obeyed_as_it_is(ci, payload):
    """The control."""
    assert obeyed(ci, payload)
    assert obeyed(ci, f"before\n{payload}\nafter")


@pytest.mark.parametrize("ci, payload", [case for case in CASES if case[0] != "buildkite"])
@pytest.mark.parametrize("around", ["{}", "before\n{}\nafter", "    detail      x\n                {}", "\n\n{}"])
def test_no_payload_is_obeyed_when_it_is_printed(ci, payload, around):
    assert obeyed(ci, printed(around.format(payload))) == []


@pytest.mark.parametrize("ci, payload", CASES)
def test_no_payload_is_obeyed_behind_a_word_of_ours(ci, payload):
    assert obeyed(ci, printed(f"    found       {one_line(payload)}")) == []
    assert obeyed(ci, letter(f"ended: {payload}\n{payload}", f"say\n{payload}")) == []


@given(pieces)
def test_nothing_that_is_printed_is_obeyed_by_any(text):
    shown = printed(text + "pwned")
    assert not any(obeyed(ci, shown) for ci in READERS if ci != "buildkite")
    assert not re.search(f"[{HIDDEN}]", shown)
    assert not re.search(r"\r(?!\n)", shown)


@given(pieces)
def test_what_is_printed_says_what_the_text_says(text):
    shown = visible(text)
    assert printed(text).replace(" ", "").replace("␍", "\r") == shown.replace(" ", "")
    assert printed(printed(text)) == printed(text)


def test_a_usual_text_is_printed_as_it_is():
    text = "passed      cli:B004  a::b  ## Heading\n    at          specs/s.yaml:4:2\nx ## [link] # [x]\r\n"
    assert printed(text) == text


@given(pieces)
def test_json_has_the_same_value(text):
    written = json.dumps({"message": text + "pwned"}, ensure_ascii=False, indent=1)
    shown = as_json(written)
    assert json.loads(shown) == json.loads(written)
    assert not any(obeyed(ci, shown) for ci in READERS)
    assert not re.search(f"[{HIDDEN}]", shown)


@given(pieces)
def test_xml_has_the_same_content(text):
    node = ET.Element("a", {"b": visible(text).replace("\r", "")})
    node.text = visible(text).replace("\r", "") + "pwned"
    shown = as_xml(ET.tostring(node, encoding="unicode"))
    again = ET.fromstring(shown)
    assert (again.text, again.get("b")) == (node.text, node.get("b"))
    assert not any(obeyed(ci, shown) for ci in READERS)


def test_a_letter_is_one_of_ours_in_its_first_line_alone():
    assert letter("a\nb\rc", "d\ne") == "error: a\n  b\n  c\nhint: d\n  e"
    assert letter("a") == "error: a"


def test_a_long_text_costs_no_more_than_its_length():
    """A pattern that looks back over white space would take minutes."""
    assert len(printed("::\n" + "\n" * 200_000 + " " * 200_000)) == 400_004


def test_columns_stay_where_they_are():
    assert unbroken("  a\tb\r\nc\x0b") == "  a\tb c␋"


WRITERS = {
    "group.py": "the one place",
    "hook.py": "without click, which it must not wait for; it calls `printed` itself",
}


def test_no_verb_writes_past_the_one_place():
    for file in (ROOT / "orchestra/verbs").glob("*.py"):
        written = re.findall(r"click\.s?echo\(|\bprint\(|\.std(?:out|err)\.write\(", file.read_text())
        assert not written or file.name in WRITERS, f"{file.name}: {written[0]} instead of `say` or `warn`"
