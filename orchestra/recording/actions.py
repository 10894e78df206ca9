"""Turn what Playwright's recorder reports of a person's session into steps.

The recorder reports actions and signals (a dialog, a download, a popup) in their order. Their details come from elsewhere:
how a dialog was answered, the name of a download, the content of uploaded files. The n-th detail of a kind belongs to the
n-th report of that kind.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestra.recording.draft import Draft, literal
from orchestra.recording.locator import NoTargetError, Target, of_json

FAKE_PATH = "C:\\fakepath\\"
"""The folder that browsers show to a page in place of that of a chosen file."""

_MODIFIERS = {1: "Alt", 2: "Control", 4: "Meta", 8: "Shift"}
_TEXT_LETTERS = 80
_USUAL_SECONDS = 5.0
_MOST_SECONDS = 60
_BLANK = ("about:blank", "chrome-error:", "chrome://")


@dataclass(frozen=True, slots=True)
class Event:
    """A report of the recorder.

    Attributes:
        page: the id of the page.
        data: of the action or the signal; an action has `locator` in its JSON form.
        at: seconds, by a monotonic clock.
        signal: it is a signal.
    """

    page: str
    data: Mapping[str, Any]
    at: float = 0.0
    signal: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """How a dialog was answered.

    Attributes:
        kind: `alert`, `confirm`, `prompt` or `beforeunload`.
        accepted: or dismissed.
        text: typed into a prompt.
    """

    kind: str
    accepted: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Files that were chosen.

    Attributes:
        paths: where they are.
        by_click: a click on another element opened the chooser.
    """

    paths: tuple[str, ...]
    by_click: bool = False


@dataclass(slots=True)
class Recording:
    """All that was recorded of a session.

    Attributes:
        url: the address that it began with.
        events: in their order.
        answers: of dialogs.
        downloads: names of files.
        chosen: files of uploads.
        secrets: contents that password fields had.
    """

    url: str
    events: list[Event] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    chosen: list[Chosen] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def add(self, event: Event, *, update: bool = False) -> None:
        """Add a report; an update replaces the action before it."""
        if update:
            for place in range(len(self.events) - 1, -1, -1):
                if not self.events[place].signal:
                    self.events[place] = event
                    return
        self.events.append(event)

    @property
    def acted(self) -> bool:
        """Return whether a person has done anything."""
        return any(event.data["name"] not in _OPENING for event in self.events if not event.signal)


_OPENING = frozenset({"openPage", "navigate", "closePage"})


def draft_of(recording: Recording, draft: Draft) -> Draft:
    """Add the steps of a recording to a draft, and return it."""
    _Session(recording, draft).fold()
    return draft


class _Session:
    """The state of one walk over the events."""

    def __init__(self, recording: Recording, draft: Draft) -> None:
        self._recording = recording
        self._draft = draft
        self._answers = iter(recording.answers)
        self._downloads = iter(recording.downloads)
        self._chosen = iter(recording.chosen)
        self._names: dict[str, str] = {}
        self._page = ""
        self._acted_at = 0.0
        self._opened = False
        self._named = frozenset(self._pages_to_name())

    def _pages_to_name(self) -> Iterator[str]:
        """Yield the popups that have a step, and those before them: a page is named in the order of their opening."""
        events = self._recording.events
        acting = {event.page for event in events if not event.signal and event.data["name"] not in _OPENING}
        popups = [
            event.data.get("popupPageGuid", "") for event in events if event.signal and event.data["name"] == "popup"
        ]
        last = max((place for place, page in enumerate(popups) if page in acting), default=-1)
        yield from popups[: last + 1]

    def fold(self) -> None:
        for event in self._recording.events:
            if event.signal:
                self._signal(event)
                continue
            try:
                self._action(event)
            except NoTargetError as error:
                self._draft.note(f"{event.data['name']} is left out: {error}")

    def _signal(self, event: Event) -> None:
        name = event.data["name"]
        if name == "dialog":
            answer = next(self._answers, None)
            if answer is None:
                self._draft.note("a dialog was not answered: it is left out")
            elif answer.kind != "beforeunload" or not answer.accepted:
                self._draft.dialog(accept=answer.accepted, text=answer.text)
        elif name == "download":
            self._draft.download(next(self._downloads, "download"))
        elif name == "popup" and event.data.get("popupPageGuid") in self._named:
            page = event.data["popupPageGuid"]
            self._names[page] = f"page_{len(self._names)}"
            self._page = page
            self._draft.steps.append({"page": {"as": self._names[page]}})

    def _action(self, event: Event) -> None:
        name, data = event.data["name"], event.data
        if name in {"openPage", "closePage"}:
            return
        if name == "navigate":
            self._navigate(event)
            return
        self._on(event.page)
        if name.startswith("assert"):
            self._expect(name, data, event.at)
            return
        self._acted_at = event.at
        if name == "fill" and str(data["text"]).startswith(FAKE_PATH):
            self._upload(of_json(data.get("locator")))
        else:
            self._act(name, data)

    def _on(self, page: str) -> None:
        """Continue on the page of the next action."""
        if page == self._page:
            return
        if not self._names:
            self._names[page] = "main"
        elif page not in self._names:
            self._draft.note("a page was opened by hand: its steps are done on the page before it")
            self._names[page] = self._names.get(self._page, "main")
        elif self._names[page] != self._names.get(self._page):
            self._draft.page(self._names[page])
        self._page = page

    def _navigate(self, event: Event) -> None:
        url = str(event.data["url"])
        if url.startswith(_BLANK):
            return
        self._on(event.page)
        self._acted_at = event.at
        self._draft.goto(url if self._opened else self._recording.url)
        self._opened = True

    def _act(self, name: str, data: Mapping[str, Any]) -> None:
        target, draft = of_json(data.get("locator")), self._draft
        if name == "click":
            draft.add("click", target, **_click_fields(data))
        elif name == "fill":
            if draft.steps and draft.steps[-1] == {"click": literal(target)}:
                draft.steps.pop()  # by which it got the focus
            draft.fill(target, str(data["text"]), secret=data["text"] in self._recording.secrets)
        elif name == "press":
            keys = [*_modifiers(data), str(data["key"])]
            draft.add("press", target, key="+".join(keys))
        elif name == "select":
            options = [str(option) for option in data["options"]]
            draft.add("select", target, value=options[0] if len(options) == 1 else options)
        elif name in {"check", "uncheck", "hover"}:
            draft.add(name, target)
        else:
            draft.note(f"no step does what {name} does: it is left out")

    def _upload(self, target: Target) -> None:
        chosen = next(self._chosen, Chosen(()))
        steps = self._draft.steps
        click = steps[-1].get("click") if chosen.by_click and steps else None
        if click is not None:
            steps.pop()
            if "css" in target:
                target = {key: value for key, value in click.items() if key not in {"count", "button", "modifiers"}}
        self._draft.upload(chosen.paths, target=target)

    def _expect(self, name: str, data: Mapping[str, Any], at: float) -> None:
        condition = _condition(name, data)
        if condition is None:
            self._draft.note(f"no condition does what {name} does: it is left out")
            return
        target = of_json(data.get("locator"))
        if "text" in target and condition.keys() & {"contain", "have_text"}:
            condition = {"be": "visible"}  # that it has this text is how it is found
        late = at - self._acted_at
        limit = {"within_seconds": min(_MOST_SECONDS, math.ceil(late / 10) * 10)} if late > _USUAL_SECONDS else {}
        self._draft.add("expect", target, to=condition, **limit)


def _condition(name: str, data: Mapping[str, Any]) -> dict[str, Any] | None:
    if name == "assertVisible":
        return {"be": "visible"}
    if name == "assertValue":
        return {"have_value": str(data["value"])}
    if name == "assertChecked":
        return {"be": "checked"} if data["checked"] else {"not": {"be": "checked"}}
    if name == "assertText":
        text = " ".join(str(data["text"]).split())
        if not text:
            return {"be": "visible"}
        whole = len(text) <= _TEXT_LETTERS and not data.get("substring", True)
        return {"have_text" if whole else "contain": _short(text)}
    return None


def _short(text: str) -> str:
    """Return the beginning of a long text, up to a whole word."""
    if len(text) <= _TEXT_LETTERS:
        return text
    return text[: _TEXT_LETTERS + 1].rpartition(" ")[0] or text[:_TEXT_LETTERS]


def _click_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if data.get("clickCount", 1) > 1:
        fields["count"] = data["clickCount"]
    if data.get("button", "left") != "left":
        fields["button"] = data["button"]
    if modifiers := _modifiers(data):
        fields["modifiers"] = modifiers
    if data.get("position"):
        fields["position"] = {axis: data["position"][axis] for axis in ("x", "y")}
    return fields


def _modifiers(data: Mapping[str, Any]) -> list[str]:
    mask = int(data.get("modifiers", 0))
    return [name for bit, name in _MODIFIERS.items() if mask & bit]
