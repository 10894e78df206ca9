"""The runner against plain doit, and against ninja, with the full ledger on.

    python -m bench runtime

Tests without work: a driver that this benchmark registers with the engine (`engine.local.DRIVERS`) answers each attempt
at once, so the rest is the graph, the queue, attempts and verdicts, three events in the ledger, their fsync, the live
state, the reports and the console. The same tests with one step `set` go through the pipe to a warm worker and back:
that figure has no limit. Plain doit has the same graph of two tasks per test, with actions in Python that do nothing.
Process tests run `true`, two at a time; between ours and ninja's is a loop in Python that only starts them by
`subprocess.Popen`, each in a session of its own, two at a time.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.measure import (
    ORCHESTRA,
    SCRIPTS,
    Case,
    Figure,
    Timing,
    against,
    alternate,
    environment,
    figures,
    goals,
    timings,
)

_HEAD = """\
orchestra: 1
suite: work
methods: {{cli: {{driver: {driver}, workers: 2}}}}
speed: {{good: {{below_seconds: 30, mark: "😊"}}, slow: {{mark: "😴"}}}}
tests:
"""
_DODO = """\
DOIT_CONFIG = {"verbosity": 0, "reporter": "zero", "dep_file": ".doit-plain"}


def nothing():
    pass


def task_tests():
    for number in range(COUNT):
        needs = [f"_run:cli:t{number // 2}"] if number else []
        yield {"basename": "_run:cli", "name": f"t{number}", "actions": [nothing], "task_dep": needs}
        yield {"basename": "cli", "name": f"t{number}", "actions": [nothing], "task_dep": [f"_run:cli:t{number}"]}
"""

NOTHING = """\
from orchestra.runtime.attempt import Result
from orchestra.runtime.engine import local

local.DRIVERS["http"] = lambda request: Result(request.task, request.attempt, "passed", 0.0)

from orchestra.cli import main

main()
"""
"""The program of a run whose tests are answered by a driver that does nothing, under the name that their method gives."""


_POPEN = """\
import subprocess, sys

running = []
for _ in range(int(sys.argv[1])):
    if len(running) == 2:
        running.pop(0).wait()
    running.append(subprocess.Popen(["true"], stdin=subprocess.DEVNULL, start_new_session=True))
for process in running:
    process.wait()
"""
"""The least that a runner in Python does: no graph, no log, no time limit, no record."""


def work_spec(count: int, driver: str, body: str) -> str:
    """Return a spec of this many tests; each but the first needs the one of half its number."""
    rows = (f"  t{number}: {{{f'needs: [t{number // 2}], ' if number else ''}{body}}}\n" for number in range(count))
    return _HEAD.format(driver=driver) + "".join(rows)


def project(folder: Path, text: str) -> Path:
    (folder / "specs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n")
    (folder / "specs" / "work.yaml").write_text(text)
    subprocess.run([*ORCHESTRA, "compile"], cwd=folder, env=environment({}), capture_output=True, check=True)
    return folder


def fresh(root: Path) -> Callable[[], None]:
    """Return what makes the next run of the suite `work` the first one."""

    def forget() -> None:
        shutil.rmtree(root / ".orchestra" / "work" / "runs", ignore_errors=True)
        for past in ("history.json", "executions.jsonl", "baseline.json"):
            (root / ".orchestra" / "work" / past).unlink(missing_ok=True)
        for path in root.glob(".doit*"):
            path.unlink()

    return forget


def ninja_project(folder: Path, count: int) -> Path:
    """Return the same processes as edges of ninja; nothing is written, so that each run does all of them."""
    folder.mkdir()
    edges = (f"build t{number}: run {f't{number // 2}' if number else ''}\n" for number in range(count))
    (folder / "build.ninja").write_text("rule run\n  command = true\n" + "".join(edges))
    return folder


def no_op(tests: int, rounds: int) -> str:
    """Measure the cost of a test that does nothing, against plain doit."""
    with tempfile.TemporaryDirectory() as scratch:
        work = project(Path(scratch) / "work", work_spec(tests, "http", "steps: [{set: {done: well}}]"))
        plain = Path(scratch) / "plain"
        plain.mkdir()
        (plain / "dodo.py").write_text(_DODO.replace("COUNT", str(tests)))
        doit = [sys.executable, "-m", "doit", "run"]
        taken = alternate(
            {
                "plain doit, two tasks a test": Case(doit, plain, fresh(plain)),
                "orchestra run, a driver that does nothing": Case(
                    [sys.executable, "-c", NOTHING, "run"], work, fresh(work)
                ),
                "orchestra run, a warm worker": Case([*ORCHESTRA, "run"], work, fresh(work)),
            },
            rounds,
        )
    base, ours, worker = taken.values()
    memory = ours.memory / base.memory
    found = [
        _over("overhead a test, ms", ours, base, tests, limit=1),
        Figure("peak memory, x plain doit", memory, memory, limit=1.5),
        _over("overhead a test with a warm worker, ms", worker, base, tests),
    ]
    return "\n".join(
        [timings(f"{tests:,} tests that do nothing", taken), figures("Tests that do nothing: overhead", found)]
    )


def _over(name: str, timing: Timing, base: Timing, tests: int, *, limit: float | None = None) -> Figure:
    return Figure(name, (timing.wall - base.wall) / tests * 1e3, (timing.cpu - base.cpu) / tests * 1e3, limit)


def processes(tests: int, rounds: int) -> str:
    """Measure the cost of a test that is one short process, against ninja."""
    with tempfile.TemporaryDirectory() as scratch:
        work = project(Path(scratch) / "work", work_spec(tests, "command", 'command: {argv: ["true"]}'))
        built = ninja_project(Path(scratch) / "ninja", tests)
        ninja = str(SCRIPTS / "ninja")
        taken = alternate(
            {
                "ninja -j2": Case([ninja, "-j2", "--quiet"], built),
                "a loop of Popen, two at a time": Case([sys.executable, "-c", _POPEN, str(tests)], built),
                "orchestra run": Case([*ORCHESTRA, "run"], work, fresh(work)),
            },
            rounds,
        )
        [folder] = (path for path in (work / ".orchestra" / "work" / "runs").iterdir() if not path.is_symlink())
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    ours, popen = taken["orchestra run"], taken["a loop of Popen, two at a time"]
    base = taken["ninja -j2"]
    found = [
        Figure(f"{tests:,} processes, x ninja -j2", ours.wall / base.wall, ours.cpu / base.cpu, 2.5, by_cpu=True),
        Figure(f"{tests:,} processes, x a loop of Popen", ours.wall / popen.wall, ours.cpu / popen.cpu, None),
    ]
    left = [
        against("files of the run", len(sizes), 20, digits=0),
        against("MB of the run", sum(sizes) / 1e6, 2),
    ]
    return "\n".join(
        [
            timings(f"{tests:,} tests that run `true`", taken),
            figures("Process tests: ratio", found),
            goals("Process tests: the folder of the run", left),
        ]
    )


def run(tests: int = 10_000, commands: int = 1000, rounds: int = 3) -> str:
    """Return the tables."""
    return "\n".join([no_op(tests, rounds), processes(commands, rounds)])
