"""Conditions over tests/data/pages/steps.html, with targets for which they hold or not: the same for both drivers."""

from __future__ import annotations

REPLY, SEND = {"testid": "reply"}, {"css": "#send"}

CASES = {
    "be visible": ({"be": "visible"}, SEND, {"testid": "ghost"}, '"hidden"'),
    "be hidden": ({"be": "hidden"}, {"testid": "nowhere"}, SEND, '"visible"'),
    "be enabled": ({"be": "enabled"}, SEND, {"text": "Never"}, '"disabled"'),
    "be disabled": ({"be": "disabled"}, {"text": "Never"}, SEND, '"enabled"'),
    "be checked": ({"be": "checked"}, {"label": "Loud"}, {"label": "Compact view"}, '"unchecked"'),
    "be focused": ({"be": "focused"}, {"placeholder": "Ask me"}, SEND, '"inactive"'),
    "be editable": ({"be": "editable"}, {"placeholder": "Ask me"}, {"label": "Fixed"}, '"readOnly"'),
    "be empty": ({"be": "empty"}, {"testid": "empty"}, SEND, '"notEmpty"'),
    "be in_viewport": ({"be": "in_viewport"}, SEND, {"testid": "far"}, '"viewport ratio 0"'),
    "have_text": ({"have_text": "Hello NVDA it is 121.67"}, REPLY, SEND, '"Send"'),
    "contain": ({"contain": "NVDA it"}, REPLY, SEND, '"Send"'),
    "match": ({"match": r"121\.\d\d$"}, REPLY, SEND, '"Send"'),
    "match as JavaScript alone": ({"match": r"(?<price>\d+)\.[^]"}, REPLY, SEND, '"Send"'),
    "have_value": ({"have_value": "old"}, {"placeholder": "Ask me"}, {"label": "Fixed"}, '"fixed"'),
    "have_values": ({"have_values": ["two"]}, {"label": "Chosen"}, {"label": "Many"}, "[]"),
    "have_number": ({"have_number": {"above": 121}}, REPLY, SEND, '"no number in: Send"'),
    "have_css": ({"have_css": {"display": "none"}}, {"testid": "hidden"}, SEND, '{"display": "inline-block"}'),
    "have_role": ({"have_role": "button"}, SEND, REPLY, '"paragraph"'),
    "have_accessible_name": ({"have_accessible_name": "Send"}, SEND, REPLY, "nothing"),
    "have_count": ({"have_count": 2}, {"testid": "twin"}, SEND, '"1"'),
    "have_attribute": ({"have_attribute": {"aria-busy": "false", "id": "send"}}, SEND, {"text": "Never"}, "nothing"),
    "have_class": ({"have_class": "big"}, SEND, {"testid": "ghost"}, '"ghost"'),
}
"""Condition, a target for which it holds, one for which it does not, and what is found there."""

NOT_HELD = {name: case for name, case in CASES.items() if name != "have_number"}
"""Those that hold with `not` for the second target: without a number, there is nothing to compare."""

PAGE = {
    "title have_text": (
        {"title": {"have_text": "Step test page"}},
        {"title": {"have_text": "Step"}},
        '"Step test page"',
    ),
    "title contain": ({"title": {"contain": "test"}}, {"title": {"contain": "te.t"}}, '"Step test page"'),
    "title not": ({"title": {"not": {"contain": "x"}}}, {"title": {"not": {"contain": "test"}}}, '"Step test page"'),
    "url match": ({"url": {"match": r"/steps\.html$"}}, {"url": {"match": "/other"}}, "/steps.html"),
    "url contain": ({"url": {"contain": "/steps."}}, {"url": {"contain": "/stepsxhtml"}}, "/steps.html"),
    "url as JavaScript alone": ({"url": {"match": "(?<end>html)$"}}, {"url": {"match": "(?<end>xml)$"}}, "/steps.html"),
}
"""The same of the page: a condition that holds, one that does not, and what is found."""
