"""The steps of a test while they are recorded, in the order in which the spec has them.

An action comes before what it leads to: a dialog, a file chooser, a download. In a spec the answer to a dialog is written
before the action, and a chooser or a download in its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from orchestra.recording.locator import Target

Step: TypeAlias = dict[str, Any]
"""A step, as it is written in a spec."""

_PASSWORD = re.compile(r"pass(?:word|wort|code|phrase)|mot de passe|contraseña", re.IGNORECASE)
_ACTIONS = frozenset({"click", "press", "goto", "back", "reload", "select", "check", "uncheck", "fill", "type"})

SECRET = "PASSWORD"  # noqa: S105 - the name of a variable
"""The variable with the content of a password field, which no file gets."""


@dataclass(slots=True)
class Draft:
    """The steps and notes recorded so far.

    Attributes:
        bases: name of a component to its URL; an address below it is written as `${name.url}`.
        steps: of the test.
        notes: what is not in the steps, and why.
        expectations: how many of the steps expect something.
    """

    bases: Mapping[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    @property
    def expectations(self) -> int:
        """Return the number of steps that can fail by what the page shows."""
        return sum(1 for step in self.steps for verb in step if verb in {"expect", "wait"})

    def note(self, text: str) -> None:
        """Report once what is left out."""
        if text not in self.notes:
            self.notes.append(text)

    def add(self, verb: str, target: Target | None = None, **fields: Any) -> None:
        """Add a step. Texts are taken literally: a `${` in them is no name."""
        self.steps.append({verb: literal({**(target or {}), **fields})})

    def goto(self, url: str) -> None:
        """Open an address."""
        self.steps.append({"goto": self.address(url)})

    def press(self, key: str) -> None:
        """Press a key wherever the focus is."""
        self.steps.append({"press": literal(key)})

    def page(self, name: str) -> None:
        """Return to a page."""
        self.steps.append({"page": name})

    def fill(self, target: Target, value: str, *, secret: bool = False) -> None:
        """Replace the content of an input; a later content of the same input replaces an earlier one.

        Args:
            target: the input.
            value: its content.
            secret: it is a password field, whatever its name.
        """
        body = literal(target)
        words = " ".join(str(target.get(key, "")) for key in ("name", "label", "placeholder", "testid", "css"))
        if secret or _PASSWORD.search(words):
            self.secrets.add(SECRET)
            value = f"${{env.{SECRET}}}"
        else:
            value = literal(value)
        last = self.steps[-1].get("fill") if self.steps else None
        if last is not None and {key: part for key, part in last.items() if key != "value"} == body:
            self.steps.pop()
        self.steps.append({"fill": {**body, "value": value}})

    def dialog(self, *, accept: bool, text: str | None = None) -> None:
        """Put the answer to a dialog before the action that opened it."""
        answer: Step = {"accept": accept, **({"text": literal(text)} if text and accept else {})}
        self.steps.insert(self._action(), {"dialog": answer})

    def upload(self, files: Sequence[str], *, target: Target | None = None) -> None:
        """Choose files: of an element, or of the file chooser that the last click has opened."""
        if target is not None:
            self.add("upload", target, files=list(files))
            return
        place = self._action()
        step = self.steps[place] if place < len(self.steps) else {}
        if "click" not in step:
            self.note("a file chooser was answered that no click had opened: the upload is left out")
            return
        self.steps[place] = {"upload": {**_without_click(step["click"]), "files": literal(list(files))}}

    def download(self, name: str) -> None:
        """Make the click that began a download a step that waits for the file."""
        place = self._action()
        step = self.steps[place] if place < len(self.steps) else {}
        if "click" not in step:
            self.note(f'the download of "{name}" was begun by no click: it is left out')
            return
        target = _without_click(step["click"])
        self.steps[place] = {"download": {**target, "as": literal(PurePosixPath(name).name or "download")}}

    def address(self, url: str) -> str:
        """Return an address as a spec has it: below the URL of a component by the name of that."""
        for name, base in sorted(self.bases.items(), key=lambda item: -len(item[1])):
            stem = base.rstrip("/")
            if stem and (url == stem or url.startswith((f"{stem}/", f"{stem}?", f"{stem}#"))):
                return f"${{{name}.url}}{literal(url[len(stem) :])}"
        return str(literal(url))

    def _action(self) -> int:
        """Return the place of the last action; the end if there is none."""
        for place in range(len(self.steps) - 1, -1, -1):
            if _ACTIONS & self.steps[place].keys():
                return place
        return len(self.steps)


def _without_click(body: Mapping[str, Any]) -> Step:
    return {key: value for key, value in body.items() if key not in {"count", "button", "modifiers", "position"}}


def literal(value: Any) -> Any:
    """Return a value in which no text is a name: `${` is written `$${`."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [literal(item) for item in value]
    return value
