"""Generated programs: a page made of widgets and steps that use them, the same for each driver that carries them out."""

from __future__ import annotations

import html
import json
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Steps = list[dict[str, Any]]
Named = tuple[dict[str, Any], str, bool]
"""A target, the kind of its widget, and whether that comes late: that it is not there yet is no matter of a test."""

SECONDS = 2
"""How long a step may take; what a page does late comes long before."""
LATE_MS = 150


class Program(NamedTuple):
    """A page and the steps on it, in the words of a spec."""

    body: str
    steps: Steps

    def page(self) -> str:
        """Return the document: the widgets, and a script that notes what happens to them."""
        return f"<!doctype html><meta charset=utf-8><title>T</title>{self.body}<script>{_NOTES}</script>"


# Only trusted events of the widgets themselves are noted: how a driver comes to an element is its own matter.
_NOTES = """
window.notes = [];
for (const type of ['click', 'dblclick', 'contextmenu', 'auxclick', 'keydown', 'input', 'change', 'submit']) {
  document.addEventListener(type, (event) => {
    const on = event.composedPath()[0];
    notes.push([type, on.id ?? '', event.key ?? on.value ?? '', event.shiftKey || event.ctrlKey || event.altKey || false]);
  }, true);
}
document.addEventListener('submit', (event) => event.preventDefault());
window.state = () => ({
  place: location.hash, title: document.title, notes, active: document.activeElement?.id ?? '',
  size: [innerWidth, innerHeight], texts: [...document.querySelectorAll('p, [contenteditable]')].map((p) => p.textContent),
  fields: [...document.querySelectorAll('input, textarea, select')].map((field) => [
    field.id, field.type === 'file' ? [...field.files].map((file) => file.name) : field.value, field.checked ?? null,
    [...(field.selectedOptions ?? [])].map((option) => option.value), field.selectionStart, field.selectionEnd,
  ]),
});
"""
STATE = "() => window.state ? window.state() : null"

_AWKWARD = (
    "", " ", "a", "Go", "go", "GO!", "two words", "  two   words ", "\u00a0x", "ü", "u\u0308", "日本", "😀", "👩\u200d👧",
    "שלום", "'", '"', "`", "\\", "\\n", "a\nb", "a\tb", "{x}", "$1", "<b>", "&amp;", "/x/", "1", "1e3", "-1",
    "### Error", "### Result", "null", "undefined", "Timeout 5000ms exceeded.", "\u2028", "\ufffd", "İ", "ß", "a\u200bb",
)  # fmt: skip
TEXTS = st.one_of(st.sampled_from(_AWKWARD), st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=4))
NAMES = ("Go", "Name", "Send it", "go", "ü'\"", "two  words")

_ATTRIBUTES = (
    "",
    " disabled",
    " hidden",
    " readonly",
    " aria-disabled=true",
    ' style="opacity:0"',
    ' tabindex="-1"',
    " inert",
)
LEAVES = "location.href = '/other'"
_HANDLERS = (
    "", "", "",
    "this.remove()", "this.disabled = true", "alert('a')", "out.textContent = String(confirm('c'))", "out.textContent = prompt('p', 'x')",
    "setTimeout(() => { out.textContent += 'late' }, 150)", "location.hash = 'h' + location.hash.length", "event.preventDefault()",
    "this.outerHTML = '<p>gone</p>'", "throw new Error('x')", LEAVES, "document.title = '### Error'",
)  # fmt: skip
_TYPES = (
    "text",
    "number",
    "date",
    "password",
    "email",
    "range",
    "color",
    "search",
    "checkbox",
    "radio",
    "file",
    "button",
    "submit",
)


def _quoted(text: str) -> str:
    return html.escape(text, quote=True)


@st.composite
def _widget(draw: DrawFn, number: int) -> tuple[str, list[Named]]:
    """Draw a widget: its markup, and the targets that may name it."""
    late = draw(st.integers(0, 5)) == 5
    name, kind = "Late" if late else draw(st.sampled_from(NAMES)), draw(st.sampled_from(sorted(_WIDGETS)))
    handler, attribute = draw(st.sampled_from(_HANDLERS)), draw(st.sampled_from(("", "", "", *_ATTRIBUTES)))
    if kind == "file" and handler == LEAVES:
        handler = ""  # a click that leaves the page and downloads: which of them the browser does is a race of its own
    common = f'id=w{number} data-testid=w{number} onclick="{_quoted(handler)}"{attribute}'
    markup = draw(_WIDGETS[kind](common, _quoted(name)))
    if kind == "framed":
        markup = f'<iframe id=f{number} srcdoc="{_quoted(markup)}"></iframe>'
    if late:
        text = json.dumps(markup).replace("<", "\\u003c")
        markup = f"<div id=l{number}></div><script>setTimeout(() => {{ l{number}.setHTMLUnsafe({text}) }}, {LATE_MS})</script>"
    role = _ROLES.get(kind, "button")
    targets: list[dict[str, Any]] = [
        {"testid": f"w{number}"}, {"css": f"#w{number}"}, {"role": role, "name": name}, {"label": name}, {"text": name},
        {"label": name, "exact": True}, {"role": role, "name": name, "nth": -1}, {"text": name, "nth": 0},
    ]  # fmt: skip
    if kind == "framed":
        targets = [{**target, "frame": f"#f{number}"} for target in targets]
    sure = draw(st.integers(0, 3)) > 0  # a program in which the first step fails finds little
    return markup, [(target, kind, late) for target in (targets[:2] if sure else targets)]


def _input(common: str, name: str) -> SearchStrategy[str]:
    made = st.tuples(st.sampled_from(_TYPES), TEXTS)
    return made.map(lambda pair: f'<label>{name} <input type={pair[0]} {common} value="{_quoted(pair[1])}"></label>')


def _area(common: str, name: str) -> SearchStrategy[str]:
    return TEXTS.map(lambda text: f"<label>{name} <textarea {common}>{_quoted(text)}</textarea></label>")


def _list(common: str, name: str) -> SearchStrategy[str]:
    made = st.tuples(st.lists(TEXTS, min_size=1, max_size=3), st.sampled_from(("", " multiple")))
    return made.map(
        lambda pair: (
            f"<label>{name} <select {common}{pair[1]}>"
            + "".join(f'<option value="{_quoted(text)}">{_quoted(text)}!</option>' for text in pair[0])
            + "</select></label>"
        )
    )


def _plain(text: str) -> Any:
    return lambda common, name: st.just(text.format(common=common, name=name))


_WIDGETS: dict[str, Any] = {
    "area": _area,
    "box": _plain("<label><input type=checkbox {common}>{name}</label>"),
    "button": _plain("<button {common}>{name}</button>"),
    "covered": _plain(
        '<div style="position:relative"><button {common}>{name}</button><div style="position:absolute;inset:0"></div></div>'
    ),
    "editable": _plain("<div contenteditable {common}>{name}</div>"),
    "far": _plain('<div style="margin-top:3000px"><button {common}>{name}</button></div>'),
    "file": _plain("<a href=/file download=kept.txt {common}>{name}</a>"),
    "framed": _plain("<button {common}>{name}</button><label>x <input {common}></label>"),
    "folded": _plain("<details><summary {common}>{name}</summary><p>inside</p></details>"),
    "input": _input,
    "link": _plain('<a href="#there" {common}>{name}</a>'),
    "list": _list,
    "other page": _plain('<a href="/other" {common}>{name}</a>'),
    "shadow": _plain(
        "<div><template shadowrootmode=open><button {common}>{name}</button></template></div>"
    ),
    "window": _plain('<a href="/other" target=_blank {common}>{name}</a>'),
}  # fmt: skip
_ROLES = {
    "file": "link",
    "area": "textbox",
    "box": "checkbox",
    "input": "textbox",
    "link": "link",
    "other page": "link",
    "list": "combobox",
}

KEYS = (
    "Enter",
    "Tab",
    "a",
    "X",
    "ü",
    "End",
    "Home",
    "Backspace",
    "Delete",
    "Escape",
    "ArrowUp",
    "Shift+A",
    "Control+a",
    "Space",
    " ",
    "NoSuch",
    "日",
    "+",
)
SCRIPTS = (
    "() => 1", "() => 1;", "document.title", "() => undefined", "() => NaN", "() => new Map()", "() => 'x😀'.slice(0, 2)", "() => [1, , 2]",
    "() => { throw new Error('no') }", "() => ({a: {b: null}})", "() => confirm('q')", "async () => { await null; return 'x' }", "() => {", "-0",
    "() => document.body", "() => new Promise((done) => setTimeout(done, 50, 7))", "() => location.hash", "const a = 1; a + 1",
)  # fmt: skip
STATES = ("visible", "hidden", "enabled", "disabled", "checked", "focused", "editable", "empty", "in_viewport")


def _conditions() -> SearchStrategy[dict[str, Any]]:
    said = st.one_of(TEXTS, st.sampled_from(NAMES))
    full = said.filter(lambda text: text.strip() != "")
    return st.one_of(
        st.sampled_from(STATES).map(lambda state: {"be": state}),
        said.map(lambda text: {"have_text": text}),
        full.map(lambda text: {"contain": text}),
        said.map(lambda text: {"have_value": text}),
        st.integers(0, 3).map(lambda count: {"have_count": count}),
        st.sampled_from(("button", "textbox", "checkbox", "link")).map(lambda role: {"have_role": role}),
        said.map(lambda name: {"have_accessible_name": name}),
        st.lists(said, min_size=1, max_size=2).map(lambda texts: {"have_text": texts}),
        st.lists(full, min_size=1, max_size=2).map(lambda texts: {"contain": texts}),
        st.lists(said, min_size=1, max_size=2).map(lambda values: {"have_values": values}),
        st.sampled_from(("none", "inline", "block")).map(lambda value: {"have_css": {"display": value}}),
        st.tuples(st.sampled_from(("id", "type", "value", "title")), said).map(
            lambda pair: {"have_attribute": {pair[0]: pair[1]}}
        ),
        st.sampled_from(("^G", "o$", "[0-9]", "\\bGo\\b", "ü", ".")).map(lambda pattern: {"match": pattern}),
    )


@st.composite
def _step(draw: DrawFn, targets: list[Named]) -> dict[str, Any]:
    """Draw a step on one of the targets."""
    where, kind, late = draw(st.sampled_from(targets))
    verb = draw(st.sampled_from(_FIT.get(kind, _CLICKED) if draw(st.integers(0, 3)) else _VERBS))
    if late and verb in {"expect", "wait"}:
        return {verb: {**where, "within_seconds": SECONDS, **({"to": {"be": "visible"}} if verb == "expect" else {})}}
    body = {**where, **draw(_BODIES[verb])} if verb not in _ALONE else draw(_BODIES[verb])
    if verb in {"press", "type"} and draw(st.booleans()):
        body = {key: value for key, value in body.items() if key in {"key", "value"}}
    elif verb not in {"dialog", "viewport"}:
        body["within_seconds"] = SECONDS
    return {verb: body}


_NOTHING: SearchStrategy[dict[str, Any]] = st.just({})
_BODIES: dict[str, SearchStrategy[dict[str, Any]]] = {
    "click": st.one_of(
        _NOTHING,
        st.fixed_dictionaries({}, optional={
            "count": st.just(2), "button": st.sampled_from(("right", "middle")), "modifiers": st.sampled_from((["Shift"], ["Alt"])),
        }),
    ),
    "fill": st.fixed_dictionaries({"value": TEXTS}),
    "type": st.fixed_dictionaries({"value": TEXTS}),
    "press": st.fixed_dictionaries({"key": st.sampled_from(KEYS)}),
    "select": st.fixed_dictionaries({"value": st.one_of(TEXTS, st.lists(TEXTS, min_size=1, max_size=2))}),
    "check": _NOTHING,
    "uncheck": _NOTHING,
    "hover": _NOTHING,
    "upload": st.fixed_dictionaries({"files": st.sampled_from((["a.txt"], ["a.txt", "b.txt"], ["none.txt"]))}),
    "download": st.sampled_from(("kept", "else")).map(
        lambda text: {"as": "kept.txt", "expect": {"text": {"contain": text}}}
    ),
    "expect": _conditions().map(lambda condition: {"to": condition}),
    "wait": st.sampled_from(({}, {"be": "hidden"})),
    "evaluate": st.sampled_from(SCRIPTS).map(lambda script: {"script": script}),
    "dialog": st.one_of(st.booleans().map(lambda accept: {"accept": accept}), TEXTS.map(lambda text: {"accept": True, "text": text})),
    "viewport": st.sampled_from(({"width": 400, "height": 300}, {"width": 1280, "height": 800})),
    "back": _NOTHING,
    "reload": _NOTHING,
}  # fmt: skip
_ALONE = frozenset({"evaluate", "dialog", "viewport", "back", "reload"})
_VERBS = tuple(_BODIES)
_CLICKED = ("click", "click", "click", "hover", "press", "expect", "dialog", "evaluate", "back", "reload", "viewport")
_FIT = {
    "file": ("download", "download", "click", "expect"),
    "area": ("fill", "fill", "type", "press", "press", "click", "expect"),
    "box": ("check", "check", "uncheck", "click", "press", "expect"),
    "editable": ("fill", "type", "press", "press", "click", "expect"),
    "input": ("fill", "fill", "type", "press", "press", "click", "check", "uncheck", "upload", "expect"),
    "list": ("select", "select", "press", "click", "expect"),
}
"""The verbs that a widget is made for; others are drawn more seldom."""


@st.composite
def programs(draw: DrawFn) -> Program:
    """Draw a program."""
    widgets = [draw(_widget(number)) for number in range(draw(st.integers(1, 4)))]
    targets = [target for _, named in widgets for target in named]
    steps = draw(st.lists(_step(targets), min_size=1, max_size=6))
    return Program("<p id=out>out</p><form>" + "\n".join(markup for markup, _ in widgets) + "</form>", steps)
