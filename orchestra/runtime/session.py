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
from orchestra.ledger.case import BAD
from orchestra.ledger.disk import make_folder
from orchestra.ledger.event import Verdict
from orchestra.ledger.lock import Holder, Lock
from orchestra.ledger.log import run_id, utc_stamp
from orchestra.ledger.outcome import FINE
from orchestra.ledger.runs import newest_id
from orchestra.ledger.transaction import LAST_RUN, Transaction, recover
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
from orchestra.runtime.evidence_book import EvidenceBook
from orchestra.runtime.excuse import NONE, Excused, excuse, excuse_blocked, excuse_cases, lapsed, strictly, unsearched
from orchestra.runtime.fault import fault_of
from orchestra.runtime.filming import unfilmed
from orchestra.runtime.gate import SAMPLE_SECONDS, Execution, Gates, figures
from orchestra.runtime.incident import Outages, judged
from orchestra.runtime.log_finding import patterns_of
from orchestra.runtime.mask import Masks
from orchestra.runtime.overtaken import Overtaken
from orchestra.runtime.pace import Pace, repeat_folder
from orchestra.runtime.page_figures import PageFigures, page_body
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.provenance import odd, provenance
from orchestra.runtime.record import attempt_body, folder_of, missing_evidence, repeat_body
from orchestra.runtime.recorder import Observer, Recorder
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
    attempt: int = 0
    seconds: float = 0.0
    held: int = 0
    inputs: str | None = None
    marks: Mapping[str, Mark] = field(default_factory=dict)
    given: tuple[Verdict, str] = ("error", "")
    inner: Excused = NONE
    unsearched: PatternError | None = None


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
        self.verdicts: dict[str, Verdict] = {}
        self.reasons: dict[str, str] = {}
        self.excused: dict[str, str] = {}
        self.fault: OrchestraError | None = None
        self._signal = self._asked = self._evidence_missing = 0
        self._unhealthy = ""
        self._decided: deque[tuple[int, str]] = deque()
        self._awaiting, self._running = list[_Task](), dict[str, _Task]()
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
            self._history, self._facts = history.Collector(), integrity.Facts(plan)
            self._recorder = Recorder(
                self.folder,
                self._masks.text if self._masks else None,
                observers(self.folder),
                (self._history, self._facts),
                author=Author(self._passes.secret, options.trust, options.sign),
            )
            self._record_start(selection)
        except BaseException:
            self._lock.release()
            raise
        self._outages = Outages(self._recorder.add, numbered=self._resumed.incidents, troubles=self._resumed.troubles)
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
            lent=self._lent(),
            numbered=self._resumed.incidents,
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
        self._selection, self._executions = selection, dict[str, Execution]()
        self._pages, self._evidence = PageFigures(), EvidenceBook(self.folder)
        self._keep()
        self._opened = self._closed = False

    # ------------------------------------------------------------------------------------------------------- opening

    def _lent(self) -> Mapping[str, up.UpRow]:
        """Return the services of `orchestra up` that are what this plan describes, and note what is not, or may not be."""
        lent, refused, unsure = reuse.usable(self._root, self._home, self._plan, self._environment)
        for name, why in refused.items():
            message = f'"{name}" is up by `orchestra up`, and is not used: {why}'
            self._recorder.add("note", {"kind": "up_refused", "message": message})
        for name, why in unsure.items():
            message = f'"{name}" is used as `orchestra up` started it, and may be old code: {why}; {reuse.fix(name)}'
            self._recorder.add("note", {"kind": "up_unsure", "message": message})
        return lent

    def _go_on(self) -> Resumed:
        """What the earlier segments of the run leave to this one. The suite's lock is held: nobody else writes now."""
        secret, environment = self._passes.secret, self._environment
        self._vouched = vouched(self.folder, secret, environment, trust=self._options.trust)
        inputs, services = self._builds.inputs_digest, self._builds.digests
        return going_on(self.folder, self._plan, services, inputs, allow_changed=self._options.allow_changed)

    def _keep(self) -> None:
        """Put the verdicts of earlier segments in their places, as if they had been given now."""
        self._begun -= self._resumed.seconds
        for name, count in self._resumed.attempts.items():
            self._tasks[name].attempt = count
            self._tasks[name].held = self._resumed.held.get(name, 0)
        for name, body in self._resumed.kept.items():
            self.verdicts[name], self.reasons[name] = body["verdict"], body["reason"]
            seconds, attempts = body["seconds"], body["attempts"]
            held = self._resumed.held.get(name, 0)
            self._executions[name] = Execution(body["verdict"], seconds, attempts, body["speed_class"], held)
            self._queue.done(name)
            test = self._tasks[name].test
            logs = bool(patterns_of(test, self._tasks[name].method.id))
            self._pages.take(self._resumed.pages.get(name, {}), logs=logs)
            if attempts:
                self._past[name] = history.Past(seconds, self.run, body["inputs"] if test.inputs else "")
                browser = test.browser if needs_browser(test) else ""
                self._pace.recall(name, seconds, browser, self._resumed.moved.get(name, ""))
        # A kill between the last verdict of a group and its checkpoint is made good here.
        groups = {(self._tasks[name].method.id, self._tasks[name].test.group) for name in self._resumed.kept}
        for method, group in sorted(groups - self._resumed.groups):
            self._end_group(method, group)

    def _record_start(self, selection: Sequence[str]) -> None:
        facts = provenance(self._root, self._environment, __version__)
        self._pace = Pace.open(self._home, self._plan.baseline, history.machine_shape(facts))
        facts["browsers"] = {
            engine: found.version for engine, found in self._browsers.items() if isinstance(found, Browser)
        }
        kept_plan.keep(self.folder, self._plan)
        body = {
            "run": self.run,
            "plan_digest": self._plan.digest(),
            "source_digest": self._plan.source_digest,
            "workers": self._options.workers or 0,
            "argv": list(self._options.argv),
            "provenance": facts,
            "builds": self._builds.digests,
        }
        if self._options.resume:
            rerun, changed = list(self._resumed.rerun), list(self._resumed.changed)
            self._recorder.add("run_resumed", {**body, "rerun": rerun, "changed": changed})
            self._recorder.add("note", {"kind": "trust", "message": self._vouched})
            return
        body |= {
            "suite": self._plan.suite,
            "profile": self._plan.profile or None,
            "selection": list(selection),
            "methods": [method.id for method in self._plan.methods],
        }
        self._recorder.add("run_started", body)
        for message in self._masks.weak:
            self._recorder.add("note", {"kind": "secret", "message": message})
        for kind, message in odd(self._root, facts, self.run, self._now):
            self._recorder.add("note", {"kind": kind, "message": message})
        for message in lapsed(self._plan, self._now.date()):
            self._recorder.add("note", {"kind": "quarantine", "message": message})
        if self._browsers and (why := scratch.environment(self._environment)[1]):
            self._recorder.add("note", {"kind": "tmpdir", "message": why})
        if missing := unfilmed((task.test for task in self._tasks.values()), self._environment):
            self._recorder.add("note", {"kind": "video", "message": missing})
        if self._pace.fault:
            self._recorder.add("note", {"kind": "baseline", "message": self._pace.fault})

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
        blocked = blocked_by(needs, self.verdicts) or self._gates.blocked()
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
                self._recorder.add("note", {"kind": "unchanged_unsure", "message": unsure(task.name, unknown)})
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
            elif self._opened and not self._running and not self._awaiting:
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
        values = figures(self._plan, self._selection, self._executions, rows)
        processors, memory = machine_load()
        return {
            **values,
            **self._pace.figures(),
            "evidence_missing": self._evidence_missing,
            **self._outages.counts(),
            **self._pages.figures(),
            "workers": self._workers(),
            "seconds_total": time.monotonic() - self._begun,
            "cpu_percent": processors,
            "memory_percent": memory,
            "disk_free_megabytes": shutil.disk_usage(self._root).free // 2**20,
        }

    def _workers(self) -> int:
        """How many tests may run at once: methods follow each other, but for those that are parallel to the others."""
        slots = [(method.parallel, self._slots[method.id].count()) for method in self._plan.methods]
        beside = sum(count for parallel, count in slots if parallel)
        return beside + max((count for parallel, count in slots if not parallel), default=0)

    def _patience(self) -> float | None:
        if self._gates.of("during") and self._running:
            return SAMPLE_SECONDS
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
                if name in self.verdicts:
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
        self._recorder.add("note", {"kind": "between_methods", "message": message})

    def _start(self, task: _Task) -> None:
        repeat = self._pace.repeating(task.name)
        task.attempt += not repeat
        folder = folder_of(task.name, task.attempt, self._resumed.segment)
        if repeat:
            folder = repeat_folder(folder, repeat)
        path = f"{self.folder}/{folder}"
        if writes_files(task.test):
            make_folder(path)
        found = self._browsers.get(task.test.browser) if needs_browser(task.test) else None
        if not repeat:
            body = {
                "task": task.name,
                "test": task.test.id,
                "method": task.method.id,
                "attempt": task.attempt,
                "dir": folder,
            }
            self._recorder.add("attempt_started", body if found is None else {**body, "browser": task.test.browser})
        if patterns_of(task.test, task.method.id):
            self._matrix.hear()  # what was written before it began is not its own
        required = self._matrix.required_by(task.test.requires)
        task.marks = marks(self.folder, required)
        known = self._past.get(task.name)
        self._overtaken.began(task.name, task.test, required, known.seconds if known is not None else None)
        self._engine.start(
            Request(
                task=task.name,
                test=task.test,
                method=task.method,
                attempt=task.attempt,
                root=str(self._root),
                folder=path,
                names={
                    **self._env_names,
                    **self._matrix.names(),
                    "attempt.dir": path,
                    "test.id": task.test.id,
                    "method.id": task.method.id,
                },
                mark=f"{self._mark}/{_word(task.name)}/{task.attempt}",
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
        task.seconds = result.seconds
        folder = self.folder / folder_of(task.name, task.attempt, self._resumed.segment)
        logs = bool(patterns_of(task.test, task.method.id))
        result = self._excuse_cases(task, result)
        settled, incidents = self._outages.ended(result, task.test.retries, held=task.held)
        task.held += settled.requeue
        again = settled.again and not self._signal and self.fault is None
        where = self._places.text(result.failure.at) if result.failure is not None else ""
        body = attempt_body(task.test, task.method.id, result, self.folder, folder, where=where, retry=again)
        body |= page_body(result, self._matrix.names())
        overlap = {"incidents": list(incidents)} | ({"infra_suspect": True} if settled.suspect else {})
        self._recorder.add("attempt_finished", body | overlap if incidents else body)
        self._evidence.note(body["evidence"])
        self._evidence_missing += missing_evidence(task.test, result, len(body["evidence"]))
        if "session" in result.facts:
            self._recorder.add("session", result.facts["session"])
        if again:
            self._admit(task)
            return
        self._pages.take(body, logs=logs)
        overlapped = self._outages.of(task.name)
        suspect, cut = settled.suspect, settled.again
        verdict, reason = judged(result, held=task.held, suspect=suspect, cut=cut, incidents=overlapped)
        task.given = strictly(task.test, verdict, reason, task.inner)
        self._compare(task, result)

    def _excuse_cases(self, task: _Task, result: Result) -> Result:
        """Return a result with excuses for its cases. A run that was told to end waits for no pattern."""
        task.inner, task.unsearched = Excused(result.cases), None
        if not self._asked and any(case.verdict in BAD for case in result.cases):
            try:
                task.inner = excuse_cases(task.test, result, self._now.date())
            except PatternError as error:
                task.unsearched = error
        return msgspec.structs.replace(result, cases=task.inner.cases)

    def _work_of(self, result: Result) -> Work:
        """What is to be done with the files of an attempt that has ended."""
        task = self._running[result.task]
        folder = folder_of(task.name, task.attempt, self._resumed.segment)
        repeat = self._pace.repeating(task.name)
        folder = repeat_folder(folder, repeat) if repeat else folder
        marks = {} if repeat else task.marks
        return Work(task.test, task.method.id, self.folder, self.folder / folder, marks)

    def _compare(self, task: _Task, result: Result) -> None:
        """Give the verdict of a task, after as many repeats as its pace asks for; `result` is of the latest of them."""
        browser = task.test.browser if needs_browser(task.test) else ""
        if self._pace.after(result, task.test, browser, self._recorder.add):
            rows = map(self._matrix.row, self._matrix.required_by(task.test.requires))
            if not self._signal and self.fault is None and all(row.state == "healthy" for row in rows):
                self._start(task)
                return
            self._pace.leave(task.name)
        self._leave(task)
        self._decide(task, *task.given)

    def _repeated(self, task: _Task, result: Result) -> None:
        folder = folder_of(task.name, task.attempt, self._resumed.segment)
        folder = repeat_folder(folder, self._pace.repeating(task.name))
        self._recorder.add("repeat", repeat_body(task.test, task.method.id, result, self.folder, folder))
        if "session" in result.facts:
            self._recorder.add("session", result.facts["session"])
        self._compare(task, result)

    def _decide(self, task: _Task, verdict: Verdict, reason: str, *, since: str | None = None) -> None:
        name = task.name
        verdict, reason, excused = self._excuse(task, verdict, reason)
        self.verdicts[name] = verdict
        self.reasons[name] = reason
        required = [self._matrix.row(row) for row in self._matrix.required_by(task.test.requires)]
        incidents = self._outages.of(name, (row.incident for row in required if verdict == "blocked"))
        pace = speed_class(task.seconds, verdict, task.method.speed or self._plan.speed) if task.attempt else None
        body: dict[str, object] = {
            "task": name,
            "test": task.test.id,
            "method": task.method.id,
            "verdict": verdict,
            "reason": reason,
            "seconds": task.seconds,
            "attempts": task.attempt,
            "speed_class": pace,
            "degraded": self._outages.degraded(name, (row.degraded for row in required)),
            "inputs": task.inputs,
        } | ({"incidents": list(incidents)} if incidents else {})
        silent = verdict == "skipped" and not reason
        if task.test.inputs:
            body["reads"] = True
        if excused:
            body["excused"] = self.excused[name] = excused
        self._executions[name] = Execution(
            verdict, task.seconds, task.attempt, pace, task.held, excused=bool(excused), silent=silent
        )
        given = self._recorder.add("verdict", body if since is None else {**body, "unchanged_since": since}, later=True)
        self._decided.append((given.seq, name))
        self._queue.done(name)
        if task.attempt:
            passed = verdict in {"passed", "flaky"}
            self._past[name] = history.Past(
                task.seconds, self.run if passed else "", (task.inputs or "") if passed and task.test.inputs else ""
            )
        self._end_group(task.method.id, task.test.group)

    def _end_group(self, method: str, group: str) -> None:
        """A checkpoint, when the last verdict of a group was given."""
        if group and self._queue.completed(method, group):
            self._recorder.add("group_completed", {"method": method, "group": group}, later=True)

    def _excuse(self, task: _Task, verdict: Verdict, reason: str) -> tuple[Verdict, str, str]:
        """The verdict and its reason, and why it does not fail the run; empty when it does."""
        if verdict == "blocked":
            needs = [task_name(task.method.id, need) for need in task.test.needs]
            return verdict, reason, excuse_blocked(needs, self.verdicts, self.excused)
        if not task.attempt:
            return verdict, reason, ""
        today = self._now.date()
        if task.unsearched is not None:
            return unsearched(task.test, task.unsearched, reason, today, self._place)
        try:
            return verdict, reason, excuse(task.test, verdict, reason, today, search=not self._asked, inner=task.inner)
        except PatternError as error:
            return unsearched(task.test, error, reason, today, self._place)

    def _place(self, pointer: str) -> str:
        """Where a JSON pointer is in the spec, for people."""
        return self._places.text((pointer,))

    def _give_up(self) -> None:
        """Nothing runs and nothing can start: no wait would ever end, so it is said instead."""
        for name in self._queue.waiting():
            if name not in self.verdicts:
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
        self._recorder.add("interrupted", {"signal": SIGNAL_NAMES[number]})
        self._engine.stop()
        self._decide_waiting("interrupted", f"{SIGNAL_NAMES[number]} before it started")

    def _decide_waiting(self, verdict: Verdict, reason: str) -> None:
        """One verdict for all that was pushed and has not started."""
        for task in self._awaiting:
            self._leave(task)
        self._awaiting.clear()
        for name in self._queue.waiting():
            if name not in self.verdicts and name not in self._running:
                self._decide(self._tasks[name], verdict, reason)

    def close(self) -> int:
        """End everything, judge the run, seal the record, and give the exit code. A second call gives it again."""
        if self._closed:
            return self._code()
        self._closed = True
        ends = (
            self._settle,
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
        while self._running:
            self._take(None)
        for name, task in self._tasks.items():
            if name not in self.verdicts:
                reason = self.fault.message if self.fault is not None else "never ran"
                self._decide(task, "error", f"never ran: {reason}" if self.fault is not None else reason)
        self._open_gates(settled=True)
        fresh = source_now(self._root, self._plan.sources) == self._plan.source_digest
        self._evidence_missing += self._evidence.gone()
        self._gates.after({**self._figures(), "plan_fresh": fresh})
        if not self._code():
            self._pace.keep(self.folder, self._recorder.add)

    def _record_end(self) -> None:
        bind_logs(self.folder, self._recorder.add, self._masks.clean)
        counts: dict[str, int] = {}
        for verdict in self.verdicts.values():
            counts[verdict] = counts.get(verdict, 0) + 1
        self._recorder.add(
            "run_finished",
            {
                "exit_code": self._code(),
                "counts": counts,
                "seconds": time.monotonic() - self._begun,
                "gates": self._gates.results(),
            },
        )
        self._recorder.sync()
        change = Transaction(self._home)
        change.write(history.LAST, history.encoded(self._past))
        if (record := self._history.record()) is not None:
            change.write(history.EXECUTIONS, history.with_record(self._home, record))
        change.link(LAST_RUN, self.run)
        self._pace.commit(change)
        self._recorder.seal(lambda: integrity.sealed(self._facts))
        change.commit()

    def _code(self) -> int:
        if self._signal:
            return 128 + self._signal
        if self.fault is not None:
            return self.fault.exit_code
        unfit = bool(self._unhealthy) or isinstance(self._browsers.get("chromium"), Missing)
        counted = [verdict for name, verdict in self.verdicts.items() if name not in self.excused]
        return exit_code(counted, gates_failed=self._gates.failed(), unhealthy=unfit)

    def fails(self, name: str) -> str:
        """Why a verdict fails its doit task, empty when it does not."""
        verdict = self.verdicts.get(name, "error")
        return "" if verdict in FINE or name in self.excused else f"{verdict}: {self.reasons.get(name, 'never ran')}"


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
