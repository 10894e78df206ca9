"""JavaScript that a tool call carries into the page: what an element shows, and a wait that ends with the change.

The meaning of text, visibility and focus is that of Playwright's `expect` and locators (1.64), so
that both browser drivers give the same verdict; tests/test_calls_mcp.py holds them together in a real browser.
"""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias

import msgspec

from orchestra.steps.conditions import Condition
from orchestra.steps.target import Target, js_string

State: TypeAlias = Literal["visible", "hidden"]

# White space as a reader sees it.
_FOLD = r"const fold = (text) => text.replace(/[\u200b\u00ad]/g, '').trim().replace(/\s+/g, ' ');"

# Text of hidden parts counts, as it does for `expect`; scripts, styles and the head do not.
_TEXT = """const silent = (node) => ['SCRIPT', 'NOSCRIPT', 'STYLE'].includes(node.nodeName)
  || !!(node.ownerDocument.head && node.ownerDocument.head.contains(node));
const textOf = (node) => {
  if (silent(node)) return '';
  if (node.nodeName === 'INPUT' && ['submit', 'button', 'reset'].includes(node.type)) return node.value;
  let text = '';
  for (const child of node.childNodes)
    text += child.nodeType === 3 ? child.nodeValue : child.nodeType === 1 ? textOf(child) : '';
  return node.shadowRoot ? text + textOf(node.shadowRoot) : text;
};"""

_VISIBLE = """const shown = (node) => {
  const style = getComputedStyle(node);
  if (style.display === 'contents')
    return [...node.childNodes].some(
      (child) => child.nodeType === 1 ? shown(child) : child.nodeType === 3 && drawn(child));
  return node.checkVisibility() && style.visibility === 'visible' && sized(node);
};
const sized = (box) => { const { width, height } = box.getBoundingClientRect(); return width > 0 && height > 0; };
const drawn = (text) => { const range = document.createRange(); range.selectNode(text); return sized(range); };"""

# A label refers to its control.
_CONTROL = """const control = element.nodeName === 'LABEL' && element.control || element;
if (!['INPUT', 'TEXTAREA', 'SELECT'].includes(control.nodeName)) throw new Error('Not an input element');"""

_CLASSES = r"""const classesOf = (text) => text.split(/\s+/).filter(Boolean);
const hasClasses = (node, wish) => {
  if (typeof wish === 'string') return classesOf(wish).every((name) => node.classList.contains(name));
  if (wish.exact !== undefined) return classesOf(wish.exact).join(' ') === classesOf(node.classList.toString()).join(' ');
  return [...new Set(wish.set)].sort().join(' ') === [...new Set(node.classList)].sort().join(' ');
};"""

_OPTIONS = """const list = element.nodeName === 'LABEL' && element.control || element;
if (list.nodeName !== 'SELECT' || !list.multiple) throw new Error('Not a select element with a multiple attribute');"""
_SAME_LIST = "found.length === wanted.length && found.every((value, index) => value === wanted[index])"

# A hyphen within a word, a date or a range is no minus. A sign counts as one where a number can begin.
_NUMBER = r"""const numberIn = (text, pattern) => {
  const cut = new RegExp(pattern ?? '[-+\u2212]?(?:[0-9][0-9,]*)?[.]?[0-9]+(?:[eE][-+]?[0-9]+)?', 'd').exec(text);
  if (!cut) return null;
  const part = cut[1] === undefined ? 0 : 1;
  const joined = /[\p{L}\p{N}\p{Pd}\u2212_.,%)\]}]$/u.test(text.slice(0, cut.indices[part][0]).slice(-2));
  const signs = joined ? /^\s*[-+\u2212](?=\s)|^[-+\u2212]/ : /^\s*[-+\u2212](?=\s)/;
  const digits = cut[part].replace(signs, '').replace(/[,\s]/g, '').replace('\u2212', '-');
  return digits && Number.isFinite(Number(digits)) ? Number(digits) : null;
};
const numbered = ['INPUT', 'TEXTAREA', 'SELECT'].includes(element.nodeName) ? element.value : textOf(element).trim();"""
_WITHIN_BOUNDS = """found > (wanted.above ?? -Infinity) && found < (wanted.below ?? Infinity)
  && found >= (wanted.between?.[0] ?? -Infinity) && found <= (wanted.between?.[1] ?? Infinity)"""

# The computed value of a property that does not exist is empty, which would meet every `not`.
_STYLE = """const styleOf = (name) => {
  if (!name.startsWith('--') && !CSS.supports(name, 'initial')) throw new Error(`${JSON.stringify(name)} is no CSS property`);
  return getComputedStyle(element).getPropertyValue(name);
};"""

_RATIO = """const ratioOf = () => new Promise((resolve) => {
  const { IntersectionObserver, requestAnimationFrame } = globalThis;
  const observer = new IntersectionObserver((entries) => { resolve(entries[0].intersectionRatio); observer.disconnect(); });
  observer.observe(element);
  requestAnimationFrame(() => {});  // a page that draws nothing reports nothing
});"""

# As Playwright does, except that a role which supports no state is not looked at.
_FIELD = "const field = element.nodeName === 'LABEL' && element.control || element;"
_DISABLED = """const disabled = (node) => node.matches(':disabled') || !!node.closest('[aria-disabled=true]');"""

_FOUND: dict[str, tuple[tuple[str, ...], str, str]] = {
    # condition: (what it is made of, what is found, whether that is what is wanted)
    "have_text": ((_FOLD, _TEXT), "textOf(element)", "fold(found) === fold(wanted)"),
    "contain": ((_FOLD, _TEXT), "textOf(element)", "fold(found).includes(fold(wanted))"),
    "match": ((_TEXT,), "textOf(element)", "new RegExp(wanted).test(found)"),
    "have_value": ((_CONTROL,), "control.value", "found === wanted"),
    "have_attribute": (
        (),
        "Object.fromEntries(Object.keys(wanted).map((name) => [name, element.getAttribute(name)]))",
        "Object.keys(wanted).every((name) => found[name] === wanted[name])",
    ),
    "have_class": (
        (_CLASSES,),
        "element.classList.toString()",
        "hasClasses(element, wanted)",
    ),
    "have_css": (
        (_STYLE,),
        "Object.fromEntries(Object.keys(wanted).map((name) => [name, styleOf(name)]))",
        "Object.keys(wanted).every((name) => found[name] === wanted[name])",
    ),
    "have_number": (
        (_TEXT, _NUMBER),
        "numberIn(numbered, wanted.pattern) ?? `no number in: ${numbered}`",
        _WITHIN_BOUNDS,
    ),
    "have_values": ((_OPTIONS,), "[...list.selectedOptions].map((option) => option.value)", _SAME_LIST),
    "empty": (
        (),
        "(['INPUT', 'TEXTAREA'].includes(element.nodeName) ? element.value : element.textContent.trim()) ? 'notEmpty' : 'empty'",
        "found === wanted",
    ),
    "in_viewport": ((_RATIO,), "`viewport ratio ${await ratioOf()}`", "found !== 'viewport ratio 0'"),
    "enabled": ((_FIELD, _DISABLED), "disabled(field) ? 'disabled' : 'enabled'", "found === wanted"),
    "disabled": ((_FIELD, _DISABLED), "disabled(field) ? 'disabled' : 'enabled'", "found === wanted"),
    "editable": (
        (_FIELD, _DISABLED),
        "disabled(field) ? 'disabled' : field.readOnly || field.ariaReadOnly === 'true' ? 'readOnly' : 'editable'",
        "found === wanted",
    ),
    "checked": (
        (_FIELD,),
        "(field.nodeName === 'INPUT' ? field.checked : field.ariaChecked === 'true') ? 'checked' : 'unchecked'",
        "found === wanted",
    ),
    "visible": ((_VISIBLE,), "shown(element) ? 'visible' : 'hidden'", "found === wanted"),
    "focused": (
        (),
        "element.getRootNode().activeElement === element && document.hasFocus() ? 'focused' : 'not focused'",
        "found === wanted",
    ),
}

_PAGE: dict[str, str] = {"url": "document.location.href", "title": "document.title"}


def literal(value: Any) -> str:
    """Return a JSON value as JavaScript source; texts keep within quotes whatever they hold."""
    if isinstance(value, str):
        return js_string(value)
    return msgspec.json.encode(value).decode().replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


# Without these there is nothing to compare, so that neither a condition nor its negation holds.
_NUMERIC = "typeof found === 'number'"
_MATCHED = "found !== null"


def _question(
    argument: str, parts: tuple[str, ...], found: str, holds: str, wanted: Any, *, negated: bool, needs: str = ""
) -> str:
    wish = (f"{needs} && " if needs else "") + ("!" if negated else "")
    waits = "async " if "await " in found else ""
    fold = [_FOLD] if "fold(" in holds and _FOLD not in parts else []
    lines = [f"const wanted = {literal(wanted)};", *fold, *parts, f"const found = {found};"]
    return f"{waits}({argument}) => {{\n" + "\n".join(lines) + f"\nreturn {{ ok: {wish}({holds}), found }};\n}}"


def element_question(condition: str, wanted: Any, *, negated: bool) -> str:
    """Return a function of an element that gives `{ok, found}`; the states that it knows are visible, hidden and
    focused.
    """
    kind = {"hidden": "visible"}.get(wanted, wanted) if condition == "be" else condition
    parts, found, holds = _FOUND[kind]
    needs = _NUMERIC if kind == "have_number" else ""
    return _question("element", parts, found, holds, wanted, negated=negated, needs=needs)


_IN_ORDER = """const inOrder = (texts, parts) => {
  let next = 0;
  for (const text of texts) if (next < parts.length && fold(text).includes(fold(parts[next]))) next += 1;
  return next === parts.length;
};"""

_BOUNDS = """const inBounds = (count, { at_least = 0, at_most = Infinity, between = [0, Infinity] }) =>
  count >= Math.max(at_least, between[0]) && count <= Math.min(at_most, between[1]);"""

_SETS: dict[str, tuple[tuple[str, ...], str, str]] = {
    # condition with a list, or with bounds: as above, of all elements
    "have_text": (
        (_FOLD, _TEXT),
        "elements.map(textOf)",
        "found.length === wanted.length && found.every((text, index) => fold(text) === fold(wanted[index]))",
    ),
    "contain": (
        (_FOLD, _TEXT, _IN_ORDER),
        "elements.map(textOf)",
        "inOrder(found, wanted)",
    ),
    "have_class": (
        (_CLASSES,),
        "elements.map((element) => element.classList.toString())",
        "elements.length === wanted.length && elements.every((element, index) => hasClasses(element, wanted[index]))",
    ),
    "have_count": (
        (_BOUNDS,),
        "elements.length",
        "inBounds(found, wanted)",
    ),
}


def set_question(asked: Condition) -> str:
    """Return a function of all elements of a target that gives `{ok, found}` for a condition on all of them at one moment.

    `found` is null, and `ok` false, when no element matches; only a count can be zero.
    """
    if asked.of == "set":
        parts, found, holds = _SETS[asked.name]
        needs = ""
        if asked.name != "have_count":
            found, needs = f"elements.length ? {found} : null", _MATCHED
        return _question("elements", parts, found, holds, asked.wanted, negated=asked.negated, needs=needs)
    question = element_question(asked.name, asked.wanted, negated=asked.negated)
    quantifier = "every" if asked.of == "all" else "some"
    return "\n".join(
        [
            "async (elements) => {",
            f"const each = await Promise.all(elements.map({question}));",
            f"const ok = each.length > 0 && each.{quantifier}((one) => one.ok);",
            "return { ok, found: each.length ? each.map((one) => one.found) : null };",
            "}",
        ]
    )


def page_question(part: str, condition: str, wanted: Any, *, negated: bool) -> str:
    """Return a function that gives `{ok, found}` for a condition on the page's `url` or `title`."""
    _, _, holds = _FOUND[condition]
    return _question("", (), _PAGE[part], holds, wanted, negated=negated)


_PLAYWRIGHT_CSS = re.compile(
    r">>|//|\.\.|\b(text|xpath|css|id|data-test(-?id)?)=|:(has-text|text|visible|nth-match|light"
    r"|above|below|near|left-of|right-of)\b|internal:"
)


ONCE = "() => true"
"""A function that only shows that an element is there."""

BLUR = "(element) => { element.blur(); }"


def scrolling(place: Any) -> str:
    """Return a function that scrolls an element, or the page, to an end or a point; it returns why that is not possible."""
    where = place if isinstance(place, dict) else {"y": 0 if place == "top" else place}
    return _SCROLLING.replace("WHERE", literal(where))


_SCROLLING = """(element) => {
  const box = element ?? document.scrollingElement, where = WHERE;
  const sides = { x: ['scrollLeft', 'scrollWidth', 'clientWidth', 'left'],
    y: ['scrollTop', 'scrollHeight', 'clientHeight', 'top'] };
  const whole = box === document.scrollingElement, style = getComputedStyle(box);
  const to = { behavior: 'instant' };
  for (const axis of Object.keys(where)) to[sides[axis][3]] = where[axis] === 'bottom' ? box.scrollHeight : where[axis];
  box.scrollTo(to);
  for (const axis of Object.keys(where)) {
    const [at, size, shown] = sides[axis], wanted = where[axis], now = box[at];
    const fixed = !whole && now === 0 && ['visible', 'clip'].includes(style[axis === 'x' ? 'overflowX' : 'overflowY']);
    if (fixed) return 'element does not scroll';
    if (wanted === 'bottom' || Math.abs(now - wanted) <= 1) continue;
    if (wanted < 0) return `there is no place at ${axis}: ${wanted}`;
    if (box[size] <= box[shown]) return `there is nothing to scroll along ${axis}`;
  }
  return '';
}"""

_FIT = """(element) => {
  const means = MEANS, types = means === 'type';
  const deepest = () => {
    let active = document.activeElement;
    for (let inner = active; inner; inner = (inner.shadowRoot ?? inner.contentDocument)?.activeElement) active = inner;
    return active;
  };
  if (!element) {
    const active = deepest(), page = active?.ownerDocument;
    const idle = active === page?.body && !active?.isContentEditable && page?.designMode !== 'on';
    return !active || idle ? 'no element has the focus' : '';
  }
  const page = element.ownerDocument, box = element.getBoundingClientRect();
  const root = element === page.body || element === page.documentElement;
  const shown = box.width > 0 && box.height > 0 && getComputedStyle(element).visibility === 'visible';
  if (!root && !shown && getComputedStyle(element).display !== 'contents') return 'element is not visible';
  if (element.matches(':disabled')) return 'element is not enabled';  // aria-disabled keeps no key away
  const noText = /^(button|checkbox|color|file|hidden|image|radio|range|reset|submit)$/;
  if (types) {
    if (element.readOnly) return 'element is not editable';
    if (element.matches('button, a') && !element.isContentEditable) return 'element takes no text';
    if (element.localName === 'input' && noText.test(element.type)) return 'element takes no text';
  }
  const active = element.getRootNode().activeElement;
  const focused = active === element && page.hasFocus();
  if (means !== 'focus' && element.isContentEditable && !focused && active && active.blur) active.blur();
  element.focus();
  element.focus();
  if (means !== 'focus' && !focused && element.nodeName === 'INPUT') try { element.setSelectionRange(0, 0); } catch {}
  const now = element.getRootNode().activeElement;
  const has = now === element || (now && element.contains(now)) || element.matches(':focus-within');
  const design = page.designMode === 'on' || (element.isContentEditable && now && now.contains(element) && now.isContentEditable);
  return means === 'press' || has || design ? '' : 'element does not take the focus';
}"""


def focusing(verb: str) -> str:
    """Return a function that focuses an element before a step types into it, presses a key on it, or focuses it.

    It does so as Playwright does: the caret of an input that had no focus is at its start. It returns why the element
    is not fit for the step, and the same for the focused element where it is called without one.
    """
    return _FIT.replace("MEANS", literal(verb))


_PLAIN = """const odd = (at, what) => { throw { odd: `${what} at ${at}` }; };
const plain = (value, at, above) => {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : odd(at, String(value));
  if (typeof value !== 'object') return odd(at, `a ${typeof value}`);
  if (above.includes(value)) return odd(at, 'a circle');
  const inside = [...above, value];
  if (Array.isArray(value)) {
    const items = [];
    for (let index = 0; index < value.length; index++)
      items.push(value[index] === undefined ? null : plain(value[index], `${at}[${index}]`, inside));
    return items;
  }
  if (typeof value.toJSON === 'function') return plain(value.toJSON(), at, inside);
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  if (kind !== 'Object') return odd(at, `a ${kind}`);
  const entries = Object.keys(value).filter((key) => value[key] !== undefined);
  return Object.fromEntries(entries.map((key) => [key, plain(value[key], `${at}.${key}`, inside)]));
};
const words = (error) => {
  try {
    return error instanceof Error ? (error.name === 'Error' ? error.message : `${error.name}: ${error.message}`) : String(error);
  } catch { return 'something that has no text'; }
};"""

_FUNCTION = re.compile(r"(async)?\s*function(\s|\()")

OUTCOME = "async () => await globalThis[Symbol.for('orchestra.outcome')] ?? null"
"""A function that waits for the last `evaluation` of the page; null when the page holds none."""


def evaluation(script: str, milliseconds: int | None = None) -> str:
    """Return a function of an element, or of nothing, that runs a script of the user and describes what came of it.

    The script is what Playwright takes: a function, called with the element, or an expression. The outcome is
    `{value}`, `{odd}` where the value holds something that JSON has no value for, `{error}` with what it threw, or
    `{late}` when it has not settled after `milliseconds`.
    """
    code = script.strip()
    code = f"({code})" if _FUNCTION.match(code) else code
    return "\n".join(
        [
            "async (element) => {",
            _PLAIN,
            "const run = async () => {",
            "let value;",
            "try {",
            f"const made = (0, eval)({literal(code)});",
            "value = await (typeof made === 'function' ? made(element) : made);",
            "} catch (error) { return { error: words(error) }; }",
            "try { return { value: value === undefined ? null : plain(value, '$', []) }; }",
            "catch (error) { return { odd: error.odd ?? words(error) }; }",
            "};",
            *_race(milliseconds),
            "Object.defineProperty(globalThis, Symbol.for('orchestra.outcome'), { value: outcome, configurable: true });",
            "return await outcome;",
            "}",
        ]
    )


def _race(milliseconds: int | None) -> tuple[str, ...]:
    if milliseconds is None:
        return ("const outcome = run();",)
    return (
        _TIMERS,
        f"const late = new Promise((resolve) => setTimeout(resolve, {milliseconds}, {{ late: true }}));",
        "const outcome = Promise.race([run(), late]);",
    )


FILE_INPUT = """(element) => {
  const other = element.matches('a, button, input, textarea, select') ? null : element.closest('label');
  const input = other && other.control || element;
  if (input.nodeName === 'INPUT' && input.type === 'file') return true;
  const inputs = HTMLInputElement.prototype;
  const before = ['click', 'showPicker'].map((name) => [name, Object.getOwnPropertyDescriptor(inputs, name), inputs[name]]);
  for (const [name, , original] of before) Object.defineProperty(inputs, name, { configurable: true, writable: true, value() {
    for (const [key, own] of before) { delete inputs[key]; if (own) Object.defineProperty(inputs, key, own); }
    element[Symbol('file input')] = this;
    return original.apply(this, arguments);
  } });
  return false;
}"""
"""True if an element itself accepts files: a file input, or its label, as Playwright finds it.

On any other element it also sees to it that the next file input that a script of the page clicks lives as long as that
element: an input that is in no document may be collected before Playwright asks for it, and the file chooser is lost.
"""


def observable(target: Target) -> bool:
    """Return True if a target can be looked up inside the page: text, test id or CSS alone, perhaps with `nth`.

    The CSS that only Playwright knows (`:has-text()`, `>>`, XPath) is not.
    """
    narrowed = target.within is not None or target.frame is not None or target.has_text is not None
    if narrowed or target.by not in ("text", "testid", "css"):
        return False
    return target.by != "css" or not _PLAYWRIGHT_CSS.search(target.value)


# A page may have replaced its timers; the owner of the browser has saved the original ones.
_TIMERS = """const own = globalThis[Symbol.for('orchestra')] ?? globalThis;
const { setTimeout, clearTimeout, setInterval, clearInterval, MutationObserver } = own;
const now = own.now ?? (() => Date.now());"""

_QUERY = """const everything = (root) => [...root.querySelectorAll('*')]
  .flatMap((node) => node.shadowRoot ? [node, ...everything(node.shadowRoot)] : [node]);
const roots = () => [document, ...everything(document).map((node) => node.shadowRoot).filter(Boolean)];
const select = (css) => roots().flatMap((root) => [...root.querySelectorAll(css)]);"""


def _lookup(target: Target) -> str:
    """Return an expression for all elements of a target, in document order."""
    if target.by == "css":
        found = f"select({literal(target.value)})"
    elif target.by == "testid":
        holds = f"node.getAttribute('data-testid') === {literal(target.value)}"
        found = f"select('[data-testid]').filter((node) => {holds})"
    else:
        holds = "text === wish" if target.exact else "text.toLowerCase().includes(wish.toLowerCase())"
        found = f"withText(((wish) => (text) => {holds})(fold({literal(target.value)})))"
    return found if target.nth is None else f"{found}.slice({target.nth}).slice(0, 1)"


# An element has a text when no child of it has it too.
_WITH_TEXT = """const withText = (holds) => everything(document)
  .filter((node) => !silent(node) && holds(fold(textOf(node)))
  && ![...node.children, ...(node.shadowRoot ? [node.shadowRoot] : [])].some((part) => holds(fold(textOf(part)))));"""


def observer(target: Target, be: State, unless: Target | None, milliseconds: int) -> str:
    """Return a function that ends when a target is visible (or hidden), with `{ok: true}`, or earlier, with a reason.

    `at` is when that was, in milliseconds since 1970: what the answer takes on its way is the lag behind the page.

    It checks every change of the page, and every 250 ms the changes that observers do not report: style sheets and
    shadow trees. `{ok: false, reason}` is `unless` if that marker is visible, `time` after `milliseconds`, `strict` if
    several elements match, which Playwright's own wait refuses too.
    """
    text = any(one is not None and one.by == "text" for one in (target, unless))
    parts = [_QUERY, _VISIBLE, *([_FOLD, _TEXT, _WITH_TEXT] if text else [])]
    marker = "" if unless is None else f"if ({_lookup(unless)}.some(shown)) return {{ ok: false, reason: 'unless' }};"
    ok = "found.length && shown(found[0])" if be == "visible" else "!found.length || !shown(found[0])"
    return "\n".join(
        [
            "() => new Promise((resolve) => {",
            _TIMERS,
            *parts,
            "const look = () => {",
            marker,
            f"const found = {_lookup(target)};",
            "if (found.length > 1) return { ok: false, reason: 'strict', found: found.length };",
            f"return {ok} ? {{ ok: true }} : null;",
            "};",
            "let observer, timer, limit;",
            "const end = (result) => {",
            "observer?.disconnect(); clearInterval(timer); clearTimeout(limit);",
            "resolve({ ...result, at: now() });",
            "};",
            "const check = () => { const result = look(); if (result) end(result); return result; };",
            "if (check()) return;",
            "observer = new MutationObserver(check);",
            "observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });",
            "timer = setInterval(check, 250);",
            f"limit = setTimeout(() => {{ const found = {_lookup(target)}[0];",
            "const state = found ? (shown(found) ? 'visible' : 'hidden') : null;",
            f"end({{ ok: false, reason: 'time', found: state }}); }}, {milliseconds});",
            "})",
        ]
    )
