"""Profiles: what they change, what they take away, and where their lines stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.compiler import include, profile

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)

# The examples of RFC 7396, appendix A.
RFC = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize("base, patch, merged", RFC)
def test_merge_patch(base, patch, merged):
    assert profile.merge(base, patch) == merged


@given(JSON, JSON)
def test_a_patch_twice_is_the_patch_once(base, patch):
    once = profile.merge(base, patch)
    assert profile.merge(once, patch) == once


@given(JSON)
def test_an_empty_patch_changes_no_mapping(base):
    assert profile.merge(base, {}) == (base if isinstance(base, dict) else {})


SPEC = """\
orchestra: 1
suite: s
vars: {a: 1, b: 2}
profiles:
  other:
    vars: {a: 10, c: 3}
    tests: {T: {steps: [reload]}}
  empty: {}
tests:
  T: {steps: [back, back]}
"""


@pytest.fixture
def assembled(tmp_path):
    (tmp_path / "s.yaml").write_text(SPEC)
    return include.load(tmp_path, "s.yaml")


def test_a_profile_is_merged_in_and_the_profiles_are_gone(assembled):
    other = profile.apply(assembled, "other")
    assert other.data == {
        "orchestra": 1,
        "suite": "s",
        "vars": {"a": 10, "b": 2, "c": 3},
        "tests": {"T": {"steps": ["reload"]}},
    }
    assert assembled.data["vars"] == {"a": 1, "b": 2}, "the spec itself is not touched"
    assert profile.apply(assembled, "empty").data["vars"] == {"a": 1, "b": 2}
    assert other.digest == assembled.digest
    assert other.profile == "other"


def test_a_line_stands_where_it_is_written(assembled):
    other = profile.apply(assembled, "other")
    assert other.place(("vars", "a")) == ("s.yaml", 6, 15)
    assert other.place(("vars", "a"), key=True) == ("s.yaml", 6, 12)
    assert other.place(("vars", "b")) == ("s.yaml", 3, 17)
    assert other.place(("tests", "T", "steps", 0)) == ("s.yaml", 7, 25)
    assert other.place(("tests", "T", "steps", 1)) == ("s.yaml", 10, 21)
    assert other.place(("suite",), key=True) == ("s.yaml", 2, 1)
