"""Read the answers of the tools of the Playwright MCP server: the one place that knows how the server words them
(1.64).

An answer is Markdown whose parts follow each other in one order: `### Error`, `### Result`, then the state of the page.
The failure of a call is a flag of the protocol and never read from the text. The text quotes pages, which may write
headings of their own; so only its first part is trusted: an error to its end, or the one JSON value of a result. An
open dialog is never concluded from the text alone (`orchestra.runtime.driver.mcp.watch`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from orchestra.runtime.driver.fault import Meaning, read
from orchestra.runtime.unicode import well_formed

_ERROR, _RESULT = "### Error\n", "### Result\n"
_AFTER = re.compile(r"^### (?:Result|Ran Playwright code|Open tabs|Page|Modal state|Snapshot|Events)$", re.MULTILINE)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX = re.compile(r"^(?:\w*Error: )?(?:[a-zA-Z]+\.[$\w]+: )?(?:\w*Error: )?")
_GONE = (
    "Execution context was destroyed",
    "Cannot find context with specified id",
    "Frame was detached",
    "Unable to adopt element handle from a different document",
)
_DIALOG_TOOL, _CHOOSER_TOOL = "browser_handle_dialog", "browser_file_upload"

Modal = Literal["", "dialog", "chooser"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one call.

    Attributes:
        failed: whether the server flags it as an error.
        text: all of it, without colours.
        tool, target: what was called, on which element; empty for a call on the page.
        modal: what is open and has to be answered before anything else can be done.
    """

    failed: bool
    text: str
    tool: str = ""
    target: str = ""
    modal: Modal = ""

    @property
    def claims(self) -> Modal:
        """Return the open dialog or file chooser in the text; a page can write such a text too."""
        state = self.text.rpartition("### Modal state\n")[2] if "### Modal state\n" in self.text else ""
        if f"]: can be handled by {_DIALOG_TOOL}" in state:
            return "dialog"
        return "chooser" if f"]: can be handled by {_CHOOSER_TOOL}" in state else ""

    @property
    def error(self) -> str:
        """Return the error, in the text of Playwright or of the page; empty if there is none."""
        return _first_part(self.text, _ERROR) if self.failed else ""

    @property
    def listing(self) -> str:
        """The text of a result that is no JSON."""
        return "" if self.failed else _first_part(self.text, _RESULT).strip()

    @property
    def absent(self) -> bool:
        """No element matches the target, and nothing was done."""
        line = f'Error: "{self.target}" does not match any elements.'
        return bool(self.target) and self.error.startswith(line)

    @property
    def refused(self) -> bool:
        """An open dialog or file chooser was in the way, and nothing was done."""
        return self.error.startswith(f'Error: Tool "{self.tool}" does not handle the modal state.')

    @property
    def needless(self) -> bool:
        """There was no dialog or file chooser to answer."""
        return self.error.startswith(
            f'Error: The tool "{self.tool}" can only be used when there is related modal state'
        )

    @property
    def moved_on(self) -> bool:
        """The page was navigated while it was asked."""
        return any(word in self.error for word in _GONE)

    @property
    def clicked(self) -> bool:
        """The click was made, and a document that it asked for did not come in the time of the tool."""
        return self.tool == "browser_click" and self.meaning().kind == "loading"

    @property
    def has_value(self) -> bool:
        """Return True if a value came back. There is none if a dialog opened before the script ended."""
        return not self.failed and self.text.startswith(_RESULT)

    def value(self) -> Any:
        """Return the JSON value of the result; None when there is none."""
        if not self.has_value:
            return None
        text = self.text[len(_RESULT) :]
        if text.startswith("undefined"):
            return None
        try:
            return well_formed(json.JSONDecoder().raw_decode(text)[0])
        except ValueError:
            return None

    def meaning(self) -> Meaning:
        """Return what the error means, as one of Playwright's."""
        if self.absent:
            return Meaning("absent")
        return read(_PREFIX.sub("", self.error.strip(), count=1))


def _first_part(text: str, heading: str) -> str:
    """Return the part of a text under a heading that it begins with; the whole text when it begins otherwise."""
    body = text.removeprefix(heading)
    end = _AFTER.search(body)
    return (body if end is None else body[: end.start()]).strip("\n")


def answer_of(text: str, *, failed: bool, tool: str = "", target: str = "") -> Answer:
    """Return the answer that a text of the server is."""
    return Answer(failed, _ANSI.sub("", text), tool, target)
