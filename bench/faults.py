"""Inject faults: real servers broken during real runs, with an oracle for the results that must not occur.

    python -m bench faults

Each injection is one test of a run: it breaks a server that it requires, and asks it. The order of kinds, the moment
and the victim come from the seed, so that a table can be had again. The oracle: no process is left, nothing hangs, no
verdict blames the product, and every incident is in the ledger, opened and closed.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil

from bench.measure import ORCHESTRA, ROOT, environment, table
from orchestra.runtime.servers.journal import Journal
from orchestra.runtime.servers.port import busy
from tests.support.outages import ASK, FAULT, SERVE
from tests.support.servers import SERVER, carriers, free_range

SEED = 20260101
HANG_SECONDS = 900.0
EVERY_SECONDS = 2.0
_BATCH = 24
_PLAIN = 3

# kind -> (victim, whether it must leave an incident of the victim); what can be done to a server once has one of its own
KINDS: dict[str, tuple[str, bool]] = {
    "killed in a test": ("plain", True),
    "killed between tests": ("plain", True),
    "killed at its start": ("early_", False),
    "stopped": ("plain", True),
    "answers 500": ("plain", True),
    "answers too slowly": ("plain", True),
    "accepts, never replies": ("plain", True),
    "closes mid-body": ("plain", True),
    "wrong content": ("plain", True),
    "port taken meanwhile": ("plain", True),
    "foreign server answers": ("plain", True),
    "restart fails twice": ("tired", True),
    "backup fails too": ("lost_", True),
    "killed under its dependent": ("base", True),
    "ignores TERM": ("deaf", True),
    "forks away, killed": ("forked", True),
    "floods its log": ("loud_", False),
    "two runs at once": ("plain", True),
    "run killed": ("plain", False),
    "clock jumps": ("plain", True),
    "MCP server killed": ("mcp.server", True),
    "MCP server hung": ("mcp.server", True),
    "browser killed, mcp": ("mcp.browser", True),
    "browser killed, cli": ("cli.browser", True),
    "renderer crashed, mcp": ("mcp.browser", True),
    "renderer crashed, cli": ("cli.browser", True),
}
BROWSERS = tuple(kind for kind, (victim, _) in KINDS.items() if "." in victim)
"""Those whose victim is what carries a browser test; a suite of their own, with a page that kills."""

END_SECONDS = 5.0
"""So soon after a SIGKILL of the run nothing of it may be left."""

_MODES = {
    "stopped": "stop",
    "answers 500": "500",
    "answers too slowly": "trickle",
    "accepts, never replies": "hang",
    "closes mid-body": "cut",
    "wrong content": "wrong",
    "ignores TERM": "hang",
}

INJECT = '''
"""inject.py KIND MODE VICTIM URL ID: breaks the victim the first time, then asks it as a client would."""
import os, pathlib, signal, subprocess, sys, time
kind, mode, victim, url, name = sys.argv[1:]
here = pathlib.Path(".")
def pid():
    return int((here / victim / "starts").read_text().split()[-1])
def fault(how):
    victims = [pid()] if how == "kill" else []  # here, at once: a process more would count as recovery
    (here / f"at-{name}").write_text(str(time.time()))
    for one in victims:
        os.kill(one, signal.SIGKILL)
        return
    subprocess.run([sys.executable, "fault.py", how, victim], check=True)
first = not (here / f"did-{name}").exists()
if first:
    (here / f"did-{name}").touch()
    if kind == "killed between tests":
        subprocess.run([sys.executable, "ask.py", url, "30"], check=True)
        fault("kill")
        sys.exit(0)
    if kind in {"port taken meanwhile", "foreign server answers"}:
        # A thief takes the port the moment that it is free; he leaves when the victim lives elsewhere.
        port = url.rpartition(":")[2]
        flags = ["thief-answers"] if kind.startswith("foreign") else ["thief"]
        subprocess.Popen([sys.executable, "thief.py", port, victim, str(pid()), *flags], start_new_session=True,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (here / victim / "thief").exists():
            time.sleep(0.01)
        (here / victim / "thief").unlink()
        fault("kill")
    elif kind == "restart fails twice":
        (here / victim / "refuse").write_text("2")
        fault("kill")
    elif kind == "backup fails too":
        (here / victim / "refuse").write_text("1000000")
        fault("kill")
    elif kind == "forks away, killed":
        fault("kill-all")
    elif kind in {"floods its log", "killed at its start"}:
        pass
    else:
        fault(mode or "kill")
subprocess.run([sys.executable, "ask.py", url, "2" if first else "60"], check=True)
'''
THIEF = '''
"""thief.py PORT VICTIM PID [thief-answers]: takes the port as soon as PID has let it go, until the victim has another start."""
import os, pathlib, socket, sys, time
port, victim, pid = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
starts = lambda: len((pathlib.Path(victim) / "starts").read_text().split())
before = starts()
(pathlib.Path(victim) / "thief").touch()
until = time.monotonic() + 20
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
while time.monotonic() < until:
    try:
        listener.bind(("127.0.0.1", port))
        break
    except OSError:
        if starts() != before:
            sys.exit(0)  # the victim was quicker
        time.sleep(0.0005)
listener.listen(16)
listener.settimeout(0.1)
while time.monotonic() < until and starts() == before:
    try:
        caller, _ = listener.accept()
    except OSError:
        continue
    if "thief-answers" in sys.argv:
        caller.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 16\\r\\n\\r\\n{\\"status\\": \\"ok\\"}")
    caller.close()
time.sleep(0.5)
'''
SERVE_MORE = """
import os, pathlib, sys
victim = pathlib.Path(sys.argv[1])
victim.mkdir(exist_ok=True)
refuse = victim / "refuse"
if refuse.exists() and int(refuse.read_text()) > 0:
    refuse.write_text(str(int(refuse.read_text()) - 1))
    sys.exit("refuses to start on purpose")
if sys.argv[1].startswith("early") and not (victim / "starts").exists():
    (victim / "starts").write_text("1\\n")
    os.kill(os.getpid(), 9)
if sys.argv[1].startswith("loud") and not (victim / "flooded").exists():
    (victim / "flooded").touch()
    for _ in range(1000):
        sys.stdout.write(("x" * 99 + "\\n") * 1000)
"""
FAULT_MORE = FAULT.replace(
    'elif how == "stop":',
    """elif how == "kill-all":
    import psutil
    found = []
    for one in psutil.process_iter():
        try:
            if one.cmdline()[1:3] == ["serve.py", folder]:
                found.append(one)
        except psutil.Error:
            pass
    for one in found:  # listed first: the scan is slow, and would meet the one that has come back
        one.kill()
elif how == "stop":""",
)

PAGE = '''
"""page.py PORT: a page; asked for /harm/NUMBER/HOW/PART it first harms that part of what shows it, once."""
import http.server, os, pathlib, psutil, signal, sys, time
run = os.environ["ORCHESTRA_TREE"].split()[-1].split("/")[0]
words_of = {"server": "mcp --endpoint", "browser": "--remote-debugging", "renderer": "--type=renderer"}
def ours(one, wanted):
    words = " ".join(one.cmdline())
    if wanted not in words or ("--type=" in words and "--type=" not in wanted):
        return False
    return any(run in up.environ().get("ORCHESTRA_TREE", "") for up in (one, *one.parents()))
def harm(number, how, part):
    victims = []  # all of them first: without its parent the origin of a process is hard to find
    for one in psutil.process_iter():
        try:
            if ours(one, words_of[part]):
                victims.append(one)
        except psutil.Error:
            pass
    pathlib.Path("at-" + number).write_text(str(time.time()))
    for one in victims:
        one.send_signal(signal.SIGSTOP if how == "stop" else signal.SIGKILL)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, verb, *rest = (*self.path.split("/"), "", "")
        if verb == "harm" and not os.path.exists("at-" + rest[0]):
            harm(*rest[:3])
        body = b"<h1>Here</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
'''
HARMS = {
    "MCP server killed": "kill/server",
    "MCP server hung": "stop/server",
    "browser killed, mcp": "kill/browser",
    "browser killed, cli": "kill/browser",
    "renderer crashed, mcp": "kill/renderer",
    "renderer crashed, cli": "kill/renderer",
}
CLOCK = '''
"""The wall clock of every Python of this run: each seventh look finds it hours away from where it was."""
import datetime, os, random, time
plain, real = datetime.datetime, time.time
dice, state = random.Random(os.environ["CLOCK_SEED"]), {"away": 0.0, "looks": 0}
def jumping():
    state["looks"] += 1
    if state["looks"] % 7 == 0:
        state["away"] = dice.uniform(-86400, 86400)
    return real() + state["away"]
class Same(type):
    def __instancecheck__(cls, other):
        return isinstance(other, plain)
class Jumping(plain, metaclass=Same):
    @classmethod
    def now(cls, tz=None):
        return plain.fromtimestamp(jumping(), tz)
time.time, datetime.datetime = jumping, Jumping
'''


@dataclass
class Tally:
    """The results of all runs."""

    injected: Counter[str] = field(default_factory=Counter)
    recovered: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    blamed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    ratios: list[float] = field(default_factory=list)
    gone: list[float] = field(default_factory=list)

    def held(self) -> bool:
        """Return True if the oracle is content."""
        return not (self.blamed or self.missing or self.left or self.hung or self.odd)


def plan_of(injections: int, seed: int) -> list[str]:
    """Return the kinds of all injections, each as often as the others, in the order of the seed."""
    kinds = [list(KINDS)[number % len(KINDS)] for number in range(injections)]
    random.Random(seed).shuffle(kinds)
    return kinds


def task_of(number: int, kind: str) -> str:
    """Return the task that an injection is."""
    return f"{'mcp' if KINDS[kind][0].startswith('mcp.') else 'cli'}:t{number}"


def victim_of(number: int, kind: str) -> str:
    """Return the component that an injection breaks."""
    victim = KINDS[kind][0]
    if victim == "plain":
        return f"plain{number % _PLAIN}"
    return f"{victim}{number}" if victim.endswith("_") else victim


def _row(name: str, *flags: str, needs: str = "", recover: str = "[restart, restart]", more: str = "") -> str:
    # `_spec` gives each row its own part of one range, so that no two overlap
    run = json.dumps(["python", "serve.py", name, "${port}", name, *flags])
    return f"""  {name}:
    {needs}
    service: {{run: {run}, port_range: 0-0, stop: {{grace_seconds: 0.3}}}}
    ready: {{http: {{path: /health, json: {{status: ok}}}}, within_seconds: 60}}
    live: {{http: {{path: /health, json: {{status: ok}}, timeout_seconds: 2}}, every_seconds: {EVERY_SECONDS:g}, failures: 2}}
    retries: {{max: 4, initial_seconds: 0.05, max_seconds: 0.2}}
    recover: {recover}
    {more}
"""


def _lost(name: str) -> str:
    failover = 'failover: {run: [python, -c, "raise SystemExit(1)", "${port}"]}'
    return _row(name, recover="[restart, failover]", more=failover)


def _spec(kinds: Sequence[tuple[int, str]]) -> str:
    health = "".join(
        [
            *(_row(name) for name in ("tired", "base", *(f"plain{number}" for number in range(_PLAIN)))),
            *(_row(victim_of(*one)) for one in kinds if KINDS[one[1]][0] in {"early_", "loud_"}),
            *(_lost(victim_of(*one)) for one in kinds if KINDS[one[1]][0] == "lost_"),
            _row("deaf", "deaf"),
            _row("forked", "daemon"),
            _row("top", needs="needs: [base]"),
        ]
    )
    count = health.count("port_range: 0-0")
    low, _ = free_range(4 * count)
    for number in range(count):
        health = health.replace("port_range: 0-0", f"port_range: {low + 4 * number}-{low + 4 * number + 3}", 1)
    tests = ""
    for number, kind in kinds:
        victim = victim_of(number, kind)
        asked = "top" if victim == "base" else victim
        argv = json.dumps(["python", "inject.py", kind, _MODES.get(kind, ""), victim, f"${{{asked}.url}}", f"{number}"])
        tests += f"  t{number}: {{title: {json.dumps(kind)}, requires: [{asked}], resources: {{{victim}: 1}}, "
        tests += f"command: {{argv: {argv}}}}}\n"
    victims = ", ".join(f"{victim}: 1" for victim in dict.fromkeys(victim_of(*one) for one in kinds))
    return (
        "orchestra: 1\nsuite: f\nmethods: {cli: {driver: command, workers: 4}}\n"
        f"resources: {{{victims}}}\nhealth:\n{health}tests:\n{tests}"
    )


def _project(folder: Path, kinds: Sequence[tuple[int, str]]) -> Path:
    texts = {"server.py": SERVER, "serve.py": SERVE_MORE + SERVE, "ask.py": ASK, "fault.py": FAULT_MORE}
    return _write(folder, {**texts, "inject.py": INJECT, "thief.py": THIEF}, _spec(kinds))


def _write(folder: Path, texts: Mapping[str, str], spec: str) -> Path:
    (folder / "specs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n")
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "specs" / "f.yaml").write_text(spec)
    done = subprocess.run([*ORCHESTRA, "compile"], cwd=folder, env=_env(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return folder


def _pages(folder: Path, kinds: Sequence[tuple[int, str]]) -> Path:
    """Return a project whose tests harm what carries them."""
    low, high = free_range(4)
    drivers = {"cli": "{driver: playwright, workers: 1}", "mcp": "{driver: mcp, session: {single: true}}"}
    used = dict.fromkeys(task_of(*one).partition(":")[0] for one in kinds)
    methods = "".join(f"  {name}: {drivers[name]}\n" for name in used)
    tests = ""
    for number, kind in kinds:
        method = task_of(number, kind).partition(":")[0]
        tests += f"  t{number}: {{title: {json.dumps(kind)}, methods: [{method}], steps: ["
        tests += f'{{goto: "${{web.url}}/"}}, {{http: {{GET: /harm/{number}/{HARMS[kind]}, base: web}}}}, '
        tests += "{expect: {role: heading, to: {contain: Here}}}]}\n"
    return _write(
        folder,
        {"page.py": PAGE},
        f"orchestra: 1\nsuite: f\nmethods:\n{methods}"
        f'health:\n  web:\n    service: {{run: [python, page.py, "${{port}}"], port_range: {low}-{high}}}\n'
        "    ready: {http: {path: /}}\n"
        f"defaults: {{requires: [web], retries: {{max: 0}}}}\ntests:\n{tests}",
    )


def _env() -> dict[str, str]:
    return environment({"PYTHONPATH": str(ROOT)}) | {"ORCHESTRA_TREE": ""}


def _clock(folder: Path, seed: float) -> dict[str, str]:
    """Return an environment in which every Python has a clock that jumps."""
    (folder / "clock").mkdir()
    (folder / "clock" / "sitecustomize.py").write_text(CLOCK)
    return _env() | {"PYTHONPATH": f"{folder / 'clock'}{os.pathsep}{ROOT}", "CLOCK_SEED": str(seed)}


def _events(folder: Path) -> Iterator[dict]:
    for line in (folder / "events.jsonl").read_text().splitlines():
        yield json.loads(line)


def _judge(root: Path, kinds: Sequence[tuple[int, str]], code: int, err: str, tally: Tally) -> None:
    """Hold the ledger of a run against the oracle."""
    folder = (root / ".orchestra/f/runs/last").resolve()
    events = list(_events(folder))
    verdicts = {event["body"]["task"]: event["body"] for event in events if event["type"] == "verdict"}
    incidents = [event["body"] for event in events if event["type"] == "incident"]
    closed = {incident["id"]: incident for incident in incidents if incident["state"] == "closed"}
    opened = {
        event["body"]["id"]: datetime.fromisoformat(event["time"]).timestamp()
        for event in events
        if event["type"] == "incident" and event["body"]["state"] == "opened"
    }
    for number, kind in kinds:
        victim, leaves = victim_of(number, kind), KINDS[kind][1]
        task = task_of(number, kind)
        verdict = verdicts.get(task, {"verdict": "error", "reason": "no verdict"})
        tally.verdicts[verdict["verdict"]] += 1
        allowed = {"blocked", "passed"} if victim.startswith("lost") else {"passed"}
        if verdict["verdict"] in {"failed", "timeout", "flaky"}:
            tally.blamed.append(f"{kind}: {verdict['verdict']}: {verdict['reason']}")
        elif verdict["verdict"] not in allowed:
            tally.odd.append(f"{kind}: {verdict['verdict']}: {verdict['reason']}")
        else:
            tally.recovered[kind] += 1
        own = [one for one in closed.values() if task in one.get("tests", ())]
        tally.seconds.setdefault(kind, []).extend(one["seconds"] for one in own if one["component"] == victim)
        if leaves and not own:  # a test that passed at once may be over before its fault is noticed
            at = float((root / f"at-{number}").read_text())
            own = [one for one in closed.values() if one["component"] == victim and opened[one["id"]] >= at]
        if leaves and not own:
            tally.missing.append(f"{kind}: t{number} has no incident")
    still_open = {incident["id"] for incident in incidents} - set(closed)
    tally.missing += [f"{name} never closes" for name in still_open]
    if code not in {0, 1, 3}:
        tally.odd.append(f"exit code {code}: {err[-300:]}")
    _ratios(root, kinds, events, tally)


def _ratios(root: Path, kinds: Sequence[tuple[int, str]], events: Sequence[dict], tally: Tally) -> None:
    """From a kill until the server is ready again, over the time of that start itself and one liveness period."""
    healthy_all = [
        event for event in events if event["type"] == "service_event" and event["body"]["state"] == "healthy"
    ]
    for number, kind in kinds:
        stamp, victim = root / f"at-{number}", victim_of(number, kind)
        healthy = [one for one in healthy_all if one["body"]["component"] == victim]
        if kind not in {"killed in a test", "killed between tests"} or not stamp.exists() or not healthy:
            continue
        at = float(stamp.read_text())
        after = [(datetime.fromisoformat(one["time"]).timestamp(), one["body"]["seconds"]) for one in healthy]
        later = [(moment, own) for moment, own in after if moment > at]
        if later:
            tally.ratios.append((later[0][0] - at) / (later[0][1] + EVERY_SECONDS))


def _batch(folder: Path, kinds: Sequence[tuple[int, str]], tally: Tally, dice: random.Random) -> None:
    alone = ("two runs at once", "run killed", "clock jumps")
    special = {kind: [one for one in kinds if one[1] == kind] for kind in alone}
    paged = [one for one in kinds if one[1] in BROWSERS]
    plain = [one for one in kinds if one[1] not in special and one not in paged]
    for kind in [kind for _, kind in kinds]:
        tally.injected[kind] += 1
    if plain:
        root = _project(folder / "a", plain)
        _finish(root, plain, _launch(root), tally)
    if paged:
        root = _pages(folder / "b", paged)
        _finish(root, paged, _launch(root), tally)
    for one in special["clock jumps"]:
        root = _project(folder / f"{one[0]}-c", [one])
        _finish(root, [one], _launch(root, _clock(root, dice.random())), tally)
        _timeless(root, tally)
    for one in special["two runs at once"]:  # two projects of one user, whose port ranges are the same
        roots = [_project(folder / f"{one[0]}-{name}", [one]) for name in "xy"]
        shared = (roots[0] / "specs/f.yaml").read_text()
        (roots[1] / "specs/f.yaml").write_text(shared)
        subprocess.run([*ORCHESTRA, "compile"], cwd=roots[1], env=_env(), capture_output=True, check=True)
        runs = [_launch(root) for root in roots]
        for root, run in zip(roots, runs, strict=True):
            _finish(root, [one], run, tally)
        tally.recovered[one[1]] = min(tally.recovered[one[1]], tally.injected[one[1]])
    for one in special["run killed"]:
        _kill_run(_project(folder / f"{one[0]}-k", [(one[0], "stopped")]), one, tally, dice)


def _timeless(root: Path, tally: Tally) -> None:
    """No duration in the ledger may come of the clock that jumped, and the chain must hold."""
    for event in _events((root / ".orchestra/f/runs/last").resolve()):
        seconds = event["body"].get("seconds")
        if isinstance(seconds, int | float) and not 0 <= seconds < HANG_SECONDS:
            tally.odd.append(f"clock jumps: {event['type']} took {seconds} s")
    done = subprocess.run([*ORCHESTRA, "audit"], cwd=root, env=_env(), capture_output=True, text=True, check=False)
    if done.returncode:
        tally.odd.append(f"clock jumps: audit: {done.stderr[-300:]}")


def _launch(root: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*ORCHESTRA, "run"],
        cwd=root,
        env=env or _env(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _finish(root: Path, kinds: Sequence[tuple[int, str]], run: subprocess.Popen[str], tally: Tally) -> None:
    try:
        _, err = run.communicate(timeout=HANG_SECONDS)
    except subprocess.TimeoutExpired:
        tally.hung.append(", ".join(kind for _, kind in kinds))
        run.kill()
        run.communicate()
        return
    _judge(root, kinds, run.returncode, err, tally)
    mark = (root / ".orchestra/f/runs/last").resolve().name
    tally.left += [" ".join(carrier.cmdline()) for carrier in carriers(mark)]


def _kill_run(root: Path, one: tuple[int, str], tally: Tally, dice: random.Random) -> None:
    """SIGKILL of the run at a moment of the dice; counted by a process that is the subreaper of all of it."""
    moment = f"after:{dice.uniform(0.1, 4.0):.3f}"
    argv = [sys.executable, "-m", "tests.support.subreaper", moment, "-", "--", *ORCHESTRA, "-C", str(root), "run"]
    try:
        done = subprocess.run(
            argv, cwd=ROOT, env=_env(), capture_output=True, text=True, check=False, timeout=HANG_SECONDS
        )
    except subprocess.TimeoutExpired:
        tally.hung.append(one[1])
        return
    told = json.loads(done.stdout)
    left = [*told["left"], *_ports(root)]
    tally.left += left
    tally.gone.append(told["seconds"])
    tally.recovered[one[1]] += not left


def _ports(root: Path) -> list[str]:
    """Return the ports of a project with a listener."""
    held = []
    for low, high in re.findall(r"port_range: (\d+)-(\d+)", (root / "specs/f.yaml").read_text()):
        held += [reason for number in range(int(low), int(high) + 1) if (reason := busy("127.0.0.1", number))]
    return held


def watcher(seconds: float) -> float:
    """Return the share of one core that watching takes: a keeper with two services, asked as often as specs do by
    default.
    """
    with tempfile.TemporaryDirectory() as scratch:
        root = _project(Path(scratch) / "w", [(1, "killed in a test")])
        text = (root / "specs/f.yaml").read_text().replace(f"every_seconds: {EVERY_SECONDS:g}", "every_seconds: 5")
        (root / "specs/f.yaml").write_text(text)
        for words in (["compile"], ["up", "plain0", "base"]):
            subprocess.run([*ORCHESTRA, *words], cwd=root, env=_env(), capture_output=True, check=True)
        try:
            keeper = psutil.Process(json.loads((root / ".orchestra/f/up.json").read_text())["keeper"])
            before = keeper.cpu_times()
            time.sleep(seconds)
            after = keeper.cpu_times()
        finally:
            subprocess.run([*ORCHESTRA, "down"], cwd=root, env=_env(), capture_output=True, check=True)
    return 100.0 * (after.user + after.system - before.user - before.system) / seconds


FLOOD = "import sys\nfor _ in range(1000): sys.stdout.write(('x' * 99 + '\\n') * 1000)"


def flood(rounds: int = 3) -> float:
    """Return how much longer 100 MB of output take to be written when it is kept as a log, than when it is only read
    away.

    The rounds alternate; the median of the ratios.
    """
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(rounds):
            journal = Journal(Path(scratch) / f"{number}.log", str)
            journal.begin("flood", (r"listening on (?P<port>\d+)",))
            ratios.append(_flooded(journal.take) / _flooded(len))
            journal.close()
    return statistics.median(ratios)


def _flooded(take: Callable[[bytes], object]) -> float:
    with subprocess.Popen([sys.executable, "-c", FLOOD], stdout=subprocess.PIPE) as writer:
        begun = time.perf_counter()
        while writer.stdout is not None and (block := os.read(writer.stdout.fileno(), 65536)):
            take(block)
        return time.perf_counter() - begun


def inject(chosen: Sequence[str], seed: int) -> Tally:
    """Do these injections, a batch of them in each run."""
    tally, dice = Tally(), random.Random(seed)
    kinds = list(enumerate(chosen))
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        for start in range(0, len(kinds), _BATCH):
            _batch(folder / f"{start}", kinds[start : start + _BATCH], tally, dice)
            if os.environ.get("FAULTS_VERBOSE"):
                print(report(tally, seed, None), file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def report(tally: Tally, seed: int, watched: float | None, flooded: float | None = None) -> str:
    """Return the tables."""
    rows = []
    for kind in KINDS:
        if tally.injected[kind]:
            times = tally.seconds.get(kind) or []
            median = f"{statistics.median(times):.1f}" if times else ""
            rows.append((kind, str(tally.injected[kind]), str(tally.recovered[kind]), median))
    total = str(sum(tally.injected.values()))
    rows.append(("all", total, str(sum(tally.recovered.values())), ""))
    oracle = [
        ("left-over processes", tally.left),
        ("hangs", tally.hung),
        ("verdicts that blame the product", tally.blamed),
        ("incidents missing from the ledger", tally.missing),
        ("other surprises", tally.odd),
    ]
    text = table(f"Faults, seed {seed}", ("kind", "injected", "survived", "incident s, median"), rows)
    judged = [(name, str(len(found)), "0", "held" if not found else "MISSED") for name, found in oracle]
    text += "\n" + table("Faults: the oracle", ("what", "found", "allowed", ""), judged)
    figures = []
    if tally.ratios:
        worst = max(tally.ratios)
        median = statistics.median(tally.ratios)
        for name, value in (("median", median), ("worst", worst)):
            figures.append(
                (
                    f"kill to ready, {name}, x (start + period)",
                    f"{value:.2f}",
                    "1.3",
                    "held" if value <= 1.3 else "MISSED",
                )
            )
    if tally.gone:
        worst = max(tally.gone)
        told = (f"{worst:.2f}", f"{END_SECONDS:g}", "held" if worst <= END_SECONDS else "MISSED")
        figures.append(("SIGKILL of the run to nothing left, worst, s", *told))
    if watched is not None:
        figures.append(("the watcher, % of a core", f"{watched:.2f}", "2", "held" if watched <= 2 else "MISSED"))
    if flooded is not None:
        figures.append(("100 MB of output kept as a log, x only read", f"{flooded:.2f}", "", ""))
    if figures:
        text += "\n" + table("Faults: figures", ("figure", "measured", "limit", ""), figures)
    details = [f"- {name}: {item}" for name, found in oracle for item in found]
    return text + ("\n" + "\n".join(details) + "\n" if details else "")


def run(injections: int = 300, seed: int = SEED, watch_seconds: float = 30.0) -> str:
    """Return the tables."""
    watched = watcher(watch_seconds) if watch_seconds else None
    flooded = flood() if watch_seconds else None
    return report(inject(plan_of(injections, seed), seed), seed, watched, flooded)
