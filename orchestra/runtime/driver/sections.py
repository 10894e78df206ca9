"""The loop of one test: before, steps, finally; deadlines, failures, records, evidence.

It knows no driver: what needs a browser goes to the session of whichever driver the method has, `http` and `set` are
carried out here, so that both are the same under every method.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from orchestra.errors import UsageError
from orchestra.ledger.parts import Finding, Outcome, Section, StepDone, Traffic, numbered
from orchestra.ledger.running_step import NO_DISPLAY, RunningStep, StepFile
from orchestra.runtime.attempt import (
    AttemptFailure,
    EvidenceFile,
    Request,
    Result,
    finally_seconds,
    held_seconds,
    most_seconds,
)
from orchestra.runtime.attempts.finding import app_hosts, errors_of, failure, findings_of, pattern_failure
from orchestra.runtime.bounded.patterns import PatternError
from orchestra.runtime.driver.call_log import shortened
from orchestra.runtime.driver.contract import (
    FOUND_LENGTH,
    Carrier,
    Deadline,
    Driver,
    Effort,
    Job,
    Patience,
    Session,
    StepError,
    unfit,
)
from orchestra.runtime.driver.film import Film
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.pausing import Pauses
from orchestra.runtime.driver.wording import seconds_text
from orchestra.runtime.early_end import EarlyEnd
from orchestra.runtime.pausing import TRY_LIMIT_SECONDS, TRY_SECONDS, Paused
from orchestra.runtime.scope import Scope, readable
from orchestra.runtime.unicode import well_formed
from orchestra.steps import vacuous
from orchestra.steps.step import Step
from orchestra.steps.target import target_of
from orchestra.steps.texts import BODIES, as_text
from orchestra.steps.verb import MESSAGE
from orchestra.steps.vocabulary import VERBS, on_page

EVIDENCE_SECONDS = 10.0
"""The limit of the evidence of a page. Generous, because it explains a failure on a busy machine."""

LATE_EVIDENCE_SECONDS = 5.0
"""And so long after the time of a test it is had, or given up."""

CLOSE_SECONDS = 10.0
"""The limit of closing a page; a second is reserved for it in any case."""

HUNG_SECONDS = 2.0
"""The time after a deadline at which a call that does not return is cut off, so that calls can end by themselves."""

_log = logging.getLogger(__name__)


def carry_out(
    request: Request,
    driver: Driver | None,
    http: Http,
    *,
    mask: Callable[[str], str] = str,
    clock: Callable[[], float] = time.monotonic,
    early: EarlyEnd | None = None,
    begun: Callable[[], None] = lambda: None,
    at_end: Callable[[Session | None, Scope], None] = lambda _session, _scope: None,
    shown: StepFile = NO_DISPLAY,
    paused: Callable[[Paused], None] = lambda _paused: None,
) -> Result:
    """Carry out one attempt.

    Args:
        request: what to do.
        driver: the method's; None when no step needs a page.
        http: sends the requests of `http` steps.
        mask: removes secrets from a text before it is reported or names a file.
        clock: monotonic seconds. The attempt's time begins when its page is there.
        early: ends it before its time.
        begun: called when the attempt's time begins.
        at_end: called with page and saved values before the page is closed.
        shown: gets each step at its begin, for displays.
        paused: called when it waits for a person, whose replies come by `early`.
    """
    early = early or EarlyEnd(clock)
    asked = clock()
    http.begin((request.storage or {}).get("cookies", ()))
    try:
        session = None if driver is None else driver.open(request)
    except StepError as failed:
        seconds, alive = clock() - asked, {died.part: False for died in failed.died}
        return Result(
            request.task,
            request.attempt,
            failed.outcome,
            seconds,
            _failure(failed, mask),
            alive=alive,
            died=failed.died,
        )
    if session is not None:
        early.watch(session)
    begun()
    last = clock() + most_seconds(request.test) + held_seconds(request) - 3.0  # before the worker is ended for it
    pauses = Pauses(request, session, early, paused)
    try:
        attempt = _Attempt(request, session, http, mask, clock, early, shown, pauses)
        result = attempt.run()
        at_end(session, attempt.scope)
        return result
    finally:
        if session is not None:
            session.bound(min(CLOSE_SECONDS, max(1.0, last + pauses.seconds - clock())))
            session.close()


class _Attempt:
    """The state of one attempt: what was saved, recorded and kept so far."""

    def __init__(
        self,
        request: Request,
        session: Session | None,
        http: Http,
        mask: Callable[[str], str],
        clock: Callable[[], float],
        early: EarlyEnd,
        shown: StepFile,
        pauses: Pauses,
    ) -> None:
        self._request = request
        self._session = session
        self._http = http
        self._mask = mask
        self._clock = clock
        self._early = early
        self._shown = shown
        self._pauses = pauses
        self._limit = Deadline(0.0)
        self.scope = Scope(request.names, request.saved)
        self._records: list[StepDone] = []
        self._kept: list[EvidenceFile] = []
        self._facts: dict[str, Any] = {}
        self._findings: tuple[Finding, ...] = ()
        self._network: dict[str, Traffic] | None = None
        self._visited: list[str] = []
        self._pictured = False
        self._evidence_by = 0.0
        self._pictures: list[EvidenceFile] = []
        self._film = Film(session, request)

    def run(self) -> Result:
        """Return all sections, then what came of it."""
        test = self._request.test
        begun, held = self._clock(), self._early.held
        self._evidence_by = begun + test.timeout_seconds + held_seconds(self._request) + LATE_EVIDENCE_SECONDS
        self._limit = self._deadline(test.timeout_seconds)
        ended = self._substitute()
        if ended is None:
            ended = self._section("before", test.before, test.timeout_seconds)
        if ended is None:
            ended = self._section("steps", test.steps, test.timeout_seconds)
        beside = self._beside(ended)
        if ended is None and beside is not None and self._pauses.after_failure():
            self._pause("steps", None, beside[1], test.timeout_seconds)
        ended = beside
        self._keep(failed=ended is not None)  # before `finally` changes the page
        if test.finally_:
            budget = finally_seconds(test)
            self._evidence_by = self._clock() + budget + LATE_EVIDENCE_SECONDS
            self._limit = self._deadline(budget)
            late = self._section("finally", test.finally_, budget)
            if late is not None and ended is not None:
                self._facts["finally_failed"] = late[1].message
            ended = ended or late
            ended = self._beside(ended)
            if ended is not None:
                self._keep(failed=True)
        seconds = self._clock() - begun - (self._early.held - held)
        self._film.stop(keep=False)
        if self._film.fault:
            self._facts["video"] = self._film.fault
        carrier = Carrier({})
        if self._session is not None:
            carrier = self._session.carrier()
            self._facts |= self._session.facts()
        outcome: Outcome = "passed" if ended is None else ended[0]
        failure = None if ended is None else ended[1]
        steps, kept = tuple(self._records), tuple(self._kept)
        return Result(
            self._request.task,
            self._request.attempt,
            outcome,
            seconds,
            failure,
            steps,
            kept,
            facts=self._facts,
            alive=carrier.alive,
            died=carrier.died,
            session=carrier.session,
            findings=self._findings,
            network=self._network,
            notes=self._pauses.notes(),
        )

    def _substitute(self) -> tuple[Outcome, AttemptFailure] | None:
        """Let the HAR file and the mocks of the method answer requests. Return why one of them cannot."""
        steps = self._request.test.substitutes_by.get(self._request.method.id, ())
        for step in steps if self._session is not None else ():
            try:
                self._step(step, self._limit)
            except StepError as failed:
                return failed.outcome, _failure(failed, self._mask, "before", None, step)
        return None

    def _beside(self, ended: tuple[Outcome, AttemptFailure] | None) -> tuple[Outcome, AttemptFailure] | None:
        """End the attempt, after a check of the events of the page outside its steps."""
        if self._session is None:
            return ended
        seen, test = self._session.seen(), self._request.test
        app = app_hosts(self._request.names, self._visited)
        errors = errors_of(test, self._request.method.id)
        self._network = seen.network
        try:
            self._findings = findings_of(seen.signs.items(), seen.dialogs, errors, app)
        except PatternError as error:
            return ended or ("error", pattern_failure(error, test, self._request.method.id, "allow"))
        if ended is None and seen.unmet is not None:
            failed, pointers = seen.unmet
            return failed.outcome, msgspec.structs.replace(_failure(failed, self._mask), pointers=pointers)
        bad = failure(self._findings, f"/tests/{test.of or test.id}") if ended is None else None
        return ended if bad is None else ("failed", bad)

    def _deadline(self, seconds: float) -> Deadline:
        if self._session is not None:
            self._session.bound(seconds + HUNG_SECONDS)
        return Deadline(self._early.clock() + seconds, self._early.clock)

    def _slow_down(self, step: Step) -> None:
        """Hold the attempt before a step on a page, so that a person can follow it."""
        seconds = self._request.slow_seconds
        if not seconds or self._session is None or not on_page(step.verb):
            return
        self._session.bound(self._limit.left() + seconds + HUNG_SECONDS)
        self._early.hold(seconds)

    def _section(
        self, section: Section, steps: tuple[Step, ...], allowed: float
    ) -> tuple[Outcome, AttemptFailure] | None:
        """Carry out the steps of a section up to the first that fails, and return its failure; None when none does."""
        for index, step in enumerate(steps):
            if self._pauses.before(section, index):
                self._pause(section, index, None, allowed)
            self._slow_down(step)
            while (failed := self._in_section(section, index, steps, allowed)) is not None:
                failure = _failure(failed, self._mask, section, index, step)
                if not (self._pauses.after_failure() and self._pause(section, index, failure, allowed)):
                    return failed.outcome, failure
                self._records.pop()
            if section != "finally" and on_page(step.verb):
                self._picture(f"{section}-{index + 1}-{step.verb}")
        return None

    def _in_section(self, section: Section, index: int, steps: tuple[Step, ...], allowed: float) -> StepError | None:
        """Carry out one step of a section and record it. Return its failure."""
        step, begun = steps[index], self._clock()
        self._show(section, index, len(steps), step.verb)
        effort, failed = Effort(), None
        try:
            effort = self._step(step, self._limit)
        except StepError as error:
            effort, failed = error.effort, error
        if self._limit.over() and (failed is None or failed.kind != "setup"):
            failed = _over(failed, section, index, step, allowed)
        self._records.append(
            StepDone(
                index=index,
                verb=step.verb,
                seconds=self._clock() - begun,
                outcome="passed" if failed is None else failed.outcome,
                calls=effort.calls,
                polls=effort.polls,
                lag_seconds=effort.lag_seconds,
                section=section,
            )
        )
        return failed

    def _pause(self, section: Section, index: int | None, failure: AttemptFailure | None, allowed: float) -> bool:
        """Wait for a person. Return whether the failed step is to be carried out again: with all the time of its section."""
        before = self._pauses.seconds
        again = self._pauses.ask(section, index, failure, self._tried)
        self._evidence_by += self._pauses.seconds - before
        if again:
            self._evidence_by += allowed
            self._limit = self._deadline(allowed)
        elif self._session is not None:
            self._session.bound(self._limit.left() + HUNG_SECONDS)
        return again

    def _tried(self, step: Step) -> AttemptFailure | None:
        """Carry out a step that a person tries, which no record has. Return its failure."""
        clock = self._early.clock
        try:
            self._step(step, Deadline(clock() + TRY_LIMIT_SECONDS - HUNG_SECONDS, clock), TRY_SECONDS)
        except StepError as error:
            return _failure(error, self._mask, "steps", None, step)
        return None

    def _show(self, section: Section, index: int, number: int, verb: str) -> None:
        asked = self._request
        self._shown.show(RunningStep(asked.task, asked.attempt, section, index, number, verb, time.time()))

    def _picture(self, name: str) -> None:
        """Take a picture after a step, if the test wants one of each; a failing step has one anyway."""
        test = self._request.test
        if self._session is None or test.evidence == "off":
            return
        if "pictures" in test.record:
            self._pictures += self._session.picture(Path(self._request.folder), name)
        if "steps" in test.record:
            self._pictures += self._session.step_picture(Path(self._request.folder), name)

    def _step(self, step: Step, deadline: Deadline, most_seconds: float = math.inf) -> Effort:
        """Carry out one step; whatever goes wrong is a `StepError`.

        Args:
            step: of the plan.
            deadline: of its section.
            most_seconds: that it waits for its element, unless it has a time of its own.
        """
        try:
            job = self._job(step, deadline, most_seconds)
            try:
                return self._do(job)
            except StepError as failed:
                if "message" in job.args and step.verb in VERBS and MESSAGE in VERBS[step.verb].fields:
                    failed.message = f"{job.args['message']}: {failed.message}"
                raise
        except StepError:
            raise
        except UsageError as error:
            raise unfit(error.message, hint=error.hint) from None
        except Exception as error:
            # A bug of ours must not cost the verdicts of the tests that follow on this worker.
            _log.exception("%s: step %s", self._request.task, step.verb)
            message = f"the runner failed in this step: {type(error).__name__}: {error}"
            hint = "this is a bug of orchestra; the traceback is in the worker's log"
            raise StepError("error", "crash", message, hint=hint) from error

    def _do(self, job: Job) -> Effort:
        verb = job.step.verb
        if on_page(verb):
            if self._session is None:
                raise unfit(f"the step {verb} needs a browser, and this test was given none")
            for where, text in vacuous.in_step(job.step):  # a name may stand for an empty text
                raise unfit(vacuous.message(where, text), hint=vacuous.HINT)
            return self._session.do(job)
        if verb == "http":
            if job.args.get("cookies") == "from_page":
                if self._session is None:
                    raise unfit("there is no page whose cookies could be sent")
                self._http.begin(self._session.cookies())
            self._http.do(job)
        else:  # set
            for name, value in job.args["values"].items():
                self.scope.save(name, value)
        return Effort()

    def _job(self, step: Step, deadline: Deadline, most_seconds: float) -> Job:
        target = None if step.target is None else self.scope.target(step.target)
        args = as_text(self.scope.fill(step.args), BODIES.get(step.verb, {}), Scope.text)
        for inner in (args.get("unless"), args.get("onto"), *args.get("mask", ())):
            readable(target_of(inner) if isinstance(inner, dict) else None)
        if "as" in args:  # the name of a file is written down like any text
            args["as"] = self._mask(Scope.text(args["as"]))
        if step.verb == "goto":
            self._visited.append(str(args["url"]))
        final = msgspec.structs.replace(step, target=target, args=args)
        root, folder = Path(self._request.root), Path(self._request.folder)
        test = self._request.test
        patience = Patience(min(most_seconds, test.action_timeout_seconds), min(most_seconds, test.action_idle_seconds))
        looks = self._request.looks
        return Job(final, root, folder, self.scope, deadline, deadline.left(), self._kept, patience, looks)

    def _keep(self, *, failed: bool) -> None:
        """EvidenceFile of the page, once: as it is at the first failure, else at the end of the steps."""
        wish = self._request.test.evidence
        if self._session is None or self._pictured or wish == "off":
            return
        pictures, self._pictures = self._pictures, []
        if not failed and wish != "always":
            for picture in pictures:  # they were taken for a failure that did not come
                with suppress(OSError):
                    (Path(self._request.folder) / picture.path).unlink()
            return
        self._pictured = True
        self._kept += pictures
        self._session.bound(min(EVIDENCE_SECONDS, max(1.0, self._evidence_by - self._clock())))
        self._kept += self._session.keep_evidence(Path(self._request.folder), "failure" if failed else "end")
        self._kept += self._film.stop(keep=True)


def _over(failed: StepError | None, section: Section, index: int, step: Step, allowed: float) -> StepError:
    """Return the failure of a step whose time was over, with the awaited condition."""
    told = f": {failed.message}" if failed is not None else ""
    message = f"the test's {seconds_text(allowed)} were over in step {numbered(section, index)} ({step.verb}){told}"
    if failed is None:
        return StepError("timeout", "timeout", message)
    return StepError("timeout", "timeout", message, expected=failed.expected, found=failed.found, hint=failed.hint)


def _failure(
    failed: StepError,
    mask: Callable[[str], str],
    section: Section = "steps",
    index: int | None = None,
    step: Step | None = None,
) -> AttemptFailure:
    def clean(text: str) -> str:
        return str(well_formed(mask(text)))

    found = clean(failed.found)
    return AttemptFailure(
        failed.kind,
        clean(failed.message),
        index,
        expected=clean(failed.expected),
        found=found if len(found) <= FOUND_LENGTH else found[:FOUND_LENGTH] + " …",
        hint=clean(failed.hint),
        log=shortened(clean(failed.log)),
        section=section,
        pointers=() if step is None else step.at,
    )
