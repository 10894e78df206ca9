"""Output as a person sees it in a terminal: without escape sequences, a line for each time that the cursor went back."""

from __future__ import annotations

import re

ESCAPE = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, and where the cursor goes
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b\[[0-?]*[ -/]*\Z|\x1b\Z"  # one that is not whole yet
    r"|\x1b[ -/]*[0-~]"
)
"""A pattern for one sequence; C0 and C1 forms."""

_ESCAPE = re.compile(ESCAPE)
_END = re.compile(r"\r\n|\n|\r")


def seen(text: str) -> str:
    """Return a text without escape sequences, and without what a backspace has taken away."""
    if "\x1b" in text or "\x9b" in text:
        text = _ESCAPE.sub("", text)
    return _rubbed_out(text) if "\x08" in text else text


def _rubbed_out(text: str) -> str:
    """Return a text without the letters that a backspace has taken away, in one walk: there may be a million of them."""
    left: list[str] = []
    for letter in text:
        if letter == "\x08" and left and left[-1] != "\x08":
            left.pop()
        else:
            left.append(letter)
    return "".join(left)


def whole(text: str) -> str:
    """Return a text that has ended, line by line as a person sees it."""
    return "\n".join(seen(line) for line in _END.split(text))


class Lines:
    """Output that comes in pieces, as lines. CR ends a line as LF does: a progress bar is many lines."""

    def __init__(self) -> None:
        self.rest = ""
        self._after_return = False

    def feed(self, text: str) -> list[str]:
        """Take a piece, and return the lines that it completes; `rest` is the line that has no end yet."""
        if self._after_return and text:
            text = text.removeprefix("\n")
            self._after_return = False
        if not _END.search(text):
            self.rest += text
            return []
        self._after_return = text.endswith("\r")
        *lines, self.rest = _END.split(self.rest + text)
        return [seen(line) for line in lines]
