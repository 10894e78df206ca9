"""Remote browsers: what a method with `connect` brings back, refuses and recovers from, with a real server of Playwright."""

from __future__ import annotations

import json
import os

import msgspec
import pytest

from orchestra.plan import Connect
from orchestra.runtime.driver import sections
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.playwright import remote
from orchestra.runtime.driver.playwright.driver import PlaywrightDriver
from orchestra.runtime.driver.sections import carry_out
from tests.support.remote import browser_server, query
from tests.support.requests import request
from tests.support.servers import free_range
from tests.support.site import page, site, unused_address

pytestmark = pytest.mark.browser

TITLE = {"expect": {"css": "h1", "within_seconds": 30, "to": {"be": "visible"}}}
FINE = [page("<h1>Here</h1>"), TITLE]


@pytest.fixture(scope="module")
def server(chromium):
    with browser_server(chromium) as started:
        yield started


@pytest.fixture(scope="module")
def warm():
    driver, http = PlaywrightDriver(os.environ), Http()
    yield driver, http
    driver.close()
    http.close()


@pytest.fixture
def attempt(tmp_path, warm):
    """Carry out steps in a browser of a server."""

    def one(url, said, on_silent=lambda: None, **options):
        with site(on_silent) as address:
            asked = request(tmp_path, said, names={"s.url": address, "env.PW_WS": url}, **options)
            method = msgspec.structs.replace(asked.method, connect=Connect("${env.PW_WS}"))
            return carry_out(msgspec.structs.replace(asked, method=method), *warm)

    return one


def unfinished(result, kind="crash"):
    assert (result.outcome, result.failure.kind) == ("error", kind), result
    return result.failure


def test_files_pictures_and_traces_come_back(attempt, server, tmp_path):
    (tmp_path / "mine.txt").write_text("own")
    form = page(
        "<h1>Files</h1><input type=file aria-label=File onchange='this.files[0].text().then(t => { p.textContent = t })'>"
        "<p id=p></p><a download=list.txt href='data:text/plain,one%20line'>List</a>"
    )
    said = [
        form,
        {"upload": {"label": "File", "files": ["mine.txt"]}},
        {"expect": {"css": "#p", "to": {"have_text": "own"}}},
        {"download": {"role": "link", "name": "List", "as": "list.txt", "expect": {"text": {"equals": "one line"}}}},
        {"screenshot": "all"},
    ]
    result = attempt(server.url, said, record=("trace",), evidence="always")
    assert result.outcome == "passed", result.failure
    kept = {one.path: (tmp_path / one.path).read_bytes()[:4] for one in result.evidence}
    assert kept["list.txt"] == b"one "
    assert kept["all.png"] == kept["end.png"] == b"\x89PNG"
    assert kept["trace.zip"] == b"PK\x03\x04"
    assert result.facts["browser"].startswith("chromium ")
    assert not result.died


def test_the_limit_of_a_download_holds_for_what_comes_back(attempt, server, tmp_path):
    link = page(
        "<a download=big.txt>Big</a><script>document.querySelector('a').href = URL.createObjectURL("
        "new Blob(['x'.repeat(3e6)]))</script>"
    )
    result = attempt(
        server.url, [link, {"download": {"role": "link", "name": "Big", "as": "b.txt", "limit_megabytes": 1}}]
    )
    assert result.failure.message == 'the download "b.txt" has more than 1 MB'
    assert not (tmp_path / "b.txt").exists()


def test_a_server_of_another_version_is_refused_with_both(attempt, chromium, node_tools):
    words = [str(node_tools.node), str(node_tools.modules / "playwright-core/cli.js"), "run-server"]
    with browser_server(chromium, words) as other:
        failure = unfinished(attempt(other.url, FINE), "setup")
    theirs = json.loads((node_tools.modules / "playwright-core/package.json").read_text())["version"].rsplit(".", 1)[0]
    assert f" has Playwright {theirs}, and this machine has " in failure.message
    assert failure.hint.endswith(f"or install {theirs} here")


def test_a_server_that_is_lost_is_an_incident_and_connected_to_again(attempt, chromium, monkeypatch):
    monkeypatch.setattr(remote, "PATIENCE_SECONDS", 0.0)
    with browser_server(chromium) as server:
        result = attempt(server.url, [{"goto": "${s.url}/silent"}], on_silent=server.kill)
        assert unfinished(result).message == "the remote browser died in this step"
        assert [(one.reason, one.before, one.recovery_steps) for one in result.died] == [
            ("the remote browser died", False, ())
        ]
        assert result.alive == {"browser": False}
        gone = attempt(server.url, FINE)
        assert unfinished(gone).message.startswith("no server of browsers answers at ws://127.0.0.1:")
        assert [(one.before, one.recovery_steps) for one in gone.died] == [(False, ())]
        server.start()
        back = attempt(server.url, FINE)
    assert back.outcome == "passed", back.failure
    assert [(one.before, one.recovery_steps) for one in back.died] == [(True, ("connect",))]
    assert back.alive == {"browser": True}


def test_a_server_that_hangs_ends_the_attempt_and_a_page_that_hangs_is_told_apart(attempt, chromium, monkeypatch):
    monkeypatch.setattr(remote, "ASK_SECONDS", 1.0)
    monkeypatch.setattr(sections, "HUNG_SECONDS", 0.5)
    with browser_server(chromium) as server:
        hangs = attempt(server.url, [{"evaluate": {"script": "() => { while (true); }"}}], timeout_seconds=1)
        assert (hangs.failure.kind, hangs.died) == ("timeout", ()), hangs
        try:
            result = attempt(server.url, [{"goto": "${s.url}/silent"}], on_silent=server.freeze, timeout_seconds=1)
        finally:
            server.thaw()
        assert result.outcome != "passed"
        assert [one.reason for one in result.died] == ["the remote browser does not answer"], result
        assert attempt(server.url, FINE).outcome == "passed"


# ---------------------------------------------------------------------------------------------------------- whole runs
WEB = """
import contextlib, http.server, pathlib, sys, psutil
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        gone = pathlib.Path("killed")
        if self.path == "/kill" and not gone.exists():
            gone.touch()
            for one in psutil.process_iter():
                with contextlib.suppress(psutil.Error):  # others come and go
                    words = one.cmdline()
                    if "run-server" in words and sys.argv[2] in words:
                        one.kill()
        body = b"<h1>Here</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Web).serve_forever()
"""
"""A page; asked for /kill it first kills the server of browsers at the path of its argument, once."""


def test_a_server_in_the_health_matrix_gives_one_browser_at_a_time_and_comes_back(project, chromium):
    low, high = free_range(8)
    path, own = f"/b{low}", json.dumps(dict(chromium.env))
    (project.root / "web.py").write_text(WEB)
    spec = f"""orchestra: 1
suite: s
methods:
  cli: {{driver: playwright, workers: 2, connect: {{url: "ws://${{pw.host}}:${{pw.port}}{path}?{query(chromium)}", sessions: 1}}}}
health:
  pw:
    service:
      run: [python, -m, playwright, run-server, --unsafe, --host, 127.0.0.1, --port, "${{port}}", --path, {path}]
      env: {own}
      port_range: {low}-{low + 3}
    ready: {{http: {{path: /json}}}}
    recover: [restart]
  web:
    service: {{run: [python, web.py, "${{port}}", {path}], port_range: {low + 4}-{high}}}
    ready: {{http: {{path: /}}}}
defaults: {{requires: [web], retries: {{max: 0}}, before: [{{goto: "${{web.url}}/"}}]}}
tests:
  killer: {{steps: [{{http: {{GET: /kill, base: web}}}}, {{expect: {{css: h1, to: {{be: visible}}}}}}]}}
  seen: {{evidence: always, steps: [{{screenshot: all}}]}}
"""
    done = project.write(spec).compile().run("run")
    assert done.code == 0, done.err
    assert project.verdicts() == dict.fromkeys(("cli:killer", "cli:seen"), "passed")
    attempts = {event["body"]["task"]: event["body"]["attempts"] for event in project.events("verdict")}
    assert attempts["cli:killer"] == 2
    closed = {event["body"]["component"]: event["body"] for event in project.events("incident")}
    recovered = {name: (one["outcome"], one["recovery_steps"]) for name, one in closed.items()}
    assert recovered == {"pw": ("recovered", ["restart"]), "cli.browser": ("recovered", ["connect"])}
    turns = [event["type"] for event in project.events() if event["type"] in {"attempt_started", "attempt_finished"}]
    assert turns == ["attempt_started", "attempt_finished"] * 3, "one session, although two tests could run"
    assert list((project.folder / "attempts").glob("cli/seen/*/all.png"))


ONE = """orchestra: 1
suite: s
methods: {cli: {driver: playwright, connect: {url: "${env.PW_WS}"}}}
tests: {a: {steps: [{goto: "data:text/html,<h1>Here"}, {expect: {css: h1, to: {be: visible}}}]}}
"""
TOKEN = "tkn-58Qz0a7Lw2"


def test_a_server_that_gives_no_browser_ends_the_run_before_it_begins(project, chromium):
    project.write(ONE).compile()
    unset = project.run("run")
    assert unset.code == 2, unset.err
    assert "the environment variable PW_WS is not set" in unset.err
    nowhere = unused_address().replace("http://", "ws://") + f"/?token={TOKEN}"
    done = project.run("run", PW_WS=nowhere)
    assert done.code == 3, done.err
    assert done.err.startswith("error: specs/s.yaml:3:"), done.err
    assert "no server of browsers answers at ws://127.0.0.1:" in done.err
    assert TOKEN not in done.err + done.out
    shown = project.run("run", "--headed", PW_WS=nowhere, DISPLAY=":1")
    assert (shown.code, 'those of the method "cli" run on another machine' in shown.err) == (3, True), shown.err
    told = project.run("doctor", PW_WS=nowhere)
    assert told.code == 3, told.err
    assert "browsers of cli" in told.out
    assert TOKEN not in told.out + told.err


def test_a_token_in_the_address_is_nowhere_in_what_a_run_keeps(project, server):
    done = project.write(ONE).compile().run("run", PW_WS=f"{server.url}&token={TOKEN}")
    assert done.code == 0, done.err
    assert TOKEN not in done.out + done.err
    kept = [file for file in project.root.rglob("*") if file.is_file() and TOKEN.encode() in file.read_bytes()]
    assert not kept
