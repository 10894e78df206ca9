"""Where Playwright's library and the MCP server differ, both browser drivers follow one rule."""

from __future__ import annotations

import pytest

from tests.support.both import failed, passed
from tests.support.nights import at_night, by_day, in_one
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
@pytest.mark.parametrize("cases", in_one(ODD, "without an end", "circle"))
def test_a_value_that_json_has_no_form_for(both, cases):
    said = [
        [page("x"), {"evaluate": script}, {"evaluate": {"script": script, "equals": None}}]
        for script, _ in (ODD[case] for case in cases)
    ]
    for case, (results, _) in zip(cases, both.cases(*said, opened=False), strict=True):
        cli, mcp = failed(results, case=case)
        assert cli.failure.message == f"the script returned a value without a JSON form: {ODD[case][1]}"
        assert (mcp.failure.message, mcp.failure.step) == (cli.failure.message, 2), case


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
    "cases", in_one([case for case in THROWN if case != "a getter"], "error", "what has no text", "no script")
)
def test_a_script_that_throws(both, cases):
    said = [[page("x"), {"evaluate": THROWN[case][0]}] for case in cases]
    for case, (results, _) in zip(cases, both.cases(*said, opened=False), strict=True):
        cli, mcp = failed(results, case=case)
        assert cli.failure.message == mcp.failure.message == THROWN[case][1], case


@browser
def test_a_script_that_opens_a_dialog_gives_its_value(both):
    asks = {"evaluate": {"script": "() => [confirm('a'), prompt('b')]", "equals": [True, "x"]}}
    answers = [{"dialog": {"accept": True}}, {"dialog": {"accept": True, "text": "x"}}]
    framed = page("<iframe srcdoc='<p>in</p>'></iframe>")
    inside = {
        "evaluate": {
            "frame": "iframe",
            "css": "p",
            "script": "(p) => [p.textContent, confirm('a')]",
            "equals": ["in", False],
        }
    }
    for results, _ in both.cases([page("x"), *answers, asks], [framed, inside], opened=False):
        passed(results)


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
    """One attempt for all, each on a page of its own; the last, which a click makes, gets several."""
    given = [(target, ["a.txt"], text) for target, text in UPLOADS.values()]
    given.append(({"text": "Attach"}, ["a.txt", "b.txt"], "made a.txt b.txt"))
    said = []
    for target, files, text in given:
        chosen = {"expect": {"testid": "out", "to": {"have_text": text}}}
        said.append([page(WIDGETS), {"upload": {**target, "files": files}}, chosen])
    came = dict(zip((*UPLOADS, "several"), both.cases(*said, opened=False), strict=True))
    for case, (results, _) in came.items():
        passed(results, case)
    _, tools = came["several"]
    assert tools["upload"] == {"browser_evaluate", "browser_click", "browser_file_upload"}


@browser
def test_files_that_nothing_takes(both):
    uploads = {
        "Non-multiple file input can only accept single file": {"css": "#one", "files": ["a.txt", "b.txt"]},
        "it is not a file input, and a click on it opened no file chooser": {"text": "Nothing", "files": ["a.txt"]},
    }
    said = [[page(WIDGETS), {"upload": upload}] for upload in uploads.values()]
    for words, (results, _) in zip(uploads, both.cases(*said, opened=False), strict=True):
        cli, mcp = failed(results, case=words)
        assert words in cli.failure.message
        assert mcp.failure.message == cli.failure.message, words


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
HALF_FAILS = {
    "have_text": {"expect": {"testid": "out", "to": {"have_text": "great \ufffd"}, "within_seconds": 1}},
    "an error": {"evaluate": "() => { throw new Error(out.textContent) }"},
    "title": {"expect": {"page": {"title": {"have_text": "x"}}, "within_seconds": 0.3}},
    "equals": {"evaluate": {"script": "() => out.textContent", "equals": "whole"}},
    "another text": {"expect": {"testid": "out", "to": {"have_text": "whole"}, "within_seconds": 0.3}},
    "attribute": {"expect": {"testid": "out", "to": {"have_attribute": {"data-half": "x"}}, "within_seconds": 0.3}},
}


@browser
@pytest.mark.parametrize("cases", in_one(HALF_FAILS, "have_text", "an error"))  # at night other messages
def test_half_of_a_pair_harms_no_step_and_no_failure(both, cases):
    """The page has halves of pairs, one of them in a value that was saved; the console has one, too."""
    read = {"evaluate": {"script": "() => out.textContent", "save": "it"}}
    use = {"fill": {"label": "Name", "value": "${saved.it}"}}
    said = [[HALVES, read, use, *steps] for steps in (HALF_PASSES, *([HALF_FAILS[case]] for case in cases))]
    (passes, _), *fails = both.cases(*said, opened=False, evidence="always")
    passed(passes)
    for case, (results, _) in zip(cases, fails, strict=True):
        failed(results, case=case)
    for name in ("playwright", "mcp"):
        console = (both.folder / name / "console.log").read_text(encoding="utf-8")
        assert "bad great \ufffd" in console


# ----------------------------------------------------------------------------------------------------------- downloads

FILE = '<a href=/table.csv download=table.csv data-testid=file onclick="WHAT">File</a>'
ASKED = {
    "a dialog before the download": ("confirm('sure?')", "NVDA", "passed"),
    "two dialogs": ("alert('one'); alert('two')", "NVDA", "passed"),
    "another content": ("alert('x')", "no such text", "failed"),
    "a dialog and no download": ("alert('x'); event.preventDefault()", "NVDA", "failed"),
    "a dialog that opens late": ("setTimeout(() => alert('late'), 300)", "NVDA", "passed"),  # the last page of a test
}


# At night also a dialog that is the only one, and one beside a content that is not the one.
@browser
@pytest.mark.parametrize("cases", in_one(ASKED, "two dialogs", "a dialog and no download", "a dialog that opens late"))
def test_a_download_that_a_dialog_comes_before(both, cases):
    said = []
    for script, text, _ in (ASKED[case] for case in cases):
        step = {"as": "kept.csv", "within_seconds": 4, "expect": {"text": {"contain": text}}}
        said.append([page(FILE.replace("WHAT", script)), {"download": {"testid": "file", **step}}])
    for case, (results, _) in zip(cases, both.cases(*said, opened=False), strict=True):
        assert [result.outcome for result in results] == [ASKED[case][2]] * 2, case


SLOW = """<button data-testid=b onmousedown="const asks = new XMLHttpRequest(); asks.open('GET', '/slow?7', false); asks.send()"
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
