"""Each probe against real servers, programs, files and ports: what it accepts, and what it says of what it refuses."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestra.errors import MachineError
from orchestra.plan import Probe
from orchestra.probes.kind import Answer
from orchestra.runtime.processes.orphan import become_subreaper
from orchestra.runtime.servers.probe import Prober, Scene
from tests.support.paths import DATA
from tests.support.servers import Ground, carriers, free_range

LONG = 60.0


@pytest.fixture
def ground(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    become_subreaper()
    ground = Ground(tmp_path, request.node.name.partition("[")[0])
    yield ground
    ground.close()


def ask(ground: Ground, kind: str, args: dict[str, object], seconds: float = LONG, **more: object) -> Answer:
    """One probe, in a loop of its own."""

    def lookup(name: str) -> str:
        if name == "there":
            return "here"
        raise MachineError(f"${{{name}}} has no value yet", "declare it")

    fields = {"root": ground.root, "env": {"PATH": os.environ["PATH"]}, "lookup": lookup, "mark": ground.mark, **more}

    async def whole() -> Answer:
        prober = Prober(ground.root)
        try:
            return await prober.ask(Probe(kind, args, seconds), Scene(**fields))
        finally:
            await prober.close()

    return asyncio.run(whole())


# ----------------------------------------------------------------------------------------------------------------- http


@pytest.fixture
def http(ground: Ground) -> Iterator[tuple[Ground, str, int]]:
    port = free_range(1)[0]
    ground.stranger(port)
    return ground, f"http://127.0.0.1:{port}", port


def test_http_accepts_what_is_as_described_and_says_who_answered(http):
    ground, url, port = http
    good = {"path": "/x", "status": [200, 204], "contains": "status", "json": {"status": "ok", "list.0.a.b": 1}}
    assert ask(ground, "http", good, url=url) == Answer(peer=("127.0.0.1", port))
    assert ask(ground, "http", {"url": f"{url}/y", "method": "HEAD"}) == Answer(peer=("127.0.0.1", port))


@pytest.mark.parametrize(
    "args, said",
    [
        ({"status": [201, 204]}, "answered 200, not 201 or 204: "),
        ({"contains": "Market"}, "answered 200 without 'Market': "),
        ({"json": {"status": "up"}}, 'answered status = "ok", not "up"'),
        ({"json": {"status": True}}, 'answered status = "ok", not true'),
        ({"json": {"state.deep": "ok"}}, "answered without 'state.deep': {"),
        ({"json": {"list.1": 1}}, "answered without 'list.1': {"),
        ({"json": {"list.0.a.b": True}}, "answered list.0.a.b = 1, not true"),
    ],
)
def test_http_says_what_is_not_as_described(http, args, said):
    ground, url, _ = http
    answer = ask(ground, "http", args, url=url)
    assert answer.reason.startswith(f"GET {url}/ {said}")
    assert not answer.final


def test_http_reads_a_reply_that_has_no_end_only_in_part_and_in_time(http):
    ground, url, _ = http
    ground.mode("stranger", "trickle")
    answer = ask(ground, "http", {}, 0.3, url=url)
    assert answer == Answer(f"GET {url}/ gave no answer within 0.3 s", timed_out=True)


def test_http_without_a_server_and_without_an_address(ground):
    port = free_range(1)[0]
    assert ask(ground, "http", {"url": f"http://127.0.0.1:{port}/"}).reason == (
        f"GET http://127.0.0.1:{port}/: nothing listens there"
    )
    assert ask(ground, "http", {}).reason == "it has no address to probe"
    for wrong in ("nonsense", "http://", "http://x:99999999/"):
        assert ask(ground, "http", {"url": wrong}) == Answer(
            f"{wrong!r} is not an address", "write http://host:port/path", final=True
        )
    assert "ftp" in ask(ground, "http", {"url": "ftp://127.0.0.1/"}).reason


def test_http_does_not_go_through_a_proxy_to_this_machine(http, monkeypatch):
    ground, url, _ = http
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert ask(ground, "http", {}, url=url).reason == ""


TLS = DATA / "tls"
"""A certificate that signs itself, for 127.0.0.1, and its key: they protect nothing."""


@pytest.fixture
def https() -> Iterator[str]:
    """The address of a server with that certificate, which answers whoever says `X-Key: open`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.headers.get("X-Key") == "open" else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_http_trusts_a_certificate_only_when_it_is_known_or_told_to(ground, https, monkeypatch):
    opens = {"url": https, "headers": {"X-Key": "open"}}
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    refused = ask(ground, "http", opens)
    assert refused.reason == f"GET {https}: its certificate is not trusted: self-signed certificate"
    assert "`ca_file` of `tls`" in refused.hint
    assert "verify_tls: false" in refused.hint
    assert ask(ground, "http", {**opens, "verify_tls": False}).reason == ""
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "certificate.pem"))
    assert ask(ground, "http", opens).reason == ""


def test_http_sends_its_headers(ground, https):
    said = {"url": https, "verify_tls": False}
    assert ask(ground, "http", {**said, "headers": {"X-Key": "open"}}).reason == ""
    assert ask(ground, "http", said).reason.startswith(f"GET {https} answered 403, not 200")


def test_names_are_looked_up_in_every_part(ground):
    answer = ask(ground, "run", {"argv": ["echo", "${there}"], "stdout": "^${there}$"})
    assert answer == Answer()
    answer = ask(ground, "http", {"headers": {"A": "${gone}"}}, url="http://127.0.0.1:9")
    assert answer == Answer("${gone} has no value yet", "declare it", final=True)


# ------------------------------------------------------------------------------------------------------------------ tcp


def test_tcp_asks_for_a_connection_and_nothing_else(ground):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ask(ground, "tcp", {}, host="127.0.0.1", port=port) == Answer(peer=("127.0.0.1", port))
        assert ask(ground, "tcp", {"host": "0.0.0.0", "port": port}) == Answer(peer=("127.0.0.1", port))
    answer = ask(ground, "tcp", {"port": port}, host="127.0.0.1")
    assert answer.reason == f"no connection to 127.0.0.1:{port}: nothing listens there"
    assert ask(ground, "tcp", {}).final


# ------------------------------------------------------------------------------------------------------------------ run


def test_run_judges_exit_code_and_output(ground):
    def run(program: str, **more: object) -> Answer:
        return ask(ground, "run", {"argv": ["python", "-c", program], **more})

    assert run("print('a\\nv22')", stdout="^v22$") == Answer()
    assert run("raise SystemExit(3)", exit_codes=[0, 3]) == Answer()
    shown = "'python -c import sys; sys.exit(\"no key\")'"
    assert run('import sys; sys.exit("no key")').reason == f"{shown} ended with exit code 1: no key"
    assert (
        run("print(18)", stdout="^22").reason
        == "'python -c print(18)' wrote '18' to stdout, which does not match '^22'"
    )
    assert run("print(18)", stderr="x").reason == "'python -c print(18)' wrote '' to stderr, which does not match 'x'"
    assert run("import os; os.kill(os.getpid(), 9)").reason.endswith("was ended by signal 9")
    assert run("", stdout="(").reason.startswith('cannot be asked: the pattern "(" cannot be read: missing ), ')
    assert ask(ground, "run", {"argv": ["no-such-tool"]}).final


def test_run_ends_what_it_started_when_its_time_is_over(ground):
    program = (
        "import signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen(['sleep', '1000'], start_new_session=True); time.sleep(1000)"
    )
    answer = ask(ground, "run", {"argv": [sys.executable, "-c", program]}, 1.0)
    assert answer.reason.endswith("gave no answer within 1 s")
    assert carriers(ground.mark) == []


def test_run_does_not_wait_for_what_a_program_leaves_behind_and_ends_it(ground):
    answer = ask(ground, "run", {"argv": ["sh", "-c", "sleep 1000 & echo done"], "stdout": "^done$"})
    assert answer == Answer()
    assert carriers(ground.mark) == []


def test_run_keeps_a_part_of_a_flood(ground):
    flood = "import sys\nfor _ in range(100): sys.stdout.write('x' * 1000000)\nprint('last')"
    answer = ask(ground, "run", {"argv": [sys.executable, "-c", flood], "stdout": "last"})
    assert "wrote 'xxx" in answer.reason


# ---------------------------------------------------------------------------------------------- env, file, log, port


def test_env_never_shows_a_value(ground):
    env = {"KEY": "sk-hidden", "EMPTY": ""}
    assert ask(ground, "env", {"name": "KEY", "match": "^sk-"}, env=env) == Answer()
    answers = [
        ask(ground, "env", {"name": "KEY", "match": "^pk-"}, env=env),
        ask(ground, "env", {"name": "EMPTY"}, env=env),
        ask(ground, "env", {"name": "NONE"}, env=env),
    ]
    assert [answer.reason for answer in answers] == [
        "KEY is set, but does not match '^pk-'",
        "the environment variable EMPTY is set, but empty",
        "the environment variable NONE is not set",
    ]
    assert all(answer.final for answer in answers)


def test_file_judges_presence_space_and_age(ground):
    path = ground.root / "market.json"
    missing = ask(ground, "file", {"path": "market.json"})
    assert missing.reason == "'market.json' cannot be used: No such file or directory"
    path.write_text("{}")
    assert ask(ground, "file", {"path": "market.json", "free_megabytes": 1, "max_age_seconds": 1000}) == Answer()
    old = time.time() - 5000
    os.utime(path, (old, old))
    assert (
        "s ago; at most 1000 s are allowed"
        in ask(ground, "file", {"path": "market.json", "max_age_seconds": 1000}).reason
    )
    full = ask(ground, "file", {"path": ".", "free_megabytes": 10**9})
    assert full.reason.endswith("MB free, not 1000000000")


def test_log_gives_the_named_groups(ground):
    known = {"ready (?P<word>.*)": {"word": "steady"}}

    async def said(pattern: str) -> dict[str, str] | None:
        return known.get(pattern)

    assert ask(ground, "log", {"match": "ready (?P<word>.*)"}, said=said) == Answer(names={"word": "steady"})
    assert ask(ground, "log", {"match": "go"}, said=said).reason == "its output has no match for 'go'"


def test_port_names_who_holds_it(ground):
    port = free_range(1)[0]
    assert ask(ground, "port", {"free": port}) == Answer()
    holder = ground.stranger(port)
    assert ask(ground, "port", {"free": port}).reason.startswith(f"port {port} is held by process {holder.pid} (")
