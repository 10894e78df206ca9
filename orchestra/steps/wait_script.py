"""JavaScript that waits in the page for a target, and ends with the change."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from orchestra.steps.page_script import FOLD, TEXT, TIMERS, VISIBLE, literal
from orchestra.steps.target import Target

State: TypeAlias = Literal["visible", "hidden"]


_PLAYWRIGHT_CSS = re.compile(
    r">>|//|\.\.|\b(text|xpath|css|id|data-test(-?id)?)=|:(has-text|text|visible|nth-match|light"
    r"|above|below|near|left-of|right-of)\b|internal:"
)


def observable(target: Target) -> bool:
    """Return True if a target can be looked up inside the page: text, test id or CSS alone, perhaps with `nth`.

    The CSS that only Playwright knows (`:has-text()`, `>>`, XPath) is not.
    """
    narrowed = target.within is not None or target.frame is not None or target.has_text is not None
    if narrowed or target.by not in ("text", "testid", "css"):
        return False
    return target.by != "css" or not _PLAYWRIGHT_CSS.search(target.value)


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
    parts = [_QUERY, VISIBLE, *([FOLD, TEXT, _WITH_TEXT] if text else [])]
    marker = "" if unless is None else f"if ({_lookup(unless)}.some(shown)) return {{ ok: false, reason: 'unless' }};"
    ok = "found.length && shown(found[0])" if be == "visible" else "!found.length || !shown(found[0])"
    return "\n".join(
        [
            "() => new Promise((resolve) => {",
            TIMERS,
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
