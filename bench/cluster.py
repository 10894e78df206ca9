"""Break nodes, runs and schedulers of a cluster on purpose, with an oracle for results that must not occur.

    python -m bench cluster

Each fault has a run of its own on two nodes of this machine, which stay from run to run as long as they live. The order of the
kinds, the moment and the victim come from the seed. A test writes a line when it begins and one when it ends, so that the record
can be compared with what happened. The oracle: each test has one verdict that counts, and the right one; each attempt that began
is in the record, and began once; the audit verifies; no process of the run is left, and no folder of a node that has ended.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.cluster_cost import cost
from bench.cluster_ground import Ground, HangError, Node, OddError
from bench.crash import doubled
from bench.measure import ORCHESTRA, table
from orchestra.ledger.audit import audit
from orchestra.ledger.event import AttemptFinished, AttemptStarted, Body, Note, VerdictGiven
from orchestra.ledger.outcome import GOOD
from orchestra.ledger.reading import read
from orchestra.ledger.runs import LEDGER, runs_of
from orchestra.runtime.nodes.scratch import PREFIX
from tests.support.servers import carriers

SEED = 20260101
TESTS = 8
"""Tests of a run that do something, next to the last one, which waits until the fault is over."""


WORK = """
place=${DIR##*/attempts/}
echo "$ORCHESTRA_TREE|$place" >> "$LOG/begun"
head -c 20000 /dev/zero | tr '\\0' x
echo
sleep "$SECONDS_OF"
case $KIND in
  last) while ! test -e "$LOG/go"; do sleep 0.1; done;;
  files) head -c 300000 /dev/urandom > "$DIR/data.bin" || exit 9;;
  failing) echo no >&2; exit 3;;
  flaky) case $place in */1|*/1-resume*) exit 4;; esac;;
esac
echo "$ORCHESTRA_TREE|$place" >> "$LOG/ended"
"""
"""A test: it writes what began and what ended, prints 20 KB, and does what its kind asks for."""

_KINDS_OF_TESTS = ("plain", "files", "plain", "flaky", "failing")
_FULL = 'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'


@dataclass
class Tally:
    """The results of all faults: how many, with which outcome, and what the oracle found."""

    injected: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    verdicts: list[str] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def oracle(self) -> list[tuple[str, list[str]]]:
        """Return what must not be, by name."""
        return [
            ("verdicts that are missing, double or wrong", self.verdicts),
            ("attempts whose effects differ from the record", self.attempts),
            ("records that an audit refuses", self.broken),
            ("processes and folders that are left", self.left),
            ("hangs", self.hung),
            ("other surprises", self.odd),
        ]

    def held(self) -> bool:
        """Return True if the oracle is content."""
        return not any(found for _, found in self.oracle())


def spec(log: Path, dice: random.Random) -> str:
    """Return the suite: tests of four kinds, and one that waits until the fault is over."""
    rows = []
    for number in range(TESTS):
        kind = _KINDS_OF_TESTS[number % len(_KINDS_OF_TESTS)]
        retries = "{max: 5, on: [crash, failed]}" if kind == "flaky" else "{max: 5, on: [crash]}"
        needs = "needs: [t0], " if number == TESTS - 1 else ""
        rows.append(_row(f"t{number}", kind, dice.uniform(0.1, 0.6), log, f"group: work, {needs}retries: {retries}"))
    rows.append(_row("last", "last", 0, log, "group: end, retries: {max: 5, on: [crash]}"))
    head = "orchestra: 1\nsuite: c\nmethods: {cli: {driver: command, workers: 4}}\nbaseline: {slower_seconds: 3600}\n"
    return f"{head}groups: {{work: {{}}, end: {{after: [work]}}}}\ntests:\n" + "".join(rows)


def _row(name: str, kind: str, seconds: float, log: Path, more: str) -> str:
    env = {"DIR": "${attempt.dir}", "LOG": str(log), "KIND": kind, "SECONDS_OF": f"{seconds:.2f}"}
    attach = ', attach: ["${attempt.dir}/*"]' if kind == "files" else ""
    return f"  {name}: {{{more}, timeout_seconds: 900, command: {{argv: [sh, work.sh], env: {json.dumps(env)}{attach}}}}}\n"


WANTED = {f"cli:t{number}": _KINDS_OF_TESTS[number % len(_KINDS_OF_TESTS)] for number in range(TESTS)} | {
    "cli:last": "last"
}
"""The kind of each test, by its task."""


class Trial:
    """One fault in one run.

    Args:
        ground: the cluster.
        kind: of the fault.
        dice: for its moment and its victim.
        tally: gets the results.
    """

    def __init__(self, ground: Ground, kind: str, dice: random.Random, tally: Tally) -> None:
        self.ground, self.kind, self.dice, self.tally = ground, kind, dice, tally
        self.run: subprocess.Popen[bytes] | None = None
        self.folder = Path()
        self.resumed = False
        for name in ("begun", "ended", "go"):
            (ground.log / name).unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------------ a run

    def launch(self, *words: str, root: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a run on the cluster."""
        root = root or self.ground.root
        argv = [*ORCHESTRA, "run", "--engine", "dask", "--scheduler", self.ground.address, *words]
        return self.ground.start(argv, root, self.ground.outputs / f"run-{root.name}.log")

    def begin(self, nodes: int = 2) -> list[Node]:
        """Start the run on so many nodes, which are returned, and wait for its record."""
        self.ground.ready(nodes, self.dice)
        home = self.ground.root / ".orchestra/c"
        known = set(runs_of(home))
        self.run = self.launch()
        self.ground.until(lambda: set(runs_of(home)) - known or self.over(), "the run to begin")
        if not (found := set(runs_of(home)) - known):
            raise OddError(f"the run ended before it began: {self.said()}")
        self.folder = home / "runs" / found.pop()
        return list(self.ground.nodes)

    def over(self) -> bool:
        """Return whether the run has ended."""
        return self.run is not None and self.run.poll() is not None

    def said(self, root: str = "run") -> str:
        """Return the end of what a run has printed."""
        return (self.ground.outputs / f"run-{root}.log").read_text(errors="replace")[-600:]

    def begun(self) -> list[str]:
        """Return the places of the attempts of this run that began."""
        return [place for place, _ in self.lines("begun")]

    def lines(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield place and tree mark of the attempts of this run that began, or ended."""
        file = self.ground.log / name
        for line in file.read_text().splitlines() if file.exists() else ():
            tree, _, place = line.partition("|")
            if self.folder.name in tree:
                yield place, tree

    def moment(self) -> None:
        """Wait for the moment of the dice: so many attempts have begun, and a little time more."""
        number = self.dice.randrange(1, TESTS + 2)
        self.ground.until(lambda: len(self.begun()) >= number or self.over(), "tests to begin")
        time.sleep(self.dice.uniform(0.0, 0.3))
        if self.over():
            raise OddError(f"the run ended before the fault: {self.said()}")

    def record(self) -> str:
        """Return the record so far."""
        return (self.folder / LEDGER).read_text(errors="replace")

    def noted(self, text: str, times: int = 1) -> None:
        """Wait for a note of the run."""
        self.ground.until(lambda: self.record().count(text) >= times or self.over(), text)
        if self.record().count(text) < times:
            raise OddError(f'the run ended without "{text}": {self.said()}')

    def finish(self, code: int = 1) -> None:
        """Let the last test end, wait for the end of the run, and compare its exit code."""
        (self.ground.log / "go").touch()
        self.ended(code)

    def ended(self, code: int) -> None:
        """Wait for the end of the run, and compare its exit code."""
        self.ground.until(self.over, "the run to end")
        if self.run is not None and self.run.returncode != code:
            raise OddError(f"exit {self.run.returncode} instead of {code}: {self.said()}")

    def resume(self) -> None:
        """Resume the run and let it end."""
        self.resumed = True
        self.run = self.launch("--resume", self.folder.name)
        self.finish()

    def nothing_left(self) -> None:
        """Wait until no process of the run is there."""
        self.ground.until(lambda: not carriers(self.folder.name), "the processes of the run to end")

    # --------------------------------------------------------------------------------------------------- the oracle

    def check(self) -> None:
        """Compare the record with what was wanted and with what happened."""
        where = f"{self.kind}, run {self.folder.name}"
        if (damage := audit(self.folder).damage) is not None:
            self.tally.broken.append(f"{where}: {damage}")
        bodies = [event.body for event in read(self.folder / LEDGER)]
        wrong = wrong_verdicts(bodies, resumed=self.resumed)
        wrong += [f"{task} began again after its pass" for task in doubled(read(self.folder / LEDGER), set(WANTED))]
        self.tally.verdicts += [f"{where}: {one}" for one in wrong]
        begun, ended = Counter(self.begun()), Counter(place for place, _ in self.lines("ended"))
        self.tally.attempts += [f"{where}: {one}" for one in wrong_effects(bodies, begun, ended)]

    def repeated(self) -> int:
        """Return how many attempts were lost, and repeated."""
        bodies = [event.body for event in read(self.folder / LEDGER)]
        return sum(isinstance(body, AttemptFinished) and body.outcome == "error" for body in bodies)

    def late(self) -> int:
        """Return how many answers came too late."""
        bodies = [event.body for event in read(self.folder / LEDGER)]
        return sum(isinstance(body, Note) and body.kind == "late_result" for body in bodies)


def wrong_verdicts(bodies: Iterable[Body], *, resumed: bool) -> list[str]:
    """Return each test without one verdict, or with another one than its kind must have; a resumed run gives one again."""
    given: Counter[str] = Counter()
    latest: dict[str, str] = {}
    for body in bodies:
        if isinstance(body, VerdictGiven):
            given[body.task] += 1
            latest[body.task] = body.verdict
    wrong = []
    for task, kind in WANTED.items():
        verdict = latest.get(task, "missing")
        if given[task] != 1 and not (resumed and given[task]):
            wrong.append(f"{task} has {given[task]} verdicts")
        elif verdict != "failed" if kind == "failing" else verdict not in GOOD:
            wrong.append(f"{task} is {verdict}")
    return wrong


def wrong_effects(bodies: Iterable[Body], begun: Mapping[str, int], ended: Mapping[str, int]) -> list[str]:
    """Return each attempt of which the record states something else than what it left.

    Args:
        bodies: of the record.
        begun: how often each attempt began, by its place.
        ended: how often each came to its end.
    """
    latest: dict[str, str] = {}
    outcomes: dict[str, str] = {}
    for body in bodies:
        if isinstance(body, AttemptStarted):
            latest[body.task] = body.dir.removeprefix("attempts/")
            outcomes[latest[body.task]] = ""
        elif isinstance(body, AttemptFinished):
            outcomes[latest[body.task]] = body.outcome
    wrong = [f"{place} began {number} times" for place, number in begun.items() if number > 1]
    wrong += [f"{place} began and is not in the record" for place in begun if place not in outcomes]
    for place, outcome in outcomes.items():
        if outcome in {"passed", "failed"} and not begun.get(place):
            wrong.append(f"{place} {outcome} and never began")
        if outcome == "passed" and ended.get(place) != 1:
            wrong.append(f"{place} passed and ended {ended.get(place, 0)} times")
    return wrong


# ------------------------------------------------------------------------------------------------------------ the faults


def _tree(node: Node, dice: random.Random) -> list[psutil.Process]:
    """Return the processes to freeze: of the node alone, or with all that it has started."""
    process = psutil.Process(node.process.pid)
    return [process, *(process.children(recursive=True) if dice.randrange(2) else ())]


def _signal(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def killed(trial: Trial) -> str:
    """A node is killed; the other one goes on, or one that joins."""
    nodes = trial.begin(trial.dice.choice([1, 2]))
    trial.moment()
    victim = trial.dice.choice(nodes)
    victim.process.kill()
    victim.process.wait()
    trial.ground.bury()
    if len(nodes) == 1:
        trial.ground.node(trial.dice.choice([trial.ground.root, trial.ground.copy]))
    trial.noted(f"the node {victim.name} was lost")
    trial.finish()
    return "repeated elsewhere" if trial.repeated() else "had no test"


def leaves(trial: Trial) -> str:
    """A node gets a signal that ends it."""
    nodes = trial.begin()
    trial.moment()
    victim = trial.dice.choice(nodes)
    trial.ground.end(victim, trial.dice.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
    trial.noted(f"the node {victim.name} was lost")
    trial.finish()
    return "repeated elsewhere" if trial.repeated() else "had no test"


def frozen(trial: Trial) -> str:
    """A node freezes for good, and is killed when the run has ended."""
    nodes = trial.begin()
    trial.moment()
    victim = trial.dice.choice(nodes)
    stopped = _tree(victim, trial.dice)
    _signal(stopped, signal.SIGSTOP)
    try:
        trial.noted(f"the node {victim.name} was lost")
        trial.finish()
    finally:
        victim.process.kill()
        victim.process.wait()
        _signal(stopped[1:], signal.SIGCONT)
        trial.ground.bury()
    return "repeated elsewhere" if trial.repeated() else "had no test"


def late(trial: Trial) -> str:
    """A node freezes until it was given up, and comes back while the run goes on."""
    nodes = trial.begin()
    trial.moment()
    victim = trial.dice.choice(nodes)
    stopped = _tree(victim, trial.dice)
    _signal(stopped, signal.SIGSTOP)
    try:
        trial.noted(f"the node {victim.name} was lost")
        time.sleep(trial.dice.uniform(0.0, 1.5))
    finally:
        _signal(stopped, signal.SIGCONT)
    trial.noted(f"the node {victim.name} is used", 2)
    trial.finish()
    return "late answer noted" if trial.late() else "repeated, no late answer" if trial.repeated() else "had no test"


def short(trial: Trial) -> str:
    """A node freezes for less than the time in which a heartbeat is missed."""
    nodes = trial.begin()
    trial.moment()
    victim = trial.dice.choice(nodes)
    stopped = _tree(victim, trial.dice)
    _signal(stopped, signal.SIGSTOP)
    time.sleep(trial.dice.uniform(0.2, 6.0))
    _signal(stopped, signal.SIGCONT)
    trial.finish()
    return "repeated elsewhere" if trial.repeated() else "not noticed"


def joins(trial: Trial) -> str:
    """A run begins with no node or one; others join while it goes on."""
    before = trial.dice.choice([0, 1])
    trial.begin(before)
    if before:
        trial.moment()
    else:
        time.sleep(trial.dice.uniform(0.0, 2.0))
    node = trial.ground.node(trial.dice.choice([trial.ground.root, trial.ground.copy]))
    trial.noted(f"the node {node.name} is used")
    trial.finish()
    return "used"


def another_plan(trial: Trial) -> str:
    """A node with another plan joins."""
    trial.begin()
    if trial.dice.randrange(2):
        trial.moment()
    node = trial.ground.node(trial.ground.other)
    try:
        trial.noted(f"the node {node.name} is not used: its plan is another one")
        trial.finish()
    finally:
        trial.ground.end(node)
    if any(f"/@{node.name}" in tree for _, tree in trial.lines("begun")):
        raise OddError(f"the node {node.name} of another plan has executed a test")
    return "refused"


def two_runs(trial: Trial) -> str:
    """A run of another checkout begins on the same scheduler."""
    trial.begin()
    trial.moment()
    second = trial.launch(root=trial.ground.copy)
    trial.ground.until(lambda: second.poll() is not None, "the second run to end")
    if second.returncode != 3 or "is in use by a run of suite c" not in trial.said("copy"):
        raise OddError(f"exit {second.returncode} of the second run: {trial.said('copy')}")
    trial.finish()
    return "second refused"


def scheduler_killed(trial: Trial) -> str:
    """The scheduler is killed, and the run resumed on another one."""
    trial.begin()
    trial.moment()
    trial.ground.scheduler.kill()
    trial.ground.scheduler.wait()
    trial.ended(3)
    trial.ground.until(lambda: not any(node.alive for node in trial.ground.nodes), "the nodes to end")
    trial.ground.bury()
    trial.nothing_left()
    trial.ground.scheduler = trial.ground.start_scheduler()
    trial.ground.ready(2, trial.dice)
    trial.resume()
    return "exit 3, resumed"


def scheduler_frozen(trial: Trial) -> str:
    """The scheduler freezes for some time, in which the run may end, and comes back."""
    trial.begin()
    trial.moment()
    scheduler = trial.ground.scheduler
    scheduler.send_signal(signal.SIGSTOP)
    try:
        end = time.monotonic() + trial.dice.uniform(0.5, 30.0)
        trial.ground.until(lambda: time.monotonic() > end or trial.over(), "the time to pass")
    finally:
        scheduler.send_signal(signal.SIGCONT)
    (trial.ground.log / "go").touch()
    trial.ground.until(trial.over, "the run to end")
    if trial.run is not None and trial.run.returncode != 3:
        trial.ended(1)
        return "repeated elsewhere" if trial.repeated() else "not noticed"
    trial.resume()
    return "exit 3, resumed"


def run_killed(trial: Trial) -> str:
    """The run is killed, and resumed at once or when its nodes have ended what it had started."""
    trial.begin()
    trial.moment()
    if trial.run is not None:
        trial.run.kill()
        trial.run.wait()
    if trial.dice.randrange(2):
        trial.nothing_left()
    trial.resume()
    return "resumed"


def full_disk(trial: Trial) -> str:
    """A node has a disk that fills up; the other one has room."""
    ground = trial.ground
    ground.ready(1, trial.dice)
    place = ground.copy / ".orchestra/c/nodes"
    place.mkdir(parents=True, exist_ok=True)
    victim = ground.node(ground.copy, small_disk(place, trial.dice.choice([16, 32, 64, 128, 256]) * 1024))
    try:
        trial.begin(2)
        trial.finish()
    finally:
        ground.end(victim)
    if f"the node {victim.name} is not used" in trial.record():
        return "node given up"
    return "repeated elsewhere" if trial.repeated() else "room for all"


def small_disk(place: Path, size: int) -> list[str]:
    """Return the words before a command whose folder `place` has so few bytes, in a file system that ends with the command.

    It needs root or user namespaces. Elsewhere no file of the command becomes larger, and a full disk is no different to it.
    """
    for way in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        words = [*way, "sh", "-c", _FULL.format(size=size), str(place)]
        if shutil.which(way[0]) and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
            return words
    return ["sh", "-c", f'ulimit -f {size // 512} && exec "$@"', "sh"]


KINDS: Mapping[str, Callable[[Trial], str]] = {
    "node killed": killed,
    "node leaves": leaves,
    "node frozen for good": frozen,
    "node frozen, answers late": late,
    "node frozen for a moment": short,
    "node joins late": joins,
    "node of another plan": another_plan,
    "node with a full disk": full_disk,
    "two runs at once": two_runs,
    "scheduler killed": scheduler_killed,
    "scheduler frozen": scheduler_frozen,
    "run killed": run_killed,
}


def plan_of(faults: int, seed: int) -> list[str]:
    """Return the kinds of all faults, each as often as the others, in the order of the seed."""
    kinds = [list(KINDS)[number % len(KINDS)] for number in range(faults)]
    random.Random(seed).shuffle(kinds)
    return kinds


def inject(kinds: Sequence[str], seed: int) -> Tally:
    """Inject these faults."""
    tally, dice = Tally(), random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="cluster-") as scratch:
        ground = Ground(Path(scratch), spec(Path(scratch) / "log", random.Random(seed)), {"work.sh": WORK})
        try:
            for kind in kinds:
                _try(ground, kind, random.Random(dice.random()), tally)
            tally.left += ground.close()
        except (HangError, OddError) as error:
            tally.odd.append(f"at the end: {error}")
        finally:
            ground.kill()
    return tally


def _try(ground: Ground, kind: str, dice: random.Random, tally: Tally) -> None:
    tally.injected[kind] += 1
    trial = Trial(ground, kind, dice, tally)
    begun = time.monotonic()
    try:
        outcome = KINDS[kind](trial)
        trial.check()
        trial.nothing_left()
        living = sum(node.alive for node in ground.nodes)
        held = [path for path in ground.temp.iterdir() if not path.name.startswith(PREFIX)]
        tally.left += [f"{kind}: {path.name} in the folder for temporary files" for path in held]
        if (folders := len(list(ground.temp.glob(f"{PREFIX}*")))) > living + 1:
            tally.left.append(f"{kind}: {folders} folders of {living} nodes")
    except (HangError, OddError) as error:
        outcome, found = ("hung", tally.hung) if isinstance(error, HangError) else ("surprise", tally.odd)
        found.append(f"{kind}, run {trial.folder.name}: {error}")
        if trial.run is not None:
            trial.run.kill()
            trial.run.wait()
    tally.outcomes.setdefault(kind, Counter())[outcome] += 1
    if os.environ.get("FAULTS_VERBOSE"):
        print(f"{kind}: {outcome}, {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)


def report(tally: Tally, seed: int) -> str:
    """Return the tables."""
    rows = []
    for kind in KINDS:
        for outcome, count in sorted(tally.outcomes.get(kind, Counter()).items()):
            rows.append((kind, outcome, str(count)))
    rows.append(("all", "", str(sum(tally.injected.values()))))
    text = table(f"Faults of a cluster, seed {seed}", ("fault", "outcome", "number"), rows)
    found = [(name, str(len(some)), "0", "held" if not some else "MISSED") for name, some in tally.oracle()]
    text += "\n" + table("Faults of a cluster: the oracle", ("defect", "found", "allowed", ""), found)
    details = [f"- {name}: {one}" for name, some in tally.oracle() for one in some]
    return text + ("\n" + "\n".join(details) + "\n" if details else "")


def run(faults: int = 100, seed: int = SEED) -> str:
    """Measure the cost, inject faults, and return the tables."""
    return f"{cost()}\n{report(inject(plan_of(faults, seed), seed), seed)}"
