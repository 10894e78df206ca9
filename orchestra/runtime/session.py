"""A run from its opening to its seal: what starts, what is recorded, and what is said of each test.

May import the engine, health, the recorder and what lies below. One thread owns a session: the pump pushes tasks whose
needs are done, and takes verdicts. Longer than other modules because the life of a task, from push to verdict, is read
together; every decision in it is a pure function of `verdict`, `queue` or `resource`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from orchestra import __version__
from orchestra.errors import OrchestraError
from orchestra.ledger import history, integrity, kept_plan
from orchestra.ledger.author import Author, Signer
from orchestra.ledger.baseline import place_of
from orchestra.ledger.disk import make_folder
from orchestra.ledger.event import (
    AttemptStarted,
    GroupCompleted,
    Interrupted,
    Note,
    RunFinished,
    RunResumed,
    RunStarted,
    SessionChanged,
    Verdict,
    VerdictGiven,
)
from orchestra.ledger.lock import Holder, Lock
from orchestra.ledger.log import run_id, utc_stamp
from orchestra.ledger.origin import machine_shape
from orchestra.ledger.outcome import FINE
from orchestra.ledger.runs import newest_id
from orchestra.ledger.transaction import LAST_RUN, Transaction, recover
from orchestra.ledger.view import Observer, View
from orchestra.places import Places
from orchestra.plan import Method, Plan, Test
from orchestra.project import PLAN_FOLDER
from orchestra.runtime import bounded, scratch
from orchestra.runtime.aftermath import Aftermath, Ended, Work
from orchestra.runtime.attempt import Request, Result, needs_browser, needs_chromium, writes_files
from orchestra.runtime.between import Between
from orchestra.runtime.bounded.patterns import PatternError
from orchestra.runtime.browsers.browser import Browser, Missing
from orchestra.runtime.build import Builds, source_now, unsure
from orchestra.runtime.engine.local import Local
from orchestra.runtime.engine.queue import Queue
from orchestra.runtime.engines import engines
from orchestra.runtime.excuse import excuse, excuse_blocked, lapsed, strictly, unsearched
from orchestra.runtime.fault import fault_of
from orchestra.runtime.filming import unfilmed
from orchestra.runtime.gate import SAMPLE_SECONDS, Gates, figures
from orchestra.runtime.incident import Outages, judged
from orchestra.runtime.load import LOOK_SECONDS, Sampler, Use, disturbance, sampled
from orchestra.runtime.log_finding import patterns_of
from orchestra.runtime.mask import Masks
from orchestra.runtime.overtaken import Overtaken
from orchestra.runtime.pace import Pace, repeat_folder
from orchestra.runtime.page_figures import page_figures
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.provenance import odd, provenance
from orchestra.runtime.record import attempt_finished, evidence_gone, folder_of, missing_evidence, repeated
from orchestra.runtime.recorder import Recorder
from orchestra.runtime.resource import Slots, machine_load
from orchestra.runtime.resume import Resumed, going_on
from orchestra.runtime.select import task_name
from orchestra.runtime.servers import reuse, up
from orchestra.runtime.servers.matrix import Matrix
from orchestra.runtime.trust import Passes, vouched
from orchestra.runtime.verdict import blocked_by, exit_code, speed_class
from orchestra.runtime.whole_log import bind_logs
from orchestra.runtime.window import Mark, marks
from orchestra.standard import gates_of

SIGNAL_NAMES = {1: "SIGHUP", 2: "SIGINT", 15: "SIGTERM"}


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is to be done.

    Attributes:
        argv: the command line, for the record.
        workers: slots for each method; None leaves it to the spec.
        headed: show browsers.
        force: run what would be `unchanged`.
        resume: the id of the run to go on with; empty to begin one.
        allow_changed: of a run that goes on, run the tests again that the plan now says otherwise.
        trust: go on with a run that this user did not make on this machine.
        sign: signs the seals of the record; None where nobody does.
    """

    argv: tuple[str, ...] = ()
    workers: int | None = None
    headed: bool = False
    force: bool = False
    resume: str = ""
    allow_changed: bool = False
    trust: bool = False
    sign: Signer | None = None


@dataclass(slots=True)
class _Task:
    """A selected task between its push and its verdict."""

    name: str
    method: Method
    test: Test
    inputs: str | None = None
    marks: Mapping[str, Mark] = field(default_factory=dict)
    throttled: bool = False
    given: tuple[Verdict, str] = ("error", "")


class Session:
    """One run of selected tasks.

    Args:
        root: the project root.
        plan: the suite.
        selection: the tasks that must get a verdict, in the plan's order.
        options: how.
        environment: what commands, services and workers inherit; read for secrets.
        observers: shown every event.

    Raises:
        MachineError: another run holds the suite, the disk refuses, or there is no browser.
    """

    def __init__(
        self,
        root: Path,
        plan: Plan,
        selection: Sequence[str],
        *,
        options: Options,
        environment: Mapping[str, str],
        observers: Callable[[Path], Sequence[Observer]],
    ) -> None:
        self._root, self._plan, self._options = root, plan, options
        self._environment = dict(environment)
        self._begun = time.monotonic()
        self._now = now = datetime.now(UTC)
        self._home = home = root / PLAN_FOLDER / plan.suite
        self.run = options.resume or run_id(now, os.urandom(2).hex(), newest_id(home))
        self.folder = home / "runs" / self.run
        self.fault: OrchestraError | None = None
        self._signal = self._asked = self._evidence_missing = 0
        self._unhealthy = ""
        self._decided: deque[tuple[int, str]] = deque()
        self._awaiting, self._postponed, self._running = list[_Task](), list[_Task](), dict[str, _Task]()
        self._results: deque[Ended] = deque()
        self._by_method: dict[str, int] = {method.id: 0 for method in plan.methods}
        self._tasks, self._passes = _tasks(plan, selection), Passes.of(root, home, self._environment)
        self._lock = Lock(home / "lock", Holder(os.getpid(), self.run, utc_stamp(now)))
        try:
            recover(home)
            self._past = history.load(home / history.LAST)
            self._places = Places(root, plan.sources, plan.profile)
            self._browsers = engines(
                (task.test for task in self._tasks.values()), root, self._environment, headed=options.headed
            )
            self._builds = Builds(root, plan, self.interrupted)
            self._resumed = self._go_on() if options.resume else Resumed()
            self._masks = Masks(plan.secrets, environment)
            if not options.resume:
                make_folder(self.folder)
            # Of passes the steps are of interest only where methods are compared.
            self._view = View(steps=len(plan.methods) > 1)
            self._recorder = Recorder(
                self.folder,
                self._masks.text if self._masks else None,
                self._view,
                observers(self.folder),
                author=Author(self._passes.secret, options.trust, options.sign),
            )
            self._begun -= self._view.seconds
            self._record_start(selection)
        except BaseException:
            self._lock.release()
            raise
        numbered = dict(self._view.numbers)
        self._outages = Outages(self._recorder.add, numbered=numbered)
        # The reaper of an earlier segment may still be at work: it must not take what this one starts for leftovers.
        self._mark = f"{self.run}.{self._resumed.segment}" if self._resumed.segment else self.run
        self._reaper = Reaper.start(self._mark)
        self._engine = Local(
            self._environment,
            root=root,
            folder=self.folder,
            mark=self._mark,
            reaper=self._reaper,
            masks=self._masks,
        )
        lent = self._lent()
        self._matrix = Matrix(
            plan.components,
            root=root,
            folder=self.folder,
            mark=self._mark,
            env=self._environment,
            masks=self._masks,
            on_event=self._outages.service,
            wake=self._engine.wake,
            reaper=self._reaper,
            in_use=self._outages.in_use,
            lent=lent,
            numbered=numbered,
            place=self._place,
        )
        self._aftermath = Aftermath(self._work_of, self._masks, self._matrix.hear, self._engine.wake)
        self._overtaken, self._between = (
            Overtaken(self._matrix.row, self._matrix.names),
            Between(plan.components, self._matrix, self._engine.wake, self._renewed),
        )
        self._queue = Queue(plan, selection, {task: past.seconds for task, past in self._past.items()})
        self._slots = {method.id: Slots(method, options.workers) for method in plan.methods}
        self._env_names = _environment_names(plan, self._environment)
        self._gates = Gates(gates_of(plan), self._recorder.add, place=self._place)
        self._keep()
        self._opened = self._closed = False
        self._sampler = Sampler(self._sampled, self._engine.roots, tuple(row.pid for row in lent.values() if row.pid))
        self._sampler.start()

    # ------------------------------------------------------------------------------------------------------- opening

    def _lent(self) -> Mapping[str, up.UpRow]:
        """Return the services of `orchestra up` that are what this plan describes, and note what is not, or may not be."""
        lent, refused, unsure = reuse.usable(self._root, self._home, self._plan, self._environment)
        for name, why in refused.items():
            message = f'"{name}" is up by `orchestra up`, and is not used: {why}'
            self._recorder.add(Note(kind="up_refused", message=message))
        for name, why in unsure.items():
            message = f'"{name}" is used as `orchestra up` started it, and may be old code: {why}; {reuse.fix(name)}'
            self._recorder.add(Note(kind="up_unsure", message=message))
        return lent

    def _go_on(self) -> Resumed:
        """What the earlier segments of the run leave to this one. The suite's lock is held: nobody else writes now."""
        secret, environment = self._passes.secret, self._environment
        self._vouched = vouched(self.folder, secret, environment, trust=self._options.trust)
        inputs, services = self._builds.inputs_digest, self._builds.digests
        return going_on(self.folder, self._plan, services, inputs, allow_changed=self._options.allow_changed)

    def _keep(self) -> None:
        """Go on from the verdicts of earlier segments."""
        for name in self._resumed.kept:
            self._queue.done(name)
        # A kill between the last verdict of a group and its checkpoint is made good here.
        points = {(one.body.method, one.body.group): one.seq for one in self._view.checkpoints}
        given = [one for name in self._resumed.kept if (one := self._view.life(name).given) is not None]
        given.sort(key=lambda one: one.seq)
        groups = {(one.body.method, self._tasks[one.body.task].test.group): one.seq for one in given}
        for method, group in sorted(key for key, seq in groups.items() if seq > points.get(key, 0)):
            self._end_group(method, group)

    def _record_start(self, selection: Sequence[str]) -> None:
        versions = {engine: found.version for engine, found in self._browsers.items() if isinstance(found, Browser)}
        origin = provenance(self._root, self._environment, __version__, versions)
        place = place_of(machine_shape(origin), self._plan.profile)
        self._pace = Pace.open(self._home, self._plan.baseline, place)
        kept_plan.keep(self.folder, self._plan)
        if self._options.resume:
            self._recorder.add(
                RunResumed(
                    run=self.run,
                    rerun=self._resumed.rerun,
                    plan_digest=self._plan.digest(),
                    source_digest=self._plan.source_digest,
                    changed=self._resumed.changed,
                    workers=self._options.workers or 0,
                    argv=self._options.argv,
                    provenance=origin,
                    builds=self._builds.digests,
                    opening_seconds=time.monotonic() - self._begun - self._view.seconds,
                )
            )
            self._recorder.add(Note(kind="trust", message=self._vouched))
            return
        self._recorder.add(
            RunStarted(
                run=self.run,
                suite=self._plan.suite,
                plan_digest=self._plan.digest(),
                source_digest=self._plan.source_digest,
                profile=self._plan.profile or None,
                selection=tuple(selection),
                methods=tuple(method.id for method in self._plan.methods),
                workers=self._options.workers or 0,
                argv=self._options.argv,
                provenance=origin,
                builds=self._builds.digests,
                opening_seconds=time.monotonic() - self._begun,
            )
        )
        for message in self._masks.weak:
            self._recorder.add(Note(kind="secret", message=message))
        for kind, message in odd(self._root, origin, self.run, self._now):
            self._recorder.add(Note(kind=kind, message=message))
        for message in lapsed(self._plan, self._now.date()):
            self._recorder.add(Note(kind="quarantine", message=message))
        if self._browsers and (why := scratch.environment(self._environment)[1]):
            self._recorder.add(Note(kind="tmpdir", message=why))
        if missing := unfilmed((task.test for task in self._tasks.values()), self._environment):
            self._recorder.add(Note(kind="video", message=missing))
        if self._pace.fault:
            self._recorder.add(Note(kind="baseline", message=self._pace.fault))

    # ------------------------------------------------------------------------------------------------ pushing, waiting

    def push(self, name: str) -> None:
        """A task whose needs have their verdicts: it is queued, or gets the verdict that it has without running."""
        task = self._tasks[name]
        if name in self._resumed.kept:
            self._decided.appendleft((0, name))  # it is on the disk since an earlier segment
            return
        self._queue.push(name)
        if self._signal:
            self._decide(task, "interrupted", f"{SIGNAL_NAMES[self._signal]} before it started")
            return
        needs = [task_name(task.method.id, need) for need in task.test.needs]
        blocked = blocked_by(needs, self._view.verdicts) or self._gates.blocked()
        if task.test.skip:
            self._decide(task, "skipped", task.test.skip)
        elif blocked:
            self._decide(task, "blocked", blocked)
        elif isinstance(missing := self._browsers.get(task.test.browser), Missing) and needs_browser(task.test):
            if needs_chromium(task.test):  # not skipped, which is green: the others run, and the run ends with exit 3
                self._decide(task, "blocked", f"{missing.reason}; `orchestra doctor` says what mends it")
            else:
                self._decide(task, "skipped", missing.reason)
        else:
            self._unchanged(task)

    def _unchanged(self, task: _Task) -> None:
        """The verdict `unchanged`, where nothing that the test reads has changed since it last passed."""
        task.inputs = self._builds.inputs_digest(task.test)
        if not task.test.inputs:
            return
        past = self._past.get(task.name)
        if past is not None and past.run and past.inputs == task.inputs and not self._options.force:
            if unknown := self._builds.unknown(task.test):
                self._recorder.add(Note(kind="unchanged_unsure", message=unsure(task.name, unknown)))
                return
            if not self._passes.hold(task.name, past, self._recorder.add):
                return
            self._decide(task, "unchanged", f"nothing it reads has changed since run {past.run}", since=past.run)

    def wait(self) -> list[str]:
        """Wait until at least one task has its verdict on the disk, and give all that have.

        Raises:
            MachineError: the disk refuses to take the record.
        """
        while not (decided := self._on_disk()):
            if self._asked and not self._signal:
                self._interrupt()
            for name in self._overtaken.overdue():
                self._engine.end(name)
            self._grant()
            pause = self._patience()
            if self._decided:  # tests start and end while the disk is busy; only a slot that is free is held up by it
                free = len(self._running) < self._workers()
                left = self._recorder.commit(self._engine.wake, at_once=free)
                pause = pause if left is None else left if pause is None else min(pause, left)
            elif self._opened and not self._running and not self._awaiting and not self._postponed:
                self._give_up()
                continue
            self._take(pause)
        self._grant()  # so that slots are busy while doit looks what comes next
        return decided

    def _on_disk(self) -> list[str]:
        """The tasks whose verdicts have reached the disk since the last call."""
        reached, found = self._recorder.settled(), []
        while self._decided and self._decided[0][0] <= reached:
            found.append(self._decided.popleft()[1])
        return found

    def _open_gates(self, *, settled: bool = False) -> bool:
        """Judge the gates before the first test, once the components that they ask about are up or down."""
        if self._opened:
            return True
        asked = self._matrix.required_by(self._gates.components())
        if asked and not settled:
            self._matrix.request(asked)
            if any(self._matrix.row(name).state in {"idle", "starting"} for name in asked):
                return False
        self._opened = True
        down = [row for row in map(self._matrix.row, asked) if row.required and row.state == "failed"]
        self._unhealthy = self._unhealthy or "; ".join(f"{row.id} {row.reason}" for row in down)
        self._gates.before(self._figures())
        return True

    def _figures(self) -> dict[str, object]:
        rows = {row.id: self._matrix.row(row.id) for row in self._plan.components}

        def known(view: View) -> dict[str, object]:
            return {**figures(self._plan, view, rows), **page_figures(self._plan, view), **self._pace.figures(view)}

        processors, memory = machine_load()
        return {
            **self._recorder.read(known),
            "evidence_missing": self._evidence_missing,
            "workers": self._workers(),
            "seconds_total": time.monotonic() - self._begun,
            "cpu_percent": processors,
            "memory_percent": memory,
            "disk_free_megabytes": shutil.disk_usage(self._root).free // 2**20,
        }

    def _sampled(self, uses: Sequence[Use]) -> None:
        """Record what the machine and the workers used. Called from the thread of the sampler."""
        reasons = [f"{name}: {reason}" for name, slots in self._slots.items() if (reason := slots.changed())]
        self._recorder.add(sampled(uses, workers=self._workers(), reason="; ".join(reasons)))

    def _workers(self) -> int:
        """How many tests may run at once: methods follow each other, but for those that are parallel to the others."""
        slots = [(method.parallel, self._slots[method.id].count()) for method in self._plan.methods]
        beside = sum(count for parallel, count in slots if parallel)
        return beside + max((count for parallel, count in slots if not parallel), default=0)

    def _patience(self) -> float | None:
        if self._gates.of("during") and self._running:
            return SAMPLE_SECONDS
        if self._postponed:
            return LOOK_SECONDS
        waiting = self._queue.count() - len(self._running)
        samples = [self._slots[name].samples_in(count, waiting) for name, count in self._by_method.items()]
        return min((wait for wait in (*samples, self._overtaken.wait_seconds()) if wait is not None), default=None)

    def _grant(self) -> None:
        """Start what may start, method by method, while slots are free."""
        if self._signal or not self._open_gates():
            return
        if self._gates.due():
            self._gates.sample(self._figures())
        if self._gates.blocked():
            self._decide_waiting("blocked", self._gates.blocked())
            return
        self._repeat()
        awaiting, self._awaiting = self._awaiting, []
        for task in awaiting:
            self._admit(task)
        for method in self._plan.methods:
            while True:
                busy = self._by_method[method.id]
                if busy >= (1 if self._gates.throttled() else self._slots[method.id].allowed(busy)):
                    break
                name = self._queue.take(method.id)
                if name is None:
                    break
                task = self._tasks[name]
                if name in self._view.verdicts:
                    self._queue.release(name)
                    continue
                self._by_method[method.id] += 1
                self._admit(task)

    def _admit(self, task: _Task) -> None:
        """Start a task that holds a slot, once the components that it requires are healthy."""
        required = self._matrix.required_by(task.test.requires)
        if not self._between.ready(task.method.id, required):
            self._awaiting.append(task)
            return
        rows = [self._matrix.row(name) for name in required]
        bad = next((row for row in rows if row.state == "failed"), None)
        if bad is not None:
            self._leave(task)
            reason = f"requires {bad.id}, which {bad.reason}" + (f" (incident {bad.incident})" if bad.incident else "")
            if bad.required:
                self._unhealthy = self._unhealthy or f"{bad.id} {bad.reason}"
                self._decide(task, "blocked", reason)
            else:
                self._decide(task, "skipped", reason)
        elif all(row.state == "healthy" for row in rows):
            self._outages.began(task.name, required, (row.degraded for row in rows if row.degraded))
            self._start(task)
        else:
            self._matrix.request(required)
            self._awaiting.append(task)

    def _renewed(self, component: str, method: str) -> None:
        message = f'"{component}" is renewed before the tests of {method}, as `between_methods` says'
        self._recorder.add(Note(kind="between_methods", message=message))

    def _start(self, task: _Task) -> None:
        repeat = self._pace.repeating(task.name)
        attempt = self._view.life(task.name).ended + (not repeat)
        folder = folder_of(task.name, attempt, self._resumed.segment)
        if repeat:
            folder = repeat_folder(folder, repeat)
        path = f"{self.folder}/{folder}"
        if writes_files(task.test):
            make_folder(path)
        found = self._browsers.get(task.test.browser) if needs_browser(task.test) else None
        if not repeat:
            self._recorder.add(
                AttemptStarted(
                    task=task.name,
                    test=task.test.id,
                    method=task.method.id,
                    attempt=attempt,
                    dir=folder,
                    browser="" if found is None else task.test.browser,
                )
            )
        if patterns_of(task.test, task.method.id):
            self._matrix.hear()  # what was written before it began is not its own
        required = self._matrix.required_by(task.test.requires)
        task.throttled = self._gates.throttled()
        task.marks = marks(self.folder, required)
        known = self._past.get(task.name)
        self._overtaken.began(task.name, task.test, required, known.seconds if known is not None else None)
        self._engine.start(
            Request(
                task=task.name,
                test=task.test,
                method=task.method,
                attempt=attempt,
                root=str(self._root),
                folder=path,
                names={
                    **self._env_names,
                    **self._matrix.names(),
                    "attempt.dir": path,
                    "test.id": task.test.id,
                    "method.id": task.method.id,
                },
                mark=f"{self._mark}/{_word(task.name)}/{attempt}",
                browser=found if isinstance(found, Browser) else None,
                headed=self._options.headed,
                secrets=self._plan.secrets,
            )
        )
        self._running[task.name] = task  # not before: nobody would answer for what could not be started

    def _leave(self, task: _Task) -> None:
        """Give back the slot and the resources of a task."""
        self._by_method[task.method.id] -= 1
        self._queue.release(task.name)

    # ----------------------------------------------------------------------------------------------- what came of it

    def _take(self, patience: float | None) -> None:
        """Wait for attempts to end, and take those whose result can be judged."""
        if not self._results:
            at_once = bool(self._signal) or self.fault is not None
            ended = self._outages.sift(self._engine.poll(patience), self._matrix.look, at_once=at_once)
            self._results.extend(self._aftermath.sift(map(self._overtaken.ended, ended), ending=at_once))
        heard = self._asked
        while self._results:  # kept, not iterated: when one cannot be recorded, the end of the run takes the others
            self._finish(*self._results.popleft())
            if self._asked != heard:  # what is left is taken when the run knows that it ends
                return

    def _finish(self, result: Result, error: Exception | None) -> None:
        task = self._running.pop(result.task)
        if error is not None:
            raise error
        if self._pace.repeating(task.name):
            self._repeated(task, result)
            return
        folder = self.folder / folder_of(task.name, result.attempt, self._resumed.segment)
        life = self._view.life(task.name)
        settled, incidents = self._outages.ended(result, task.test.retries, held=life.held)
        again = settled.again and not self._signal and self.fault is None
        ended = attempt_finished(
            task.test,
            task.method.id,
            result,
            self.folder,
            folder,
            where=self._places.text(result.failure.at) if result.failure is not None else "",
            settled=settled,
            retry=again,
            incidents=incidents,
            inputs=(task.inputs or "") if task.test.inputs else "",
            names=self._matrix.names(),
            disturbed=self._disturbed(task, result, incidents),
        )
        self._recorder.add(ended)
        self._evidence_missing += missing_evidence(task.test, result, len(ended.evidence))
        self._session_changed(result)
        if again:
            self._admit(task)
            return
        overlapped = self._outages.of(task.name)
        suspect, cut = settled.suspect, settled.again
        verdict, reason = judged(result, held=life.held, suspect=suspect, cut=cut, incidents=overlapped)
        task.given = strictly(task.test, verdict, reason)
        self._compare(task, result, ended.disturbed)

    def _session_changed(self, result: Result) -> None:
        """Record the browser session that an attempt was carried out in."""
        if "session" in result.facts:
            self._recorder.add(msgspec.convert(result.facts["session"], SessionChanged))

    def _work_of(self, result: Result) -> Work:
        """What is to be done with the files of an attempt that has ended."""
        task = self._running[result.task]
        folder = folder_of(task.name, result.attempt, self._resumed.segment)
        repeat = self._pace.repeating(task.name)
        folder = repeat_folder(folder, repeat) if repeat else folder
        marks = {} if repeat else task.marks
        return Work(task.test, task.method.id, self.folder, self.folder / folder, marks)

    def _disturbed(self, task: _Task, result: Result | None, incidents: Sequence[str] = ()) -> str:
        """Return why the duration of a pass confirms nothing, or, without one, why that of a repeat that began now would not."""
        if result is not None and result.outcome != "passed":
            return ""
        degraded = (self._matrix.row(name).degraded for name in self._matrix.required_by(task.test.requires))
        now = tuple(filter(None, degraded))
        return disturbance(
            incidents=incidents,
            degraded=now if result is None else self._outages.degraded(task.name, now),
            throttled=self._gates.throttled() or (task.throttled and result is not None),
            others_percent=self._sampler.others_percent(LOOK_SECONDS if result is None else result.seconds),
            most_percent=self._plan.baseline.max_load_percent,
        )

    def _compare(self, task: _Task, result: Result, disturbed: str) -> None:
        """Give the verdict of a task, after as many repeats as its pace asks for; `result` is of the latest of them."""
        browser = task.test.browser if needs_browser(task.test) else ""
        if self._pace.after(result, task.test, browser, self._recorder.add, disturbed):
            self._postponed.append(task)
            self._repeat()
            return
        self._leave(task)
        self._decide(task, *task.given)

    def _repeat(self) -> None:
        """Begin the repeats that are due, once nothing disturbs them; those that would confirm nothing are given up."""
        for task in list(self._postponed):
            rows = map(self._matrix.row, self._matrix.required_by(task.test.requires))
            ends = self._signal or self.fault is not None or any(row.state != "healthy" for row in rows)
            disturbed = "" if ends else self._disturbed(task, None)
            if disturbed and self._pace.patience(task.name):
                continue
            self._postponed.remove(task)
            self._pace.waited(task.name)
            if not ends and not disturbed:
                self._start(task)
                continue
            if ends:
                self._pace.leave(task.name)
            else:
                self._pace.give_up(task.name, task.test, self._recorder.add, f"it was not repeated: {disturbed}")
            self._leave(task)
            self._decide(task, *task.given)

    def _repeated(self, task: _Task, result: Result) -> None:
        folder = folder_of(task.name, result.attempt, self._resumed.segment)
        folder = repeat_folder(folder, self._pace.repeating(task.name))
        disturbed = self._disturbed(task, result)
        self._recorder.add(repeated(task.test, task.method.id, result, self.folder, folder, disturbed))
        self._session_changed(result)
        self._compare(task, result, disturbed)

    def _decide(self, task: _Task, verdict: Verdict, reason: str, *, since: str | None = None) -> None:
        name, life = task.name, self._view.life(task.name)
        verdict, reason, excused = self._excuse(task, verdict, reason)
        seconds = life.last.seconds if life.last is not None else 0.0
        required = [self._matrix.row(row) for row in self._matrix.required_by(task.test.requires)]
        given = VerdictGiven(
            task=name,
            test=task.test.id,
            method=task.method.id,
            verdict=verdict,
            reason=reason,
            seconds=seconds,
            attempts=life.number,
            speed_class=speed_class(seconds, verdict, task.method.speed or self._plan.speed) if life.number else None,
            degraded=self._outages.degraded(name, (row.degraded for row in required)),
            inputs=task.inputs,
            reads=bool(task.test.inputs),
            excused=excused,
            unchanged_since=since,
            incidents=self._outages.of(name, (row.incident for row in required if verdict == "blocked")),
        )
        self._decided.append((self._recorder.add(given, later=True).seq, name))
        self._queue.done(name)
        self._end_group(task.method.id, task.test.group)

    def _end_group(self, method: str, group: str) -> None:
        """A checkpoint, when the last verdict of a group was given."""
        if group and self._queue.completed(method, group):
            self._recorder.add(GroupCompleted(method=method, group=group), later=True)

    def _excuse(self, task: _Task, verdict: Verdict, reason: str) -> tuple[Verdict, str, str]:
        """The verdict and its reason, and why it does not fail the run; empty when it does."""
        if verdict == "blocked":
            needs = [task_name(task.method.id, need) for need in task.test.needs]
            return verdict, reason, excuse_blocked(needs, self._view.verdicts)
        if not self._view.life(task.name).number:
            return verdict, reason, ""
        today = self._now.date()
        try:
            return verdict, reason, excuse(task.test, verdict, reason, today, search=not self._asked)
        except PatternError as error:
            return unsearched(task.test, error, reason, today, self._place)

    def _place(self, pointer: str) -> str:
        """Where a JSON pointer is in the spec, for people."""
        return self._places.text((pointer,))

    def _give_up(self) -> None:
        """Nothing runs and nothing can start: no wait would ever end, so it is said instead."""
        for name in self._queue.waiting():
            if name not in self._view.verdicts:
                self._decide(self._tasks[name], "error", "it could not be started: what it waits for is not selected")

    # --------------------------------------------------------------------------------------------------------- the ends

    def ask(self, number: int) -> None:
        """Ask for the end of the run, from a signal handler: nothing is done here but a note and a wake-up."""
        self._asked = number
        self._engine.wake()

    def interrupted(self) -> bool:
        """Whether the end was asked for."""
        return bool(self._asked)

    def _interrupt(self) -> None:
        """End what runs, as `interrupted`: between two polls, where nothing is half done."""
        number = self._signal = self._asked
        self._recorder.add(Interrupted(signal=SIGNAL_NAMES[number]))
        self._engine.stop()
        self._repeat()
        self._decide_waiting("interrupted", f"{SIGNAL_NAMES[number]} before it started")

    def _decide_waiting(self, verdict: Verdict, reason: str) -> None:
        """One verdict for all that was pushed and has not started."""
        for task in self._awaiting:
            self._leave(task)
        self._awaiting.clear()
        for name in self._queue.waiting():
            if name not in self._view.verdicts and name not in self._running:
                self._decide(self._tasks[name], verdict, reason)

    def close(self) -> int:
        """End everything, judge the run, seal the record, and give the exit code. A second call gives it again."""
        if self._closed:
            return self._code()
        self._closed = True
        ends = (
            self._settle,
            self._sampler.close,
            self._matrix.close,
            self._outages.close,
            self._engine.close,
            self._reaper.close,
            bounded.close,
            self._record_end,
            self._recorder.close,
            self._lock.release,
        )
        for end in ends:
            try:
                end()
            except Exception as error:  # noqa: BLE001 - one end that fails must not keep the others from coming
                self.fault = self.fault or self.fault_of(error)
        return self._code()

    def fault_of(self, error: Exception) -> OrchestraError:
        """What ended the run, for people; see `fault.fault_of`."""
        return fault_of(error, self.folder, self._masks)

    def _settle(self) -> None:
        """Wait for what still runs, and give a verdict to what never ran."""
        if self.fault is not None:
            self._engine.stop()
        self._repeat()
        while self._running or self._postponed:
            self._take(LOOK_SECONDS if self._postponed else None)
            self._repeat()
        for name, task in self._tasks.items():
            if name not in self._view.verdicts:
                reason = self.fault.message if self.fault is not None else "never ran"
                self._decide(task, "error", f"never ran: {reason}" if self.fault is not None else reason)
        self._open_gates(settled=True)
        fresh = source_now(self._root, self._plan.sources) == self._plan.source_digest
        self._evidence_missing += evidence_gone(self.folder, self._view)
        self._gates.after({**self._figures(), "plan_fresh": fresh})
        if not self._code():
            self._pace.keep(self.folder, self._view, self._recorder.add)

    def _record_end(self) -> None:
        bind_logs(self.folder, self._recorder.add, self._masks.clean)
        self._recorder.add(
            RunFinished(
                exit_code=self._code(),
                counts={verdict: count for verdict, count in self._view.counts.items() if count},
                seconds=time.monotonic() - self._begun,
                gates=self._gates.results(),
            )
        )
        self._recorder.sync()
        change = Transaction(self._home)
        change.write(history.LAST, history.encoded(history.with_run(self._past, self._view)))
        if (record := history.record_of(self._view)) is not None:
            change.write(history.EXECUTIONS, history.with_record(self._home, record))
        change.link(LAST_RUN, self.run)
        self._pace.commit(change)
        self._recorder.seal(integrity.sealed(integrity.Facts(self._plan, self._view)), integrity.VERSION)
        change.commit()

    def _code(self) -> int:
        if self._signal:
            return 128 + self._signal
        if self.fault is not None:
            return self.fault.exit_code
        unfit = bool(self._unhealthy) or isinstance(self._browsers.get("chromium"), Missing)
        counted = [given.verdict for given in self._view.verdicts.values() if not given.excused]
        return exit_code(counted, gates_failed=self._gates.failed(), unhealthy=unfit)

    def fails(self, name: str) -> str:
        """Why a verdict fails its doit task, empty when it does not."""
        given = self._view.verdicts.get(name)
        if given is None:
            return "error: never ran"
        return "" if given.verdict in FINE or given.excused else f"{given.verdict}: {given.reason}"


def _tasks(plan: Plan, selection: Sequence[str]) -> dict[str, _Task]:
    methods = {method.id: method for method in plan.methods}
    tests = {test.id: test for test in plan.tests}
    parts = ((name, *name.split(":", 1)) for name in selection)
    return {name: _Task(name, methods[method], tests[test]) for name, method, test in parts}


def _environment_names(plan: Plan, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that the plan refers to, under their late names; one that is not set has none."""
    text = msgspec.json.encode(plan).decode()
    return {f"env.{name}": value for name, value in environment.items() if f"${{env.{name}}}" in text}


def _word(task: str) -> str:
    """The name of a task as one word, for marks: a matrix may put spaces into it, and no id holds `%`."""
    return task.replace(" ", "%20")
