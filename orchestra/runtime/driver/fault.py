"""Read what an error of Playwright means out of its text: the one place that knows how errors are worded.

Playwright has a class for time-outs and for a closed target, and text for all others (1.64, 1.65).
tests/browser/test_driver_playwright.py compares this module with the texts of the real browser.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any, Literal, NamedTuple, TypeAlias

from orchestra.runtime.driver.wording import quoted

Kind: TypeAlias = Literal["strict", "absent", "blocked", "loading", "connection", "crash", "spec", "unmet", "other"]


class Meaning(NamedTuple):
    """The meaning of an error.

    Attributes:
        kind: `strict` several elements match; `absent` none does; `blocked` the element is there, but not fit for the
            action; `loading` the action was done, and the document that it asked for did not come; `connection` the
            page was not to be had; `crash` page or browser is gone; `spec` the step cannot be carried out as written;
            `unmet` a condition does not hold; `other` the rest.
        found: the value that was seen last, or the reason in Playwright's words.
        matches: how many elements match, for `strict`.
        json: whether `found` is a list or a mapping, as JSON.
    """

    kind: Kind
    found: str = ""
    matches: int = 0
    json: bool = False


def seen(found: Any) -> Meaning:
    """Return the meaning of the value that a script has seen in place of the wanted one; null is no element."""
    if found is None:
        return Meaning("absent")
    return Meaning("unmet", found if isinstance(found, str) else quoted(found), json=isinstance(found, (list, dict)))


_STRICT = re.compile(r"strict mode violation: .*? resolved to (\d+) elements", re.DOTALL)
_PREFIX = re.compile(r"^[A-Z]\w+\.\w+: (?:Error: )?")
_NETWORK = re.compile(r"\b(net::ERR_\w+|NS_ERROR_\w+|Could ?n[o']t connect to (?:the )?server)")
_CRASH = ("Target crashed", "Page crashed", "Target page, context or browser has been closed", "Target closed")
_SPEC = (
    "Cannot navigate to invalid URL",
    "Invalid url",
    "Invalid regular expression",
    "Invalid flags",
    "Unknown key:",
    "while parsing css selector",
    "is not a valid selector",
    "is not a valid target",
    "Unknown engine",
    "net::ERR_UNSAFE_PORT",
)
_FOR_MODELS = " Use a ref from the page snapshot"
"""Here the MCP server begins to advise its model; a spec has no refs."""

_BLOCKED = re.compile(
    r"^[\s-]*(?:\d+ \S )?(element is (?:not \w+|outside of the viewport)|.* intercepts pointer events"
    r"|did not find some options|locator resolved to (?:visible|hidden) .*)$",
    re.MULTILINE,
)

_DONE = re.compile(r"^[\s-]*\w+ action done$", re.MULTILINE)
# After this line an action waits for its own element once more: `check` reads the state that it has made.
_SETTLED = "navigations have finished"


def read(message: str) -> Meaning:
    """Return what the text of an error of Playwright means."""
    head, _, log = message.partition("\nCall log:")
    head = head.partition("\nBrowser logs:")[0]
    meaning = _known(head)
    if meaning is not None:
        return meaning
    text = _PREFIX.sub("", head).strip()
    if re.search(r"Timeout [\d.]+ms exceeded", head) is None:
        return Meaning("other", text.splitlines()[0] if text else "")
    return _late(log)


def _known(head: str) -> Meaning | None:
    text = _PREFIX.sub("", head).strip()
    strict = _STRICT.search(head)
    if strict is not None:
        return Meaning("strict", f"{strict[1]} elements", int(strict[1]))
    if any(word in head for word in _CRASH):
        return Meaning("crash", text)
    wrong = next((line for line in text.splitlines() if any(word in line for word in _SPEC)), None)
    if wrong is not None:
        return Meaning("spec", wrong.removeprefix("Error: ").partition(_FOR_MODELS)[0])
    network = _NETWORK.search(head)
    return None if network is None else Meaning("connection", network[1])


def _late(log: str) -> Meaning:
    """Return what an action waited for when its time was over, by the log of the call."""
    if _DONE.search(log):
        return Meaning("absent" if _SETTLED in log else "loading")
    reasons = _BLOCKED.findall(log)
    if reasons:
        return Meaning("blocked", reasons[-1].strip())
    return Meaning("blocked" if "locator resolved to" in log else "absent")


_PREVIEW = re.compile(r"^(\s*(?:\d+ \S )?)locator resolved to .*")


def call_log(message: str) -> str:
    """Return the call log of an assertion of Playwright: what it waited for, and what it saw, how often.

    Its picture of an element is left out: Playwright cuts it, and half of a secret in it would not be recognised.
    """
    log = message.partition("\nCall log:\n")[2].partition("\n\nAria snapshot:")[0]
    lines = (_PREVIEW.sub(r"\1an element", line.replace("- ", "", 1)) for line in log.splitlines())
    return textwrap.dedent("\n".join(lines)).rstrip()


def read_assertion(message: str) -> Meaning:
    """Return what an assertion of Playwright saw: the value, which a page may have written, or why there is none."""
    actual = message.partition("\nActual value: ")[2].partition("\nCall log:")[0].removesuffix(" ")
    if actual == "None":
        return Meaning("unmet")
    if not actual.startswith("None\n"):
        return Meaning("unmet", actual)
    why = actual.removeprefix("None\n").removeprefix("Error: ").strip()
    if "element(s) not found" in why:
        return Meaning("absent")
    return _known(why) or Meaning("other", why.splitlines()[0])
