"""JavaScript that a step runs in the page, and the pieces of it that several steps share: text, visibility, timers.

The meaning of text, visibility and focus is that of Playwright's `expect` and locators (1.64), so
that both browser drivers give the same verdict; tests/browser/test_calls_mcp.py holds them together in a real browser.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from orchestra.steps.target import js_string

# White space as a reader sees it.
FOLD = r"const fold = (text) => text.replace(/[\u200b\u00ad]/g, '').trim().replace(/\s+/g, ' ');"

# Text of hidden parts counts, as it does for `expect`; scripts, styles and the head do not.
TEXT = """const silent = (node) => ['SCRIPT', 'NOSCRIPT', 'STYLE'].includes(node.nodeName)
  || !!(node.ownerDocument.head && node.ownerDocument.head.contains(node));
const textOf = (node) => {
  if (silent(node)) return '';
  if (node.nodeName === 'INPUT' && ['submit', 'button', 'reset'].includes(node.type)) return node.value;
  let text = '';
  for (const child of node.childNodes)
    text += child.nodeType === 3 ? child.nodeValue : child.nodeType === 1 ? textOf(child) : '';
  return node.shadowRoot ? text + textOf(node.shadowRoot) : text;
};"""

VISIBLE = """const shown = (node) => {
  const style = getComputedStyle(node);
  if (style.display === 'contents')
    return [...node.childNodes].some(
      (child) => child.nodeType === 1 ? shown(child) : child.nodeType === 3 && drawn(child));
  return node.checkVisibility() && style.visibility === 'visible' && sized(node);
};
const sized = (box) => { const { width, height } = box.getBoundingClientRect(); return width > 0 && height > 0; };
const drawn = (text) => { const range = document.createRange(); range.selectNode(text); return sized(range); };"""


def literal(value: Any) -> str:
    """Return a JSON value as JavaScript source; texts keep within quotes whatever they hold."""
    if isinstance(value, str):
        return js_string(value)
    return msgspec.json.encode(value).decode().replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


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
        TIMERS,
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


# A page may have replaced its timers; the owner of the browser has saved the original ones.
TIMERS = """const own = globalThis[Symbol.for('orchestra')] ?? globalThis;
const { setTimeout, clearTimeout, setInterval, clearInterval, MutationObserver } = own;
const now = own.now ?? (() => Date.now());"""
