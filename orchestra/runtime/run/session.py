"""A run from its opening to its seal: open, schedule, conclude, close.

One thread owns a session. The pump of doit pushes tasks whose needs have their verdicts, waits, and takes the tasks whose
verdicts are on the disk.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from orchestra.engines import REQUIRED_ENGINE
from orchestra.errors import OrchestraError
from orchestra.instances import most, of_nodes
from orchestra.ledger import history, integrity, retention, run_record
from orchestra.ledger.event import Interrupted, Note, RunFinished
from orchestra.ledger.transaction import LAST_RUN, Transaction
from orchestra.ledger.view import Observer
from orchestra.plan import Plan
from orchestra.runtime import bounded
from orchestra.runtime.attempts.incident import Outages
from orchestra.runtime.attempts.overtaken import Overtaken
from orchestra.runtime.attempts.verdict import exit_code
from orchestra.runtime.attempts.whole_log import bind_logs
from orchestra.runtime.browsers.finder import Missing
from orchestra.runtime.engine.leases import Leases
from orchestra.runtime.engine.queue import Queue
from orchestra.runtime.engine.slots import most_at_once
from orchestra.runtime.logins import Shown
from orchestra.runtime.processes.orphan import forking, started
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.run.conclude import Conclusion
from orchestra.runtime.run.decide import Decisions
from orchestra.runtime.run.ending import SIGNAL_NAMES, Ending, fault_of
from orchestra.runtime.run.engine import engine_of, opened_engine
from orchestra.runtime.run.load import LOOK_SECONDS, Sampler, Use, sampled
from orchestra.runtime.run.measure import Measures
from orchestra.runtime.run.opening import Options, Run, open_run
from orchestra.runtime.run.repeats import Repeats
from orchestra.runtime.run.schedule import Schedule
from orchestra.runtime.run.sharing import Sharing
from orchestra.runtime.servers import reuse, up
from orchestra.runtime.servers.matrix import Matrix
from orchestra.runtime.servers.node_matrix import NodeMatrix

__all__ = ["Options", "Session"]


_PRUNE_SECONDS = 2.0
"""The time at the end of a run for the folders of old runs; some disks remove a few hundred files a second."""


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
        self._ending = ending = Ending()
        opened = opened_engine(root, plan, options, environment)
        try:
            self._run = run = open_run(
                root,
                plan,
                selection,
                options=options,
                environment=environment,
                observers=observers,
                interrupted=ending.interrupted,
            )
        except BaseException:
            if opened is not None:
                opened.close()
            raise
        self.run, self.folder = run.id, run.folder
        numbered = dict(run.view.health.numbers)
        self._outages = outages = Outages(run.recorder.add, numbered=numbered)
        with forking:  # a child that is known is not looked at after each command
            self._reaper = Reaper.start(run.mark)
            started(self._reaper)
        self._sharing = sharing = Sharing(run, lambda: bool(ending.asked or ending.fault))
        self._engine = engine = Leases(
            engine_of(run, opened, self._reaper, lambda: self.ask(signal.SIGINT) if not ending.asked else None),
            run.recorder.add,
        )
        matrix_kind = partial(NodeMatrix, nodes=engine) if opened is not None and of_nodes(plan.components) else Matrix
        self._matrix = matrix = matrix_kind(
            plan.components,
            root=root,
            folder=run.folder,
            mark=run.mark,
            env=run.environment,
            masks=run.masks,
            on_event=outages.service,
            wake=engine.wake,
            reaper=self._reaper,
            in_use=outages.in_use,
            lent=(lent := _lent(run)),
            numbered=numbered,
            place=run.place,
            tls=plan.tls,
            lendings=sharing.lendings,
            instances=(instances := _instances(run)),
        )
        engine.report_to(matrix)
        durations = {task: last.seconds for task, last in run.last_executions.items()}
        queue = Queue(plan, selection, durations, options.seed, options.shard, run.load)
        self._overtaken = overtaken = Overtaken(matrix.row, matrix.names)
        self._measures = measures = Measures(run, matrix)
        self._decisions = decisions = Decisions(run, ending, queue, matrix, outages)
        self._schedule = schedule = Schedule(
            run,
            ending,
            queue=queue,
            engine=engine,
            matrix=matrix,
            outages=outages,
            overtaken=overtaken,
            measures=measures,
            decisions=decisions,
            instances=instances,
        )
        kept_up = tuple(row.pid for row in lent.values() if row.pid)
        self._sampler = sampler = Sampler(self._sampled, engine.roots, kept_up)
        self._repeats = repeats = Repeats(
            run,
            ending,
            matrix=matrix,
            outages=outages,
            measures=measures,
            schedule=schedule,
            decisions=decisions,
            sampler=sampler,
        )
        self._logins = logins = Shown(run.folder, plan.logins, run.masks)
        self._conclusion = Conclusion(
            run,
            ending,
            engine=engine,
            matrix=matrix,
            outages=outages,
            overtaken=overtaken,
            measures=measures,
            schedule=schedule,
            decisions=decisions,
            repeats=repeats,
            logins=logins,
        )
        decisions.take_over()
        sampler.start()
        self._closed = False

    # ------------------------------------------------------------------------------------------------ pushing, waiting

    def push(self, name: str) -> None:
        """Queue a task whose needs have their verdicts, or give it the verdict that it has without running."""
        self._schedule.push(name)

    def wait(self) -> list[str]:
        """Wait until at least one task has its verdict on the disk, and return all that have.

        Raises:
            MachineError: the disk refuses to take the record.
        """
        while not (decided := self._decisions.on_disk()):
            if self._ending.asked and not self._ending.signal:
                self._interrupt()
            for name in self._overtaken.overdue():
                self._engine.end(name)
            self._repeats.start_due()
            self._schedule.grant(offered=not self._decisions.waiting())
            pause = LOOK_SECONDS if self._repeats.waiting() else self._schedule.patience()
            if self._decisions.waiting():  # tests start and end while the disk is busy; it holds up a free slot only
                left = self._run.recorder.commit(self._engine.wake, at_once=self._schedule.slot_free())
                pause = pause if left is None else left if pause is None else min(pause, left)
            elif self._measures.opened and self._schedule.idle() and not self._repeats.waiting():
                self._schedule.give_up()
                continue
            self._conclusion.take(pause)
        self._schedule.grant(offered=False)  # so that slots are busy while doit looks what comes next
        return decided

    def fails(self, name: str) -> str:
        """Return why a verdict fails its doit task; empty when it does not."""
        return self._decisions.fails(name)

    # --------------------------------------------------------------------------------------------------------- the ends

    @property
    def fault(self) -> OrchestraError | None:
        """Return the error that ended the run, if one did."""
        return self._ending.fault

    def fail(self, error: Exception) -> None:
        """End the run by an error; the first one counts."""
        self._ending.fault = self._ending.fault or fault_of(error, self.folder, self._run.masks)

    def ask(self, number: int) -> None:
        """Ask for the end of the run, from a signal handler: it only makes a note and wakes the engine."""
        self._ending.asked = number
        self._engine.wake()

    def interrupted(self) -> bool:
        """Return whether the end was asked for."""
        return self._ending.interrupted()

    def _interrupt(self) -> None:
        """End what runs, as `interrupted`: between two polls, where nothing is half done."""
        number = self._ending.signal = self._ending.asked
        self._run.recorder.add(Interrupted(signal=SIGNAL_NAMES[number]))
        self._engine.stop()
        self._repeats.start_due()
        self._schedule.decide_waiting("interrupted", f"{SIGNAL_NAMES[number]} before it started")

    def close(self) -> int:
        """End everything, evaluate the gates, seal the record, and return the exit code. A second call returns it again."""
        if self._closed:
            return self._code()
        self._closed = True
        ends = (
            self._settle,
            self._sampler.close,
            self._sharing.settle,
            self._matrix.close,
            self._sharing.close,
            self._outages.close,
            self._engine.close,
            self._reaper.close,
            bounded.close,
            self._logins.close,
            self._run.passed.close,
            self._record_end,
            self._run.recorder.close,
            self._run.lock.release,
        )
        for end in ends:
            try:
                end()
            except Exception as error:  # noqa: BLE001 - one end that fails must not keep the others from coming
                self.fail(error)
        return self._code()

    def _settle(self) -> None:
        """Wait for what still runs, give a verdict to what never ran, and evaluate the gates."""
        fault = self.fault
        if fault is not None:
            self._engine.stop()
        self._repeats.start_due()
        while self._schedule.running or self._repeats.waiting():
            self._conclusion.take(LOOK_SECONDS if self._repeats.waiting() else None)
            self._repeats.start_due()
        reason = f"never ran: {fault.message}" if fault is not None else "never ran"
        if fault is not None:
            self._schedule.decide_waiting("error", reason)
        for name, task in self._run.tasks.items():
            if not self._decisions.decided(name):
                self._decisions.decide(task, "error", reason)
        self._measures.close(self._schedule.workers())
        if not self._code() and not self._run.is_shard:
            self._run.pace.keep(self.folder, self._run.view, self._run.recorder.add)

    def _sampled(self, uses: Sequence[Use]) -> None:
        """Record what the machine and the workers used. Called from the thread of the sampler."""
        reason = self._schedule.changed()
        self._run.recorder.add(sampled(uses, workers=self._schedule.workers(), reason=reason))

    def _record_end(self) -> None:
        run, view = self._run, self._run.view
        self._prune()
        bind_logs(run.folder, run.recorder.add, run.masks.clean, learnt=bool(run.plan.logins))
        run.recorder.add(
            RunFinished(
                exit_code=self._code(),
                counts={verdict: count for verdict, count in view.counts.items() if count},
                seconds=run.seconds(),
                gates=self._measures.gates.results(),
            )
        )
        run.recorder.sync()
        change = Transaction(run.home)
        change.write(history.LAST, history.encoded(history.with_run(run.last_executions, view)))
        if (record := run_record.record_of(view)) is not None:
            change.write(history.EXECUTIONS, history.with_record(run.home, record))
        change.link(LAST_RUN, run.id)
        run.pace.commit(change)
        run.recorder.seal(integrity.sealed(integrity.Facts(run.plan, view)), integrity.VERSION)
        change.commit()

    def _prune(self) -> None:
        """Remove the runs beyond `keep_runs`. The record states what went; a disk that refuses fails no test."""
        kept = self._run.plan.keep_runs
        if not kept.count and not kept.days:
            return
        self._run.recorder.sync()  # an `unchanged` of this run may rest on an older one
        try:
            pruned, refused = retention.prune(
                self._run.home, retention.Limits(kept.count, kept.days), within_seconds=_PRUNE_SECONDS
            )
        except OrchestraError as error:
            pruned, refused = retention.Retention([], {}, 0), [f"no run could be removed: {error.message}"]
        for sentence in refused:
            self._run.recorder.add(Note(kind="keep_runs", message=sentence))
        if pruned.gone:
            number = f"{len(pruned.gone)} run{'s' * (len(pruned.gone) != 1)}"
            self._run.recorder.add(Note(kind="keep_runs", message=f"{number} removed, {pruned.kept} retained"))

    def _code(self) -> int:
        if self._ending.signal:
            return 128 + self._ending.signal
        if self.fault is not None:
            return self.fault.exit_code
        unfit = bool(self._measures.unhealthy) or isinstance(self._run.browsers.get(REQUIRED_ENGINE), Missing)
        counted = [given.verdict for given in self._run.view.verdicts.values() if not given.excused]
        return exit_code(counted, gates_failed=self._measures.gates.failed(), unhealthy=unfit)


def _instances(run: Run) -> int:
    """Return how many instances of components with `per: worker` the run may need: never more than these have ports."""
    at_once = most_at_once(run.plan.methods, run.options.workers)
    ports = most(run.plan.components)
    return at_once if ports is None else min(at_once, ports)


def _lent(run: Run) -> Mapping[str, up.UpRow]:
    """Return the services of `orchestra up` that match this plan, and note those that do not, or may not."""
    lent, refused, unsure = reuse.usable(run.root, run.home, run.plan, run.environment)
    for name, why in refused.items():
        message = f'"{name}" is up by `orchestra up`, and is not used: {why}'
        run.recorder.add(Note(kind="up_refused", message=message))
    for name, why in unsure.items():
        message = f'"{name}" is used as `orchestra up` started it, and may be old code: {why}; {reuse.fix(name)}'
        run.recorder.add(Note(kind="up_unsure", message=message))
    return {**run.options.shared, **lent}
