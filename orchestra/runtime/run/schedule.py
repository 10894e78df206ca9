"""The schedule of a run: which task starts when, and which gets its verdict without running.

A task is pushed when its needs have their verdicts. It holds a slot from its grant to its verdict, waits for the
components that it requires, and starts when they are healthy. Every decision is a pure function of `verdict`, `queue` or
`resource`.
"""

from __future__ import annotations

from orchestra.instances import component_of, node_of, worker_of
from orchestra.ledger.disk import make_folder
from orchestra.ledger.event import AttemptStarted, HeldBack, Note, Verdict, folder_of_attempt
from orchestra.plan import Test
from orchestra.runtime.attempt import (
    Looks,
    Request,
    drives_browser,
    launches_browser,
    needs_required_browser,
    writes_files,
)
from orchestra.runtime.attempts.incident import Outages
from orchestra.runtime.attempts.log_finding import patterns_of
from orchestra.runtime.attempts.overtaken import Overtaken
from orchestra.runtime.attempts.record import folder_of
from orchestra.runtime.attempts.verdict import unmet
from orchestra.runtime.attempts.window import marks
from orchestra.runtime.browsers.finder import Browser, Missing
from orchestra.runtime.build import unsure
from orchestra.runtime.engine.admission import Held
from orchestra.runtime.engine.leases import Leases
from orchestra.runtime.engine.pools import values_of
from orchestra.runtime.engine.queue import Queue
from orchestra.runtime.engine.slots import Slots
from orchestra.runtime.gates.gate import SAMPLE_SECONDS
from orchestra.runtime.inherited import names_of
from orchestra.runtime.logins import FOLDER as LOGINS
from orchestra.runtime.run.between import Between
from orchestra.runtime.run.decide import Decisions
from orchestra.runtime.run.ending import SIGNAL_NAMES, Ending
from orchestra.runtime.run.holding import Holding, NodeHolding
from orchestra.runtime.run.measure import Measures
from orchestra.runtime.run.opening import Run, Task
from orchestra.runtime.run.pace import repeat_folder
from orchestra.runtime.servers.matrix import Matrix
from orchestra.runtime.servers.node_matrix import NodeMatrix
from orchestra.steps.look import folder_of as looks_of


class Schedule:
    """Starts tasks.

    Args:
        run: that is open.
        ending: of the run.
        queue: tasks that wait for others or for a slot.
        engine: executes attempts.
        matrix: the health matrix.
        outages: incidents, and the attempts that they touch.
        overtaken: attempts whose servers moved under them.
        measures: the gates.
        decisions: gives verdicts.
        instances: how many there are of each component with `per: worker`.

    Attributes:
        running: the tasks with an attempt or a repeat under way.
    """

    def __init__(
        self,
        run: Run,
        ending: Ending,
        *,
        queue: Queue,
        engine: Leases,
        matrix: Matrix,
        outages: Outages,
        overtaken: Overtaken,
        measures: Measures,
        decisions: Decisions,
        instances: int = 0,
    ) -> None:
        self._run, self._ending = run, ending
        self._queue, self._engine, self._matrix = queue, engine, matrix
        self._outages, self._overtaken = outages, overtaken
        self._measures, self._decisions = measures, decisions
        self._between = Between(run.plan.components, matrix, engine.wake, self._renewed)
        # A suite has components with `per: worker` or with `where: worker`, never both.
        self._holding: Holding | NodeHolding = (
            NodeHolding(run.plan.components, engine, matrix)
            if isinstance(matrix, NodeMatrix)
            else Holding(run.plan.components, instances, matrix)
        )
        learned = run.load.methods if run.load is not None else frozenset()
        self._slots = {
            method.id: Slots(method, run.options.workers, nodes=engine.slots, learned=method.id in learned)
            for method in run.plan.methods
        }
        self._busy = {method.id: 0 for method in run.plan.methods}
        self._awaiting: list[Task] = []
        self._names = names_of(run.plan, run.environment)
        self._closing: dict[str, set[str]] = {}
        for group in run.plan.groups:
            for name in group.after_all:
                self._closing.setdefault(name, set()).add(group.id)
        self.running: dict[str, Task] = {}

    def changed(self) -> str:
        """Return why the number of workers changed since the last call; empty when it has not. Any thread may ask."""
        reasons = [f"{name}: {reason}" for name, slots in self._slots.items() if (reason := slots.changed())]
        return "; ".join(reasons)

    # --------------------------------------------------------------------------------------------------------- pushing

    def push(self, name: str) -> None:
        """Queue a task whose needs have their verdicts, or give it the verdict that it has without running."""
        task = self._run.tasks[name]
        if name in self._run.resumed.kept:
            self._decisions.again(name)
            return
        self._queue.push(name)
        if self._ending.signal:
            self._decisions.decide(task, "interrupted", f"{SIGNAL_NAMES[self._ending.signal]} before it started")
            return
        halted = "" if self._closes(task) else self._halted()
        lacking = unmet(task.method.id, task.test, self._run.view.verdicts) or (("blocked", halted) if halted else None)
        missing = self._run.browsers.get(task.test.browser)
        if task.test.skip:
            self._decisions.decide(task, "skipped", task.test.skip)
        elif lacking is not None:
            self._decisions.decide(task, *lacking)
        elif isinstance(missing, Missing) and launches_browser(task.test, task.method):
            if needs_required_browser(
                task.test
            ):  # not skipped, which is green: the others run, and the run ends with exit 3
                reason = f"{missing.reason}; `orchestra doctor` has a hint"
                self._decisions.decide(task, "blocked", reason)
            else:
                self._decisions.decide(task, "skipped", missing.reason)
        else:
            self._unchanged(task)

    def _unchanged(self, task: Task) -> None:
        """Give the verdict `unchanged`, where nothing that the test reads has changed since it last passed."""
        task.inputs = self._run.builds.inputs_digest(task.test)
        if not task.test.inputs:
            return
        last = self._run.last_executions.get(task.name)
        if last is not None and last.run and last.inputs == task.inputs and not self._run.options.force:
            unknown, unread = self._run.builds.unknown(task.test), self._run.builds.unread(task.test)
            if unknown or unread is not None:
                self._run.recorder.add(Note(kind="unchanged_unsure", message=unsure(task.name, unknown, unread)))
                return
            if not self._run.passes.hold(task.name, last, self._run.recorder.add):
                return
            reason = f"none of its inputs has changed since run {last.run}"
            self._decisions.decide(task, "unchanged", reason, since=last.run)

    # -------------------------------------------------------------------------------------------------------- granting

    def workers(self) -> int:
        """Return how many tests may run at once: methods follow each other, but for those that run in parallel."""
        slots = [(method.parallel, self._slots[method.id].count()) for method in self._run.plan.methods]
        in_parallel = sum(count for parallel, count in slots if parallel)
        return in_parallel + max((count for parallel, count in slots if not parallel), default=0)

    def slot_free(self) -> bool:
        """Return whether one more test may run: a slot is free, and the next one does not wait until its cost fits."""
        return len(self.running) < self.workers() and not self._queue.admission.first

    def idle(self) -> bool:
        """Return whether nothing runs, nothing waits for its components, and a test could start."""
        return not self.running and not self._awaiting and self._engine.free() > 0

    def patience(self) -> float | None:
        """Return after how many seconds something is due although no attempt ends; None for nothing."""
        if self._measures.gates.of("during") and self.running:
            return SAMPLE_SECONDS
        waiting = self._queue.count() - len(self.running)
        samples = [self._slots[name].samples_in(count, waiting) for name, count in self._busy.items()]
        return min((wait for wait in (*samples, self._overtaken.wait_seconds()) if wait is not None), default=None)

    def grant(self, *, offered: bool) -> None:
        """Start what may start, method by method, while slots are free.

        Args:
            offered: whether doit has pushed all tasks whose needs have their verdicts.
        """
        gates = self._measures.gates
        if self._ending.signal or not self._measures.open(self.workers()):
            return
        if gates.due():
            self._measures.sample(self.workers())
        halted = self._halted()
        if halted:
            self.decide_waiting("blocked", halted)
        awaiting, self._awaiting = self._awaiting, []
        for task in awaiting:
            self.admit(task)
        if halted and not any(self._closes(self._run.tasks[name]) for name in self._queue.waiting()):
            return
        for method in self._run.plan.methods:
            while True:
                busy = self._busy[method.id]
                free = (1 if gates.throttled() else self._slots[method.id].allowed(busy)) - busy
                free = min(free, self._engine.free() - sum(self._holding.slots().values()))
                if free <= 0:
                    break
                name = self._queue.take(method.id, None if offered else free)
                for held in self._queue.admission.new():
                    self._run.recorder.add(_held_back(held))
                if name is None:
                    break
                if self._decisions.decided(name):
                    self._queue.release(name)
                    continue
                self._busy[method.id] += 1
                self.admit(self._run.tasks[name])

    def admit(self, task: Task) -> None:
        """Start a task that holds a slot, once the components that it requires are healthy."""
        if not self._holding.take(task):
            self._awaiting.append(task)
            return
        required = self.required_by(task)
        if not self._between.ready(task.method.id, required):
            self._awaiting.append(task)
            return
        rows = [self._matrix.row(name) for name in required]
        bad = next((row for row in rows if row.state == "failed"), None)
        if bad is not None:
            self.leave(task)
            reason = f"requires {bad.id}, which {bad.reason}" + (f" (incident {bad.incident})" if bad.incident else "")
            if bad.required:
                self._measures.note_unhealthy(bad)
            self._decisions.decide(task, "blocked" if bad.required else "skipped", reason)
        elif all(row.state == "healthy" for row in rows) and not self.reset_begun(task):
            self._outages.began(task.name, required, (row.degraded for row in rows if row.degraded))
            self.start(task)
        else:
            self._matrix.request(required)
            self._awaiting.append(task)

    def required_by(self, task: Task) -> tuple[str, ...]:
        """Return the rows of the health matrix that a task requires: of components with instances those that it holds."""
        return self._matrix.required_by(task.test.requires, task.worker)

    def reset_begun(self, task: Task) -> bool:
        """Begin the reset of an instance that another attempt has used; whether there is one, and the task waits for it."""
        if unclean := self._matrix.unclean(self.required_by(task)):
            self._matrix.reset(unclean)
        return bool(unclean)

    def _halted(self) -> str:
        """Return the reason why no further test starts; empty if tests can."""
        return self._measures.gates.blocked() or self._decisions.limit_reached()

    def _closes(self, task: Task) -> bool:
        """Return whether a task ends a group of which a test has begun: it runs although no further test starts."""
        groups = self._closing.get(task.test.id)
        return groups is not None and any(
            name in self.running or self._run.view.life(name).number
            for name, other in self._run.tasks.items()
            if name != task.name and other.method is task.method and not groups.isdisjoint(other.test.groups)
        )

    def _renewed(self, component: str, method: str) -> None:
        message = f'"{component}" is renewed before the tests of {method}, by `between_methods`'
        self._run.recorder.add(Note(kind="between_methods", message=message))

    # -------------------------------------------------------------------------------------------------------- starting

    def folder_of(self, task: Task, attempt: int) -> str:
        """Return the folder of an attempt, or of the repeat of it that is under way, relative to the run's."""
        folder = folder_of(task.name, attempt, self._run.resumed.segment)
        repeat = self._run.pace.repeating(task.name)
        return repeat_folder(folder, repeat) if repeat else folder

    def start(self, task: Task) -> None:
        """Start the next attempt at a task, or the next repeat."""
        run, test = self._run, task.test
        held = self._queue.pools.held(task.name)
        required = self.required_by(task)
        instances = {component_of(row): row for row in required if worker_of(row) or node_of(row)}
        repeat = run.pace.repeating(task.name)
        attempt = run.view.life(task.name).ended + (not repeat)
        folder = self.folder_of(task, attempt)
        path = f"{run.folder}/{folder}"
        if writes_files(test):
            make_folder(path)
        browser = run.browsers.get(test.browser) if launches_browser(test, task.method) else None
        node = task.worker if isinstance(task.worker, str) else self._engine.place(task.method, self._holding.slots())
        if isinstance(task.worker, str):
            self._holding.release(task)  # the engine counts its slot from now on
        if not repeat:
            run.recorder.add(
                AttemptStarted(
                    holds={**{name: entry.label for name, entry in held.items()}, **instances},
                    task=task.name,
                    test=test.id,
                    method=task.method.id,
                    attempt=attempt,
                    dir="" if folder == folder_of_attempt(task.method.id, test.id, attempt) else folder,
                    browser=test.browser if drives_browser(test, task.method) else "",
                    node=node,
                )
            )
        if patterns_of(test, task.method.id):
            self._matrix.hear()  # what was written before it began is not its own
        self._matrix.touch(required)
        task.marks = marks(run.folder, required)
        task.throttled = self._measures.gates.throttled()
        known = run.last_executions.get(task.name)
        bound = self._matrix.names(task.worker)
        self._overtaken.began(
            task.name, test, required, known.seconds if known is not None else None, worker=task.worker
        )
        names = {"attempt.dir": path, "test.id": test.id, "method.id": task.method.id}
        self._engine.start(
            Request(
                task=task.name,
                test=test,
                method=task.method,
                attempt=attempt,
                root=str(run.root),
                folder=path,
                log=run.passed.log_of(folder) if test.command is not None else "",
                names={**self._names, **bound, **values_of(held, self._names), **names},
                mark=f"{run.mark}/{_word(task.name)}/{attempt}",
                browser=browser if isinstance(browser, Browser) else None,
                headed=run.options.headed,
                slow_seconds=run.options.slow_ms / 1000,
                pausing=run.options.pauser.pausing if run.options.pauser is not None and not repeat else None,
                secrets=run.options.secrets or run.plan.secrets,
                tls=run.plan.tls,
                login=run.plan.login_of(test),
                logins=f"{run.folder}/{LOGINS}" if test.login else "",
                looks=self._looks(test),
                node=node,
            )
        )
        self.running[task.name] = task  # not before: no result would come of what could not be started

    def _looks(self, test: Test) -> Looks:
        """Return where the expected pictures of a test are, and which of them the run writes."""
        wanted = self._run.options.update_looks
        update = ("*",) if {test.id, test.of, "*"} & set(wanted) else wanted
        return Looks(looks_of(self._run.plan.suite, test.id), test.browser, update)

    def leave(self, task: Task) -> None:
        """Give back the slot, the resources and the instances of a task."""
        self._busy[task.method.id] -= 1
        self._holding.release(task)
        self._queue.release(task.name)

    def isolate(self, task: Task) -> None:
        """Put off the retry of a task until no other can run."""
        self._busy[task.method.id] -= 1
        self._holding.release(task)
        self._queue.isolate(task.name)

    # ------------------------------------------------------------------------------------------- what will never start

    def decide_waiting(self, verdict: Verdict, reason: str) -> None:
        """Give one verdict to all that was pushed and has not started.

        A test that waits for its retry or repeat has started: it cannot be `blocked`. One that ends its group is not.
        """
        begun = {
            name
            for name in self._queue.waiting()
            if verdict == "blocked" and (self._run.view.life(name).number or self._closes(self._run.tasks[name]))
        } | self.running.keys()
        for task in self._awaiting:
            if task.name not in begun:
                self.leave(task)
        self._awaiting = [task for task in self._awaiting if task.name in begun]
        for name in self._queue.waiting():
            if self._decisions.decided(name):
                continue
            if self._queue.isolated(name):
                self._decisions.decide(self._run.tasks[name], *self._without_retry(name, verdict, reason))
            elif name not in begun:
                self._decisions.decide(self._run.tasks[name], verdict, reason)

    def _without_retry(self, name: str, verdict: Verdict, reason: str) -> tuple[Verdict, str]:
        """Return the verdict of a task whose retry does not come: that of its last attempt, unless a signal ended the run."""
        if verdict == "interrupted":
            return verdict, f"{SIGNAL_NAMES[self._ending.signal]} before it was retried"
        given, why = self._run.tasks[name].given
        return given, "; ".join(part for part in (why, f"not retried: {reason}") if part)

    def give_up(self) -> None:
        """Give a verdict to what waits although nothing runs and nothing can start: no wait would ever end."""
        reason = "it could not be started: a need is not selected"
        for name in self._queue.waiting():
            if not self._decisions.decided(name):
                self._decisions.decide(self._run.tasks[name], "error", reason)


def _held_back(held: Held) -> HeldBack:
    method, _, test = held.task.partition(":")
    return HeldBack(
        task=held.task,
        test=test,
        method=method,
        lack=held.lack,
        processors=held.need.millicores / 1000,
        processors_used=held.used.millicores / 1000,
        processors_all=held.room.millicores / 1000,
        memory_megabytes=held.need.megabytes,
        memory_megabytes_used=held.used.megabytes,
        memory_megabytes_all=held.room.megabytes,
        running=held.running,
    )


def _word(task: str) -> str:
    """Return the name of a task as one word, for marks: a matrix may put spaces into it, and no id holds `%`."""
    return task.replace(" ", "%20")
