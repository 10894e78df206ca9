"""Measure the cost of masking in a run with ten secrets, against the same run with none.

    python -m bench secrets

Both runs have the same ten variables in their environment and print no secret, as in nearly every run; one spec names
them. Two kinds of work have a limit: programs in Python that print 20 KB each, and a browser suite by both methods with
screenshots, console, network, calls and Playwright's trace of every test. The worst case has none: commands that only
print 200 KB. The limits apply to CPU time, children included: masking takes far less than the variation of wall time.
"""

from __future__ import annotations

import base64
import random
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench.measure import ORCHESTRA, Case, Figure, alternate, environment, figures, timings
from bench.runtime import fresh
from orchestra.runtime.mask import Masks

NAMES = tuple(f"SECRET_{number}" for number in range(10))
LIMIT = 1.03

_COMMANDS = """orchestra: 1
suite: work
{secrets}methods: {{cli: {{driver: command, workers: 2}}}}
tests:
"""
_BROWSER = """orchestra: 1
suite: work
{secrets}methods: {{cli: {{driver: playwright, workers: 1}}, mcp: {{driver: mcp}}}}
health:
  web:
    service: {{run: [python, -m, http.server, "${{port}}", --bind, 127.0.0.1, --directory, web], port_range: 8900-8999}}
    ready: {{http: {{path: /}}}}
defaults: {{requires: [web], evidence: always, record: [trace]}}
tests:
"""
_STEPS = """  t{number}:
    steps:
      - goto: "${{web.url}}/?{number}"
      - fill: {{label: Message, value: "a message of {number}"}}
      - click: {{role: button, name: Send}}
      - expect: {{css: "#reply", to: {{contain: "message of {number}"}}}}
"""
_PAGE = """<!doctype html><title>Page</title><label>Message <input></label><button>Send</button><p id="reply"></p>
<script>
document.querySelector("button").onclick = () => {
  console.log("sent " + "x".repeat(200));
  fetch("/?sent=" + Math.random());
  document.querySelector("#reply").textContent = document.querySelector("input").value;
};
</script>
"""


def variables() -> dict[str, str]:
    """Ten secrets, as services give them out; the same each time."""
    give = random.Random(1)
    return {name: base64.b64encode(give.randbytes(30)).decode() for name in NAMES}


def log(size: int) -> str:
    """Return a log of a service, of about so many bytes."""
    line = "2026-01-02T03:04:05.678Z INFO  [worker-{0}] request {1:08x} GET /api/items?page={0} 200 {2} ms\n"
    lines, give = list[str](), random.Random(2)
    while sum(map(len, lines[:1])) * len(lines) < size:
        lines.append(line.format(len(lines) % 7, give.getrandbits(32), give.randrange(900)))
    return "".join(lines)


def _project(folder: Path, text: str, files: Mapping[str, str]) -> Path:
    for name, content in {"pyproject.toml": "[tool.orchestra]\n", "specs/work.yaml": text, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    subprocess.run([*ORCHESTRA, "compile"], cwd=folder, env=environment({}), capture_output=True, check=True)
    return folder


def _measured(
    title: str, text: str, files: Mapping[str, str], rounds: int, limit: float | None = LIMIT
) -> tuple[str, Figure]:
    with tempfile.TemporaryDirectory() as scratch:
        cases = {}
        for name, secrets in (("no secrets", ""), ("ten secrets", f"secrets: [{', '.join(NAMES)}]\n")):
            root = _project(Path(scratch) / name.replace(" ", "-"), text.replace("{secrets}", secrets), files)
            cases[name] = Case([*ORCHESTRA, "run"], root, fresh(root), env=variables())
        taken = alternate(cases, rounds)
    base, ours = taken.values()
    figure = Figure(f"{title}, x without", ours.wall / base.wall, ours.cpu / base.cpu, limit, by_cpu=True)
    return timings(title, taken), figure


def speed() -> Figure:
    """Measure the search of a log for ten secrets, in MB a second; without a limit."""
    data, stream = log(4_000_000).encode(), Masks(NAMES, variables()).stream()
    begun, used = time.perf_counter(), time.process_time()
    if stream is not None:
        stream.feed(data)
    return Figure(
        "log read for ten secrets, MB a second",
        len(data) / (time.perf_counter() - begun) / 1e6,
        len(data) / (time.process_time() - used) / 1e6,
        None,
    )


def run(programs: int = 60, logs: int = 60, pages: int = 20, rounds: int = 5) -> str:
    """Return all tables, without those of a browser for no `pages`."""
    commands, browser = (text.replace("{{", "{").replace("}}", "}") for text in (_COMMANDS, _BROWSER))
    program = commands + "".join(f"  t{at}: {{command: {{argv: [python, say.py]}}}}\n" for at in range(programs))
    worst = commands + "".join(f"  t{at}: {{command: {{argv: [cat, log.txt]}}}}\n" for at in range(logs))
    browser += "".join(_STEPS.format(number=number) for number in range(pages))
    said = {"say.py": "print(open('log.txt').read())\n", "log.txt": log(20_000)}
    found = [_measured(f"{programs} programs that print 20 KB", program, said, rounds)]
    if pages:
        found.append(_measured(f"{2 * pages} tests in a browser", browser, {"web/index.html": _PAGE}, rounds))
    found.append(_measured(f"{logs} commands that only print 200 KB", worst, {"log.txt": log(200_000)}, rounds, None))
    tables, ratios = zip(*found, strict=True)
    return "\n".join([*tables, figures("Masking: a run with ten secrets", [*ratios, speed()])])
