"""What a spec means before it is lowered: kinds, methods, matrices, edges, order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.compiler.lower import resolve
from orchestra.drivers import DRIVERS

GOTO = {"goto": "https://a.example/"}
HTTP = {"http": {"GET": "https://a.example/"}}


def spec(**more):
    return {"orchestra": 1, "suite": "s", "tests": {}, **more}


def test_a_bare_verb_has_an_empty_body():
    assert resolve.verb_of("reload") == ("reload", {})
    assert resolve.verb_of({"press": "Enter"}) == ("press", "Enter")


def test_a_use_names_a_block_and_gives_parameters():
    assert resolve.block_use("open") == ("open", {})
    assert resolve.block_use({"open": None}) == ("open", {})
    assert resolve.block_use({"ask": {"message": "x"}}) == ("ask", {"message": "x"})


def test_all_steps_walks_blocks_and_ends_in_a_circle():
    one = spec(blocks={"a": {"steps": [GOTO, {"use": "b"}]}, "b": {"steps": [HTTP, {"use": "a"}]}})
    verbs = [verb for verb, _ in resolve.all_steps(one, [{"use": "a"}, {"use": "missing"}, {"use": "b"}, "reload"])]
    assert verbs == ["goto", "http", "reload"]


@pytest.mark.parametrize(
    "test, kind",
    [
        ({"command": {"argv": ["x"]}}, "command"),
        ({"use": {"pw": {}}}, "command"),
        ({"steps": [HTTP]}, "http"),
        ({"steps": [GOTO]}, "browser"),
        ({"steps": [HTTP], "before": ["reload"]}, "browser"),
        ({"steps": [HTTP], "finally": ["reload"]}, "browser"),
        ({"steps": [{"use": "plain"}, {"use": "plain"}]}, "http"),
        ({"steps": [HTTP, {"use": "deep"}]}, "browser"),
        ({"steps": [{"use": "circle"}]}, "http"),
        ({"steps": [{"use": "missing"}]}, "http"),
        ({"steps": [HTTP], "group": "pages"}, "browser"),
        ({"steps": [HTTP], "group": "ends"}, "browser"),
        ({"steps": [HTTP], "group": "missing"}, "http"),
        ({"steps": []}, "http"),
    ],
)
def test_kind_of_a_test(test, kind):
    one = spec(
        blocks={
            "plain": {"steps": [HTTP]},
            "deep": {"steps": [{"use": "plain"}, {"use": "page"}]},
            "page": {"steps": [HTTP, GOTO]},
            "circle": {"steps": [{"use": "circle"}, HTTP]},
        },
        groups={"pages": {"before": [GOTO]}, "ends": {"finally": [GOTO]}},
    )
    assert resolve.kind_of(one, test) == kind


def test_blocks_that_use_each_other_many_times_are_looked_at_once():
    blocks = {f"b{n}": {"steps": [{"use": f"b{n + 1}"}] * 9} for n in range(200)}
    assert resolve.kind_of(spec(blocks=blocks), {"steps": [{"use": "b0"}]}) == "http"


def test_without_methods_there_is_one_that_can_do_it_all():
    assert resolve.methods(spec(tests={"T": {"steps": [GOTO]}}))["cli"]["driver"] == "playwright"
    assert resolve.methods(spec(tests={"T": {"command": {"argv": ["x"]}}}))["cli"]["driver"] == "command"
    declared = {"api": {"driver": "http"}}
    assert resolve.methods(spec(methods=declared)) == declared


def test_methods_of_a_test():
    one = spec(methods={name: {"driver": name} for name in DRIVERS})
    assert resolve.methods_of(one, {"steps": [GOTO]}) == ("playwright", "mcp")
    assert resolve.methods_of(one, {"steps": [HTTP]}) == ("playwright", "mcp", "command", "http")
    assert resolve.methods_of(one, {"command": {"argv": ["x"]}}) == ("playwright", "command")
    assert resolve.methods_of(one, {"methods": ["http"], "steps": [GOTO]}) == ("http",)
    assert resolve.methods_of(one, {"steps": [HTTP]}, {"only": {"driver": "http"}}) == ("only",)


@pytest.mark.parametrize(
    "value, text",
    [
        ("NVDA", "NVDA"),
        (3, "3"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        ([1, "é"], '[1, "é"]'),
        ({"a": None}, '{"a": null}'),
    ],
)
def test_a_value_in_a_text(value, text):
    assert resolve.scalar_text(value) == text


def test_a_matrix_makes_a_test_for_each_combination():
    assert list(resolve.matrix_tests("T", {})) == [("T", {})]
    made = list(resolve.matrix_tests("T", {"matrix": {"a": [1, 2], "b": ["x"]}}))
    assert made == [("T[1,x]", {"a": 1, "b": "x"}), ("T[2,x]", {"a": 2, "b": "x"})]


def test_a_test_does_not_need_itself_by_way_of_its_group():
    one = spec(groups={"g": {"needs": ["A", "B[1]", "C"]}})
    assert list(resolve.effective_needs(one, "A", {"group": "g", "needs": ["C", "D"]})) == ["C", "D", "B[1]"]
    assert list(resolve.effective_needs(one, "B", {"group": "g"})) == ["A", "C"]
    assert resolve.effective_needs(one, "Z", {}) == {}


def test_groups_in_groups():
    groups = {"in": {"group": "mid", "login": "b"}, "mid": {"group": "out", "needs": [{"test": "A", "else": "run"}]}}
    one = spec(groups={**groups, "out": {"login": "a", "needs": ["A", "B"]}, "self": {"group": "self"}})
    assert [name for name, _ in resolve.group_path(one, "in")] == ["out", "mid", "in"]
    assert [name for name, _ in resolve.group_path(one, "self")] == ["self"]
    assert resolve.groups_of(one, {}) == resolve.groups_of(one, {"group": "lost"}) == []
    assert resolve.in_group(one, {"group": "in"}, "out")
    assert not resolve.in_group(one, {"group": "mid"}, "in")
    assert resolve.login_of(one, {"group": "in"}, {}) == "b"
    assert resolve.login_of(one, {"group": "mid"}, {}) == "a"
    assert resolve.effective_needs(one, "C", {"group": "in"}) == {"A": "run", "B": "block"}


@given(
    st.integers(0, 12).flatmap(
        lambda n: st.tuples(st.permutations(range(n)), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11))))
    )
)
def test_order_of_any_graph(case):
    """Complete and right where there is no circle; what is on a circle, or behind one, is left out."""
    written, pairs = case
    nodes = [f"n{number}" for number in written]
    before: dict[str, list[str]] = {}
    for low, high in pairs:
        before.setdefault(f"n{high}", []).append(f"n{low}")
    order = resolve.topological(nodes, before)
    assert len(order) == len(set(order))
    seen: set[str] = set()
    for node in order:
        assert seen >= {other for other in before.get(node, ()) if other in nodes}
        seen.add(node)
    left = set(nodes) - seen
    assert all(left & set(before[node]) for node in left)
    if not before:
        assert order == nodes


def test_order_is_as_written_where_nothing_else_is_said():
    assert resolve.topological(["c", "a", "b"], {"c": ["b", "unknown"]}) == ["a", "b", "c"]
