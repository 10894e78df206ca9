"""`orchestra open`: a page that follows a real run to its end, its traces in Playwright's viewer, and files that are not shown."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Semaphore

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from orchestra.ledger.event import Seal
from orchestra.ledger.reading import read
from orchestra.ledger.runs import LEDGER
from tests.support.project import HEAD, SuiteProject
from tests.support.site import site

WAITS = """tests:
  a: {title: <b>first</b>, command: {argv: [sh, -c, "touch here; while ! test -e go; do sleep 0.05; done"]}}
  b: {title: second, needs: [a], command: {argv: [python, -c, "raise SystemExit(3)"]}}
"""
ATTACHES = """tests:
  a:
    command:
      argv: [sh, -c, "echo '<script>parent.hacked=1</script>' | tee page.html; echo no > other.txt; exit 1"]
      attach: [page.html]
"""
READY = "html[data-ready]"


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium.executable, args=list(chromium.args), env=dict(chromium.env) or None
        )
        yield launched
        launched.close()


@contextmanager
def opened(project: SuiteProject, *words: str) -> Iterator[str]:
    """Serve a run, and end the server as a person would."""
    process = project.start(*(words or ("open", "--no-browser")))
    try:
        address = process.stdout.readline().strip()
        assert address, process.communicate()
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err


def test_the_page_follows_a_run_to_its_end(project, browser):
    project.write(f"{HEAD}{WAITS}").compile()
    running = project.start("run")
    while not (project.root / "here").exists():
        assert running.poll() is None, running.communicate()
    with opened(project) as address:
        page = browser.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.goto(address)
        page.wait_for_selector(READY)
        page.wait_for_selector("text=Running: 0 of 2 tests done")
        page.wait_for_selector("tr.item .badge.running")
        assert page.inner_text("h2:text('Running now') + ul a") == "cli:a <b>first</b>"
        assert page.inner_text("tr.item .badge.waiting").endswith("waiting")
        page.fill("#filter", "sec")
        (project.root / "go").touch()
        page.wait_for_selector("text=Failed: 1 of 2 tests")
        assert page.evaluate("document.activeElement.id") == "filter"
        assert page.input_value("#filter") == "sec"
        assert [text.strip() for text in page.locator("tr.item .title").all_inner_texts()] == ["second"]
        assert running.wait() == 1, running.communicate()
        running.communicate()
        page.click("tr.item .id a")
        page.wait_for_selector(".message >> text=ended with exit code 3")
        assert wrong == []
        page.close()


def test_a_run_serves_its_own_page_and_takes_it_along_at_its_end(project):
    project.write(f"{HEAD}{WAITS}").compile()
    running = project.start("run", "--open")
    address = running.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:"), running.communicate()
    assert json.loads(httpx.get(f"{address}data.json").text)["state"] == "running"
    with httpx.stream("GET", f"{address}events", timeout=60) as answer:
        events = answer.iter_lines()
        assert next(events) == "event: change"
        (project.root / "go").touch()
        _, err = running.communicate()
        assert (running.returncode, "Traceback" in err, "interrupted" in err) == (1, False, False), err
        *_, kind, data, _ = events
    assert kind == "event: end", "the server ends with the run, so its last event has the page"
    assert json.loads(data.removeprefix("data: "))["headline"] == "Failed: 1 of 2 tests"
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    assert "--open serves the page" in project.run("run", "--open", "--detach").err


def test_a_trace_of_each_method_opens_in_the_viewer_of_the_installed_playwright(project, browser):
    with site() as url:
        methods = "methods: {cli: {driver: playwright}, mcp: {driver: mcp, session: {single: true}}}"
        steps = f'[{{goto: "{url}/steps.html"}}, {{click: {{role: button, name: Nowhere, within_seconds: 0.2}}}}]'
        project.write(
            f"orchestra: 1\nsuite: s\n{methods}\ntests: {{a: {{record: [trace], steps: {steps}}}}}\n"
        ).compile()
        assert project.run("run").code == 1, project.verdicts()
    with opened(project) as address:
        page = browser.new_page()
        page.goto(f"{address}#/test/a/cli")
        page.wait_for_selector(READY)
        with page.expect_popup() as viewer:
            page.click("text=open in the trace viewer")
        viewer.value.wait_for_selector("text=Navigate")
        assert viewer.value.url.startswith(f"{address}trace/")
        viewer.value.close()
        page.close()
    with opened(project, "show", "a", "--run", "last", "--method", "mcp", "--open", "trace") as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("text=Navigate")
        page.close()


def test_a_page_that_is_open_and_status_show_the_step_of_each_worker(project, browser):
    methods = "methods: {cli: {driver: playwright, parallel: true}, mcp: {driver: mcp, session: {single: true}, parallel: true}}"
    with ExitStack() as stack:
        asked = Semaphore(0)
        url = stack.enter_context(site(asked.release))
        steps = f"""[{{goto: "{url}/steps.html"}}, {{click: {{role: button, name: Send}}}}, {{goto: "{url}/silent"}}]"""
        project.write(f"orchestra: 1\nsuite: s\n{methods}\ntests: {{a: {{steps: {steps}}}}}\n").compile()
        running = project.start("run", "--workers", "2")
        for _ in range(2):
            assert asked.acquire(timeout=60), running.poll()
        with opened(project) as address:
            page = browser.new_page()
            page.goto(address)
            page.wait_for_selector(READY)
            for method in ("cli", "mcp"):
                page.wait_for_selector(f"[data-step='{method}:a']:has-text('step 3 of 3 goto')")
            shown = [line for line in project.run("status").out.splitlines() if line.startswith("now")]
            assert [line.rpartition("  ")[2] for line in shown] == ["step 3 of 3 goto"] * 2
            page.close()
    assert running.wait() == 1, running.communicate()
    running.communicate()
    assert list(project.folder.glob("workers/*.step")) == []


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> SuiteProject:
    root = tmp_path_factory.mktemp("done")
    (root / "pyproject.toml").write_text("[tool.orchestra]\n")
    project = SuiteProject(root).write(f"{HEAD}{ATTACHES}").compile()
    assert project.run("run").code == 1
    return project


@pytest.fixture(scope="module")
def address(done) -> Iterator[str]:
    """The address of the run that is done, for all tests."""
    with opened(done) as served:
        yield served


def test_only_files_that_the_record_names_are_shown_and_none_as_a_page(address):
    [attempt] = json.loads(httpx.get(f"{address}data.json").text)["tasks"][0]["tries"]
    hostile = next(file for file in attempt["files"] if file["name"] == "page.html")
    answer = httpx.get(address + hostile["href"])
    assert answer.text == "<script>parent.hacked=1</script>\n"
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    for path in (
        "f/" + "0" * 64 + "/x",
        "other.txt",
        "events.jsonl",
        "f/..%2f..%2fevents.jsonl/x",
        "trace/..%2f..%2fx",
    ):
        assert httpx.get(f"{address}{path}").status_code == 404, path


def test_the_address_holds_a_token_and_is_of_this_machine(done, address):
    base = address.rsplit("/", 2)[0]
    assert base.startswith("http://127.0.0.1:")
    token = address.rsplit("/", 2)[1]
    for path in ("", "data.json", f"{token[:-1]}/data.json", f"{token}x/"):
        assert httpx.get(f"{base}/{path}").status_code == 404, path
    assert httpx.get(address, headers={"Host": "attacker.example"}).status_code == 400
    answer = httpx.get(address)
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
    with opened(done) as other:
        assert token not in other


def test_evidence_that_became_a_link_is_not_shown(done, tmp_path):
    project = SuiteProject(shutil.copytree(done.root, tmp_path / "copy", symlinks=True))
    log = project.folder / "attempts/cli/a/1/output.log"
    log.unlink()
    (tmp_path / "secret").write_text("secret")
    log.symlink_to(tmp_path / "secret")
    with opened(project) as address:
        [attempt] = json.loads(httpx.get(f"{address}data.json").text)["tasks"][0]["tries"]
        href = next(file["href"] for file in attempt["files"] if file["name"] == "output.log")
        assert httpx.get(address + href).status_code == 404


def test_a_taken_port_and_a_run_that_is_not_there_are_messages(done, address):
    port = address.split(":")[2].partition("/")[0]
    ended = done.process("open", "--no-browser", "--port", port)
    assert (ended.code, f"cannot listen on 127.0.0.1 port {port}" in ended.err) == (3, True)
    ended = done.process("open", "nonsense")
    assert (ended.code, "Traceback" in ended.err) == (2, False)
    assert "--open serves what is written" in done.run("report", "--open", "--format", "md").err


def test_a_page_from_the_server_is_the_run_as_it_ended(done, address, browser):
    page = browser.new_page()
    page.goto(f"{address}#/run")
    page.wait_for_selector(READY)
    seal = next(event for event in read(done.folder / LEDGER) if isinstance(event.body, Seal))
    assert f"{seal.hash}, verified by orchestra audit {done.folder.name} --suite s" in page.inner_text("main")
    page.goto(f"{address}#/test/a/cli")
    page.wait_for_selector("h1 >> text=a")
    assert "Copy all of this as text" in page.inner_text("main")
    page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    page.click("text=Copy all of this as text")
    assert f"log: .orchestra/s/runs/{done.folder.name}/attempts/cli/a/1/output.log" in page.evaluate("window.copied")
    page.close()
