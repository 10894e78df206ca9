"""The opening of a run: its lock, what it knows before the first test, and the first events of its record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from orchestra import __version__
from orchestra.errors import UsageError
from orchestra.instances import Worker
from orchestra.ledger import history, plan_store, run_record
from orchestra.ledger.author import Author, Signer
from orchestra.ledger.baseline import place_of
from orchestra.ledger.disk import make_folder
from orchestra.ledger.event import BurnIn, Expected, Note, RunResumed, RunStarted, Selector, Sharding, Verdict
from orchestra.ledger.lock import Holder, Lock
from orchestra.ledger.log import run_id, utc_stamp
from orchestra.ledger.origin import Provenance, machine_shape
from orchestra.ledger.runs import newest_id
from orchestra.ledger.transaction import recover
from orchestra.ledger.view import Observer, View
from orchestra.plan import Cause, Method, Plan, Retry, Test
from orchestra.project import PLAN_FOLDER
from orchestra.runtime import forecast, scratch
from orchestra.runtime.attempt import connects, launches_browser
from orchestra.runtime.attempts.excuse import NONE, Excused, lapsed
from orchestra.runtime.attempts.passed import PassedOutput
from orchestra.runtime.attempts.record import all_evidence
from orchestra.runtime.attempts.window import Mark
from orchestra.runtime.bounded.patterns import PatternError
from orchestra.runtime.browsers.finder import Browser, Missing
from orchestra.runtime.build import Builds
from orchestra.runtime.engine import pools
from orchestra.runtime.engine.admission import Load
from orchestra.runtime.engine.slots import available_megabytes, room
from orchestra.runtime.engine.spare import Spares
from orchestra.runtime.logins import remove_left
from orchestra.runtime.mask import Masks
from orchestra.runtime.nodes.registry import LOCAL
from orchestra.runtime.pausing import Pauser
from orchestra.runtime.run.browsers import engines, remote, unfilmed
from orchestra.runtime.run.pace import Pace
from orchestra.runtime.run.provenance import odd, provenance
from orchestra.runtime.run.recorder import Recorder
from orchestra.runtime.run.resume import Resumed, going_on
from orchestra.runtime.run.stopping import born
from orchestra.runtime.run.trust import Passes, vouched
from orchestra.runtime.servers import own_folders
from orchestra.runtime.servers.up import UpRow
from orchestra.yamltext.places import Places


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run.

    Attributes:
        argv: the command line, for the record.
        workers: slots for each method; None leaves it to the spec.
        headed: show browsers.
        slow_ms: the pause before each step on a page.
        pauser: asks a person where an attempt pauses; None for no pauses.
        force: run what would be `unchanged`.
        resume: the id of the run to resume; empty to begin one.
        allow_changed: of a run that is resumed, run those tests again whose plan has changed.
        trust: resume a run that this user did not make on this machine.
        sign: signs the seals of the record; None for no signature.
        spares: workers that outlive the run; None if none does.
        shared: services that this run shares with those of other suites.
        selected_by: why its tests were selected, for the record.
        seed: of a random order; None for the order of the shortest run.
        max_failures: after so many failures no further test starts; 0 for no limit.
        isolate_retries: retries wait for the end, and run alone.
        retries: of each test, whatever the cause; None leaves them to the spec.
        burn_in: by task, the burn-in of which the run is a part.
        shard: the part of a selection that this run is; None for a whole one.
        update_looks: names of tests and of expected pictures that the run writes, `*` for all.
        secrets: variables whose values are masked; empty for those that the plan names.
        engine: the engine, by its name; empty for the one that the plan names.
        scheduler: the address of its cluster; empty for the one that the plan names.
    """

    argv: tuple[str, ...] = ()
    workers: int | None = None
    headed: bool = False
    slow_ms: int = 0
    pauser: Pauser | None = None
    force: bool = False
    resume: str = ""
    allow_changed: bool = False
    trust: bool = False
    sign: Signer | None = None
    spares: Spares | None = None
    shared: Mapping[str, UpRow] = field(default_factory=dict)
    selected_by: tuple[Selector, ...] = ()
    seed: int | None = None
    max_failures: int = 0
    retries: int | None = None
    isolate_retries: bool = False
    burn_in: Mapping[str, BurnIn] = field(default_factory=dict)
    shard: Sharding | None = None
    update_looks: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    engine: str = ""
    scheduler: str = ""


@dataclass(slots=True)
class Task:
    """A selected task between its push and its verdict.

    Attributes:
        name: `cli:B004`.
        method: of the plan.
        test: of the plan.
        inputs: digest of all that its verdict rests on, once it is known.
        marks: where the logs of its services ended when its attempt began.
        given: the verdict and its reason, while its duration is confirmed by repeats.
        inner: the cases of its latest attempt, with their excuses.
        throttled: a gate let only one test run at a time when its attempt began.
        unsearched: why its known failures could not be searched for in them.
        worker: whose instances it holds, or held last: the number of a worker, or the name of a node; 0 for none.
    """

    name: str
    method: Method
    test: Test
    inputs: str | None = None
    marks: Mapping[str, Mark] = field(default_factory=dict)
    given: tuple[Verdict, str] = ("error", "")
    inner: Excused = NONE
    unsearched: PatternError | None = None
    throttled: bool = False
    worker: Worker = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is open: what its parts share.

    Attributes:
        id: of the run.
        root: the project root.
        home: `.orchestra/<suite>`.
        folder: the run's.
        plan: the suite.
        options: how the run is to be done.
        environment: what commands, services and workers inherit.
        tasks: the selected tasks, in the order of the selection.
        now: the time of its opening.
        begun: the same by the monotonic clock, earlier by what earlier segments took.
        lock: of the suite.
        last_executions: the last good durations and inputs, from the history.
        places: where JSON pointers are in the spec.
        browsers: of each engine that a selected test drives.
        builds: digests of the components.
        resumed: what earlier segments leave to this one.
        masks: take secrets out of texts.
        view: of the record so far.
        recorder: writes the record.
        passed: keeps the output of commands that passed.
        passes: what this user has vouched for.
        pace: durations against the baseline.
        load: what its tasks take of the machine; None where that bounds nothing.
    """

    id: str
    root: Path
    home: Path
    folder: Path
    plan: Plan
    options: Options
    environment: Mapping[str, str]
    tasks: Mapping[str, Task]
    now: datetime
    begun: float
    lock: Lock
    last_executions: Mapping[str, run_record.LastExecution]
    places: Places
    browsers: Mapping[str, Browser | Missing]
    builds: Builds
    resumed: Resumed
    masks: Masks
    view: View
    recorder: Recorder
    passed: PassedOutput
    passes: Passes
    pace: Pace
    load: Load | None

    @property
    def mark(self) -> str:
        """Return the tree mark of all that this segment starts.

        The reaper of an earlier segment may still be at work: it must not take processes of this one for leftovers.
        """
        return f"{self.id}.{self.resumed.segment}" if self.resumed.segment else self.id

    @property
    def is_shard(self) -> bool:
        """Return True if the run, in any of its segments, is one shard of a selection."""
        return self.view.start is not None and self.view.start.shard is not None

    def place(self, pointer: str) -> str:
        """Return where a JSON pointer is in the spec, for people."""
        return self.places.text((pointer,))

    def retries_of(self, test: Test) -> Retry:
        """Return the retries of a test: those of the command line, else its own."""
        given = self.options.retries
        isolated = test.retries.isolated or self.options.isolate_retries
        retry = test.retries if given is None else Retry(given, get_args(Cause))
        return Retry(retry.max, retry.on, isolated)

    def seconds(self) -> float:
        """Return how long the run has taken so far, in all its segments."""
        return time.monotonic() - self.begun


def engine_named(plan: Plan, options: Options) -> str:
    """Return the name of the engine of a run: that of the command line, else that of the plan, else the one of this machine."""
    return options.engine or (plan.engine.name if plan.engine is not None else LOCAL)


def refuse_address(plan: Plan, options: Options) -> None:
    """Raise UsageError for the address of a scheduler that no engine of the run would use."""
    if options.scheduler and engine_named(plan, options) == LOCAL:
        raise UsageError("--scheduler needs --engine dask", "add it, or remove --scheduler")


def open_run(
    root: Path,
    plan: Plan,
    selection: Sequence[str],
    *,
    options: Options,
    environment: Mapping[str, str],
    observers: Callable[[Path], Sequence[Observer]],
    interrupted: Callable[[], bool],
) -> Run:
    """Take the lock of the suite, learn what is to be known before the first test, and record the start.

    Args:
        root: the project root.
        plan: the suite.
        selection: the tasks that must get a verdict, in the plan's order.
        options: how.
        environment: what commands, services and workers inherit; read for secrets.
        observers: shown every event.
        interrupted: whether the run is to end: inputs are read no further then.

    Raises:
        MachineError: another run holds the suite, the disk refuses, or there is no browser.
    """
    environment = dict(environment)
    begun, now, home = time.monotonic(), datetime.now(UTC), root / PLAN_FOLDER / plan.suite
    run = options.resume or run_id(now, os.urandom(2).hex(), newest_id(home))
    folder = home / "runs" / run
    tasks, passes = _tasks(plan, selection), Passes.of(root, home, environment)
    lock = Lock(home / "lock", Holder(os.getpid(), run, utc_stamp(now), born()))
    try:
        recover(home)
        remove_left(home, own=options.resume)
        own_folders.remove_left(home, own=options.resume)
        tests = [task.test for task in tasks.values()]
        if options.shard is not None:  # resumed with a changed spec, it may have fewer entries than when it was split
            pools.enough(plan, tests, options.shard)
        pools.check(plan, tests, environment, Places(root, plan.sources, plan.profile).find)
        last_executions, places = history.load(home / history.LAST), Places(root, plan.sources, plan.profile)
        masks = Masks(options.secrets or plan.secrets, environment, growing=bool(plan.logins))
        wanted = [task.test.browser if launches_browser(task.test, task.method) else "" for task in tasks.values()]
        remote(_remote(tasks.values()), environment, places.find, masks.text, headed=options.headed)
        browsers = engines(wanted, root, environment, headed=options.headed)
        builds = Builds(root, plan, interrupted)
        resumed, trusted = Resumed(), ""
        if options.resume:  # the lock is held: no other run writes this record now
            trusted = vouched(folder, passes.secret, environment, trust=options.trust)
            changed = options.allow_changed
            resumed = going_on(folder, plan, builds.digests, builds.inputs_digest, allow_changed=changed)
        else:
            make_folder(folder)
        # Of passes the steps are of interest only where methods are compared.
        view = View(steps=len(plan.methods) > 1)
        author = Author(passes.secret, options.trust, options.sign)
        passed = PassedOutput(folder)
        recorder = Recorder(
            folder, masks.text if masks else None, view, observers(folder), author=author, before_sync=passed.sync
        )
        lost = passed.take_over(all_evidence(view)) if options.resume else 0
        versions = {engine: found.version for engine, found in browsers.items() if isinstance(found, Browser)}
        origin = provenance(root, environment, __version__, versions)
        pace = Pace.open(home, plan.baseline, place_of(machine_shape(origin), plan.profile))
        known = forecast.known_of(plan, pace.samples, history.latest(home, forecast.EARLIER), pace.place, room())
        opened = Run(
            id=run,
            root=root,
            home=home,
            folder=folder,
            plan=plan,
            options=options,
            environment=environment,
            tasks=tasks,
            now=now,
            begun=begun - view.seconds,
            lock=lock,
            last_executions=last_executions,
            places=places,
            browsers=browsers,
            builds=builds,
            resumed=resumed,
            masks=masks,
            view=view,
            recorder=recorder,
            passed=passed,
            passes=passes,
            pace=pace,
            load=known.load(tasks, options.workers) if engine_named(plan, options) == LOCAL else None,
        )
        _record_start(opened, origin, trusted, known)
        if lost:
            number = f"{lost} attempt{'s' * (lost > 1)} that passed"
            message = f"the output of {number} is lost: it had not reached the disk; the verdicts count as they are"
            recorder.add(Note(kind="output_lost", message=message, data={"attempts": lost}))
    except BaseException:
        lock.release()
        raise
    return opened


def _tasks(plan: Plan, selection: Sequence[str]) -> dict[str, Task]:
    methods = {method.id: method for method in plan.methods}
    tests = {test.id: test for test in plan.tests}
    parts = ((name, *name.split(":", 1)) for name in selection)
    return {name: Task(name, methods[method], tests[test]) for name, method, test in parts}


def _remote(tasks: Iterable[Task]) -> dict[str, tuple[Method, frozenset[str]]]:
    """Return the methods with remote browsers, and the engines that their tasks drive."""
    found: dict[str, tuple[Method, frozenset[str]]] = {}
    for task in tasks:
        if connects(task.test, task.method):
            known = found.get(task.method.id, (task.method, frozenset()))[1]
            found[task.method.id] = (task.method, known | {task.test.browser})
    return found


def _record_start(run: Run, origin: Provenance, trusted: str, known: forecast.Known) -> None:
    """Retain the plan and record the start of the run, or of this segment of it, with what people should know of it."""
    plan_store.store(run.folder, run.plan)
    if run.options.resume:
        run.recorder.add(
            RunResumed(
                run=run.id,
                rerun=run.resumed.rerun,
                plan_digest=run.plan.digest(),
                source_digest=run.plan.source_digest,
                changed=run.resumed.changed,
                workers=run.options.workers or 0,
                argv=run.options.argv,
                provenance=origin,
                builds=run.builds.digests,
                opening_seconds=run.seconds() - run.view.seconds,
            )
        )
        run.recorder.add(Note(kind="trust", message=trusted))
        return
    run.recorder.add(
        RunStarted(
            run=run.id,
            suite=run.plan.suite,
            plan_digest=run.plan.digest(),
            source_digest=run.plan.source_digest,
            profile=run.plan.profile or None,
            selection=tuple(run.tasks),
            methods=tuple(method.id for method in run.plan.methods),
            workers=run.options.workers or 0,
            argv=run.options.argv,
            provenance=origin,
            builds=run.builds.digests,
            opening_seconds=run.seconds(),
            selected_by=run.options.selected_by,
            seed=run.options.seed,
            max_failures=run.options.max_failures,
            burn_in=run.options.burn_in,
            retries=run.options.retries,
            shard=run.options.shard,
            expected=_expected(run, known),
        )
    )
    for note in _remarks(run, origin):
        run.recorder.add(note)


def _expected(run: Run, known: forecast.Known) -> Expected | None:
    """Return how long the run will take; None where no duration of its tests is known, or nodes share them."""
    if engine_named(run.plan, run.options) != LOCAL:
        return None
    if known.samples.keys().isdisjoint(run.tasks):
        return None
    slots = forecast.slots_of(known, run.options.workers, run.load)
    found = forecast.forecast(known, list(run.tasks), slots, run.load)
    if found.low is None or found.high is None:
        return None
    return Expected(
        seconds=found.seconds,
        low=found.low,
        high=found.high,
        rest=found.rest,
        known=found.known,
        memory_megabytes=None if found.peak is None else found.peak.megabytes,
        available_megabytes=None if found.peak is None else available_megabytes(),
    )


def _remarks(run: Run, origin: Provenance) -> Iterator[Note]:
    """Yield what people should know before the first test."""
    for message in run.masks.weak:
        yield Note(kind="secret", message=message)
    for kind, message in odd(run.root, origin, run.id, run.now):
        yield Note(kind=kind, message=message)
    for message in lapsed(run.plan, run.now.date()):
        yield Note(kind="quarantine", message=message)
    if run.browsers and (why := scratch.environment(run.environment)[1]):
        yield Note(kind="tmpdir", message=why)
    here = (task.test for task in run.tasks.values() if launches_browser(task.test, task.method))
    if missing := unfilmed(here, run.environment):
        yield Note(kind="video", message=missing)
    if run.plan.tls.ignore_https_errors:
        where = run.place("/tls/ignore_https_errors")
        yield Note(kind="tls", message=f"no certificate of a server is checked: ignore_https_errors ({where})")
    if run.pace.fault:
        yield Note(kind="baseline", message=run.pace.fault)
