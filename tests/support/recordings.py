"""Record the ledgers of tests/data/runs: small suites, run for real, each packed with its project as it is on the disk.

    git worktree add /tmp/then COMMIT && cd /tmp/then && python -m tests.support.recordings FOLDER [NAME...]

A recorded run stays as it was written, whatever later versions write (only `ladder`, `rungs`, `mended` and `outages` of
plans and ledgers were renamed in all of them, before the first release): `test_recorded_runs` reads all of them. Run this with
the version whose format is to be kept, and add what it writes under a name of its own. Nothing of the machine that records
is in the files but its shape: the environment is replaced first.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orchestra.ledger.canonical import canonical, digest
from orchestra.ledger.chain import GENESIS
from tests.process.test_incident import KILLER
from tests.support.outages import ASK, FAULT, SERVE, asks, backend, breaks
from tests.support.paths import DATA
from tests.support.project import HEAD, SuiteProject, environment, py
from tests.support.servers import SERVER

GROUND = Path("/tmp/orchestra-recorded")
CLEAN = {"PATH": f"{GROUND}/venv/bin:/usr/bin:/bin", "HOME": f"{GROUND}/home", "LANG": "C.UTF-8"}
FAILS = py("raise SystemExit(1)")[1:-1]
PASSES = py("pass")[1:-1]
ONCE = "import pathlib, sys; seen = pathlib.Path(sys.argv[1]).exists(); pathlib.Path(sys.argv[1]).touch(); sys.exit(not seen)"
"""A program that fails the first time that it is given a name."""


@dataclass(frozen=True)
class Ground(SuiteProject):
    """A project that is recorded."""

    def ran(self, code: int, *words: str) -> Ground:
        done = self.run(*words)
        assert done.code == code, f"{self.root.name}: {words}: exit code {done.code}\n{done.out}{done.err}"
        return self

    def began(self, *words: str, file: str) -> subprocess.Popen[str]:
        """A run under way, once a test of it has made the file."""
        process = self.start(*words)
        while not (self.root / file).exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        return process

    def put(self, **files: str) -> Ground:
        for name, text in files.items():
            (self.root / f"{name}.py").write_text(text, encoding="utf-8")
        return self

    def git(self, *words: str) -> Ground:
        who = ["-c", "user.name=Recorder", "-c", "user.email=recorder@example.com"]
        subprocess.run(["git", *who, *words], cwd=self.root, check=True, capture_output=True)
        return self


RECORDED: dict[str, Callable[[Ground], object]] = {}


def recorded(function: Callable[[Ground], object]) -> Callable[[Ground], object]:
    RECORDED[function.__name__.replace("_", "-")] = function
    return function


GROUPS = f"{HEAD}groups: {{first: {{}}, second: {{after: [first]}}}}\n"
COUNTED = (
    GROUPS
    + """tests:
  a: {group: first, command: {argv: [sh, -c, "echo a"]}}
  b: {group: first, needs: [a], command: {argv: [sh, -c, "test -e good"]}}
  c: {group: second, needs: [b], command: {argv: [sh, -c, "echo c"]}}
"""
)


@recorded
def plain(ground: Ground) -> None:
    spec = f"{GROUPS}tests:\n  a: {{group: first, title: A test, {PASSES}}}\n  b: {{group: second, tags: [smoke], {PASSES}}}\n  c: {{{PASSES}}}\n"
    ground.write(spec).compile().ran(0, "run")


@recorded
def each_verdict(ground: Ground) -> None:
    """Each way in which a test can end without a browser, in a work tree of git with a change."""
    late = py("import time; time.sleep(60)")[1:-1]
    ground.put(once=ONCE).write(
        f"{HEAD}tests:\n  good: {{{PASSES}}}\n  bad: {{retries: {{max: 1, on: [failed]}}, {FAILS}}}\n"
        f"  waits: {{needs: [bad], {PASSES}}}\n  off: {{skip: not today, {PASSES}}}\n"
        f"  late: {{timeout_seconds: 1, retries: {{max: 1, on: [timeout]}}, {late}}}\n"
        "  none: {command: {argv: [no-such-program]}}\n"
        "  flaky: {retries: {max: 1, on: [failed]}, command: {argv: [python, once.py, seen]}}\n"
        "  refused: {retries: {max: 1}, steps: [{http: {GET: 'http://127.0.0.1:1/'}}]}\n"
        "  asks: {before: [{set: {x: 1}}], steps: [{set: {x: 2}}, {http: {GET: 'http://127.0.0.1:1/', within_seconds: 0.2}}],"
        " finally: [{set: {x: 3}}]}\n"
    )  # fmt: skip
    ground.git("init", "--quiet", "--initial-branch=main").git("add", "pyproject.toml", "once.py")
    ground.git("commit", "--quiet", "--message", "first").compile().ran(1, "run")


@recorded
def resumed(ground: Ground) -> None:
    ground.write(COUNTED).compile().ran(1, "run")
    (ground.root / "good").touch()
    ground.ran(0, "run", "--resume")


@recorded
def resumed_twice(ground: Ground) -> None:
    ground.write(COUNTED).compile().ran(1, "run").ran(1, "run", "--resume")
    (ground.root / "good").touch()
    ground.ran(0, "run", "--resume")


@recorded
def rolled_back(ground: Ground) -> None:
    resumed(ground)
    ground.ran(0, "rollback", "first", "--reason", "look again")


@recorded
def rolled_back_resumed(ground: Ground) -> None:
    rolled_back(ground)
    ground.ran(0, "run", "--resume")


@recorded
def rolled_back_restored(ground: Ground) -> None:
    """Back to a point at which a test had another verdict: it failed then, and passed since."""
    ground.write(COUNTED).compile().ran(1, "run")
    first = next(str(event["seq"]) for event in ground.events("group_completed") if event["body"]["group"] == "first")
    (ground.root / "good").touch()
    ground.ran(0, "run", "--resume").ran(0, "rollback", first)


@recorded
def rolled_back_restored_resumed(ground: Ground) -> None:
    rolled_back_restored(ground)
    ground.ran(0, "run", "--resume")


@recorded
def torn(ground: Ground) -> None:
    """Half a line at the end, as a kill leaves it; nothing came after."""
    ground.write(COUNTED).compile().ran(1, "run")
    ledger = ground.folder / "events.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-40])


@recorded
def torn_resumed(ground: Ground) -> None:
    torn(ground)
    (ground.root / "good").touch()
    ground.ran(0, "run", "--resume")


@recorded
def several_files(ground: Ground) -> None:
    """A ledger that goes on in further files, over two segments."""
    small = "import orchestra.ledger.log as log; log.SEGMENT_BYTES = 4000\n"
    (ground.root / "small.py").write_text(f"{small}from orchestra.cli import main\nmain()\n")
    ground.write(COUNTED).compile()
    small_files = partial(subprocess.run, cwd=ground.root, env=environment(), capture_output=True, check=False)
    assert small_files([sys.executable, "small.py", "run"]).returncode == 1
    (ground.root / "good").touch()
    assert small_files([sys.executable, "small.py", "run", "--resume"]).returncode == 0
    assert (ground.folder / "events-3.jsonl").exists()


@recorded
def gates(ground: Ground) -> None:
    """Gates of each phase and of each result."""
    slow = py("import time; time.sleep(2.5)")[1:-1]
    rules = {
        "before": {"some": "total > 0", "few": "total < 2"},
        "during": {
            "budget": "failed <= 0",
            "calm": "cpu_percent >= 0.0",
            "busy": "executed > 100",
        },
        "after": {
            "rates": "pass_rate >= 1.0",
            "paces": "seconds_p50 + seconds_max + method.cli.seconds_p95 >= 0.0",
            "none": "method.cli.calls > 0",
            "count": "failed == 0",
        },
    }
    more = {
        "few": "severity: warn, message: '{total} tests'",
        "budget": "on_fail: warn, message: '{failed} failed'",
        "busy": "on_fail: throttle",
        "rates": "severity: warn, message: 'of {total}: {pass_rate}'",
    }
    spec = f"{HEAD}gates:\n"
    for phase, named in rules.items():
        spec += f"  {phase}:\n"
        spec += "".join(
            f"    {name}: {{require: {json.dumps(text)}{', ' + more[name] if name in more else ''}}}\n"
            for name, text in named.items()
        )
    ground.write(f"{spec}tests:\n  a: {{{PASSES}}}\n  b: {{{FAILS}}}\n  c: {{{slow}}}\n  d: {{after: [c], {slow}}}\n")
    ground.compile().ran(1, "run")


@recorded
def gate_stops(ground: Ground) -> None:
    slow = py("import time; time.sleep(2.5)")[1:-1]
    ground.write(
        f"{HEAD}gates: {{during: {{budget: {{require: failed <= 0, on_fail: stop}}}}}}\n"
        f"tests:\n  a: {{{FAILS}}}\n  b: {{{slow}}}\n  c: {{after: [b], {PASSES}}}\n"
    ).compile().ran(1, "run")


def served(ground: Ground, health: str, tests: str, more: str = "") -> Ground:
    ground.put(server=SERVER, serve=SERVE, ask=ASK, fault=FAULT)
    ground.write(f"{HEAD}health:\n{health}tests:\n{tests}{more}").compile()
    return ground


@recorded
def incident(ground: Ground) -> None:
    tests = f"  a: {{{breaks('kill', seconds=2.0)}\n  b: {{after: [a], {asks()}\n"
    served(ground, backend(), tests, "gates: {after: {i: {require: 'incidents == 1 && recoveries == 1'}}}\n").ran(
        0, "run"
    )


@recorded
def failover(ground: Ground) -> None:
    health = backend(recover="[restart, failover]") + '    failover: {run: [python, backup.py, "${port}"]}\n'
    kill = breaks("kill", seconds=2.0).replace("import os,", "import os; open('sick', 'w').close()\\nimport os,", 1)
    tests = f"  a: {{{kill}\n  b: {{after: [a], {asks()}\n"
    ground.put(backup="import sys\nsys.argv = ['server.py', sys.argv[1], 'backend']\nexec(open('server.py').read())\n")
    served(ground, health, tests)
    path = ground.root / "serve.py"
    path.write_text(f"import os, sys\nif os.path.exists('sick'): sys.exit('sick')\n{path.read_text()}")
    ground.ran(0, "run")


TWICE = breaks("kill", seconds=2.0).replace("exist_ok=False", "exist_ok=True")


@recorded
def held_twice(ground: Ground) -> None:
    """A test that fails in two incidents, then once more in a further segment, which counts them on."""
    gate = "gates: {after: {all: {require: 'incidents + infra_suspect + recoveries < 100'}}}\n"
    served(ground, backend(), f"  a: {{{TWICE}\n", gate).ran(1, "run")
    (ground.root / "broken-backend").unlink()
    ground.ran(1, "run", "--resume")


@recorded
def blocked(ground: Ground) -> None:
    """A server that does not come back: the run ends with exit code 3."""
    tests = f"  a: {{{breaks('kill', seconds=2.0)}\n  b: {{after: [a], {asks()}\n  free: {{{PASSES}}}\n"
    served(ground, backend(), tests)
    path = ground.root / "serve.py"
    path.write_text(f"import os, sys\nif os.path.exists('broken-backend'): sys.exit('no more')\n{path.read_text()}")
    ground.ran(3, "run")


PACED = f"""{HEAD}
baseline: {{min_runs: 2, slower_ratio: 3, slower_seconds: 1.0, confirm: 2, max_load_percent: 100}}
gates: {{after: {{no_regression: {{require: regressions == 0, severity: warn}}}}}}
tests:
  a: {{command: {{argv: [python, -c, "import os, time; time.sleep(3 if os.path.exists('slow') else 0)"]}}}}
  b: {{command: {{argv: [python, once.py]}}}}
"""


@recorded
def slower(ground: Ground) -> None:
    """A duration that the repeats confirm, and one that they do not; the baseline is accepted then."""
    once = (
        "import os, time; os.path.exists('slow') and not os.path.exists('seen') and (open('seen', 'w'), time.sleep(3))"
    )
    ground.put(once=once).write(PACED).compile().ran(0, "run").ran(0, "run")
    (ground.root / "slow").touch()
    ground.ran(0, "run").ran(0, "baseline", "accept")


@recorded
def excused(ground: Ground) -> None:
    ground.write(
        f"{HEAD}tests:\n  known: {{known_failures: [{{match: exit code, reason: B-7}}], {FAILS}}}\n"
        f"  strict: {{known_failures: [{{match: exit code, strict: true}}], {PASSES}}}\n"
        f"  held: {{quarantine: {{owner: team, until: '2099-12-31', reason: rewrite}}, {FAILS}}}\n"
        f"  over: {{quarantine: {{owner: team, until: '2020-12-31'}}, {PASSES}}}\n  behind: {{needs: [held], {PASSES}}}\n"
    ).compile().ran(1, "run")


SLEEPS = py(
    "import pathlib, time; pathlib.Path('here').touch(); time.sleep(600 if not pathlib.Path('go').exists() else 0)"
)[1:-1]


@recorded
def interrupted(ground: Ground) -> None:
    ground.write(
        f"{HEAD}tests:\n  a: {{{PASSES}}}\n  b: {{after: [a], {SLEEPS}}}\n  c: {{after: [b], {PASSES}}}\n"
    ).compile()
    process = ground.began("run", file="here")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err


@recorded
def interrupted_resumed(ground: Ground) -> None:
    interrupted(ground)
    (ground.root / "go").touch()
    ground.ran(0, "run", "--resume")


SLOW_BREAK = TWICE.replace(
    "subprocess.run([sys.executable, 'ask.py'", "pathlib.Path('here').touch(); subprocess.run([sys.executable, 'ask.py'"
)


@recorded
def killed(ground: Ground) -> None:
    """A run that a SIGKILL ended while an incident was open."""
    low = backend(recover="[{run: [python, slow.py]}, restart]")
    ground.put(
        slow="import pathlib, time\npathlib.Path('here').touch()\ntime.sleep(0 if pathlib.Path('go').exists() else 600)\n"
    )
    served(ground, low, f"  ok: {{{PASSES}}}\n  a: {{after: [ok], {TWICE}\n  b: {{after: [a], {asks()}\n")
    path = ground.root / "serve.py"
    path.write_text(
        f"import os, sys\nif os.path.exists('broken-backend') and not os.path.exists('go'): sys.exit('no more')\n{path.read_text()}"
    )
    process = ground.began("run", file="here")
    process.kill()
    process.communicate()


@recorded
def killed_resumed(ground: Ground) -> None:
    killed(ground)
    (ground.root / "go").touch()
    (ground.root / "serve.py").write_text(SERVE)
    asked = asks()[:-1].replace("requires: [backend], ", "")
    ground.write((ground.root / "specs/s.yaml").read_text().split("tests:\n")[0] + (
        f"tests:\n  ok: {{{PASSES}}}\n  a: {{after: [ok], requires: [backend], {asked}}}\n  b: {{after: [a], {asks()}\n"
    )).compile().ran(0, "run", "--resume", "--allow-changed")  # fmt: skip


@recorded
def killed_between_tries(ground: Ground) -> None:
    """The first attempt failed, the second was cut off and is repeated: `flaky` over two segments."""
    once = "case $D in */1) exit 1;; */2) touch two; sleep 600;; esac"
    command = f'command: {{argv: [sh, -c, "{once}"], env: {{D: "${{attempt.dir}}"}}}}'
    ground.write(f"{HEAD}tests:\n  a: {{retries: {{max: 1, on: [failed]}}, {command}}}\n  b: {{{PASSES}}}\n").compile()
    process = ground.began("run", file="two")
    process.kill()
    process.communicate()
    ground.ran(0, "run", "--resume")


@recorded
def unchanged(ground: Ground) -> None:
    """Two runs: in the second nothing that one test reads has changed."""
    (ground.root / "data.txt").write_text("one")
    ground.write(f"{HEAD}tests:\n  a: {{inputs: [data.txt], {PASSES}}}\n  b: {{{PASSES}}}\n").compile()
    ground.ran(0, "run").ran(0, "run")


@recorded
def allow_changed(ground: Ground) -> None:
    ground.write(COUNTED).compile().ran(1, "run")
    (ground.root / "good").touch()
    ground.write(COUNTED.replace("echo a", "echo A")).compile().ran(0, "run", "--resume", "--allow-changed")


@recorded
def profile(ground: Ground) -> None:
    ground.write(
        f"{HEAD}secrets: [TOKEN]\nprofiles: {{staging: {{vars: {{word: staging}}}}}}\nvars: {{word: local}}\n"
        'tests:\n  a: {command: {argv: [echo, "${vars.word}", "${env.TOKEN}"]}}\n'
        '  b: {command: {argv: [sh, -c, "echo $TOKEN; exit 3"]}}\n'
    ).compile()
    done = ground.run("run", "--profile", "staging", TOKEN="tell-nobody")
    assert done.code == 1, done.err


@recorded
def two_methods(ground: Ground) -> None:
    """A wrapped command by two methods, with a JUnit file and attached files; the methods do not agree."""
    junit = (
        "import os, pathlib, sys\nfolder = pathlib.Path(sys.argv[1])\nfolder.joinpath('more').mkdir()\n"
        "folder.joinpath('more/told.txt').write_text('told')\nbad = sys.argv[2] in sys.argv[3].split(',')\n"
        "body = '<failure message=\"found 3\">at line 7</failure>' if bad else ''\n"
        "folder.joinpath('junit.xml').write_text(f'<testsuite><testcase classname=\"w\" name=\"x\">{body}</testcase></testsuite>')\n"
        "sys.exit(bad)\n"
    )
    tests = "".join(
        f'  t{number}: {{command: {{argv: [python, wrapped.py, "${{attempt.dir}}", "${{method.id}}:t{number}", "{bad}"],'
        ' junit: "${attempt.dir}/junit.xml", attach: ["more/**"]}}\n'
        for number, bad in enumerate(["", "two:t1", "one:t2,two:t2", "", "", "", ""])
    )
    ground.put(wrapped=junit).write(
        f"{HEAD.replace('{cli: {driver: command, workers: 2}}', '{one: {driver: command}, two: {driver: command}}')}tests:\n{tests}"
    )
    ground.compile().ran(1, "run")


SITE = DATA / "errors" / "site.py"
BROWSER = """orchestra: 1
suite: s
health:
  shop:
    service: {run: [python, site.py, "${port}"], port_range: 4300-4399}
    ready: {http: {path: /}}
methods:
  cli: {driver: playwright, workers: 1}
  mcp: {driver: mcp, workers: 1, session: {single: true}}
groups: {pages: {}}
defaults: {requires: [shop]}
errors: {log_patterns: {shop: ['^ERROR\\b']}}
gates:
  after:
    quiet: {require: warned == 0, severity: warn, message: "{warned} warned"}
    network: {require: "network.requests >= network.elsewhere && network.shop.failed > 0 && method.mcp.calls > 0"}
tests:
  opens: {group: pages, steps: [{goto: "${shop.url}/"}, {expect: {role: button, name: all, exact: true, to: {be: visible}}}]}
  noisy: {group: pages, steps: [{goto: "${shop.url}/"}, {click: {role: button, name: all, exact: true}}, {expect: {testid: done, to: {have_text: done}}}]}
  page: {group: pages, errors: {page_errors: fail}, steps: [{goto: "${shop.url}/"}, {click: {role: button, name: thrown, exact: true}}, {expect: {testid: done, to: {have_text: done}}}]}
  late: {group: pages, before: [{goto: "${shop.url}/"}], steps: [{evaluate: {script: "() => { setTimeout(() => { document.body.innerHTML += '<p data-testid=soon>soon</p>' }, 900) }"}}, {wait: {testid: soon}}], finally: [{goto: "${shop.url}/"}]}
  misses: {group: pages, evidence: "off", steps: [{goto: "${shop.url}/"}, {wait: {testid: nowhere, within_seconds: 1}}]}
  chrome: {group: pages, browser: firefox, steps: [{goto: "${shop.url}/"}]}
  short: {group: pages, evidence_limit_megabytes: 0.001, steps: [{goto: "${shop.url}/"}, {expect: {testid: nowhere, within_seconds: 0.5, to: {be: visible}}}]}
"""


@recorded
def browser(ground: Ground) -> None:
    """Tests of a page by both browser methods: findings, network, sessions, pictures, files over the limit."""
    shutil.copy(SITE, ground.root)
    ground.write(BROWSER).compile().ran(1, "run")


@recorded
def browser_dies(ground: Ground) -> None:
    """The browser of either method dies in a test, and is there again for the repeated attempt."""
    ground.put(killer=KILLER).write("""orchestra: 1
suite: s
health:
  killer: {service: {run: [python, killer.py, "${port}"], port_range: 4400-4499}, ready: {http: {path: /}}}
methods:
  cli: {driver: playwright, workers: 1}
  mcp: {driver: mcp, workers: 1, session: {single: true}}
tests:
  a: {requires: [killer], methods: [cli], steps: [{goto: "${killer.url}/"}, {http: {GET: "${killer.url}/browser"}}, {goto: "${killer.url}/"}]}
  b: {requires: [killer], methods: [mcp], steps: [{goto: "${killer.url}/"}, {http: {GET: "${killer.url}/server"}}, {goto: "${killer.url}/"}]}
""").compile()
    done = ground.run("run")
    assert done.code in {0, 1}, done.err


@recorded
def newer(ground: Ground) -> None:
    """A ledger with a type of event, a version of one, and fields that no program of today knows."""
    plain(ground)
    file = ground.folder / "events.jsonl"
    told: list[dict[str, Any]] = []
    for line in file.read_bytes().splitlines():
        one = json.loads(line)
        if one["type"] == "attempt_finished":
            one["body"]["weight"] = 3
        if one["type"] == "seal":
            told.append({**one, "type": "telepathy", "body": {"thought": "soon", "number": 3}})
            told.append({**one, "type": "verdict", "v": 7, "body": {"task": "cli:a", "mood": "calm"}})
        told.append(one)
    before, lines = GENESIS, b""
    for seq, one in enumerate(told, 1):
        if one["type"] == "seal":
            one["body"] |= {"events": seq - 1, "head": before}
        bare = {**one, "seq": seq, "prev": before}
        del bare["hash"]
        bare.pop("mac", None)  # of the key of this user, over the hash that was
        before = digest(bare)
        lines += canonical({**bare, "hash": before}) + b"\n"
    file.write_bytes(lines)


def pack(ground: Ground, folder: Path) -> None:
    """The project as one file: what is needed to read its runs, and no more."""
    with tarfile.open(folder / f"{ground.root.name}.tar.xz", "w:xz") as archive:
        for path in sorted(ground.root.rglob("*")):
            inside = path.relative_to(ground.root)
            if inside.parts[0] in {".git", ".claude"} or "__pycache__" in inside.parts or inside.suffix == ".db":
                continue
            info = archive.gettarinfo(path, str(inside))
            if info is None or info.isdir():
                continue
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            if info.isfile():
                with path.open("rb") as content:
                    archive.addfile(info, content)
            else:
                archive.addfile(info)


def main() -> None:
    if os.environ.get("RECORDING") != "yes":
        (GROUND / "home").mkdir(parents=True, exist_ok=True)
        (GROUND / "venv").unlink(missing_ok=True)
        (GROUND / "venv").symlink_to(sys.prefix)
        python = str(GROUND / "venv/bin/python")
        os.execve(python, [python, "-m", "tests.support.recordings", *sys.argv[1:]], {**CLEAN, "RECORDING": "yes"})
    del os.environ["RECORDING"]
    folder, *names = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in names or RECORDED:
        root = GROUND / name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        (root / "pyproject.toml").write_text("[tool.orchestra]\n", encoding="utf-8")
        begun = time.monotonic()
        RECORDED[name](Ground(root))
        pack(Ground(root), Path(folder))
        sys.stdout.write(f"{name}: {time.monotonic() - begun:.1f} s\n")


if __name__ == "__main__":
    main()
