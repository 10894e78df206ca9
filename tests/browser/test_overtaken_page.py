"""A page whose server was started again under it, by both methods: it waits for what never comes, and is not waited out."""

from __future__ import annotations

import pytest

from tests.support.nights import at_night
from tests.support.project import SuiteProject
from tests.support.servers import free_range

pytestmark = pytest.mark.browser

SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/data" and os.path.exists("armed"):
            os.unlink("armed")
            os._exit(1)  # the answer that the page waits for dies with it
        page = "<p id=state>loading</p><script>fetch('/data').then(r => r.text()).then(t => state.textContent = t)</script>"
        body = (page if self.path == "/" else "here it is").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

SPEC = """orchestra: 1
suite: s
methods: {method}
health:
  web:
    service: {{run: [python, web.py, "${{port}}"], port_range: {low}-{high}}}
    ready: {{http: {{path: /}}, within_seconds: 60}}
    recover: [restart]
errors: {{page_errors: ignore, failed_requests: ignore, console_errors: ignore}}
tests:
  a: {{requires: [web], timeout_seconds: 600, steps: [{{goto: "${{web.url}}/"}}, {{wait: {{css: "#state", has_text: here, within_seconds: 500}}}}]}}
  b: {{after: [a], requires: [web], steps: [{{goto: "${{web.url}}/"}}, {{expect: {{css: "#state", to: {{have_text: here it is}}}}}}]}}
"""


# At night where the driver is one process, and not a server with a session that goes on.
@pytest.mark.parametrize(
    "method", [at_night("{cli: {driver: playwright, workers: 1}}"), "{mcp: {driver: mcp, session: {single: true}}}"]
)
def test_a_page_that_cannot_come_back_is_ended_and_repeated_and_its_browser_serves_on(
    project: SuiteProject, chromium, method
):
    low, high = free_range(1)
    (project.root / "web.py").write_text(SERVER)
    project.write(SPEC.format(method=method, low=low, high=high)).compile()
    (project.root / "armed").touch()
    done = project.shortened({"orchestra.runtime.attempts.overtaken.UNKNOWN_SECONDS": 3.0}, "run")
    assert done.code == 0, done.err
    name = method[1:4]
    assert project.verdicts() == {f"{name}:a": "passed", f"{name}:b": "passed"}
    first, second = [event["body"] for event in project.events("attempt_finished") if event["body"]["test"] == "a"]
    assert (first["outcome"], first["infra_suspect"], first["retry"]) == ("error", True, True)
    assert first["error"]["message"].startswith(
        "web was started again under it, and 3 s later it had not ended; it was ended"
    )
    assert first["seconds"] < 300, "it was not waited out"
    assert (second["outcome"], second.get("infra_suspect")) == ("passed", None)
    assert [event["body"]["id"] for event in project.events("incident") if event["body"]["state"] == "opened"] == [
        "web-1"
    ]
