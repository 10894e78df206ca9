"""What Playwright's errors say, read out of their text: the one place that knows how they are worded. May import nothing.

Playwright gives a class for time-outs and for a closed target, and text for all else (1.64). tests/test_driver_playwright.py
holds this module to what the real browser says.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["strict", "absent", "blocked", "connection", "crash", "spec", "unmet", "other"]


class Said(NamedTuple):
    """What an error means.

    Attributes:
        kind: `strict` several elements match; `absent` none does; `blocked` the element is there, but not fit for the
            action; `connection` the page was not to be had; `crash` page or browser is gone; `spec` the step cannot
            be carried out as written; `unmet` a condition does not hold; `other` the rest.
        found: the value that was seen last, or the reason in Playwright's words.
        matches: how many elements match, for `strict`.
    """

    kind: Kind
    found: str = ""
    matches: int = 0


_STRICT = re.compile(r"strict mode violation: .* resolved to (\d+) elements", re.DOTALL)
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
    "Unknown engine",
    "net::ERR_UNSAFE_PORT",
)
_BLOCKED = re.compile(
    r"^[\s-]*(?:\d+ \S )?(element is (?:not \w+|outside of the viewport)|.* intercepts pointer events"
    r"|did not find some options|locator resolved to (?:visible|hidden) .*)$",
    re.MULTILINE,
)


def read(message: str) -> Said:
    """What the text of an error of Playwright means."""
    head, _, log = message.partition("\nCall log:")
    head = head.partition("\nBrowser logs:")[0]
    said = _PREFIX.sub("", head).strip()
    strict = _STRICT.search(head)
    if strict is not None:
        return Said("strict", f"{strict[1]} elements", int(strict[1]))
    if any(word in head for word in _CRASH):
        return Said("crash", said)
    wrong = next((line for line in said.splitlines() if any(word in line for word in _SPEC)), None)
    if wrong is not None:
        return Said("spec", wrong.removeprefix("Error: "))
    network = _NETWORK.search(head)
    if network is not None:
        return Said("connection", network[1])
    if "\nActual value: " in head:
        return _assertion(head)
    if re.search(r"Timeout [\d.]+ms exceeded", head) is None:
        return Said("other", said.splitlines()[0] if said else "")
    reasons = _BLOCKED.findall(log)
    if reasons:
        return Said("blocked", reasons[-1].strip())
    return Said("blocked" if "locator resolved to" in log else "absent")


def _assertion(head: str) -> Said:
    """The value that an assertion saw last; what it could not read is told as an error."""
    actual = head.partition("\nActual value: ")[2].removesuffix(" ")
    if actual == "None":
        return Said("unmet")
    if not actual.startswith("None\n"):
        return Said("unmet", actual)
    why = actual.removeprefix("None\n").removeprefix("Error: ").strip()
    return Said("absent") if "element(s) not found" in why else Said("other", why.splitlines()[0])
