"""What a step has saved, in every place of a later step: a text where a text is wanted, itself where any value is."""

from __future__ import annotations

import pytest

from tests.support.both import failed, passed
from tests.support.site import page

browser = pytest.mark.browser

NUMBER = {"evaluate": {"script": "() => 7", "save": "n"}}
PAGE = page(
    """<p data-testid=7 class="7 x" title=7 data-n=7>7</p><label>7 <input data-testid=field value=7></label>
<select data-testid=list><option>1</option><option>7</option></select><button>7</button>
<a href="data:text/plain,7" download=7>File</a><script>document.title = '7'; onkeydown = (event) => { document.body.dataset.key = event.key }</script>"""
)
N = "${saved.n}"
IT, FIELD = {"testid": "7"}, {"testid": "field"}
PLACES = {
    "have_text": [{"expect": {**IT, "to": {"have_text": N}}}],
    "contain": [{"expect": {**IT, "to": {"contain": N}}}],
    "match": [{"expect": {**IT, "to": {"match": N}}}],
    "have_value": [{"expect": {**FIELD, "to": {"have_value": N}}}],
    "have_attribute": [{"expect": {**IT, "to": {"have_attribute": {"data-n": N}}}}],
    "have_class": [{"expect": {**IT, "to": {"have_class": N}}}],
    "not": [{"expect": {**IT, "to": {"not": {"have_text": "${saved.n}1"}}}}],
    "title": [{"expect": {"page": {"title": {"have_text": N}}}}],
    "url": [{"expect": {"page": {"url": {"contain": N}}}}],
    "fill": [{"fill": {**FIELD, "value": N}}, {"expect": {**FIELD, "to": {"have_value": "7"}}}],
    "select": [{"select": {"testid": "list", "value": N}}, {"expect": {"testid": "list", "to": {"have_value": "7"}}}],
    "select several": [{"select": {"testid": "list", "value": [N]}}],
    "press": [{"press": {**FIELD, "key": N}}, {"expect": {"css": "[data-key='7']", "to": {"have_count": 1}}}],
    "target": [{"click": {"role": "button", "name": N}}, {"hover": {"text": N, "nth": 0}}, {"hover": {"testid": N}}],
    "narrowed": [{"expect": {"css": "p", "has_text": N, "within": {"css": "body", "has_text": N}, "to": {"have_count": 1}}}],
    "unless": [{"wait": {"testid": N, "unless": {"testid": "${saved.n}0"}}}],
    "script": [{"set": {"s": 7}}, {"evaluate": {"script": "${saved.s}", "equals": 7}}],
    "screenshot": [{"screenshot": {"as": N}}],
    "download": [{"download": {"text": "File", "as": N, "expect": {"text": {"equal": N}}}}],
    "equals": [{"evaluate": {"script": "() => 7", "equals": N}}],
    "set": [{"set": {"m": N}}, {"evaluate": {"script": "() => 7", "equals": "${saved.m}"}}],
    "goto": [{"set": {"u": 7}}, {"goto": "data:text/html,${saved.u}"}, {"expect": {"css": "body", "to": {"have_text": "7"}}}],
    "headers": [{"http": {"GET": "${s.url}/echo", "headers": {"Accept": N}, "match": {"$.accept": "7"}}}],
    "path": [{"http": {"GET": "${s.url}/echo?${saved.n}", "match": {"$.path": "/echo?7"}}}],
    "form": [{"http": {"POST": "${s.url}/echo", "form": {"a": N}, "match": {"$.body": "a=7"}}}],
    "body": [{"http": {"POST": "${s.url}/echo", "body": N, "match": {"$.body": "7"}}}],
    "json": [{"http": {"POST": "${s.url}/echo", "json": {"a": N}, "match": {"$.body": '{"a":7}'}}}],
    "json whole": [{"http": {"POST": "${s.url}/echo", "json": N, "match": {"$.body": "7"}}}],
    "match of a reply": [{"set": {"p": 121.67}}, {"http": {"GET": "${s.url}/data.json", "match": {"$.messages[1].price": "${saved.p}"}}}],
}  # fmt: skip


@browser
def test_a_number_that_was_saved_in_every_place(both):
    """One test for all places: the step that fails tells which."""
    leaves = {"press", "goto"}  # another page than it was
    placed = [step for place, steps in PLACES.items() for step in (*steps, *([PAGE] if place in leaves else []))]
    passed(both(PAGE, NUMBER, *placed, opened=False, timeout_seconds=300))


VALUES = {"true": True, "null": None, "1.5": 1.5, '["a",1]': ["a", 1], '{"a":"ü"}': {"a": "ü"}}


@browser
def test_a_value_of_another_kind_is_its_json_where_a_text_is_wanted(both):
    fill = {"fill": {**FIELD, "value": "${saved.it}"}}
    steps = []
    for text, value in VALUES.items():
        same = {"expect": {**FIELD, "to": {"have_value": text}}}
        header = {"http": {"GET": "${s.url}/echo", "headers": {"Accept": "${saved.it}"}, "match": {"$.accept": text}}}
        steps += [{"set": {"it": value}}, fill, same, *([header] if text.isascii() else [])]
    passed(both(PAGE, *steps, opened=False))


@browser
def test_what_was_saved_is_no_number_where_one_is_wanted(both):
    failed(both(PAGE, NUMBER, {"evaluate": {"script": "() => '7'", "equals": N}}, opened=False))
