"""The call log of an expectation: what was waited for, and what was seen, how often and when.

Playwright writes one for its own assertions; this is that of the questions that drivers ask themselves.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestra.runtime.driver.fault import Meaning
from orchestra.runtime.driver.wording import quoted

MOST = 20
"""Lines for what was seen: of a value that changes all the time the first and the last ones are kept."""

LINE_LENGTH = 300
LENGTH = 4000
"""The limits of a line and of a whole log. Both are cut after masking: half of a secret would not be recognised."""


class CallLog:
    """The answers to one question, in order; equal ones after each other are one line.

    Args:
        asked: the question, in words.
        clock: monotonic seconds.
    """

    def __init__(self, asked: str, clock: Callable[[], float]) -> None:
        self._asked, self._clock = asked, clock
        self._begun = clock()
        self._seen: list[tuple[float, str]] = []
        self._times: list[int] = []
        self._left_out = 0

    def see(self, meaning: Meaning) -> None:
        """Add an answer that is not the wanted one."""
        text = _text(meaning)
        if self._seen and self._seen[-1][1] == text:
            self._times[-1] += 1
            return
        if len(self._seen) == MOST:
            del self._seen[MOST // 2], self._times[MOST // 2]
            self._left_out += 1
        self._seen.append((self._clock() - self._begun, text))
        self._times.append(1)

    def text(self) -> str:
        """Return the log as lines of text."""
        lines = [
            f"  {at:.1f} s: {text}{f', {times} times' if times > 1 else ''}"
            for (at, text), times in zip(self._seen, self._times, strict=True)
        ]
        if self._left_out:
            lines.insert(MOST // 2, f"  … {self._left_out} other values")
        return "\n".join((f"waiting for {self._asked}", *lines))


def _text(meaning: Meaning) -> str:
    """Return what was seen, in words."""
    if meaning.kind == "absent":
        return "no element"
    found = meaning.found if meaning.json or meaning.kind != "unmet" else quoted(meaning.found)
    return found or meaning.kind


def shortened(log: str) -> str:
    """Return a masked log within its limits."""
    lines = (f"{line[:LINE_LENGTH]} …" if len(line) > LINE_LENGTH else line for line in log.splitlines())
    text = "\n".join(lines)
    return text if len(text) <= LENGTH else f"{text[:LENGTH]} …"
