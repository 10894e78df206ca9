"""What a tool of the Playwright MCP server answers: Markdown taken apart at its headings. May import `playwright_fault`.

The one place that knows how the server words its answers (1.64): `### Result`, `### Error`, `### Modal state`, ANSI
colours in errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from orchestra.runtime.driver.playwright_fault import Said, read

_TITLES = ("Error", "Result", "Ran Playwright code", "Open tabs", "Page", "Modal state", "Snapshot", "Events")
_HEADING = re.compile(rf"^### ({'|'.join(_TITLES)})$", re.MULTILINE)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX = re.compile(r"^(?:\w*Error: )?(?:[a-zA-Z]+\.[$\w]+: )?(?:\w*Error: )?")
_DONE = re.compile(r"^[\s-]*\S+ action done$", re.MULTILINE)

_ABSENT = "does not match any elements"
_UNHANDLED = "does not handle the modal state"
_GONE = ("Execution context was destroyed", "Cannot find context with specified id", "Frame was detached")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one call.

    Attributes:
        failed: the tool says that it could not be done.
        text: all of it, without colours.
        sections: its parts by heading.
    """

    failed: bool
    text: str
    sections: dict[str, str]

    def without(self, title: str) -> Answer:
        """The same answer without one of its parts."""
        return replace(self, sections={name: body for name, body in self.sections.items() if name != title})

    @property
    def error(self) -> str:
        """What went wrong, in the words of Playwright or of the page."""
        return self.sections.get("Error", self.text if self.failed else "")

    @property
    def absent(self) -> bool:
        """No element matches the target, and nothing was done."""
        return self.failed and _ABSENT in self.error

    @property
    def refused(self) -> bool:
        """An open dialog or file chooser was in the way, and nothing was done."""
        return self.failed and _UNHANDLED in self.error

    @property
    def moved_on(self) -> bool:
        """The page was navigated while it was asked."""
        return self.failed and any(word in self.error for word in _GONE)

    @property
    def performed(self) -> bool:
        """The action was carried out, although the call did not end in time."""
        return bool(_DONE.search(self.error))

    @property
    def modal(self) -> Literal["", "dialog", "chooser"]:
        """What waits for an answer before anything else can be done."""
        state = self.sections.get("Modal state", "")
        if "browser_handle_dialog" in state:
            return "dialog"
        return "chooser" if "browser_file_upload" in state else ""

    @property
    def modal_text(self) -> str:
        """The dialog in the server's words."""
        return self.sections.get("Modal state", "").strip().removeprefix("- ")

    @property
    def has_value(self) -> bool:
        """Whether a value came back."""
        return "Result" in self.sections

    def value(self) -> Any:
        """The JSON value of the result; None when there is none."""
        text = self.sections.get("Result", "").strip()
        if text in {"", "undefined"}:
            return None
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text

    def said(self) -> Said:
        """What the error means, as one of Playwright's."""
        if self.absent:
            return Said("absent")
        return read(_PREFIX.sub("", self.error.strip(), count=1))


def answer_of(text: str, *, failed: bool) -> Answer:
    """The text of an answer, taken apart. What a page wrote cannot be taken for a heading: values are JSON in one line each."""
    plain = _ANSI.sub("", text)
    parts = _HEADING.split(plain)
    sections: dict[str, str] = {}
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        sections.setdefault(title, body.strip("\n"))
    return Answer(failed, plain, sections)
