"""The log of a real service under audit."""

from __future__ import annotations

from tests.support.project import SuiteProject

SPEC = """orchestra: 1
suite: s
methods: {cli: {driver: http, workers: 1}}
health:
  web:
    service: {run: [python, -m, http.server, "${port}", --bind, 127.0.0.1], port_range: 8900-8999}
    ready: {http: {path: /}}
tests:
  a: {requires: [web], steps: [{http: {GET: "${web.url}/"}}]}
  b: {requires: [web], steps: [{http: {GET: "${web.url}/none"}}]}
"""


def test_an_audit_finds_a_byte_that_was_changed_in_the_log_of_a_service(project: SuiteProject):
    project.write(SPEC).compile()
    done = project.run("run")
    assert done.code == 1, done.err
    [logs] = project.events("logs")
    assert logs["body"]["files"][0]["path"] == "services/web.log"
    assert logs["body"]["open"] == []
    log = project.folder / "services/web.log"
    whole = log.read_bytes()
    log.write_bytes(whole[:-2] + b"!\n")
    told = project.run("audit")
    assert (told.code, 'the evidence "services/web.log" was changed' in told.out) == (1, True)
    log.write_bytes(whole)
    assert project.run("audit").code == 0

    assert project.run("run", "--resume").code == 1
    first, second = project.events("logs")
    assert first["body"]["files"][0]["digest"] != second["body"]["files"][0]["digest"], "it went on"
    assert project.run("audit").code == 0
    ends = [seal["body"] for seal in project.events("seal") if "rules" in seal["body"]]  # the others bind the reports
    assert [end["rules"]["all_selected"] for end in ends] == [True, True]
    assert "rules held" in project.run("events", "--type", "seal").out
