"""The condition `aria` of `expect`: a part of the accessibility tree, by both browser methods."""

from __future__ import annotations

import pytest

from tests.support.both import failed, passed
from tests.support.nights import in_one
from tests.support.site import page

pytestmark = pytest.mark.browser

PAGE = page(
    "<main><h1>Shop</h1><ul><li>One</li><li>Two 25</li><li>Three</li></ul><button disabled>Send</button><p id=late></p></main>"
    "<script>setTimeout(() => { late.textContent = 'ready'; document.title = 'late'; }, 100)</script>"
)


def aria(text, css="main", **more):
    return {"expect": {"css": css, "to": {"aria": text}, **more}}


def never(text, css="main", **more):
    return {"expect": {"css": css, "to": {"not": {"aria": text}}, "within_seconds": 10, **more}}


def test_a_part_of_the_tree_in_order(both):
    passed(
        both(
            PAGE,
            aria('- heading "Shop" [level=1]\n- button [disabled]'),
            aria("- list:\n  - listitem: One\n  - listitem: /Two \\d+/"),
            aria("- main:\n  - paragraph: ready", css="body"),
            never('- heading "Shop" [level=2]'),
            never("- list:\n  - listitem: Two\n  - listitem: One"),
        )
    )


TREE = '- main:\n  - heading "Shop" [level=1]\n  - list:\n'
FAULTS = {
    "another level": (aria('- heading "Shop" [level=2]', within_seconds=0.3), "0.3 s", TREE),
    "not this one": (never('- heading "Shop" [level=1]', within_seconds=0.3), "0.3 s", TREE),
    "no element": (aria("- list", css="nav", within_seconds=0.3), "0.3 s, but no element matches", "no element"),
    "no element, negated": (
        never("- list", css="nav", within_seconds=0.3),
        "0.3 s, but no element matches",
        "no element",
    ),
    "no such attribute": (
        aria("- heading [levl=2]"),
        "5 s, but: Unsupported attribute [levl]:",
        "Unsupported attribute",
    ),
    "no YAML": (aria("- a: ["), "5 s, but: Flow sequence in block collection", "Flow sequence"),
}


# By day a tree that is another one, an element that is not there, and what no tree can be; at night each word for it.
@pytest.mark.parametrize("faults", in_one(FAULTS, "another level", "no element, negated", "no such attribute"))
def test_another_tree_fails_with_the_tree_of_the_page(both, faults):
    said = [[PAGE, {"wait": {"text": "ready"}}, FAULTS[fault][0]] for fault in faults]
    for fault, (results, _) in zip(faults, both.cases(*said, opened=False), strict=True):
        _, ending, tree = FAULTS[fault]
        cli, mcp = failed(results, case=fault)
        assert mcp.failure.message == cli.failure.message, fault
        assert f" within {ending}" in cli.failure.message, fault
        for result in (cli, mcp):
            found = result.failure.found.strip('"').replace("\\n", "\n").replace('\\"', '"')
            assert found.startswith(tree), fault
