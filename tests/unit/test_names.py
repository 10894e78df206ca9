"""`${name}` is looked up, `$${` is a literal `${`, and nothing else is special."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.names import Reference, expand, names_in, references, substitute

PIECES = st.lists(st.sampled_from(["$", "{", "}", "${", "$${", "a", "${a}", "${b.c}", " ", "\n", "é"]), max_size=8).map(
    "".join
)


@pytest.mark.parametrize(
    "text, found",
    [
        ("", []),
        ("a$b{c}", []),
        ("${a}", [Reference("a", 0, True)]),
        ("x ${a.b} ${c}", [Reference("a.b", 2, True), Reference("c", 9, True)]),
        ("$${a}", []),
        ("$${a} ${b}", [Reference("b", 6, True)]),
        ("$$${a}", []),
        ("$$ ${a}", [Reference("a", 3, True)]),
        ("${a", [Reference("a", 0, False)]),
        ("${}", [Reference("", 0, True)]),
        ("${a{b}", [Reference("a", 0, False)]),
        ("é${a}", [Reference("a", 1, True)]),
    ],
)
def test_references(text: str, found: list[Reference]):
    assert list(references(text)) == found


@given(st.text(st.sampled_from("${}ab. ")))
def test_names_alone_are_those_of_the_references(text: str):
    assert [name for name in names_in(text) if name] == [
        reference.name for reference in references(text) if reference.name
    ]


def test_substitute_leaves_what_is_not_known():
    known = {"a": "1", "b.c": "${late.url}"}
    assert substitute("${a} ${b.c} ${d} $${a} ${a", known) == "1 ${late.url} ${d} $${a} ${a"
    assert substitute("plain", known) == "plain"
    assert substitute("${a}", {"a": True}, repr) == "True"


def test_expand_is_final():
    assert expand("${a}-$${a}-${b}", {"a": "1", "b": "${a}"}.__getitem__) == "1-${a}-${a}"
    assert expand("plain", {}.__getitem__) == "plain"


def test_what_the_lookup_raises_passes():
    with pytest.raises(KeyError):
        expand("${missing}", {}.__getitem__)


def escape(text: str) -> str:
    return text.replace("${", "$${")


@given(PIECES)
def test_escaped_text_is_itself_again_and_holds_no_reference(text: str):
    assert list(references(escape(text))) == []
    assert expand(escape(text), {}.__getitem__) == text


@given(PIECES)
def test_substitution_of_nothing_changes_nothing(text: str):
    assert substitute(text, {}) == text


@given(PIECES, st.text(max_size=3))
def test_closed_references_are_what_expansion_asks_for(text: str, value: str):
    asked: list[str] = []

    def lookup(name: str) -> str:
        asked.append(name)
        return value

    expand(text, lookup)
    assert asked == [reference.name for reference in references(text)]


@given(PIECES, st.text(max_size=3))
def test_substitute_then_expand_is_expand(text: str, value: str):
    """What the compiler replaces and what the runtime replaces come to the same, when the value is plain."""
    both = {"a": escape(value), "b.c": "x"}
    assert expand(substitute(text, {"a": both["a"]}), lambda name: {"a": value, "b.c": "x"}.get(name, "")) == expand(
        text, lambda name: {"a": value, "b.c": "x"}.get(name, "")
    )
