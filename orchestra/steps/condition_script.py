"""JavaScript that asks an element, all elements of a target, or the page whether a condition holds, and what was found.

The meaning is that of Playwright's `expect`, as in `orchestra.steps.page_script`.
"""

from __future__ import annotations

from typing import Any

from orchestra.steps.conditions import Condition
from orchestra.steps.page_script import FOLD, TEXT, VISIBLE, literal

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
    "have_text": ((FOLD, TEXT), "textOf(element)", "fold(found) === fold(wanted)"),
    "contain": ((FOLD, TEXT), "textOf(element)", "fold(found).includes(fold(wanted))"),
    "match": ((TEXT,), "textOf(element)", "new RegExp(wanted).test(found)"),
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
        (TEXT, _NUMBER),
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
    "visible": ((VISIBLE,), "shown(element) ? 'visible' : 'hidden'", "found === wanted"),
    "focused": (
        (),
        "element.getRootNode().activeElement === element && document.hasFocus() ? 'focused' : 'not focused'",
        "found === wanted",
    ),
}

_PAGE: dict[str, str] = {"url": "document.location.href", "title": "document.title"}


# Without these there is nothing to compare, so that neither a condition nor its negation holds.
_NUMERIC = "typeof found === 'number'"
_MATCHED = "found !== null"


def _question(
    argument: str, parts: tuple[str, ...], found: str, holds: str, wanted: Any, *, negated: bool, needs: str = ""
) -> str:
    wish = (f"{needs} && " if needs else "") + ("!" if negated else "")
    waits = "async " if "await " in found else ""
    fold = [FOLD] if "fold(" in holds and FOLD not in parts else []
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
        (FOLD, TEXT),
        "elements.map(textOf)",
        "found.length === wanted.length && found.every((text, index) => fold(text) === fold(wanted[index]))",
    ),
    "contain": (
        (FOLD, TEXT, _IN_ORDER),
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


def set_question(condition: Condition) -> str:
    """Return a function of all elements of a target that gives `{ok, found}` for a condition on all of them at one moment.

    `found` is null, and `ok` false, when no element matches; only a count can be zero.
    """
    if condition.of == "set":
        parts, found, holds = _SETS[condition.name]
        needs = ""
        if condition.name != "have_count":
            found, needs = f"elements.length ? {found} : null", _MATCHED
        return _question("elements", parts, found, holds, condition.wanted, negated=condition.negated, needs=needs)
    question = element_question(condition.name, condition.wanted, negated=condition.negated)
    quantifier = "every" if condition.of == "all" else "some"
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
