"""Explain a target that does not match one element: with the nearest elements of the page, or with its matches."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from orchestra.runtime.driver.contract import StepError
from orchestra.runtime.driver.wording import quoted
from orchestra.steps.target import Kind, Target

SHOWN = 5
NEAR = 0.5
LOOK_SECONDS = 2.0
"""The limit of a query of the page: the step has failed already, and must not wait for its explanation."""

TESTIDS = "(body) => [...body.querySelectorAll('[data-testid]')].map((one) => one.dataset.testid)"

DESCRIBE = """(elements) => elements.slice(0, 5).map((element) => {
  const tag = element.cloneNode(false).outerHTML.replace(/<\\/[^>]*>$/, '');
  const text = element.textContent.trim().replace(/\\s+/g, ' ');
  const cut = (words, length) => words.length > length ? words.slice(0, length) + '…' : words;
  const path = [];
  for (let at = element; at && at.parentElement; at = at.parentElement) {
    const kind = at.nodeName.toLowerCase();
    const same = [...at.parentElement.children].filter((one) => one.nodeName === at.nodeName);
    path.unshift(at.id ? `#${at.id}` : same.length > 1 ? `${kind}:nth-of-type(${same.indexOf(at) + 1})` : kind);
    if (at.id) break;
  }
  return `${cut(tag, 80)}${cut(text, 40)} at ${path.join(' > ')}`;
})"""
"""A function of all elements of a target, which gives each with its place, as far as they are shown."""

_LINE = re.compile(r"^\s*- ['\"]?(?P<role>[a-z]+)(?: \"(?P<name>(?:[^\"\\]|\\.)*)\")?", re.MULTILINE)
_SILENT = frozenset({"text", "generic", "none", "presentation", "paragraph"})
_FIELDS = frozenset(
    {"textbox", "searchbox", "combobox", "listbox", "checkbox", "radio", "switch", "slider", "spinbutton", "button"}
)


class Named(NamedTuple):
    """An element by its role and accessible name."""

    role: str
    name: str

    def text(self) -> str:
        """Return it as a target of a spec."""
        return f"{{role: {quoted(self.role)}, name: {quoted(self.name)}}}"


def named(snapshot: str) -> list[Named]:
    """Return the elements with a name that an ARIA snapshot of Playwright holds, each once, in its order."""
    found = (
        Named(match["role"], re.sub(r"\\(.)", r"\1", match["name"]))
        for match in _LINE.finditer(snapshot)
        if match["name"] and match["role"] not in _SILENT
    )
    return list(dict.fromkeys(found))


def nearest(target: Target, known: Iterable[Named]) -> list[Named]:
    """Return the elements that a target was probably meant to find, nearest first; of a role without a name, all of it."""
    if target.by in ("css", "testid"):
        return []
    everything = list(known)
    if target.by == "role":
        wanted, of_kind = target.name, [element for element in everything if element.role == target.value]
    else:
        wanted = target.value
        of_kind = [element for element in everything if target.by not in _BY_FIELD or element.role in _FIELDS]
    if wanted is None:
        return []
    same = sorted(of_kind, key=lambda element: -_likeness(wanted, element.name))
    near = [element for element in same if _likeness(wanted, element.name) >= NEAR]
    others = [element for element in everything if element not in of_kind and _likeness(wanted, element.name) >= NEAR]
    return [*near, *others, *(same if target.by == "role" and not near else [])][:SHOWN]


_BY_FIELD: frozenset[Kind] = frozenset({"label", "placeholder"})


def _likeness(wanted: str, name: str) -> float:
    left, right = wanted.casefold(), name.casefold()
    if left and (left in right or right in left):
        return 0.9
    return difflib.SequenceMatcher(None, left, right).ratio()


def near_testids(wanted: str, known: Sequence[Any]) -> list[str]:
    """Return the test ids of the page that are like the wanted one, nearest first, as targets of a spec."""
    texts = [str(one) for one in dict.fromkeys(known)]
    return [f"{{testid: {quoted(candidate)}}}" for candidate in difflib.get_close_matches(wanted, texts, SHOWN, NEAR)]


def add_near(failed: StepError, near: Sequence[str]) -> None:
    """Add what is near to the hint of a failure."""
    if near:
        said = f"nearest on the page: {', '.join(near)}"
        failed.hint = f"{said}; {failed.hint}" if failed.hint else said


def add_matches(failed: StepError, lines: Sequence[str]) -> None:
    """Add the elements that match, each with its place, to what was found."""
    if lines:
        counted = "; ".join(f"{number}) {line}" for number, line in enumerate(lines, 1))
        failed.found = f"{failed.found}: {counted}"
