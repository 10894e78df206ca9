"""One session over many tests: what each leaves behind, what is lost and comes back, and that nothing passes by it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from orchestra.ledger.parts import Died
from orchestra.runtime import bounded
from orchestra.runtime.attempt import BEGUN
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.mcp.client import (
    TOOLS,
    CallOverError,
    Server,
    ServerHungError,
    ServerLostError,
    ServerUnfitError,
    Start,
)
from orchestra.runtime.driver.mcp.devtools import COLLECT_AFTER
from orchestra.runtime.driver.mcp.driver import McpDriver
from orchestra.runtime.driver.mcp.loop import Loop
from orchestra.runtime.driver.mcp.result import answer_of
from orchestra.runtime.driver.sections import carry_out
from orchestra.runtime.processes.process import Process, alive, end_tree, spawn, tree
from tests.support.mcp_page import Ran, Started, ground
from tests.support.nights import at_night
from tests.support.requests import request
from tests.support.servers import until

browser = pytest.mark.browser


@pytest.fixture(scope="module")
def site():
    with ground() as here:
        yield here


@pytest.fixture(scope="module")
def started():
    return Started()


@pytest.fixture(scope="module")
def warm(tmp_path_factory, chromium, site, started):
    """A driver with a session: each test is behind another, whichever of them is the first of its worker."""
    driver = McpDriver(os.environ, patience_seconds=2.0)
    ran = Ran(driver, tmp_path_factory.mktemp("first"), chromium, {"url": site.url, "other": site.other}, started)
    passed(ran(OPEN, HEADING))
    yield driver
    driver.close()


@pytest.fixture
def run(tmp_path, warm, chromium, site, started):
    site.deeds.clear()
    site.done.clear()
    return Ran(warm, tmp_path, chromium, {"url": site.url, "other": site.other}, started)


OPEN = {"goto": "${url}"}


def at(name):
    return {"goto": "${url}#" + name}


def press(name):
    return {"click": {"role": "button", "name": name, "exact": True}}


def logged(text, within=5):
    return {"expect": {"testid": "log", "to": {"have_text": text}, "within_seconds": within}}


HEADING = {"expect": {"role": "heading", "name": "Ground", "to": {"be": "visible"}}}
LATE = {"wait": {"testid": "late", "within_seconds": 20}}


def passed(result):
    assert result.outcome == "passed", (result.failure, result.facts)
    return result.session


def died(part, reason, *recovery_steps, before=False):
    return Died(part=part, reason=reason, recovery_steps=recovery_steps, before=before)


def timeless(parts):
    """The parts that died, without how long each was away."""
    return tuple(msgspec.structs.replace(part, seconds=0.0) for part in parts)


def failure(result, outcome, fault):
    assert (result.outcome, result.failure and result.failure.kind) == (outcome, fault), result
    return result.failure


# ---------------------------------------------------------------------------------------------------------- one session


@browser
def test_a_test_that_fails_before_its_first_page_has_no_network_of_the_test_before(run):
    result = run(
        OPEN,
        {"evaluate": "() => fetch('/missing')"},
        {"click": {"css": "#none", "within_seconds": 0.2}},
        evidence="on_failure",
    )
    assert "network.log" in {one.path for one in result.evidence}
    result = run({"click": {"css": "#none", "within_seconds": 0.2}}, evidence="on_failure")
    failure(result, "failed", "assertion")
    assert "failure.png" in {one.path for one in result.evidence}
    assert "network.log" not in {one.path for one in result.evidence}


@browser
def test_the_session_is_the_same_in_every_test_and_told_with_each(run):
    first = passed(run(OPEN, HEADING))
    server = run.server_pid
    second = passed(run(OPEN, HEADING))
    assert run.server_pid == server
    assert {first.session, first.started} == {second.session, second.started}
    assert second.continuity == "kept"
    assert second.reason == ""
    assert (second.url, second.title, second.tabs) == (run._names["url"], "Ground", 1)
    assert second.browser.startswith("chromium ")
    assert second.method == "mcp"


STORE = """async () => {
  localStorage.setItem('a', '1'); sessionStorage.setItem('b', '2'); document.cookie = 'c=3'; window.name = 'd';
  await new Promise((done, fail) => { const open = indexedDB.open('e', 1); open.onsuccess = done; open.onerror = fail; });
  const dbs = (await indexedDB.databases()).map((one) => one.name); indexedDB.open('e'); return dbs; }"""
STORED = """async () => [localStorage.getItem('a'), sessionStorage.getItem('b'), document.cookie, window.name,
  (await indexedDB.databases()).map((one) => one.name), innerWidth]"""
NOTHING = [None, None, "", "", [], 1280]


def stored(*urls):
    return [step for url in urls for step in ({"goto": url}, {"evaluate": {"script": STORED, "save": "found"}})]


@browser
def test_storage_of_every_kind_is_forgotten_between_tests(run):
    narrow = {"viewport": {"width": 400, "height": 400}}
    left = passed(run(OPEN, {"evaluate": STORE}, {"goto": "${other}"}, {"evaluate": STORE}, narrow))
    assert left.storage not in (None, "-")
    judge = {"evaluate": {"script": STORED, "equals": NOTHING}}
    now = run(OPEN, judge, {"goto": "${other}"}, judge, "back", "back", "back")
    assert failure(now, "failed", "assertion").message == "back has no page to go to"  # nor one of the test before
    assert (now.failure.step, run.session(now).storage) == (6, "-")
    assert run.session(now).url == "about:blank"


@browser
def test_documents_of_many_tests_do_not_stay_in_the_process_of_the_page(run, warm):
    browser = warm.session.browser

    async def documents():
        session = await browser.context.new_cdp_session(browser.page)
        return (await session.send("Memory.getDOMCounters"))["documents"]

    for number in range(2 * COLLECT_AFTER):
        passed(run(OPEN))
        if (
            number >= COLLECT_AFTER / 2 and browser.devtools.uses % COLLECT_AFTER == 0
        ):  # it has just collected those of five tests or more
            break
    assert warm.session._loop.run(documents(), 30) <= 3


@browser
def test_storage_of_the_only_site_is_forgotten_between_tests(run):
    judge = {"evaluate": {"script": STORED, "equals": NOTHING}}
    assert passed(run(OPEN, {"evaluate": STORE})).storage not in (None, "-")
    assert passed(run(OPEN, judge, {"evaluate": STORE})).storage not in (None, "-")
    assert passed(run({"goto": "${other}"}, judge)).storage == "-"
    assert passed(run(OPEN, judge)).storage == "-"


@browser
def test_a_page_reset_keeps_what_is_stored(run):
    passed(run(OPEN, {"evaluate": STORE}, {"viewport": {"width": 400, "height": 400}}))
    kept = ["1", "2", "c=3", "", ["e"], 1280]
    script = STORED.replace("window.name", "''")
    passed(run(OPEN, {"evaluate": {"script": script, "equals": kept}}, reset="page"))


def shows(handler: str) -> dict[str, str]:
    """Return a step that puts a button on the page; its text is whether Shift was held in a click."""
    made = f"document.body.innerHTML = '<button data-testid=b onclick=\\'this.textContent = event.shiftKey\\'>?</button>'; {handler}"
    return {"evaluate": f"() => {{ {made} }}"}


ASKS = (
    "document.querySelector('button').onclick = (event) => { alert('a'); event.target.textContent = event.shiftKey };"
)
TEXT = {"expect": {"testid": "b", "to": {"have_text": "false"}}}


@browser
def test_both_clicks_of_a_double_click_may_open_a_dialog(run):
    click = {"testid": "b", "count": 2, "within_seconds": 10}
    shifted = {"expect": {"testid": "b", "to": {"have_text": "true"}}}
    passed(run(OPEN, shows(ASKS), {"click": {**click, "modifiers": ["Shift"]}}, shifted, {"click": click}, TEXT))


@browser
def test_a_key_that_a_call_has_left_pressed_is_released_before_the_next_test(run, warm):
    passed(run(OPEN))
    warm.session.server.call("browser_run_code_unsafe", {"code": "async (page) => page.keyboard.down('Shift')"}, 10.0)
    warm.session.pressed = True
    passed(run(OPEN, shows(""), {"click": {"testid": "b"}}, TEXT, reset="page"))


@browser
def test_without_a_reset_the_page_stays_where_it_is(run):
    passed(run(OPEN, press("Plain")))
    session = passed(run(logged("plain;"), reset="none"))
    assert session.continuity == "kept"


@browser
def test_permissions_are_those_of_every_test(run):
    copy = "async () => { await navigator.clipboard.writeText('x'); return navigator.clipboard.readText() }"
    for _ in range(2):
        passed(run(OPEN, {"evaluate": {"script": copy, "equals": "x"}}))


# ------------------------------------------------------------------------------------------- what a test leaves behind


def next_one(run, reason):
    """The next test passes, in the same browser, and says what was mended."""
    before = run.browser_process().pid
    session = passed(run(OPEN, HEADING, press("Plain"), logged("plain;")))
    assert session.continuity == "restored"
    assert reason in session.reason
    assert session.tabs == 1
    assert run.browser_process().pid == before
    assert passed(run(OPEN, HEADING)).continuity == "kept"


@browser
def test_a_dialog_left_open(run, site):
    over = threading.Event()
    site.deeds["wait"] = lambda: over.wait(60)
    asked = {"evaluate": "() => { setTimeout(() => fetch('/do/wait').then(() => alert('left open')), 20) }"}
    passed(run(OPEN, asked, {"http": {"GET": "${url}"}}, {"set": {"a": 1}}))
    over.set()
    until(lambda: run.driver.session.browser.watch.dialog is not None, "the dialog")
    next_one(run, "a dialog was left open")


@browser
def test_a_dialog_that_opens_while_the_page_is_left(run):
    """The browser may hold the page for ever then: it is given up, not the browser."""
    opens = "() => { setTimeout(() => setInterval(() => alert('again'), 1), 20) }"  # while the test ends, and again
    passed(run(OPEN, {"evaluate": opens}))
    before = run.browser_process().pid
    session = passed(run(OPEN, HEADING))
    assert (session.died, session.tabs, run.browser_process().pid) == ((), 1, before)


@browser
def test_a_window_left_open(run):
    session = passed(run(OPEN, press("Window"), HEADING))
    assert session.tabs == 2
    next_one(run, "1 more window was open")


@browser
def test_a_page_that_is_closed(run, site):
    site.deeds["kill"] = run.close_page
    told = failure(run(at("kill"), press("Do"), HEADING), "failed", "assertion")
    assert told.message == "the page was closed"
    assert told.step == 1
    next_one(run, "the page was closed")


@browser
def test_a_page_that_is_closed_while_something_is_to_be_hidden(run, site):
    """The server would go on in a blank page, in which everything is hidden."""
    site.deeds["kill"] = run.close_page
    gone = {"expect": {"role": "heading", "to": {"be": "hidden"}, "within_seconds": 10}}
    told = failure(run(at("kill"), {"evaluate": KILL_SOON}, gone), "failed", "assertion")
    assert told.message == "the page was closed"
    next_one(run, "the page was closed")


@browser
def test_a_page_that_never_answers_again(run):
    result = run(OPEN, {"evaluate": "() => { for (;;) {} }"}, HEADING, timeout_seconds=2.0)
    told = failure(result, "timeout", "timeout")
    assert told.message == "the test's 2 s were over in step 2 (evaluate): the page hangs"
    assert [one.path for one in result.evidence if one.kind == "mcp"] == ["mcp.jsonl"]
    session = passed(run(OPEN, HEADING))
    assert session.session == result.session.session
    assert session.tabs == 1


@browser
def test_finally_has_a_page_even_if_that_of_the_test_hangs(run):
    passed(run(OPEN, HEADING))  # the session has begun
    # It hangs a moment after the click: what is awaited must not be there already. `finally` has as long again.
    result = run(OPEN, press("Hang"), LATE, timeout_seconds=4.5, last=[OPEN, HEADING])
    failure(result, "timeout", "timeout")
    assert "finally_failed" not in result.facts
    assert result.session.continuity == "restored"
    assert "the page did not answer" in result.session.reason


# ----------------------------------------------------------------------------------------------------- loss and return


@browser
def test_a_server_that_died_between_two_tests(run):
    passed(run(OPEN, HEADING))
    server = run.driver.session.server
    run.kill_server()
    until(lambda: not server.alive(), "the end of the server")
    session = passed(run(OPEN, HEADING))
    assert session.tabs == 1
    assert timeless(session.died) == (died("server", "the MCP server had died", "restart", before=True),)
    assert session.died[0].seconds > 0
    assert passed(run(OPEN, HEADING)).died == ()


@browser
def test_a_server_that_does_not_come_back_is_told_as_lost_until_it_does(run, site, monkeypatch):
    def unfit():
        raise ServerUnfitError("the MCP server does not start: on purpose")

    passed(run(OPEN))
    site.deeds["kill"] = run.kill_server
    monkeypatch.setattr(run.driver.session, "_start_server", unfit)
    result = run(OPEN, {"http": {"GET": site.url.replace("/page", "/do/kill")}}, HEADING)
    assert failure(result, "error", "crash").message == "the MCP server does not start: on purpose"
    [told] = result.session.died
    assert (told.part, told.recovery_steps, told.before) == ("server", (), False)
    assert result.session.alive["server"] is False
    monkeypatch.undo()
    session = passed(run(OPEN, HEADING))
    assert timeless(session.died) == (died("server", "the MCP server had died", "restart", before=True),)
    assert session.died[0].seconds > 0


@browser
def test_a_page_of_which_the_server_hears_before_us_is_opened(run, monkeypatch):
    """Each has a connection of its own; on a busy machine ours may be the later one, until it is asked something."""
    passed(run(OPEN))
    watch, context, held = run.driver.session.browser.watch, run.driver.session.browser.context, []
    answered, counts, cookies = Server.call, watch._counts_for, context.cookies

    def hold(frame):
        held.append(frame)
        return False

    def call(server, tool, *args, **more):
        if tool == "browser_navigate":
            monkeypatch.setattr(watch, "_counts_for", hold)
        return answered(server, tool, *args, **more)

    async def ask(*args):
        monkeypatch.setattr(watch, "_counts_for", counts)
        for frame in held:
            watch._on_navigated(frame)
        return await cookies(*args)

    monkeypatch.setattr(Server, "call", call)
    monkeypatch.setattr(context, "cookies", ask)
    passed(run(OPEN, HEADING))
    assert held


@browser
def test_a_server_that_hears_late_of_a_dialog_between_two_tests_opens_the_next_page(run):
    """It takes the dialog for open, opens nothing, and hears that it is closed before it answers: one time in five."""
    unsaved = {"evaluate": "() => { onbeforeunload = (event) => event.preventDefault() }"}
    for _ in range(5):
        passed(run(OPEN, unsaved, {"click": {"role": "heading", "name": "Ground"}}))
        pid = run.driver.session.server_pid
        os.kill(pid, signal.SIGSTOP)
        wakes = threading.Timer(0.7, os.kill, (pid, signal.SIGCONT))
        wakes.start()
        passed(run(OPEN, HEADING))
        wakes.join()
        assert run.driver.session.server_pid == pid


@browser
def test_a_server_killed_in_a_wait_is_replaced_on_the_same_page(run, site):
    site.deeds["kill"] = run.kill_server
    result = run(at("kill"), press("Plain"), {"evaluate": KILL_SOON}, LATE, logged("plain;"))
    session = passed(result)
    assert site.done == ["kill"]
    assert result.facts["mcp_restarts"] == 1
    assert session.continuity == "restored"
    # The kill comes in a call of the wait, or between two of them.
    assert session.reason in {"the MCP server died", "the MCP server was gone"}
    assert [(one.part, one.before) for one in session.died] == [("server", False)]


KILL_SOON = "() => { setTimeout(() => fetch('/do/kill'), 300); setTimeout(() => later('there'), 1500) }"


@browser
def test_a_server_killed_in_a_click_ends_the_attempt(run, site):
    site.deeds["kill"] = run.kill_server
    told = failure(run(at("kill"), press("Do"), logged("click;")), "error", "crash")
    assert told.message == "the MCP server died in this step, which is not repeatable"
    assert told.step == 1
    passed(run(OPEN, HEADING))


@browser
def test_a_server_that_hangs_is_replaced(run, site):
    site.deeds["kill"] = run.stop_server
    old = run.driver.session.server.pid if run.driver.session else None
    result = run(at("kill"), {"evaluate": KILL_SOON}, LATE)
    session = passed(result)
    assert "the MCP server does not answer" in session.reason
    assert run.server_pid != old
    assert not psutil.pid_exists(old) if old else True


@browser
def test_a_server_that_hangs_longer_than_a_step_may_take_is_no_slow_page(run, site):
    passed(run(OPEN))
    site.deeds["kill"] = run.stop_server
    late = {"expect": {"testid": "late", "to": {"be": "visible"}, "within_seconds": 1.2}}
    stop = {"http": {"GET": site.url.replace("/page", "/do/kill")}}
    result = run(OPEN, {"evaluate": "() => later('there')"}, stop, late)
    # The new server may be too slow for the rest of the step: then the run holds the failure, because of this incident.
    assert [(one.part, one.recovery_steps) for one in result.session.died] == [("server", ("restart",))]


@pytest.mark.nightly  # a server that hangs is ended, and then it has died: both are tried by day
@browser
def test_a_server_that_hangs_in_a_click_ends_the_attempt(run, site):
    passed(run(OPEN))
    site.deeds["kill"] = run.stop_server
    told = failure(run(at("kill"), press("Do"), logged("click;")), "error", "crash")
    assert told.message == "the MCP server does not answer in this step, which is not repeatable"
    passed(run(OPEN, HEADING))


@browser
def test_a_renderer_that_crashes_is_never_a_pass(run, site):
    def crash():
        for process in run.renderers():
            process.kill()

    passed(run(OPEN))
    site.deeds["kill"] = crash
    gone = {"expect": {"testid": "count", "to": {"be": "hidden"}, "within_seconds": 10}}
    crashed = run(at("kill"), {"evaluate": KILL_SOON}, gone)
    assert failure(crashed, "error", "crash").message == "the page crashed in this step"
    session = crashed.session
    assert session.died == (died("browser", "the page crashed"),)
    assert session.alive == {"browser": False, "server": True}
    before = run.browser_process().pid
    session = passed(run(OPEN, HEADING, press("Plain"), logged("plain;")))
    assert (session.continuity, session.tabs) == ("lost", 1)
    assert session.died == (died("browser", "the page had crashed", "page", before=True),)
    assert run.browser_process().pid == before, "only the page was lost"
    assert passed(run(OPEN, HEADING)).continuity == "kept"


@browser
def test_what_was_stored_is_there_behind_a_renderer_that_crashed(run, site):
    store = {"evaluate": "() => { localStorage.setItem('a', '1'); document.cookie = 'c=3' }"}
    site.deeds["kill"] = lambda: [process.kill() for process in run.renderers()]
    crashed = run(at("kill"), store, {"evaluate": KILL_SOON}, LATE, reset="page")
    failure(crashed, "error", "crash")
    found = {"evaluate": {"script": "() => [localStorage.getItem('a'), document.cookie]", "equals": ["1", "c=3"]}}
    assert passed(run(OPEN, found, reset="page")).continuity == "lost"


@browser
def test_what_came_back_with_a_new_browser_is_forgotten_without_a_visit(run):
    passed(run(OPEN, {"evaluate": "() => { localStorage.setItem('a', '1'); }"}, reset="page"))
    run.browser_process().kill()
    passed(run({"goto": "${other}"}, reset="page"))
    passed(run(OPEN, {"evaluate": {"script": STORED, "equals": NOTHING}}))


@browser
def test_a_browser_that_is_killed_is_never_a_pass(run, site):
    first = passed(run(OPEN))
    site.deeds["kill"] = lambda: run.browser_process().kill()
    gone = {"expect": {"testid": "count", "to": {"be": "hidden"}, "within_seconds": 10}}
    told = failure(run(at("kill"), {"evaluate": KILL_SOON}, gone), "error", "crash")
    assert told.message == "the browser died in this step"
    session = passed(run(OPEN, HEADING))
    assert session.continuity == "lost"
    assert [(one.part, one.recovery_steps) for one in session.died] == [("browser", ("relaunch",))]
    assert session.session != first.session
    assert passed(run(OPEN, HEADING)).continuity == "kept"


@browser
def test_what_was_stored_comes_back_with_a_new_browser(run):
    passed(run(OPEN, {"evaluate": "() => { localStorage.setItem('a', '1'); document.cookie = 'c=3' }"}, reset="page"))
    run.browser_process().kill()
    found = {"evaluate": {"script": "() => [localStorage.getItem('a'), document.cookie]", "equals": ["1", "c=3"]}}
    assert passed(run(OPEN, found, reset="page")).continuity == "lost"


@pytest.mark.nightly  # more moments of what the tests before kill at a certain one
@browser
def test_kills_at_seeded_moments_change_no_verdict(run, site):
    """The short form of bench/mcp.py: what may be done twice passes, what may not is a crash, nothing else comes of it."""
    for seed in range(4):
        site.deeds["kill"] = run.kill_server
        soon = f"() => {{ setTimeout(() => fetch('/do/kill'), {seed * 130 + 20}); setTimeout(() => later('x'), 900) }}"
        result = run(at("kill"), {"evaluate": soon}, press("Plain"), logged("plain;"), LATE)
        assert (result.outcome, result.failure and result.failure.kind) in {("passed", None), ("error", "crash")}
        assert result.session.tabs == 1


# ------------------------------------------------------------------------------------------------------- the processes


def ours(chromium, folder, site) -> bytes:
    asked = request(folder, [{"goto": site.url}, HEADING], browser=chromium, driver="mcp", names={"url": site.url})
    return msgspec.json.encode(asked) + b"\n"


def worker(folder: Path) -> Process:
    with (folder / "worker.log").open("wb") as log:
        return spawn(
            [sys.executable, "-m", "orchestra.runtime.worker"],
            cwd=Path.cwd(),
            env=os.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            mark=f"test-{os.getpid()}/worker-{folder.name}",
        )


def begin(chromium, folder, site) -> tuple[Process, list[psutil.Process]]:
    process = worker(folder)
    process.popen.stdin.write(ours(chromium, folder, site))
    process.popen.stdin.flush()
    assert process.popen.stdout.readline().strip() == BEGUN
    said = msgspec.json.decode(process.popen.stdout.readline())
    assert said["outcome"] == "passed", said
    living = tree(process.pid, process.mark)
    assert len(living) > 4  # worker, Playwright, MCP server, browser and its parts
    return process, living


@pytest.mark.nightly  # test_worker.py closes it by day; the next test ends all that this method has
@browser
def test_nothing_is_left_when_stdin_is_closed(chromium, tmp_path, site):
    process, living = begin(chromium, tmp_path, site)
    process.popen.stdin.close()
    process.popen.stdout.close()
    assert process.popen.wait(60) == 0, (tmp_path / "worker.log").read_text()
    psutil.wait_procs(living, timeout=30)
    assert tree(process.pid, process.mark, reaped=True) == []
    assert "Traceback" not in (tmp_path / "worker.log").read_text()


@browser
def test_nothing_is_left_of_a_worker_that_was_killed(chromium, tmp_path, site):
    process, living = begin(chromium, tmp_path, site)
    process.popen.kill()
    process.popen.wait()
    end_tree(process, grace_seconds=0.0)
    process.popen.stdin.close()
    process.popen.stdout.close()
    assert tree(process.pid, process.mark, reaped=True) == []
    assert [one for one in living if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []


@browser
def test_secrets_are_not_in_the_calls_in_whatever_way_a_step_writes_them(run, monkeypatch):
    secret = "p<w'\\it\"h/&all"
    monkeypatch.setitem(os.environ, "TOKEN", secret)
    run._names["env.TOKEN"] = secret
    wanted = {"expect": {"css": "h1", "within_seconds": 0.1, "to": {"have_text": "${env.TOKEN}"}}}
    target = {"expect": {"text": "${env.TOKEN}", "within_seconds": 0.1, "to": {"be": "hidden"}}}
    result = run(OPEN, target, wanted, evidence="always", secrets=("TOKEN",))
    assert result.outcome == "failed"
    text = (run.at / "mcp.jsonl").read_text()
    assert not [part for part in ("p<w", "with", "/&all", "it\\") if part in text]
    assert text.count("***TOKEN***") >= 2
    assert all(json.loads(line) for line in text.splitlines())


# ---------------------------------------------------------------------------------------------------- client and server


SERVER = """
import anyio, sys, time
from mcp.server import MCPServer
server = MCPServer("Playwright", version={version!r})
for name in {tools!r}:
    server.add_tool(lambda: "fine", name=name)
async def slow():
    await anyio.sleep(60)
def die():
    import os; os._exit(3)
def hang():
    import os, signal; os.kill(os.getpid(), signal.SIGSTOP)
server.add_tool(slow); server.add_tool(die); server.add_tool(hang)
server.run("stdio")
"""


@pytest.fixture(scope="module")
def loop():
    one = Loop("test")
    yield one
    one.close()


def start(folder: Path, program: str) -> Start:
    return Start((sys.executable, "-c", program), folder, dict(os.environ), folder / "server.log")


def fake(folder: Path, version="1.64.0", tools=TOOLS) -> Start:
    return start(folder, SERVER.format(version=version, tools=sorted(tools)))


@pytest.mark.parametrize(
    "said, words",
    [
        (
            {"version": "1.63.9"},
            'the MCP server is version "1.63.9"; this driver knows 1.64 up to, not including, 1.66',
        ),
        at_night({"version": "2.0.0"}, '"2.0.0"'),
        at_night({"version": "new"}, '"new"'),
        ({"tools": TOOLS - {"browser_click", "browser_type"}}, "lacks the tools browser_click, browser_type"),
    ],
)
def test_a_server_that_is_not_the_one_is_refused(loop, tmp_path, said, words):
    bounded.close()  # a helper of a test before
    before = set(psutil.Process().children())
    with pytest.raises(ServerUnfitError) as told:
        Server(loop, fake(tmp_path, **said))
    assert words in str(told.value)
    after = set(psutil.Process().children()) - before
    assert not [child for child in after if alive(child) and child.name().startswith("python")]


def test_a_server_that_ends_at_once_is_told(loop, tmp_path):
    with pytest.raises(ServerUnfitError, match="the MCP server does not start"):
        Server(loop, start(tmp_path, "import sys; sys.exit('no library')"))
    assert "no library" in (tmp_path / "server.log").read_text()
    with pytest.raises(ServerUnfitError, match="the MCP server does not start"):
        Server(loop, Start(("/nowhere/node",), tmp_path, {}, tmp_path / "server.log"))


def test_what_becomes_of_a_call(loop, tmp_path):
    server = Server(loop, fake(tmp_path), patience_seconds=1.0)
    assert (server.version, server.alive()) == ("1.64.0", True)
    assert server.call("browser_click", {}, 10).text == "fine"
    assert server.call("nothing", {}, 10).failed
    with pytest.raises(CallOverError):
        server.call("slow", {}, 0.3)
    with pytest.raises(CallOverError):  # it answers pings meanwhile
        server.call("slow", {}, 2.5)
    with pytest.raises(ServerHungError):
        server.call("hang", {}, 30)
    server.kill()
    assert not server.alive()
    with pytest.raises(ServerLostError):
        server.call("browser_click", {}, 10)


def test_a_server_that_hangs_is_told_from_a_slow_one_however_short_the_call(loop, tmp_path):
    server = Server(loop, fake(tmp_path), patience_seconds=1.0)
    with pytest.raises(ServerHungError):
        server.call("hang", {}, 0.3)
    server.kill()


def test_a_server_that_dies_in_a_call(loop, tmp_path):
    server = Server(loop, fake(tmp_path))
    begun = time.monotonic()
    with pytest.raises(ServerLostError, match="died"):
        server.call("die", {}, 60)
    assert time.monotonic() - begun < 30
    server.kill()
    server = Server(loop, fake(tmp_path))
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(ServerLostError):
        server.call("browser_click", {}, 60)
    server.kill()


@pytest.mark.parametrize(
    "text, failed, seen",
    [
        ("### Result\n7\n", False, {"value": 7}),
        ('### Result\n{"a": "### Error"}\n### Page\n- Page URL: x', False, {"value": {"a": "### Error"}}),
        ("### Result\nundefined", False, {"value": None, "has_value": True}),
        ("", False, {"value": None, "has_value": False, "modal": ""}),
        ("### Error\n\x1b[2mError: x\x1b[22m", True, {"error": "Error: x"}),
        ('### Error\nError: "y" does not match any elements.', True, {"absent": True}),
        ('### Error\nError: "z" does not match any elements.', True, {"absent": False}),
        ('### Error\nError: page.evaluate: Error: "y" does not match any elements.', True, {"absent": False}),
        ('### Result\n{"ok": false}\n### Result\n{"ok": true}', False, {"value": {"ok": False}}),
        ('### Error\nError: x\n### Result\n{"ok": true}', True, {"value": None, "has_value": False, "error": "Error: x"}),
        ('### Result\n"half \\ud83d"', False, {"value": "half \ufffd"}),
        ('- Page Title: x\n### Result\n{"ok": true}', False, {"value": None, "has_value": False}),
        ("no heading", True, {"error": "no heading", "absent": False}),
        (
            '### Modal state\n- ["confirm" dialog with message "sure?"]: can be handled by browser_handle_dialog',
            False,
            {"claims": "dialog", "modal": "", "refused": False},
        ),
        (
            '### Error\nError: Tool "browser_click" does not handle the modal state.\n### Modal state\n- [File chooser]: can be handled by browser_file_upload',
            True,
            {"claims": "chooser", "modal": "", "refused": True},
        ),
        ("### Error\nTimeoutError: locator.click: Timeout 5000ms exceeded.\nCall log:\n  - click action done", True, {"clicked": True}),
        ("### Error\nError: locator.setChecked: Clicking the checkbox did not change its state\nCall log:\n  - click action done", True, {"clicked": False}),
        ("### Error\nError: page.evaluate: Execution context was destroyed, most likely", True, {"moved_on": True}),
    ],
)  # fmt: skip
def test_the_parts_of_an_answer(text, failed, seen):
    answer = answer_of(text, failed=failed, tool="browser_click", target="y")
    for name, wanted in seen.items():
        found = getattr(answer, name)
        assert (found() if callable(found) else found) == wanted, name


@pytest.mark.parametrize(
    "error, kind, found",
    [
        ("Error: locator.click: Error: strict mode violation: x resolved to 3 elements:", "strict", "3 elements"),
        ("page._evaluateFunction: Error: boom\n    at eval", "other", "boom"),
        ("Error: page.goto: net::ERR_CONNECTION_REFUSED at http://x/", "connection", "net::ERR_CONNECTION_REFUSED"),
        ("TimeoutError: locator.click: Timeout 5000ms exceeded.\nCall log:\n  - waiting for x\n  - element is not enabled", "blocked", "element is not enabled"),
    ],
)  # fmt: skip
def test_what_an_error_of_the_server_means(error, kind, found):
    said = answer_of("### Error\n" + error, failed=True).meaning()
    assert (said.kind, said.found) == (kind, found)


def test_a_test_without_a_browser_on_this_machine(warm, tmp_path):
    result = carry_out(request(tmp_path, [OPEN], driver="mcp"), warm, Http())
    assert failure(result, "error", "setup").message == "no chromium on this machine"


def test_a_browser_that_does_not_start(tmp_path, chromium):
    driver = McpDriver(os.environ)
    broken = type(chromium)("chromium", "/bin/false", None, (), (), "0", "a test")
    result = carry_out(request(tmp_path, [OPEN], driver="mcp", browser=broken), driver, Http())
    driver.close()
    assert failure(result, "error", "crash").message.startswith("/bin/false does not start: ")
