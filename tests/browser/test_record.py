"""Recorded tests: they pass by both methods, and fail where what they touched is broken."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from subprocess import Popen
from threading import Thread

import httpx
import msgspec
import psutil
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from playwright.sync_api import Error, Page, expect, sync_playwright

from orchestra import plan as plans
from orchestra.agent.browser import command
from orchestra.recording import actions, calls, files
from orchestra.recording.actions import Recording
from orchestra.recording.draft import Draft
from orchestra.recording.session import draft_of
from orchestra.recording.suite import step_lines
from orchestra.runtime.driver.mcp.session import server_environment
from orchestra.runtime.driver.sections import carry_out
from orchestra.runtime.recording import browser
from orchestra.runtime.recording.script import MARK
from orchestra.steps.vocabulary import Step
from orchestra.yamltext.parse import parse
from tests.support.market import Market, impatient
from tests.support.nights import at_night
from tests.support.paths import ROOT
from tests.support.requests import request
from tests.support.servers import GENEROUS_SECONDS, until
from tests.support.site import unused_address

pytestmark = pytest.mark.browser

SECONDS = 1.5
"""How long what a mutation took away is awaited; the reason of the failure is asserted, too."""


@pytest.fixture(scope="module")
def market(chromium):
    shared = Market()
    yield shared
    shared.close()


def patient(test: plans.Test) -> plans.Test:
    """Return the test with a minute for each wait: a busy machine is no failure of a recorded test."""

    def longer(step: Step) -> Step:
        if "within_seconds" not in step.args:
            return step
        return msgspec.structs.replace(step, args={**step.args, "within_seconds": 60.0})

    return msgspec.structs.replace(test, steps=tuple(map(longer, test.steps)))


def outcomes(market, draft: Draft, folder: Path, mutation: str = "", **options) -> dict[str, tuple[str, str]]:
    """Return the outcome of recorded steps by each driver, and why it failed."""
    steps = parse("\n".join(step_lines(draft.steps)).encode(), "steps").data
    results = {}
    for driver in ("playwright", "mcp"):
        own = folder / f"{driver}{mutation}"
        own.mkdir()
        names, found = market.names(mutation), market.browser("chromium")
        asked = request(own, steps, browser=found, driver=driver, names=names, evidence="off", **options)
        test = impatient(asked.test, SECONDS) if mutation else patient(asked.test)
        asked = msgspec.structs.replace(asked, test=test, root=str(folder))
        result = carry_out(asked, market.drivers[driver], market.http)
        results[driver] = (result.outcome, result.failure.message if result.failure else "")
    return results


async def explore(client: Client, url: str, file: str) -> None:
    """Explore the chat, its export, import and dialog as an agent does, by references of snapshots."""

    async def call(tool: str, **arguments: object) -> str:
        result = await client.call_tool(f"browser_{tool}", arguments)
        text = "".join(part.text for part in result.content if part.type == "text")
        assert not result.is_error, text
        return text

    async def named(name: str) -> str:
        """Return the reference of an element in a fresh snapshot."""
        return re.search(rf"{re.escape(name)}.* \[ref=(\w+)\]", await call("snapshot"))[1]

    await call("navigate", url=url)
    await call("wait_for", text="What is NVDA doing?", time=30)
    await call("type", target=await named('textbox "Message"'), text="Market status", submit=True)
    await call("wait_for", text="Dow Jones", time=30)
    await call("verify_element_visible", role="cell", accessibleName="Dow Jones")
    await call("click", target=await named('button "Export JSON"'))
    await call("click", target=await named('button "Clear conversation"'))
    await call("handle_dialog", accept=True)
    await call("click", target=await named('button "Import conversation"'))
    await call("file_upload", paths=[file])
    imported = "Yes, it was imported from a file."
    async with asyncio.timeout(GENEROUS_SECONDS):
        while imported not in await call("snapshot"):  # the tool that verifies it does not wait
            pass
    await call("verify_text_visible", text=imported)


@pytest.mark.parametrize("mutation", ["", at_night("b004")])  # by day a recorded test fails where a person made it
def test_the_session_of_an_agent_becomes_a_test_that_needs_none(market, tmp_path, mutation):
    conversation = tmp_path / "conversation.json"
    conversation.write_bytes((ROOT / "specs/data/conversation.json").read_bytes())
    found = market.browser("chromium")
    program, *arguments = command(found, tmp_path / "server")
    arguments.append("--timeout-action=60000")
    environment = {**server_environment(os.environ), **dict(found.env)}
    start = StdioServerParameters(command=program, args=arguments, env=environment, cwd=tmp_path)

    async def session() -> None:
        async with Client(stdio_client(start)) as client:
            await explore(client, market.names("")["frontend.url"], str(conversation))

    asyncio.run(session())
    log = next((tmp_path / "server").glob("session-*/session.md")).read_text(encoding="utf-8")
    draft = draft_of(calls.read(log), Draft({"frontend": market.names("")["frontend.url"]}))
    assert (draft.notes, draft.expectations) == ([], 4)
    files.relative(draft, tmp_path, str)
    found = outcomes(market, draft, tmp_path, mutation)
    if not mutation:
        assert found == dict.fromkeys(("playwright", "mcp"), ("passed", ""))
        return
    assert {outcome for outcome, _ in found.values()} == {"failed"}, found
    assert all("Dow Jones" in message for _, message in found.values()), found


class Person:
    """Acts in a recorded browser from outside, by its remote debugging port; its page is closed at the end."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def ready(self, text: str) -> None:
        """Wait for the page, and until its recorder has been given its mode: its question came before this one."""
        self.page.get_by_text(text).wait_for()
        self.page.wait_for_function("() => window.__pw_recorderState")
        self.page.evaluate("() => window.__pw_recorderState()")

    def press_over(self, element, key: str) -> None:
        """Press a key with the pointer over an element, and wait until its mark is gone: then it is recorded."""
        element.hover()
        self.page.keyboard.press(key)
        expect(self.page.locator(f"[{MARK}]")).to_have_count(0, timeout=60000)


def own_ports() -> Iterator[int]:
    """Yield free ports that no other program gets by asking for any: they lie below those that the system gives out."""
    for port in range(20000 + os.getpid() % 10000, 32000):
        try:
            with socket.create_server(("127.0.0.1", port)):
                pass
        except OSError:
            continue
        yield port


def with_person(port: int, deed: Callable[[Person], object], recorder: Popen[str] | None = None) -> None:
    """Let a person act in a thread of its own: a driver of the tests may have the Playwright of this one."""

    def live() -> None:
        with sync_playwright() as playwright:
            due = time.monotonic() + GENEROUS_SECONDS
            while True:
                try:
                    page = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}").contexts[0].pages[0]
                    break
                except (Error, IndexError):  # it does not listen yet, or has no page yet
                    if recorder is not None and recorder.poll() is not None:
                        pytest.fail("\n".join(recorder.communicate()))
                    if time.monotonic() > due:
                        raise
                    time.sleep(0.1)
            try:
                page.set_default_timeout(60000)
                deed(Person(page))
            finally:
                page.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(live).result()


def act(person: Person, file: Path) -> None:
    """Use the chat, its export, import and dialog."""
    page = person.page
    page.on("dialog", lambda dialog: dialog.accept())
    person.ready("What is NVDA doing?")
    page.get_by_label("Message").click()
    page.keyboard.type("Market status")
    page.keyboard.press("Enter")
    person.press_over(page.get_by_test_id("reply").get_by_text("Dow Jones", exact=True), "F8")
    with page.expect_download():
        page.get_by_role("button", name="Export JSON").click()
    page.get_by_role("button", name="Clear conversation").click()
    expect(page.get_by_test_id("message")).to_have_count(0, timeout=60000)
    with page.expect_file_chooser() as chooser:
        page.get_by_label("Import conversation").click()
    chooser.value.set_files(file)
    person.press_over(page.get_by_test_id("reply-text"), "Shift+F8")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Theme").select_option("dark")
    page.get_by_label("Compact view").check()
    person.press_over(page.get_by_label("Compact view"), "F8")
    person.press_over(page.get_by_role("button", name="Settings"), "F9")


LIVE = """\
- goto: "${frontend.url}/"
- fill: {role: textbox, name: Message, value: Market status}
- press: {role: textbox, name: Message, key: Enter}
- expect: {text: Dow Jones, exact: true, within: {testid: reply}, to: {be: visible}}
- download: {role: button, name: Export JSON, as: market-conversation.json}
- dialog: {accept: true}
- click: {role: button, name: Clear conversation}
- upload: {role: button, name: Import conversation, files: [scratch/0/conversation.json]}
- expect: {testid: reply-text, to: {be: visible}}
- click: {role: button, name: Settings}
- select: {label: Theme, value: dark}
- check: {role: checkbox, name: Compact view}
- expect: {role: checkbox, name: Compact view, to: {be: checked}}
- hover: {role: button, name: Settings}"""
"""What `act` does."""


def test_what_a_person_does_becomes_a_test(market, tmp_path):
    (tmp_path / "conversation.json").write_bytes((ROOT / "specs/data/conversation.json").read_bytes())
    port = next(own_ports())
    url = market.names("")["frontend.url"]
    wish = browser.Wish(f"{url}/", market.browser("chromium"), os.environ, tmp_path / "scratch", port)
    results: Queue[Recording] = Queue()
    Thread(target=lambda: results.put(browser.record(wish)), daemon=True).start()
    with_person(port, lambda person: act(person, tmp_path / "conversation.json"))
    draft = actions.draft_of(results.get(timeout=120), Draft({"frontend": url}))
    files.relative(draft, tmp_path, str)
    steps = "\n".join(step_lines(draft.steps))
    assert draft.notes == []
    assert steps == LIVE
    assert outcomes(market, draft, tmp_path) == dict.fromkeys(("playwright", "mcp"), ("passed", ""))
    broken = outcomes(market, draft, tmp_path, "b004")
    assert {outcome for outcome, _ in broken.values()} == {"failed"}, broken
    assert all("Dow Jones" in message for _, message in broken.values()), broken


def found_nothing(recorder: Popen[str]) -> None:
    _, errors = recorder.communicate(timeout=120)
    assert ("nothing was recorded" in errors, recorder.returncode) == (True, 2), errors


def test_a_recording_that_cannot_begin_or_is_closed_at_once_changes_no_file(market, project, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    unused = f"{unused_address()}/"
    ports = own_ports()
    begun = [
        project.start("record", unused),
        project.start("record", unused, "--remote", str(next(ports))),
    ]
    without, refused = ((*one.communicate(timeout=120), one.returncode)[1:] for one in begun)
    assert ("xvfb-run orchestra record" in without[0], without[1]) == (True, 3), without
    assert (f'"{unused}" does not load: net::ERR_CONNECTION_REFUSED' in refused[0], refused[1]) == (True, 3), refused
    loaded = market.names("")["frontend.url"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(GENEROUS_SECONDS)
        first, second = next(ports), next(ports)
        control = f"http://127.0.0.1:{first}"
        recorder = project.start("record", f"http://127.0.0.1:{silent.getsockname()[1]}", "--remote", str(first))
        connection, _ = silent.accept()
        with connection:  # no Playwright attaches to a window that waits for its first document
            (window,) = [found for found in httpx.get(f"{control}/json").json() if found["type"] == "page"]
            httpx.get(f"{control}/json/close/{window['id']}").raise_for_status()
            found_nothing(recorder)
    recorder = project.start("record", loaded, "--remote", str(second))
    with_person(second, lambda person: person.page.wait_for_url(f"{loaded}/"), recorder)
    found_nothing(recorder)
    assert not (project.root / "specs").exists()


@pytest.mark.parametrize(
    "sent, code, message",
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGKILL, 2, "nothing was recorded")],
    ids=["Ctrl-C", "Playwright is killed"],
)
def test_a_recording_whose_playwright_ends_is_no_bug(market, project, sent, code, message):
    """Ctrl-C in a terminal reaches each process of its group: the library's own ends without closing the page."""
    port, loaded = next(own_ports()), f"{market.names('')['frontend.url']}/"
    recorder = project.start("record", loaded, "--remote", str(port))
    until(lambda: loaded in addresses_of(port) or recorder.poll() is not None, "the page")
    processes = psutil.Process(recorder.pid).children()
    if sent == signal.SIGINT:
        recorder.send_signal(sent)
    for process in processes:
        process.send_signal(sent)
    _, errors = recorder.communicate(timeout=120)
    assert (message in errors, recorder.returncode) == (True, code), errors
    assert "exception" not in errors.lower(), errors
    assert not (project.root / "specs").exists()


def addresses_of(port: int) -> set[str]:
    """Return the addresses of the pages of a browser that listens, or is about to."""
    try:
        return {page["url"] for page in httpx.get(f"http://127.0.0.1:{port}/json").json()}
    except httpx.TransportError:
        return set()
