"""Texts of a runner's report, made fit to show and to compare. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from orchestra.runtime.terminal import whole

Mask: TypeAlias = Callable[[str], str]
"""Takes the secrets out of a text."""

LETTERS: Final = 1000
"""The most that is retained of a message."""

NAME_LETTERS: Final = 300

SEPARATOR: Final = " \u203a "
"""Between a case and what it is in, as Playwright writes it."""

RAW_LETTERS: Final = 64_000
"""So much of a text is looked at: more than a message holds, so that a secret is masked before the text is cut."""

_SPELLED = re.compile(r"(?:#x1B|\\u001b|\\x1b)(?=\[)", re.IGNORECASE)
"""The first character of an escape code as writers of XML spell it, which may not hold it as it is (pytest: `#x1B`)."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SOURCE = re.compile(r"\s*>?\s*\d*\s*\|")
_PLACE = re.compile(r"\s+at |\s*at (?:async )?\S+:\d+|\s*\S+:\d+: in ")
_HEAD = re.compile(rf"\s*(?:\[[^\]]*\]{SEPARATOR})?\S+:\d+:\d+{SEPARATOR}.*")
_SECTION = re.compile(r"\s*(?:attachment #\d+: |Error Context: |Retry #\d+ ─|─{8,})")
_SAYS_NOTHING = frozenset({"", "failed", "failure", "error", "test failed", "collection failure"})
_PLACE_AND_TITLE = re.compile(r"\S+:\d+:\d+ ")
_CLASS = re.compile(r"((?:\w+\.)*\w*(?:Error|Exception|Failure|Timeout|Panic)\w*)(?::|$)")


def tidy(text: str, mask: Mask, letters: int = LETTERS) -> str:
    """Return a text as a person reads it: without escape codes and control characters, masked, and then cut.

    An ellipsis marks the cut; masks take it for the place where a secret may have lost its end.
    """
    cut = len(text) > RAW_LETTERS
    shown = _CONTROL.sub("", _plain(text)).strip()
    masked = mask(f"{shown}…" if cut else shown)
    return masked if len(masked) <= letters else f"{masked[:letters]}…"


def _plain(text: str) -> str:
    """Return what is looked at of a text, without escape codes."""
    return whole(_SPELLED.sub("\x1b", text[:RAW_LETTERS]))


def name_of(parts: Sequence[str], mask: Mask) -> str:
    """Return the name of a case from the names of what it is in, outermost first; one that repeats another is left out."""
    shown = dict.fromkeys(" ".join(tidy(part, mask, NAME_LETTERS).split()) for part in parts)
    return SEPARATOR.join(part for part in shown if part)


def reason_of(message: str, body: str) -> str:
    """Return why a case failed, from the two texts of a failure in JUnit: a message, and a body with more.

    Playwright's body begins with place and title, which older versions have as the message, too; the reason follows. A
    message that only reports a failure is replaced by the body.
    """
    message, body = _plain(message), _plain(body)
    lines = body.strip("\n").splitlines()
    if lines and _HEAD.fullmatch(lines[0]):
        return _first_paragraphs(lines[1:]) or message
    plain = message.strip()
    if plain.casefold().rstrip(".") in _SAYS_NOTHING or _PLACE_AND_TITLE.match(plain):
        return pytest_errors(body) or _first_paragraphs(lines) or plain
    return plain


def pytest_errors(text: str) -> str:
    """Return the lines in which pytest shows why a test failed, those that begin with `E`; empty without one."""
    return "\n".join(line[1:].strip() for line in text.splitlines() if line.startswith("E "))


def _first_paragraphs(lines: Sequence[str]) -> str:
    """Return what comes before source lines, places of a stack and lists of attachments; without its indent."""
    taken: list[str] = []
    for line in lines:
        if taken and (_SOURCE.match(line) or _PLACE.match(line) or _SECTION.match(line)):
            break
        if line.strip() or (taken and taken[-1]):
            taken.append(line.strip())
    return "\n".join(taken).strip()


def cause_of(kind: str, message: str) -> str:
    """Return the class of a failure: as the report has it, else as the message begins with it; empty without either."""
    if kind.strip() and kind.strip().casefold() not in _SAYS_NOTHING:
        return " ".join(kind.split())[:NAME_LETTERS]
    named = _CLASS.match(message)
    return named[1] if named else ""


def seconds_of(text: str) -> float:
    """Return a number of seconds, with or without commas between thousands; 0 for what is none."""
    try:
        seconds = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
