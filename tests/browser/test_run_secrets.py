"""Secrets of a browser suite: what a page shows, logs, asks for and gives away is nowhere in what a run keeps."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest

from tests.support.pages import data_of

SECRET = 's3cr3t/väl ue+&"x'

LEAKY = """<!doctype html><title>Leaky</title><h1></h1><p></p><a download="t.txt">Get</a>
<script>
const token = decodeURIComponent(location.search.replace("?token=", ""));
document.querySelector("h1").textContent = token;
document.querySelector("p").textContent = "a".repeat(1990) + token + "b".repeat(50);
document.querySelector("a").href = URL.createObjectURL(new Blob(["token: " + token]));
console.log("the token is " + token);
console.log("x".repeat(3990) + token);
console.error({token});
fetch("/missing?token=" + encodeURIComponent(token));
fetch("http://127.0.0.1:9/" + encodeURIComponent(token)).catch(() => {});
setTimeout(() => { throw new Error("no such " + token); }, 0);
</script>
"""

SECRETS = """orchestra: 1
suite: s
secrets: [THE_TOKEN]
methods: {cli: {driver: playwright, workers: 1}, mcp: {driver: mcp}}
health:
  web:
    service: {run: [python, -m, http.server, "${port}", --bind, 127.0.0.1, --directory, web], port_range: 8700-8799}
    ready: {http: {path: /}}
defaults: {requires: [web], retries: {max: 0}, evidence: always, before: [{set: {page: leaky.html}}]}
pools: {users: [{name: ana, token: "${env.THE_TOKEN}"}, {name: ben, token: "${env.THE_TOKEN}"}]}
blocks:
  open: {steps: [{goto: "${web.url}/${saved.page}?token=${env.THE_TOKEN}"}, {expect: {role: heading, to: {be: visible}}}]}
tests:
  heading: {steps: [{use: open}, {expect: {role: heading, within_seconds: 0.2, to: {have_text: nothing}}}]}
  long: {steps: [{use: open}, {expect: {css: p, within_seconds: 0.2, to: {contain: nothing}}}]}
  files:
    steps:
      - use: open
      - screenshot: "shot ${env.THE_TOKEN}"
      - download: {role: link, name: Get, as: "kept ${env.THE_TOKEN}"}
      - expect: {text: "no ${env.THE_TOKEN}", within_seconds: 0.2, to: {be: visible}}
  script: {steps: [{use: open}, {evaluate: {script: "() => { throw new Error('${env.THE_TOKEN}') }"}}]}
  dialog: {steps: [{use: open}, {evaluate: {script: "() => alert(location.search)"}}]}
  pool:
    takes: {user: users}
    steps:
      - goto: "${web.url}/${saved.page}?token=${user.token}&name=${user.name}"
      - expect: {page: {url: {match: "[&]name=(ana|ben)$"}}}
  request: {steps: [{http: {GET: "/none?${env.THE_TOKEN}", base: web}}]}
"""


@pytest.mark.browser
def test_a_secret_of_a_page_is_nowhere_in_the_run_folder(project, chromium):
    project.write(SECRETS).write(LEAKY, "web/leaky.html").compile()
    done = project.run("run", THE_TOKEN=SECRET)
    assert done.code == 1, done.err
    verdicts = project.verdicts()
    assert verdicts == {
        f"{method}:{test}": verdict
        for method in ("cli", "mcp")
        for test, verdict in (
            ("heading", "failed"),
            ("long", "failed"),
            ("files", "failed"),
            ("script", "failed"),
            ("dialog", "passed"),
            ("pool", "passed"),
            ("request", "failed"),
        )
    }, (verdicts, done.err)
    files = [path for path in project.folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"console.log", "network.jsonl", "web.log", "worker-1.log", "mcp.jsonl"}
    for path in files:
        name = str(path.relative_to(project.folder))
        assert "s3cr3t" not in name
        if path.suffix != ".png":
            data = path.read_bytes()
            if name == "report.html":
                data += json.dumps(data_of(path.read_text())).encode()
            assert b"s3cr3t" not in data, (name, data[max(0, data.index(b"s3cr3t") - 100) :][:300])
    assert "s3cr3t" not in done.err
    assert "***THE_TOKEN***" in (project.folder / "attempts/cli/heading/1/console.log").read_text()


LEAKS = """
import base64, html, json, os, sys, urllib.parse
token = os.environ["THE_TOKEN"]
raw = token.encode()
forms = [token, urllib.parse.quote(token), urllib.parse.quote(token, safe=""), urllib.parse.quote_plus(token)]
forms += [json.dumps(token), json.dumps(token, ensure_ascii=False), html.escape(token)]
forms += [base64.b64encode(pad + raw).decode() for pad in (b"", b"x", b"xy")]
forms += [base64.urlsafe_b64encode(raw).decode()]
print(*forms, sep="\\n")
print(*forms, sep="\\n", file=sys.stderr)
with open(os.environ["OUT"], "w") as file:
    print(*forms, sep="\\n", file=file)
sys.exit(f"failed with {token} and {forms[3]}")
"""


def test_a_secret_in_any_encoding_is_nowhere_after_a_run_and_its_resume(project):
    spec = """orchestra: 1
suite: s
secrets: [THE_TOKEN]
methods: {cli: {driver: command}}
tests:
  x: {command: {argv: [python, leak.py, "${env.THE_TOKEN}"], env: {OUT: "${attempt.dir}/out.txt", T: "${env.THE_TOKEN}"}}}
"""
    (project.root / "leak.py").write_text(LEAKS)
    project.write(spec).compile()
    for words in (["run"], ["run", "--resume"]):
        done = project.run(*words, THE_TOKEN=SECRET, ORCHESTRA_NOTE=SECRET)
        assert done.code == 1
        assert SECRET not in done.out + done.err
    raw = SECRET.encode()
    hidden = {
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        html.escape(SECRET),
    }
    hidden |= {base64.b64encode(b"x" * pad + raw).decode()[(0, 2, 3)[pad] : -4] for pad in range(3)}
    files = [path for path in project.folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"events.jsonl", "output.log", "state.json", "junit.xml"}
    assert [path for path in files if path.name.startswith("plan-")]
    for path in files:
        data = path.read_bytes()
        assert not [form for form in hidden if form.encode() in data], path
    assert len(project.events("run_resumed")) == 1
    assert project.run("audit").code == 0
