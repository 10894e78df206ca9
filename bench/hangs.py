"""Let parts hang on purpose during a real run, with an oracle for the longest delay.

    python -m bench hangs

There are two measurements. A run gets SIGTERM while something hangs: the time until it records the signal, and until it
is gone. Something hangs during an attempt: the time from the limit of its test to its end. The oracle: a signal is
recorded within five seconds, an attempt ends ten seconds after its limits at the latest, the run ends, and no process
is left.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import psutil

from bench.measure import ORCHESTRA, environment, table
from tests.support.floods import SERVER
from tests.support.servers import carriers, free_range

HEARD_SECONDS = 5.0
BEYOND_SECONDS = 10.0
GONE_SECONDS = 60.0
LIMIT_SECONDS = 4.0
_REACHED_SECONDS = 180.0

EVIL = "(a+)+"
BAIT = "a" * 60 + "!"
PATH = "$..[?@..[?@..[?@..[?@ == 9]]]]"


@dataclass
class Run:
    """A run under way."""

    folder: Path
    process: subprocess.Popen[bytes]

    def children(self, *words: str) -> list[psutil.Process]:
        """Return the processes of the run in whose command line all words are."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                line = " ".join(child.cmdline())
            except psutil.Error:
                continue
            if all(word in line for word in words):
                found.append(child)
        return found

    def stop(self, *words: str) -> None:
        """SIGSTOP those processes; there must be one."""
        found = self.children(*words)
        assert found, f"no process with {words} in {[' '.join(one.cmdline()) for one in self.children()]}"
        for one in found:
            one.suspend()


@dataclass(frozen=True)
class Hang:
    """Something that hangs.

    Attributes:
        name: for the table.
        tests: of the spec, YAML; the first test named `hang` or one of its method is what is measured.
        by: the methods, with their drivers.
        health: rows of the health matrix; `shop` is there where a test names it.
        secrets: names of variables.
        files: that the project has.
        then: done when the run has reached the test, which has written the file `at`.
        env: variables of the run.
        shut: stderr is not read.
    """

    name: str
    tests: str
    by: str = "{cmd: {driver: command, workers: 4}}"
    health: str = ""
    secrets: str = "[]"
    files: Mapping[str, str] = field(default_factory=dict)
    then: Callable[[Run], None] = lambda _: None
    env: Mapping[str, str] = field(default_factory=dict)
    shut: bool = False


@dataclass(frozen=True)
class Endured:
    """The result of one hang: seconds, None if not measured; `faults` is empty if the oracle accepts it."""

    name: str
    ask: Literal["signal", "limit"]
    heard: float | None
    gone: float
    beyond: float | None
    faults: tuple[str, ...]


SLEEP = "import pathlib, time; pathlib.Path('at').touch(); time.sleep(1000)"
SPARSE = "import pathlib; open('big', 'wb').truncate(40 << 30); pathlib.Path('at').touch()"
PLAYWRIGHT = "{cli: {driver: playwright, workers: 1}}"
MCP = "{mcp: {driver: mcp, session: {single: true}}}"
WAIT = """{steps: [{goto: "${shop.url}/"}, {evaluate: "() => fetch('/touch?at')"},
    {wait: {testid: never, within_seconds: WITHIN}}]}"""
SPIN = """{steps: [{goto: "${shop.url}/"}, {evaluate: "() => fetch('/touch?at').then(() => setTimeout(() => { for (;;) {} }))"},
    {wait: {testid: never, within_seconds: WITHIN}}]}"""
LINE = """{steps: [{goto: "${shop.url}/"}, {evaluate: "() => fetch('/touch?at')"},
    {evaluate: "() => console.error('x'.repeat(1e8))"}, {wait: {testid: never, within_seconds: WITHIN}}]}"""
DEAF = """import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(2):
    subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(1000)"],
                     start_new_session=True)
open("at", "w").close()
while True:
    print("here", flush=True)
    time.sleep(0.1)
"""
PIPES = """import os, pathlib, sys, time
print("here", flush=True)
runs = pathlib.Path(".orchestra/s/runs")
while not (logs := [str(path) for path in runs.glob("*/output/*.log") if path.stat().st_size]):
    time.sleep(0.01)
for path in (*logs, "specs/s.yaml", *map(str, runs.glob("*/services/*.log"))):
    os.remove(path)
    os.mkfifo(path)
os.mkfifo(sys.argv[1] + "/output.log")
os.mkfifo(sys.argv[1] + "/more")
open("at", "w").close()
time.sleep(1000)
"""
PACK = """import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
    for number in range(8):
        with file.open(str(number), "w") as out:
            for _ in range(128):
                out.write(bytes(1 << 20))
open("at", "w").close()
"""
JUNIT = f"""import sys, time
open(sys.argv[1], "w").write('<testsuite><testcase name="a"><failure message="{BAIT}"/></testcase></testsuite>')
open("at", "w").close()
"""
CHATTY = f"""import os, time
print("listening", flush=True)
while not os.path.exists("loud"):
    time.sleep(0.01)
print("{BAIT}", flush=True)
open("heard", "w").close()
time.sleep(1000)
"""
LOUD = """import os, time
open("loud", "w").close()
while not os.path.exists("heard"):
    time.sleep(0.01)
open("at", "w").close()
"""
RESOLVER = """#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  if (node && strstr(node, ".hang")) { close(open("at", O_CREAT | O_WRONLY, 0644)); sleep(1000); }
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
  return real(node, service, hints, found);
}
"""
GIT = "#!/bin/sh\ntouch at\nexec sleep 1000\n"
SHOP = '  shop: {service: {run: [python, server.py, "${port}"], port_range: LOW-HIGH}, ready: {http: {path: /}}}\n'
MANY = ", ".join(f"'{EVIL}{letter}$'" for letter in "bcdefghijklmnopqrstuvwxyz")
WARM = '  warm: {requires: [shop], steps: [{goto: "${shop.url}/"}]}\n'


def _page(name: str, by: str, test: str, then: Callable[[Run], None] = lambda _: None) -> Hang:
    tests = f"{WARM}  hang: {test.replace('{', '{needs: [warm], requires: [shop], ', 1)}\n"
    return Hang(name, tests, by, then=then)


HANGS: tuple[Hang, ...] = (
    Hang("nothing: a command that sleeps", f"  hang: {{command: {{argv: [python, -c, {json.dumps(SLEEP)}]}}}}\n"),
    Hang(
        "patterns in a log",
        "  hang: {requires: [chatty], errors: {service_logs: fail, log_patterns: {chatty: [" + MANY + "]}}, "
        "command: {argv: [python, loud.py]}}\n",
        health="  chatty: {service: {run: [python, chatty.py]}, ready: {log: {match: listening}}}\n",
        files={"chatty.py": CHATTY, "loud.py": LOUD},
    ),
    Hang(
        "patterns of known failures",
        "".join(
            f"  hang{n}: {{known_failures: [{{match: '{EVIL}b'}}], command: {{argv: [python, junit.py, "
            '"${attempt.dir}/j.xml"], junit: "${attempt.dir}/j.xml"}}\n'
            for n in range(40)
        ),
        files={"junit.py": JUNIT},
    ),
    Hang(
        "JSONPath",
        '  hang: {requires: [shop], steps: [{http: {GET: "/touch?at", base: shop}}, '
        f'{{http: {{GET: /wide, base: shop, match: {{"{PATH}": 1}}}}}}]}}\n',
    ),
    Hang(
        "archive, with secrets to hide",
        '  hang: {command: {argv: [python, pack.py, "${attempt.dir}"], attach: ["${attempt.dir}/*"]}}\n',
        secrets="[TOKEN]",
        files={"pack.py": PACK},
        env={"TOKEN": "eW91IGZvdW5kIG1l"},
    ),
    Hang(
        "a reader that does not read",
        f"  hang: {{command: {{argv: [python, -c, {json.dumps(SLEEP)}]}}}}\n",
        shut=True,
    ),
    Hang(
        "pipes in the place of files",
        '  hang: {requires: [shop], command: {argv: [python, pipes.py, "${attempt.dir}"], attach: ["${attempt.dir}/*"]}}\n',
        files={"pipes.py": PIPES},
    ),
    Hang(
        "inputs of a test, of forty gigabytes",
        f"  first: {{command: {{argv: [python, -c, {json.dumps(SPARSE)}]}}}}\n"
        '  hang: {needs: [first], inputs: [big], command: {argv: ["true"]}}\n',
    ),
    Hang(
        "names that are not resolved, of a step",
        '  hang: {steps: [{http: {GET: "http://a.hang/", within_seconds: WITHIN}}]}\n',
        env={"LD_PRELOAD": "resolver.so"},
    ),
    Hang(
        "names that are not resolved, of a probe",
        '  hang: {requires: [far], command: {argv: ["true"]}}\n',
        health='  far: {url: "http://b.hang", ready: {http: {path: /, timeout_seconds: 900}, within_seconds: 900}}\n',
        env={"LD_PRELOAD": "resolver.so"},
    ),
    Hang("git", f"  hang: {{command: {{argv: [python, -c, {json.dumps(SLEEP)}]}}}}\n", files={"bin/git": GIT}),
    Hang(
        "a command that ignores SIGTERM, and so do its children",
        "  hang: {command: {argv: [python, deaf.py]}}\n",
        files={"deaf.py": DEAF},
    ),
    Hang(
        "the reaper is stopped",
        f"  hang: {{command: {{argv: [python, -c, {json.dumps(SLEEP)}]}}}}\n",
        then=lambda run: run.stop("reaper.py"),
    ),
    *(
        hang
        for by, methods in (("cli", PLAYWRIGHT), ("mcp", MCP))
        for hang in (
            _page(f"{by}: a script that never ends", methods, SPIN),
            _page(f"{by}: a line of 100 MB on the console", methods, LINE),
            _page(f"{by}: the browser is stopped", methods, WAIT, lambda run: run.stop("--headless")),
            _page(
                f"{by}: the driver is stopped",
                methods,
                WAIT,
                lambda run: run.stop("driver/package/cli.js", "run-driver"),
            ),
            _page(f"{by}: the worker is stopped", methods, WAIT, lambda run: run.stop("orchestra.runtime.worker")),
        )
    ),
    _page("mcp: the server is stopped", MCP, WAIT, lambda run: run.stop("cli.js mcp")),
)
BY_NAME = {hang.name: hang for hang in HANGS}
BOUNDED = tuple(
    hang.name
    for hang in HANGS
    if hang.name.startswith(
        ("cli:", "mcp:", "JSONPath", "names that are not resolved, of a step", "a command", "nothing")
    )
)
"""Those of which an attempt is under way, so that its limit can be asked for."""


def project(hang: Hang, folder: Path, timeout: float) -> None:
    """Write and compile the project of a hang."""
    low, high = free_range(4)
    rows = hang.health
    if "[shop]" in hang.tests:
        rows += SHOP.replace("LOW", str(low)).replace("HIGH", str(high))
    head = f"orchestra: 1\nsuite: s\nsecrets: {hang.secrets}\nmethods: {hang.by}\n"
    health = f"health:\n{rows}" if rows else ""
    defaults = f"defaults: {{timeout_seconds: {timeout:g}, retries: {{max: 0}}}}\n"
    spec = f"{head}{health}{defaults}tests:\n{hang.tests.replace('WITHIN', f'{timeout:g}')}"
    files = {"pyproject.toml": "[tool.orchestra]\n", "server.py": SERVER, "specs/s.yaml": spec, **hang.files}
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)
    if "LD_PRELOAD" in hang.env:
        (folder / "resolver.c").write_text(RESOLVER, encoding="utf-8")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", "resolver.so", "resolver.c", "-ldl"], cwd=folder, check=True)
    done = subprocess.run([*ORCHESTRA, "compile"], cwd=folder, env=environment({}), capture_output=True, check=False)
    assert done.returncode == 0, f"{hang.name}: {done.stderr.decode()}"


def start(hang: Hang, folder: Path) -> Run:
    """Start the run of a hang, and wait until what is to hang does."""
    own = {name: str(folder / text) if text.endswith(".so") else text for name, text in hang.env.items()}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    errors: int = subprocess.DEVNULL
    if hang.shut:
        reading, errors = os.pipe()
        _fill(errors)
    process = subprocess.Popen(
        [*ORCHESTRA, "run"], cwd=folder, env=environment({**own, "PATH": path}), stderr=errors, start_new_session=True
    )
    run = Run(folder, process)
    if hang.shut:
        os.close(errors)
        os.set_inheritable(reading, True)  # held open, and never read
    end = time.monotonic() + _REACHED_SECONDS
    while not (folder / "at").exists():
        assert process.poll() is None, f"{hang.name}: the run ended with {process.returncode} before it hung"
        assert time.monotonic() < end, f"{hang.name}: the run did not come to it"
        time.sleep(0.01)
    time.sleep(0.3)  # from the mark to the hang itself
    hang.then(run)
    return run


def _fill(pipe: int) -> None:
    os.set_blocking(pipe, False)
    try:
        while os.write(pipe, bytes(65536)):
            continue
    except BlockingIOError:
        os.set_blocking(pipe, True)


def events(folder: Path) -> list[dict[str, object]]:
    """Return the ledger of the only run, as far as it goes; empty when there is none."""
    found = list((folder / ".orchestra/s/runs").glob("*/events.jsonl"))
    return [json.loads(line) for file in found[:1] for line in file.read_text().splitlines()]


def _at(event: Mapping[str, object]) -> float:
    return datetime.fromisoformat(str(event["time"])).timestamp()


def _end(run: Run, faults: list[str], patience: float) -> float:
    """Wait for the end of a run and return the time. A left-over process is a fault, and ended here."""
    begun = time.monotonic()
    try:
        run.process.wait(GONE_SECONDS * patience)
    except subprocess.TimeoutExpired:
        faults.append(f"the run was still there {GONE_SECONDS * patience:g} s later")
        run.process.kill()
        run.process.wait()
    gone = time.monotonic() - begun
    marks = [str(event["body"]["run"]) for event in events(run.folder) if event["type"] == "run_started"]  # type: ignore[index]
    end = time.monotonic() + HEARD_SECONDS * patience
    while left := [carrier for mark in marks for carrier in carriers(mark)]:
        if time.monotonic() > end:
            faults.append(f"{len(left)} processes were left")
            for one in left:
                one.kill()
            break
        time.sleep(0.05)
    return gone


def told_to_end(hang: Hang, folder: Path, patience: float) -> Endured:
    """SIGTERM while it hangs."""
    project(hang, folder, 900.0)
    run = start(hang, folder)
    faults: list[str] = []
    asked = time.time()
    run.process.send_signal(signal.SIGTERM)
    gone = _end(run, faults, patience)
    heard = next((_at(event) - asked for event in events(folder) if event["type"] == "interrupted"), None)
    if heard is None and run.process.returncode != -signal.SIGTERM:
        faults.append("it was not heard")
    elif (heard or 0.0) > HEARD_SECONDS * patience:
        faults.append(f"it was heard after {heard:.1f} s")
    if run.process.returncode not in {128 + signal.SIGTERM, -signal.SIGTERM}:
        faults.append(f"the exit code was {run.process.returncode}")
    return Endured(hang.name, "signal", heard, gone, None, tuple(faults))


def at_its_limit(hang: Hang, folder: Path, patience: float) -> Endured:
    """Return the run to its end, with a short limit for the test that hangs."""
    project(hang, folder, LIMIT_SECONDS)
    run = start(hang, folder)
    faults: list[str] = []
    gone = _end(run, faults, patience)
    taken = events(folder)
    at = {
        event["type"]: _at(event)
        for event in taken
        if event["body"].get("task", "").endswith(":hang") and event["body"].get("attempt", 1) == 1  # type: ignore[attr-defined]
    }
    if "attempt_finished" not in at:
        faults.append("the attempt did not end")
    beyond = at.get("attempt_finished", 0.0) - at["attempt_started"] - LIMIT_SECONDS
    if beyond > BEYOND_SECONDS * patience:
        faults.append(f"the attempt ended {beyond:.1f} s after its limit")
    if run.process.returncode != 1:
        faults.append(f"the exit code was {run.process.returncode}")
    return Endured(hang.name, "limit", None, gone, beyond, tuple(faults))


def endure(
    names: Iterable[str], ask: Literal["signal", "limit"], together: int = 1, patience: float = 1.0
) -> list[Endured]:
    """Let some hang.

    Args:
        names: of `HANGS`.
        ask: whether the run is asked to end, or the limit of its test comes.
        together: so many at once.
        patience: so many times as long as promised may it take; a busy machine is no fault.
    """

    def once(name: str) -> Endured:
        folder = Path(tempfile.mkdtemp(prefix="orchestra-hangs-"))
        try:
            return (told_to_end if ask == "signal" else at_its_limit)(BY_NAME[name], folder, patience)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    with ThreadPoolExecutor(together) as pool:
        return list(pool.map(once, names))


def report(endured: Iterable[Endured]) -> str:
    """Return the tables."""
    all_of = list(endured)
    told = [one for one in all_of if one.ask == "signal"]
    late = [one for one in all_of if one.ask == "limit"]
    shown = [
        (one.name, "at once" if one.heard is None else f"{one.heard:.1f}", f"{one.gone:.1f}", "; ".join(one.faults))
        for one in told
    ]
    beyond = [(one.name, f"{one.beyond or 0.0:.1f}", "; ".join(one.faults)) for one in late]
    parts = []
    if shown:
        parts.append(table("SIGTERM under what hangs", ("hangs", "heard, s", "run gone, s", "against it"), shown))
    if beyond:
        parts.append(
            table("The limit of a test under what hangs", ("hangs", "ended after it, s", "against it"), beyond)
        )
    return "\n".join(parts)


def run() -> str:
    """Return all of them, one after the other."""
    return report([*endure(BY_NAME, "signal"), *endure(BOUNDED, "limit")])
