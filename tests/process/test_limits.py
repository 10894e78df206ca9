"""What a product does without measure costs a run its limits: whole runs, with the memory of the process that owns them."""

from __future__ import annotations

import gzip
import os
import sys
import zlib

import pytest

from orchestra.runtime.body import Body, BodyError
from tests.support.floods import SERVER, Peak
from tests.support.project import SuiteProject

MEGABYTES = 300

SPEC = """orchestra: 1
suite: s
health:
  shop: {service: {run: [python, server.py, "${port}"], port_range: 4600-4699}, ready: {http: {path: /}}}
  packed:
    service: {run: [python, server.py, "${port}"], port_range: 4700-4799}
    ready: {http: {path: "/bomb?2", contains: x}, within_seconds: 2}
    required: false
  loud:
    service: {run: [python, flood.py, "300", stay]}
    ready: {log: {match: ^up$}}
methods: {cli: {driver: command, workers: 2}}
defaults: {timeout_seconds: 30, retries: {max: 0}}
tests:
  endless: {requires: [shop], steps: [{http: {GET: /endless, base: shop}}]}
  small: {requires: [shop], steps: [{http: {GET: /endless, base: shop, limit_megabytes: 0.5}}]}
  packed: {requires: [shop], steps: [{http: {GET: "/bomb?1", base: shop}}]}
  twice: {requires: [shop], steps: [{http: {GET: "/bomb?2", base: shop}}]}
  codings: {requires: [shop], steps: [{http: {GET: /codings, base: shop}}]}
  head: {requires: [shop], steps: [{http: {GET: /head, base: shop, within_seconds: 1}}]}
  deep: {requires: [shop], steps: [{http: {GET: /deep, base: shop, match: {$: 1}}}]}
  path: {requires: [shop], steps: [{http: {GET: /wide, base: shop, match: {"$..[?@..[?@..[?@..[?@ == 9]]]]": 1}}}]}
  probe: {requires: [packed], command: {argv: ["true"]}}
  line: {requires: [loud], command: {argv: [python, flood.py, "300"]}}
  junit: {command: {argv: [python, write.py, "<a>", "101", "${attempt.dir}/j.xml"], junit: "${attempt.dir}/j.xml"}}
  large: {command: {argv: [python, write.py, " ", "65000000", "${attempt.dir}/j.xml"], junit: "${attempt.dir}/j.xml"}}
  many: {command: {argv: [python, many.py, "${attempt.dir}"], attach: ["${attempt.dir}/**"]}}
  pipe: {command: {argv: [python, pipe.py, "${attempt.dir}"], attach: ["${attempt.dir}/*"]}}
"""
PROGRAMS = {
    "server.py": SERVER,
    "flood.py": """import sys, time
print("up", flush=True)
for _ in range(int(sys.argv[1])):
    sys.stdout.write("x" * 1_000_000)
sys.stdout.flush()
if len(sys.argv) > 2:
    time.sleep(1000)
""",
    "write.py": "import sys; open(sys.argv[3], 'w').write(sys.argv[1] * int(sys.argv[2]))\n",
    "many.py": "import sys\nfor n in range(10_001): open(f'{sys.argv[1]}/{n}', 'w').close()\n",
    "pipe.py": """import os, sys
for name in ("output.log", "more"):
    path = os.path.join(sys.argv[1], name)
    if os.path.exists(path):
        os.remove(path)
    os.mkfifo(path)
sys.exit(1)
""",
}
JUNIT = 'the JUnit file "j.xml"'
REASONS = {
    "cli:endless": "has more than 64 MB",
    "cli:small": "has more than 0.5 MB",
    "cli:packed": "has more than 64 MB",
    "cli:twice": "has more than 64 MB",
    "cli:codings": "the reply cannot be decoded: it has 4 content codings, at most 3 are read",
    "cli:head": "no whole reply within 1 s",
    "cli:deep": "is not JSON: maximum recursion depth exceeded",
    "cli:path": "did not end within 1 s of processor time",
    "cli:probe": "requires packed, which did not get ready within 2 s: GET http://127.0.0.1:",
    "cli:junit": f"{JUNIT} has more than 100 levels of nested elements",
    "cli:large": f"{JUNIT} has more than 64 MB",
    "cli:many": "of attach names more than 10000 files",
    "cli:pipe": "ended with exit code 1",
}


@pytest.mark.nightly  # each limit has a test of its own by day; here it is a run that keeps all, and its memory
def test_a_run_over_a_product_without_measure(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n")
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)
    project = SuiteProject(tmp_path).write(SPEC).compile()
    running = project.start("run", alone=True)
    peak = Peak(running)
    _, err = running.communicate(timeout=300)
    megabytes = peak.close()
    assert running.returncode == 1, err
    verdicts, reasons = project.verdicts(), project.reasons()
    assert verdicts["cli:line"] == "passed"
    for task, words in REASONS.items():
        assert words in reasons[task], (task, reasons[task])
    assert {task: verdict for task, verdict in verdicts.items() if verdict not in {"failed", "passed"}} == {
        "cli:path": "error",
        **dict.fromkeys(("cli:junit", "cli:large", "cli:many"), "error"),
        "cli:probe": "skipped",
    }
    assert megabytes < MEGABYTES
    if sys.platform.startswith("linux"):
        assert megabytes > 20, "it was measured"
    log = project.folder / "attempts" / "cli" / "line" / "1" / "output.log"
    assert log.stat().st_size < 65 << 20
    services = list((project.folder / "services").glob("loud.log*"))
    assert sum(file.stat().st_size for file in services) < 18 << 20


# ---------------------------------------------------------------------------------------------------------------- bodies


def fed(coding: str, limit: int, *blocks: bytes) -> Body:
    body = Body(coding, limit)
    for block in blocks:
        body.feed(block)
    return body


def test_a_body_is_decoded_up_to_its_limit():
    text = os.urandom(200_000)
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "": text,
        "br": text,
        "gzip": gzip.compress(text),
        "deflate": zlib.compress(text),
        "DEFLATE ": raw.compress(text) + raw.flush(),
        "deflate, x-gzip": gzip.compress(zlib.compress(text)),
    }
    for coding, data in packed.items():
        blocks = [data[at : at + 1000] for at in range(0, len(data), 1000)]
        for limit, over in ((len(text), False), (len(text) - 1, True), (10, True)):
            body = fed(coding, limit, *blocks)
            assert (bytes(body.data), body.over) == (text[:limit], over), coding
    with pytest.raises(BodyError, match="Error -3"):
        fed("gzip", 10, b"no gzip")
    with pytest.raises(BodyError, match="4 content codings"):
        Body("gzip," * 3 + "gzip", 10)


def test_a_bomb_takes_no_memory():
    bomb = gzip.compress(gzip.compress(bytes(64 << 20)) + b"more")
    body = fed("gzip, gzip", 1000, bomb)
    assert (len(body.data), body.over) == (1000, True)
