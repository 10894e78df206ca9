"""Kill a run in progress at seeded points of its ledger, let it go on, and count what was lost, doubled or broken.

    python -m bench ledger

The suite has 40 fast commands: some are tried again and then pass, one fails and one needs it. A point is a size of the
ledger: the run is killed (SIGKILL) as soon as the file has grown to it. Only kills that hit a run in progress count. One
in three runs is killed a second time while it goes on. For a power cut the bytes behind the last verdict that the run
had shown are dropped at a seeded place besides: no more than that may be missing after one. The output of what passed is cut like
that, too, behind the parts of verdicts that were shown; what the record binds and the cut took must be a note of the run that
goes on, and a damage for the audit. In every second run the files of
the ledger are so short that it has a dozen of them; only the last can lose anything in a power cut, for a file is on the disk
before the next one is made.
"""

from __future__ import annotations

import dataclasses
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.measure import BenchmarkError, environment
from orchestra.ledger import plan_store
from orchestra.ledger.audit import audit
from orchestra.ledger.event import AttemptFinished, AttemptStarted, Event, Note, VerdictGiven
from orchestra.ledger.outcome import GOOD
from orchestra.ledger.parts import Evidence
from orchestra.ledger.reading import read
from orchestra.ledger.runs import LEDGER, runs_of
from orchestra.ledger.segment import segments
from orchestra.report.loading import report_of
from orchestra.report.rows import Contents, Report
from orchestra.runtime.attempts.passed import FILE as PASSED

TESTS = 40
ORCHESTRA = (sys.executable, "-m", "orchestra")
SHORT_FILES = (
    sys.executable,
    "-c",
    "from orchestra.ledger import log; log.SEGMENT_BYTES = 6000; from orchestra.cli import main; main()",
)
"""`orchestra` with a ledger in many short files."""

_POLL_SECONDS = 0.0005
_AGAIN = 'case "$DIR" in */1|*/1-resume*) echo again; exit 1;; esac'
_FIRST_LINE = re.compile(r"^(?:passed|flaky) +(cli:\S+)", re.MULTILINE)


def spec(tests: int = TESTS) -> str:
    """Return the suite: in three groups, every seventh test flaky, t11 failing, t12 in need of it."""
    rows = []
    for number in range(tests):
        group = ("first", "second", "third")[number * 3 // tests]
        needs = {12: "needs: [t11], ", 20: "needs: [t19, t3], "}.get(number, "")
        code = "exit 3" if number == 11 else _AGAIN if number % 7 == 4 else "echo done"
        command = f'command: {{argv: [sh, -c, {_quoted(code)}], env: {{DIR: "${{attempt.dir}}"}}}}'
        rows.append(f"  t{number}: {{group: {group}, {needs}retries: {{max: 1, on: [failed]}}, {command}}}\n")
    # A duration by chance, of a loaded machine, would be in a report and not in the other.
    head = (
        "orchestra: 1\nsuite: crash\nmethods: {cli: {driver: command, workers: 2}}\nbaseline: {slower_seconds: 3600}\n"
    )
    groups = "groups: {first: {}, second: {}, third: {after: [first]}}\n"
    return f"{head}{groups}tests:\n" + "".join(rows)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace("$", "$$" if "${" in text else "$") + "'"


@dataclass(slots=True)
class Outcome:
    """The result of a number of kills.

    Attributes:
        kills: that hit a run in progress.
        missed: that came when the run had ended.
        lost: verdicts that were shown before a kill and are not in the ledger behind it.
        doubled: tests that were executed again though their pass had been shown.
        broken: ledgers that an audit found wrong after the run went on.
        other: reports that differ from that of an undisturbed run in more than times.
        cuts: that took output which the record binds.
        unsaid: of these, the ones that the run which went on, or its audit, does not name.
    """

    kills: int = 0
    missed: int = 0
    lost: int = 0
    doubled: int = 0
    broken: int = 0
    other: int = 0
    cuts: int = 0
    unsaid: int = 0

    def faults(self) -> int:
        """Return all that must not be."""
        return self.lost + self.doubled + self.broken + self.other + self.unsaid


class Ground:
    """A project with the suite, compiled and run once without disturbance."""

    def __init__(self, root: Path) -> None:
        self.root, self.cut = root, False
        (root / "specs").mkdir(parents=True)
        (root / "pyproject.toml").write_text("[tool.orchestra]\n")
        (root / "specs" / "crash.yaml").write_text(spec())
        self.home = root / ".orchestra" / "crash"
        self._run("compile", code=0)
        self._run("run", code=1)
        folder = self.newest()
        self.size = _size(folder / LEDGER)
        self.wanted = bare(self.report(folder))

    def newest(self) -> Path:
        """Return the folder of the newest run."""
        return self.home / "runs" / runs_of(self.home)[0]

    def report(self, folder: Path) -> Report:
        """Return the report of a run."""
        return report_of(self.root, plan_store.latest(self.root, folder), folder)

    def _run(self, *words: str, code: int, program: Sequence[str] = ORCHESTRA) -> None:
        done = subprocess.run(
            [*program, *words], cwd=self.root, env=environment({}), capture_output=True, text=True, check=False
        )
        if done.returncode != code:
            raise BenchmarkError(f"exit {done.returncode} of orchestra {' '.join(words)}:\n{done.stderr[-2000:]}")

    def killed(self, words: Sequence[str], target: int, known: set[str]) -> tuple[Path | None, str]:
        """Start a run and kill it when its ledger has `target` bytes; its folder and what it had shown by then.

        The folder is None when the run had ended before the kill could hit it.
        """
        process = subprocess.Popen(
            words,
            cwd=self.root,
            env=environment({}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        folder: Path | None = None
        while process.poll() is None:
            folder = folder or next(
                (self.home / "runs" / name for name in runs_of(self.home) if name not in known), None
            )
            if folder is not None and _size(folder / LEDGER) >= target:
                process.kill()
                break
            time.sleep(_POLL_SECONDS)
        shown = process.communicate()[1]
        return (folder if process.returncode == -9 else None), shown

    def trial(self, dice: random.Random, outcome: Outcome, *, power_cut: bool) -> None:
        """One run, killed once or twice, resumed to its end, and looked at."""
        self.cut = False
        known = set(runs_of(self.home))
        program = SHORT_FILES if dice.randrange(2) else ORCHESTRA
        folder, shown = self.killed([*program, "run"], dice.randrange(1, self.size), known)
        if folder is None:
            outcome.missed += 1
            return
        outcome.kills += 1
        told = self._after_kill(folder, shown, set(), dice, outcome, power_cut=power_cut)
        if not _last(folder):
            return  # the power failure took all of it, and nothing had been shown: there is no run to resume
        if dice.randrange(3) == 0:
            begun = _size(folder / LEDGER)
            goal = dice.randrange(begun + 1, begun + self.size)
            again, shown = self.killed([*program, "run", "--resume", folder.name], goal, known)
            outcome.kills += again is not None
            if again is not None:
                told = self._after_kill(folder, shown, told, dice, outcome, power_cut=power_cut)
                if not _last(folder):
                    return
        before = _verdicts(folder)
        missing = {task for task in told if before.get(task) not in GOOD}
        outcome.lost += len(missing)
        if _last(folder) != "seal":
            self._run("run", "--resume", folder.name, code=1, program=program)
        self._judge(folder, told, outcome)

    def _after_kill(
        self, folder: Path, shown: str, before: set[str], dice: random.Random, outcome: Outcome, *, power_cut: bool
    ) -> set[str]:
        """Return the tasks that had been shown as passed; for a power failure, cut a part of the ledger after them."""
        told = before | set(_FIRST_LINE.findall(shown))
        if power_cut:
            *_, last = segments(folder / LEDGER)
            safe = _end_of(last, told)
            os.truncate(last, dice.randint(safe, last.stat().st_size))
            self._cut_output(folder, told, dice)
        outcome.lost += len(told - {task for task, verdict in _verdicts(folder).items() if verdict in GOOD})
        return told

    def _cut_output(self, folder: Path, told: set[str], dice: random.Random) -> None:
        """Cut the output of what passed behind the parts of tasks whose verdicts were shown."""
        log = folder / PASSED
        if not log.exists():
            return
        ends = [
            (body.task, one.offset + one.bytes)
            for body in (event.body for event in read(folder / LEDGER))
            if isinstance(body, AttemptFinished)
            for one in body.evidence
            if one.offset is not None
        ]
        safe, size = max((end for task, end in ends if task in told), default=0), log.stat().st_size
        place = dice.randint(min(safe, size), size)
        os.truncate(log, place)
        self.cut = self.cut or any(end > place for _, end in ends)

    def _judge(self, folder: Path, told: set[str], outcome: Outcome) -> None:
        outcome.doubled += len(doubled(read(folder / LEDGER), told))
        damage = audit(folder).damage
        if self.cut:
            bodies = (event.body for event in read(folder / LEDGER))
            noted = any(isinstance(body, Note) and body.kind == "output_lost" for body in bodies)
            outcome.cuts += 1
            outcome.unsaid += not (noted and damage is not None and PASSED in damage.message)
        else:
            outcome.broken += damage is not None
        found = bare(self.report(folder))
        # A report of which output is lost states it; its rows are the same.
        outcome.other += found.rows != self.wanted.rows if self.cut else found != self.wanted


def doubled(events: Iterator[Event], told: set[str]) -> set[str]:
    """Return the tasks that began an attempt after a verdict that was shown as a pass."""
    good: set[str] = set()
    found: set[str] = set()
    for event in events:
        body = event.body
        if isinstance(body, VerdictGiven) and body.verdict in GOOD and body.task in told:
            good.add(body.task)
        elif isinstance(body, AttemptStarted) and body.task in good:
            found.add(body.task)
    return found


def bare(report: Report) -> Report:
    """Return a report without times, load and its samples, earlier runs, the id of the run, and how often it was resumed."""
    rows = []
    for row in report.rows:
        failures = tuple(
            msgspec.structs.replace(
                failure, seconds=0.0, resources={}, facts={}, evidence=_bare_evidence(failure.evidence)
            )
            for failure in row.failures
        )
        evidence = _bare_evidence(row.evidence)
        rows.append(dataclasses.replace(row, seconds=0.0, failures=failures, evidence=evidence, tries=()))
    return dataclasses.replace(
        report,
        rows=tuple(rows),
        gates=tuple(dataclasses.replace(gate, at="") for gate in report.gates),
        run="",
        started="",
        ended="",
        seconds=None,
        expected=None,
        seal="",
        resumes=0,
        provenance=(),
        use=None,
        spent={},
        samples=(),
        earlier=(),
        contents=Contents(),
    )


def _bare_evidence(files: Iterable[Evidence]) -> tuple[Evidence, ...]:
    return tuple(
        msgspec.structs.replace(file, path=re.sub(r"-resume\d+", "", file.path), digest="", bytes=0, offset=None)
        for file in files
    )


def _verdicts(folder: Path) -> dict[str, str]:
    bodies = (event.body for event in read(folder / LEDGER))
    return {body.task: body.verdict for body in bodies if isinstance(body, VerdictGiven)}


def _last(folder: Path) -> str:
    last = ""
    for event in read(folder / LEDGER):
        last = event.type
    return last


def _end_of(file: Path, tasks: set[str]) -> int:
    """Return the end of the line of the last verdict of these tasks; 0 if the file has none."""
    end = safe = 0
    for line in file.read_bytes().splitlines(keepends=True):
        end += len(line)
        if (
            line.endswith(b"\n")
            and b'"type":"verdict"' in line
            and any(f'"task":"{task}"'.encode() in line for task in tasks)
        ):
            safe = end
    return safe


def _size(ledger: Path) -> int:
    """Bytes of a ledger so far, in all of its files."""
    return sum(file.stat().st_size for file in segments(ledger)) if ledger.exists() else 0


def crash(root: Path, kills: int, seed: int, *, power_cut: bool = False) -> Outcome:
    """As many kills as asked for, by this seed."""
    ground, dice, outcome = Ground(root), random.Random(seed), Outcome()
    while outcome.kills < kills:
        ground.trial(dice, outcome, power_cut=power_cut)
    return outcome
