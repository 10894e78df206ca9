"""From the reports of Playwright's recorder to steps."""

from __future__ import annotations

import pytest

from orchestra.recording.actions import FAKE_PATH, Answer, Chosen, Event, Recording, draft_of
from orchestra.recording.draft import Draft
from orchestra.recording.suite import step_lines

URL = "http://h:1/"


def locator(kind: str, body: str, **options) -> dict:
    return {"kind": kind, "body": body, "options": {"attrs": [], **options}}


SEND = locator("role", "button", name="Send")
BOX = locator("label", "Message")
REPLY = locator("test-id", "reply")


def act(name: str, where=SEND, *, page="p0", at=0.0, **data) -> Event:
    return Event(page, {"name": name, "locator": where, **data}, at)


def signal(name: str, *, page="p0", **data) -> Event:
    return Event(page, {"name": name, **data}, signal=True)


def opened(page="p0", url=URL) -> Event:
    return Event(page, {"name": "navigate", "url": url})


def recorded(*events: Event, **details) -> tuple[list[str], list[str]]:
    """Return the steps after the first `goto`, and the notes."""
    recording = Recording(URL, [Event("p0", {"name": "openPage", "url": "about:blank"}), opened(), *events], **details)
    draft = draft_of(recording, Draft({"web": URL}))
    first, *steps = (line.removeprefix("- ") for line in step_lines(draft.steps))
    assert first == 'goto: "${web.url}/"'
    return steps, draft.notes


ACTIONS = {
    "a click": (act("click", button="left", modifiers=0, clickCount=1), "click: {role: button, name: Send}"),
    "a click in full": (
        act("click", button="right", modifiers=10, clickCount=2, position={"x": 3, "y": 4}),
        'click: {role: button, name: Send, count: 2, button: right, modifiers: [Control, Shift], position: {x: 3, "y": 4}}',
    ),
    "a fill": (act("fill", BOX, text="a ${b}"), 'fill: {label: Message, value: "a $${b}"}'),
    "a chord": (
        act("press", BOX, key="a", modifiers=2),
        "press: {label: Message, key: Control+a}".replace("Control+a", '"Control+a"'),
    ),
    "a key": (act("press", BOX, key="Enter"), "press: {label: Message, key: Enter}"),
    "an option": (act("select", BOX, options=["a"]), "select: {label: Message, value: a}"),
    "options": (act("select", BOX, options=["a", "b"]), "select: {label: Message, value: [a, b]}"),
    "a check": (act("check", BOX), "check: {label: Message}"),
    "a hover": (act("hover", BOX), "hover: {label: Message}"),
    "another address": (opened(url="http://x/"), 'goto: "http://x/"'),
    "a visible element": (act("assertVisible", REPLY), "expect: {testid: reply, to: {be: visible}}"),
    "a value": (act("assertValue", BOX, value="7"), 'expect: {label: Message, to: {have_value: "7"}}'),
    "a checked box": (act("assertChecked", BOX, checked=True), "expect: {label: Message, to: {be: checked}}"),
    "an unchecked box": (
        act("assertChecked", BOX, checked=False),
        "expect: {label: Message, to: {not: {be: checked}}}",
    ),
    "a text": (
        act("assertText", REPLY, text=" a\n b ", substring=False),
        "expect: {testid: reply, to: {have_text: a b}}",
    ),
    "a part of a text": (act("assertText", REPLY, text="a"), "expect: {testid: reply, to: {contain: a}}"),
    "no text": (act("assertText", REPLY, text=" "), "expect: {testid: reply, to: {be: visible}}"),
    "a long text": (
        act("assertText", REPLY, text="word " * 40, substring=False),
        f"expect: {{testid: reply, to: {{contain: {' '.join(['word'] * 16)}}}}}",
    ),
    "a long word": (act("assertText", REPLY, text="w" * 99), f"expect: {{testid: reply, to: {{contain: {'w' * 80}}}}}"),
    "a text by its text": (
        act("assertText", locator("text", "Sent"), text="Sent", substring=False),
        "expect: {text: Sent, to: {be: visible}}",
    ),
    "a late text": (
        act("assertText", REPLY, text="a", at=12.0),
        "expect: {testid: reply, to: {contain: a}, within_seconds: 20}",
    ),
    "a very late text": (
        act("assertText", REPLY, text="a", at=300.0),
        "expect: {testid: reply, to: {contain: a}, within_seconds: 60}",
    ),
}


@pytest.mark.parametrize("event, step", ACTIONS.values(), ids=ACTIONS)
def test_an_action_is_a_step(event, step):
    assert recorded(event) == ([step], [])


@pytest.mark.parametrize(
    "event, note",
    [
        (act("assertSnapshot", REPLY), "no condition does what assertSnapshot does"),
        (act("drag"), "no step does what drag does"),
        (act("click", locator("role", "heading", attrs=[{"name": "disabled", "value": True}])), "click is left out: a locator by disabled"),
        (signal("dialog"), "a dialog was not answered"),
    ],
)  # fmt: skip
def test_what_no_step_expresses_is_a_note(event, note):
    steps, notes = recorded(event)
    assert (steps, note in notes[0]) == ([], True)


def test_what_an_action_leads_to_is_where_the_spec_has_it():
    click = act("click", clickCount=1)
    events = [click, signal("dialog"), click, signal("dialog"), click, signal("dialog"), click, signal("download")]
    answers = [
        Answer("prompt", accepted=True, text="NVDA"),
        Answer("beforeunload", accepted=True),
        Answer("confirm", accepted=False),
    ]
    assert recorded(*events, answers=answers, downloads=["a.json"]) == (
        [
            "dialog: {accept: true, text: NVDA}",
            "click: {role: button, name: Send}",
            "click: {role: button, name: Send}",
            "dialog: {accept: false}",
            "click: {role: button, name: Send}",
            "download: {role: button, name: Send, as: a.json}",
        ],
        [],
    )


def test_a_click_for_the_focus_is_no_step_and_the_last_content_counts():
    fills = [act("fill", BOX, text=text) for text in ("N", "NV", "NVDA")]
    assert recorded(act("click", BOX, clickCount=1), *fills)[0] == ["fill: {label: Message, value: NVDA}"]


def test_an_update_replaces_the_action_before_it():
    recording = Recording(URL)
    recording.add(act("fill", BOX, text="N"), update=True)
    recording.add(signal("navigation"))
    recording.add(act("fill", BOX, text="NV"), update=True)
    assert [event.data.get("text") for event in recording.events] == ["NV", None]
    assert recording.acted
    assert not Recording(URL, [opened(), signal("popup")]).acted


def test_the_content_of_a_password_field_is_in_no_step():
    steps, _ = recorded(act("fill", BOX, text="hunter2"), secrets={"hunter2"})
    assert steps == ['fill: {label: Message, value: "${env.PASSWORD}"}']


CSS = locator("default", "#file")
FILE = act("fill", CSS, text=f"{FAKE_PATH}a.txt")


@pytest.mark.parametrize(
    "events, chosen, steps",
    [
        ([FILE], [Chosen(("/t/a.txt",))], ['upload: {css: "#file", files: [/t/a.txt]}']),
        (
            [act("click", clickCount=1), FILE],
            [Chosen(("/t/a.txt", "/t/b.txt"), by_click=True)],
            ["upload: {role: button, name: Send, files: [/t/a.txt, /t/b.txt]}"],
        ),
        (
            [act("click", clickCount=1), act("fill", BOX, text=f"{FAKE_PATH}a.txt")],
            [Chosen(("/t/a.txt",), by_click=True)],
            ["upload: {label: Message, files: [/t/a.txt]}"],
        ),
        (
            [act("click", clickCount=1), FILE],
            [Chosen(("/t/a.txt",))],
            ["click: {role: button, name: Send}", 'upload: {css: "#file", files: [/t/a.txt]}'],
        ),
    ],
    ids=["of the input", "by a button", "by a label", "after another click"],
)
def test_chosen_files_are_an_upload(events, chosen, steps):
    assert recorded(*events, chosen=chosen) == (steps, [])


def test_popups_have_names_in_the_order_of_their_opening():
    click = {"clickCount": 1}
    events = [
        act("click", **click),
        signal("popup", popupPageGuid="p1"),
        signal("popup", popupPageGuid="p2"),
        act("click", page="p2", **click),
        act("click", **click),
        signal("popup", popupPageGuid="p3"),
        act("click", page="p9", **click),
    ]
    steps, notes = recorded(*events)
    once = "click: {role: button, name: Send}"
    assert steps == [once, "page: {as: page_1}", "page: {as: page_2}", once, "page: main", once, once]
    assert notes == ["a page was opened by hand: its steps are done on the page before it"]


def test_a_blank_page_is_no_address():
    assert recorded(opened(url="about:blank"), opened(url="chrome-error://chromewebdata/")) == ([], [])
