"""Targets by the states of a role, and by a pattern of a name: by both browser methods, each with its reason when there is none."""

from __future__ import annotations

import pytest

from tests.support.both import failed, passed
from tests.support.site import page

pytestmark = pytest.mark.browser

BODY = """<h1>Orders</h1><h2>Orders of today</h2><h2>Orders/"old"</h2>
<label><input type=checkbox checked> Mail</label><label><input type=checkbox> Mail me more</label>
<button aria-pressed=false>Bold</button><button aria-pressed=true>Italic</button>
<button aria-expanded=false aria-controls=more>Menu</button><p id=more hidden>more</p>
<div role=tablist><button role=tab aria-selected=true>One</button><button role=tab aria-selected=false>Two</button></div>
<p data-testid=log></p><script>
document.addEventListener('click', ({ target }) => {
  for (const state of ['pressed', 'expanded']) {
    const old = target.getAttribute(`aria-${state}`);
    if (old) target.setAttribute(`aria-${state}`, old === 'false');
  }
  if (target.matches('button')) document.querySelector('[data-testid=log]').textContent += target.textContent + ';';
});
</script>"""


def test_a_role_is_found_by_its_states_and_by_a_pattern_of_its_name(both):
    passed(
        both(
            page(BODY),
            {"expect": {"role": "heading", "level": 2, "to": {"have_text": ["Orders of today", 'Orders/"old"']}}},
            {"expect": {"role": "heading", "name": {"match": "^Orders$"}, "to": {"have_count": 1}}},
            {"expect": {"role": "heading", "name": {"match": "s/[\"']old"}, "level": 2, "to": {"be": "visible"}}},
            {"uncheck": {"role": "checkbox", "checked": True}},
            {"expect": {"role": "checkbox", "checked": False, "to": {"have_count": 2}}},
            {"check": {"role": "checkbox", "name": {"match": "^Mail$"}}},
            {"click": {"role": "button", "pressed": False, "name": {"match": "^(Bold|Italic)$"}}},
            {"wait": {"role": "button", "name": "Bold", "pressed": True}},
            {"click": {"role": "button", "expanded": False}},
            {"wait": {"role": "tab", "selected": True, "unless": {"role": "button", "expanded": False}}},
            {"set": {"start": "Tw"}},
            {"click": {"role": "tab", "name": {"match": "^${saved.start}"}, "within": {"role": "tablist"}}},
            {"expect": {"testid": "log", "to": {"have_text": "Bold;Menu;Two;"}}},
        )
    )


def test_the_message_of_a_target_that_is_not_there_has_its_states_and_pattern(both):
    targets = {
        '{role: "button", expanded: true, pressed: false}': {"role": "button", "pressed": False, "expanded": True},
        '{role: "heading", name: {match: "^orders"}}': {"role": "heading", "name": {"match": "^orders"}},
    }
    clicks = [[page(BODY), {"click": {**target, "within_seconds": 0.3}}] for target in targets.values()]
    for shown, (results, _) in zip(targets, both.cases(*clicks, opened=False), strict=True):
        for result in failed(results, case=shown):
            assert f"no element matches {shown}" in result.failure.message


def test_a_pattern_that_a_value_breaks_is_refused(both):
    broken = {"role": "tab", "name": {"match": "^${saved.start}"}}
    waits = {"target": broken, "unless": {"testid": "log", "unless": broken}}
    said = [[page(BODY), {"set": {"start": "(Tw"}}, {"wait": wait}] for wait in waits.values()]
    for case, (results, _) in zip(waits, both.cases(*said, opened=False), strict=True):
        for result in failed(results, "error", "setup", case):
            assert 'the pattern "^(Tw" of a name cannot be read' in result.failure.message, case
