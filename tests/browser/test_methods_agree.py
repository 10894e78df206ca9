"""Where Playwright's library and the MCP server differ, both browser drivers follow one rule."""

from __future__ import annotations

import pytest

from tests.support.both import failed, passed
from tests.support.nights import at_night, by_day
from tests.support.site import page

browser = pytest.mark.browser

# --------------------------------------------------------------------------------------------------- values of scripts

SCRIPTS = {
    "semicolon": ("() => 1;", 1),
    "comment": ("() => 1 // one", 1),
    "comment before": ("// one\n() => 1", 1),
    "expression": ("1 + 1", 2),
    "expression with a semicolon": ("1 + 1;", 2),
    "several statements": ("const one = 1; one + 1", 2),
    "function": ("function () { return 1 }", 1),
    "function with a semicolon": ("async function named(element) { return element }", None),
    "lines": ("async () => {\n  // wait\n  await null;\n  return {a: [1, null, 'ü']};\n}\n", {"a": [1, None, "ü"]}),
    "white space around": ("\n  () => 1  \n", 1),
    "promise": ("Promise.resolve(3)", 3),
    "undefined": ("() => undefined", None),
    "its word": ("() => 'undefined'", "undefined"),
    "quotes": ("() => '\\u2028 \" \\' ` $${1}'", "\u2028 \" ' ` $${1}"),
    "date": ("() => new Date(0)", "1970-01-01T00:00:00.000Z"),
    "address": ("() => new URL('http://a/b')", "http://a/b"),
    "minus nothing": ("() => -0", 0),
    "hole": ("() => [1, , undefined]", [1, None, None]),
    "no key": ("() => ({a: undefined, b: 1})", {"b": 1}),
    "of a class": ("() => new (class A { b = 1 })()", {"b": 1}),
    "half a pair": ("() => ['x😀'.slice(0, 2), {'\\ud83d': 1}]", ["x\ufffd", {"\ufffd": 1}]),
    "own JSON": ("() => { Array.prototype.toJSON = () => 'no'; return [1] }", [1]),
    "own map": ("() => { Array.prototype.map = Object.keys = () => 'no'; return {a: [1]} }", None),
}  # fmt: skip


@browser
def test_a_script_and_its_value(both):
    """One test for all, each on a page of its own: the step that fails tells which."""
    cases = [script for case, script in SCRIPTS.items() if case != "own map"]
    asked = [step for script, value in cases for step in (page("x"), {"evaluate": {"script": script, "equals": value}})]
    passed(both(*asked, opened=False, timeout_seconds=300))


ODD = {
    "not a number": ("() => NaN", "NaN at $"),
    "without an end": ("() => [1, {a: -Infinity}]", "-Infinity at $[1].a"),
    "big": ("() => 1n", "a bigint at $"),
    "map": ("() => new Map()", "a Map at $"),
    "set": ("() => ({a: new Set()})", "a Set at $.a"),
    "pattern": ("() => /x/", "a RegExp at $"),
    "function": ("() => ({a: () => 1})", "a function at $.a"),
    "symbol": ("() => Symbol('x')", "a symbol at $"),
    "circle": ("() => { const a = []; a.push(a); return a }", "a circle at $[0]"),
    "element": ("() => document.body", "a HTMLBodyElement at $"),
    "window": ("() => window", "a Window at $"),
    "error": ("() => new Error('x')", "a Error at $"),
}


# By day a value that JSON would take for another, in a list, and one that it has no form for.
@browser
@pytest.mark.parametrize("case", by_day(ODD, "without an end", "circle"))
def test_a_value_that_json_has_no_form_for(both, case):
    script, words = ODD[case]
    cli, mcp = failed(
        both(page("x"), {"evaluate": script}, {"evaluate": {"script": script, "equals": None}}, opened=False)
    )
    assert cli.failure.message == f"the script returned a value without a JSON form: {words}"
    assert (mcp.failure.message, mcp.failure.step) == (cli.failure.message, 2)


THROWN = {
    "error": ("() => { throw new Error('broken\\nline') }", "evaluate failed: broken"),
    "other kind": ("() => { throw new TypeError('x') }", "evaluate failed: TypeError: x"),
    "text": ("async () => { throw 'a text' }", "evaluate failed: a text"),
    "nothing": ("() => { throw undefined }", "evaluate failed: undefined"),
    "what has no text": ("() => { throw Object.create(null) }", "evaluate failed: something that has no text"),
    "no script": ("() => {", "evaluate failed: SyntaxError: Unexpected end of input"),
    "rejected": ("Promise.reject(new Error('no'))", "evaluate failed: no"),
    "a getter": ("() => ({get a() { throw new Error('got') }})", "evaluate failed: "),
}


# By day an error of several lines, what is none, and what is no script.
@browser
@pytest.mark.parametrize(
    "case", by_day([case for case in THROWN if case != "a getter"], "error", "what has no text", "no script")
)
def test_a_script_that_throws(both, case):
    script, message = THROWN[case]
    cli, mcp = failed(both(page("x"), {"evaluate": script}, opened=False))
    assert cli.failure.message == mcp.failure.message == message


@browser
def test_a_script_that_opens_a_dialog_gives_its_value(both):
    asks = {"evaluate": {"script": "() => [confirm('a'), prompt('b')]", "equals": [True, "x"]}}
    passed(both(page("x"), {"dialog": {"accept": True}}, {"dialog": {"accept": True, "text": "x"}}, asks, opened=False))
    framed = page("<iframe srcdoc='<p>in</p>'></iframe>")
    inside = {
        "evaluate": {
            "frame": "iframe",
            "css": "p",
            "script": "(p) => [p.textContent, confirm('a')]",
            "equals": ["in", False],
        }
    }
    passed(both.again()(framed, inside, opened=False))


STRICT = "default-src 'self'; script-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"


@browser
def test_a_page_that_allows_no_evaluation(both):
    guarded = page(
        f'<meta http-equiv=Content-Security-Policy content="{STRICT}"><button>Go</button><p data-testid=out>x</p>'
    )
    passed(
        both(
            guarded,
            {"evaluate": {"script": "() => 1", "equals": 1}},
            {"evaluate": {"script": "(out) => out.textContent", "testid": "out", "equals": "x"}},
            {"wait": {"testid": "out"}},
            {"expect": {"testid": "out", "to": {"have_text": "x"}}},
            {"click": {"role": "button"}},
            {"press": {"role": "button", "key": "Enter"}},
            opened=False,
        )
    )


# ---------------------------------------------------------------------------------------------------------------- keys

FIELDS = """<label>Name <input value=abc></label><label>Notes <textarea>abc</textarea></label><p contenteditable data-testid=free>abc</p>
<input id=hidden style="display:none"><label>Closed <input disabled></label><button>Elsewhere</button>"""
AT_START = {"label": "Name"}, {"label": "Notes"}
PRESSES = {
    "a letter at the start": ([{"press": {"label": "Name", "key": "X"}}], {"label": "Name"}, {"have_value": "Xabc"}),
    "a letter at the end": ([{"press": {"label": "Name", "key": "End"}}, {"press": {"label": "Name", "key": "X"}}], {"label": "Name"}, {"have_value": "abcX"}),
    "after a fill": ([{"fill": {"label": "Name", "value": "abc"}}, {"press": {"label": "Name", "key": "X"}}], {"label": "Name"}, {"have_value": "abcX"}),
    "after a fill, from elsewhere": ([{"fill": {"label": "Name", "value": "abc"}}, {"click": {"text": "Elsewhere"}}, {"press": {"label": "Name", "key": "Backspace"}}], {"label": "Name"}, {"have_value": "abc"}),
    "several lines": ([{"press": {"label": "Notes", "key": "X"}}], {"label": "Notes"}, {"have_value": "Xabc"}),
    "free text": ([{"press": {"testid": "free", "key": "X"}}], {"testid": "free"}, {"have_text": "Xabc"}),
    "a character without a key": ([{"press": {"label": "Name", "key": "日"}}], {"label": "Name"}, {"have_value": "日abc"}),
    "one of two halves": ([{"press": {"label": "Name", "key": "😀"}}], {"label": "Name"}, {"have_value": "😀abc"}),
    "such a character, where the focus is": ([{"click": {"label": "Notes"}}, {"press": "Control+a"}, {"press": "ü"}], {"label": "Notes"}, {"have_value": "ü"}),
    "typed": ([{"type": {"label": "Name", "value": "Für +1 "}}], {"label": "Name"}, {"have_value": "Für +1 abc"}),
    "typed where the focus is": ([{"press": {"label": "Name", "key": "End"}}, {"type": "日x"}], {"label": "Name"}, {"have_value": "abc日x"}),
    "typed lines": ([{"type": {"label": "Notes", "value": "a\nb"}}], {"label": "Notes"}, {"have_value": "a\nbabc"}),
    "typed into free text": ([{"type": {"testid": "free", "value": "xyz"}}], {"testid": "free"}, {"have_text": "xyzabc"}),
    "nothing typed": ([{"type": {"label": "Name", "value": ""}}], {"label": "Name"}, {"have_value": "abc"}),
}  # fmt: skip


@browser
def test_a_key_is_pressed_at_the_same_place(both):
    """One test for all, each on a page of its own: the step that fails tells which."""
    cases = PRESSES.values()
    steps = [step for said, to, text in cases for step in (page(FIELDS), *said, {"expect": {**to, "to": text}})]
    passed(both(*steps, opened=False, timeout_seconds=300))


KEYS = """<label>Name <input></label><p id=out data-testid=out></p><script>
for (const type of ['keydown', 'input']) document.querySelector('input').addEventListener(type, (event) => {
  out.textContent += `${type} ${event.key ?? event.data};`; if (event.key === 'b') alert('typed'); });
</script>"""


@browser
def test_each_character_that_is_typed_has_its_events(both):
    heard = "keydown a;input a;keydown b;input b;keydown C;input C;input ü;"
    typed = {"type": {"label": "Name", "value": "abCü"}}
    passed(both(page(KEYS), typed, {"evaluate": {"script": "() => out.textContent", "equals": heard}}, opened=False))


@browser
@pytest.mark.parametrize("target", [at_night({"text": "Nowhere"}), {"css": "input", "nth": 5}])
def test_nothing_is_typed_into_what_is_not_there(both, target):
    cli, mcp = failed(both(page(KEYS), {"type": {**target, "value": "x", "within_seconds": 1}}, opened=False))
    assert cli.failure.message == mcp.failure.message


# --------------------------------------------------------------------------------------------------------------- files

WIDGETS = """<script>
const say = (kind, input, more = '') => { out.textContent = [kind, ...[...input.files].map((file) => file.name)].join(' ') + more; };
let clicks = 0;
const attach = (late) => { const input = document.createElement('input'); input.type = 'file'; input.multiple = true;
  input.onchange = () => say('made', input); setTimeout(() => input.click(), late); };
</script>
<label>Photo <input type=file style="display:none" onchange="say('label', this)"></label><label for=far>Far</label>
<button onclick="attach(0)">Attach</button><button onclick="attach(600)">Later</button>
<input id=far type=file onclick="event.preventDefault()" onchange="say('kept', this)"><input id=one type=file onchange="say('one', this)">
<div id=zone onclick="clicks++; inzone.click()">drop here<input id=inzone type=file hidden onchange="say('zone', this, ' ' + clicks)"></div>
<button>Nothing</button><p id=out data-testid=out></p>"""
UPLOADS = {
    "a label": ({"label": "Photo"}, "label a.txt"),
    "a label by its text": ({"text": "Far"}, "kept a.txt"),
    "made by a click": ({"text": "Attach"}, "made a.txt"),
    "made a while after a click": ({"text": "Later"}, "made a.txt"),
    "an input that keeps its clicks": ({"css": "#far"}, "kept a.txt"),
    "an input in a drop zone": ({"css": "#inzone"}, "zone a.txt 0"),
    "a drop zone": ({"text": "drop here"}, "zone a.txt 2"),
}


COLLECTED = """<button onclick="attach()">Attach</button><p id=out data-testid=out></p><script>
const attach = () => { let input = document.createElement('input'); input.type = 'file'; const own = Object.hasOwn(HTMLInputElement.prototype, 'click');
  input.onchange = (event) => out.textContent = `${event.target.files[0].name} ${own} ${Object.hasOwn(HTMLInputElement.prototype, 'click')}`;
  setTimeout(() => { input.OPEN(); input = null; for (let count = 0; count < 100; count++) new ArrayBuffer(4e6); }); };
</script>"""


@browser
@pytest.mark.parametrize("way", by_day(["click", "showPicker"], "click"))
def test_a_file_input_that_only_its_chooser_knows_is_not_lost_to_the_garbage_collector(both, way):
    chosen = {"expect": {"testid": "out", "to": {"have_text": "a.txt true false"}}}
    upload = {"upload": {"text": "Attach", "files": ["a.txt"]}}
    passed(both(page(COLLECTED.replace("OPEN", way)), upload, chosen, opened=False))


@browser
def test_files_are_given_to_every_kind_of_widget(both):
    """One test for all, each on a page of its own: the step that fails tells which."""
    steps = []
    for target, text in UPLOADS.values():
        chosen = {"expect": {"testid": "out", "to": {"have_text": text}}}
        steps += [page(WIDGETS), {"upload": {**target, "files": ["a.txt"]}}, chosen]
    passed(both(*steps, opened=False, timeout_seconds=300))


@browser
def test_several_files_for_what_is_made_by_a_click(both):
    chosen = {"expect": {"testid": "out", "to": {"have_text": "made a.txt b.txt"}}}
    passed(both(page(WIDGETS), {"upload": {"text": "Attach", "files": ["a.txt", "b.txt"]}}, chosen, opened=False))
    assert both.tools["upload"] == {"browser_evaluate", "browser_click", "browser_file_upload"}


@browser
@pytest.mark.parametrize(
    "step, words",
    [
        ({"css": "#one", "files": ["a.txt", "b.txt"]}, "Non-multiple file input can only accept single file"),
        ({"text": "Nothing", "files": ["a.txt"]}, "it is not a file input, and a click on it opened no file chooser"),
    ],
)
def test_files_that_nothing_takes(both, step, words):
    cli, mcp = failed(both(page(WIDGETS), {"upload": step}, opened=False))
    assert words in cli.failure.message
    assert mcp.failure.message == cli.failure.message


# ---------------------------------------------------------------------------------------------------------- half pairs

HALVES = page(
    """<label>Name <input></label><p id=out data-testid=out></p><a id=down download>File</a><script>
const half = 'great 😀'.slice(0, 7);
out.textContent = document.title = half; out.setAttribute('data-half', half); out.className = half;
console.error('bad ' + half); localStorage.setItem('x', half);
setTimeout(() => { throw new Error('oh ' + half) }); fetch('/nothing?' + half);
</script>"""
)


HALF_PASSES = [
    {"expect": {"testid": "out", "to": {"contain": "great"}}},
    {"expect": {"testid": "out", "to": {"not": {"contain": "bad"}}}},
    {"expect": {"page": {"title": {"contain": "great"}}}},
    {"evaluate": {"script": "() => out.textContent", "equals": "great \ufffd"}},
    {"evaluate": "() => { alert(out.textContent) }"},
    {"wait": {"text": "great"}},
]
HALF_FAILS = [
    {"expect": {"testid": "out", "to": {"have_text": "great \ufffd"}, "within_seconds": 1}},
    {"evaluate": "() => { throw new Error(out.textContent) }"},
    # At night other messages with what was found.
    at_night({"expect": {"page": {"title": {"have_text": "x"}}, "within_seconds": 0.3}}),
    at_night({"evaluate": {"script": "() => out.textContent", "equals": "whole"}}),
    at_night({"expect": {"testid": "out", "to": {"have_text": "whole"}, "within_seconds": 0.3}}),
    at_night({"expect": {"testid": "out", "to": {"have_attribute": {"data-half": "x"}}, "within_seconds": 0.3}}),
]


def with_halves(both, *steps):
    """Carry out steps on a page with halves of pairs, one of them in a value that was saved; the console has one, too."""
    read = {"evaluate": {"script": "() => out.textContent", "save": "it"}}
    use = {"fill": {"label": "Name", "value": "${saved.it}"}}
    results = both(HALVES, read, use, *steps, opened=False, evidence="always")
    for name in ("playwright", "mcp"):
        console = (both._folder / name / "console.log").read_text(encoding="utf-8")
        assert "bad great \ufffd" in console
    return results


@browser
def test_half_of_a_pair_harms_no_step_that_passes(both):
    passed(with_halves(both, *HALF_PASSES))


@browser
@pytest.mark.parametrize("step", HALF_FAILS)
def test_half_of_a_pair_harms_no_failure(both, step):
    failed(with_halves(both, step))


# ----------------------------------------------------------------------------------------------------------- downloads

FILE = '<a href=/table.csv download=table.csv data-testid=file onclick="WHAT">File</a>'
ASKED = {
    "a dialog before the download": ("confirm('sure?')", "NVDA", "passed"),
    "two dialogs": ("alert('one'); alert('two')", "NVDA", "passed"),
    "another content": ("alert('x')", "no such text", "failed"),
    "a dialog that opens late": ("setTimeout(() => alert('late'), 300)", "NVDA", "passed"),
    "a dialog and no download": ("alert('x'); event.preventDefault()", "NVDA", "failed"),
}


@browser
# At night also a dialog that is the only one, and one beside a content that is not the one.
@pytest.mark.parametrize("case", by_day(ASKED, "two dialogs", "a dialog that opens late", "a dialog and no download"))
def test_a_download_that_a_dialog_comes_before(both, case):
    script, text, outcome = ASKED[case]
    step = {"as": "kept.csv", "within_seconds": 4, "expect": {"text": {"contain": text}}}
    results = both(page(FILE.replace("WHAT", script)), {"download": {"testid": "file", **step}}, opened=False)
    assert [result.outcome for result in results] == [outcome] * 2


SLOW = """<button data-testid=b onmousedown="const end = Date.now() + 7000; while (Date.now() < end);"
onclick="this.textContent = Number(this.textContent) + 1">0</button>"""


@browser
def test_a_click_that_outlasts_the_limit_of_the_tool_is_made_once(both):
    """The server gives up an action after five seconds; the press is on its way by then, and would come twice."""
    clicks = {"click": {"testid": "b", "within_seconds": 25}}
    once = {"expect": {"testid": "b", "to": {"have_text": "1"}, "within_seconds": 5}}
    passed(both(page(SLOW), clicks, once, opened=False))


@browser
def test_a_click_that_brings_no_download_is_no_click_that_failed(both):
    """The element is gone after the click: it was there, and only the download is missing."""
    body = page(FILE.replace("WHAT", "event.preventDefault(); this.remove()"))
    results = both(body, {"download": {"testid": "file", "as": "kept.csv", "within_seconds": 2}}, opened=False)
    message = 'no download began within 2 s of the click on {testid: "file"}'
    assert [result.failure.message for result in results] == [message] * 2
