"""Begin a test with its login: the state that another test has made, if it still holds, else a new one.

A login is carried out by the driver of the test that needs it first, before the time of that test begins, in a page of its
own. One worker makes it; others wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from orchestra.ledger.event import Note
from orchestra.ledger.parts import Died
from orchestra.ledger.running_step import NO_DISPLAY, StepFile
from orchestra.plan import Login, Test
from orchestra.runtime.attempt import CHECK_SECONDS, AttemptFailure, Request, Result, has_page_steps
from orchestra.runtime.driver.contract import Driver, Session, StepError
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.sections import carry_out
from orchestra.runtime.early_end import EarlyEnd
from orchestra.runtime.logins import State, Store, secrets_of
from orchestra.runtime.mask import Masks
from orchestra.runtime.pausing import Paused
from orchestra.runtime.scope import Scope

GIVE_UP: Final = 2
"""So many failures, one after the other, and the login is not tried again: each test would wait for it."""

_NONE: Final = State()


class _NotSignedInError(Exception):
    """The login could not be made."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def signed_in(
    request: Request,
    driver: Driver | None,
    http: Http,
    environment: Mapping[str, str],
    *,
    early: EarlyEnd,
    begun: Callable[[], None],
    shown: StepFile = NO_DISPLAY,
    paused: Callable[[Paused], None] = lambda _paused: None,
) -> Result:
    """Carry out one attempt at a test, signed in as its login defines.

    Args:
        request: what to do.
        driver: the method's; None when neither the test nor its login needs a page.
        http: sends the requests of `http` steps.
        environment: has the values of secret variables.
        early: ends the attempt before its time.
        begun: called when the attempt's time begins.
        shown: gets each step of the test at its begin, for displays.
        paused: called when the test waits for a person, whose replies come by `early`.
    """
    notes, died = tuple[Note, ...](), tuple[Died, ...]()
    facts: dict[str, Any] = {}
    if request.login is not None:
        login = _Login(request, request.login, driver, http, environment, early)
        try:
            state = login.state()
        except _NotSignedInError as failed:
            return failed.result
        facts = {"login": request.login.id}
        request, notes, died = login.given(state), login.notes, login.died
    mask = Masks(request.secrets, environment, request.hidden).text
    own = driver if driver is not None and has_page_steps(request.test) else None
    result = carry_out(request, own, http, mask=mask, early=early, begun=begun, shown=shown, paused=paused)
    facts = {**result.facts, **facts}
    return msgspec.structs.replace(result, notes=(*notes, *result.notes), died=(*died, *result.died), facts=facts)


class _Login:
    """The login of one attempt."""

    def __init__(
        self,
        request: Request,
        login: Login,
        driver: Driver | None,
        http: Http,
        environment: Mapping[str, str],
        early: EarlyEnd,
    ) -> None:
        self._request, self._login = request, login
        self._driver, self._http, self._early = driver, http, early
        self._environment = environment
        self._store = Store(Path(request.logins), login.id)
        self.notes: tuple[Note, ...] = ()
        self.died: tuple[Died, ...] = ()

    def given(self, state: State) -> Request:
        """Return the request of a test that begins with a state."""
        hidden = {f"login {self._login.id}": state.hidden}
        return msgspec.structs.replace(self._request, storage=state.storage, saved=state.saved, hidden=hidden)

    def state(self) -> State:
        """Return the state that holds, made if necessary.

        Raises:
            _NotSignedInError: it cannot be made.
        """
        state = self._store.load()
        if not (reason := self._unfit(state)):
            return state
        with self._store.locked(self._login.timeout_seconds + CHECK_SECONDS, self._early.clock) as held:
            if not held:
                message = f'another worker did not end the login "{self._login.id}" in time'
                raise self._refused(AttemptFailure("connection", message, pointers=self._pointers))
            latest = self._store.load()
            if latest.made != state.made and not (reason := self._unfit(latest)):
                return latest
            if latest.failure is not None and latest.failures >= GIVE_UP:
                message = f"{latest.failure.message} ({latest.failures} times in this run, so it is not tried again)"
                failure = msgspec.structs.replace(latest.failure, message=message)
                raise self._refused(failure, latest)
            return self._make(latest, reason)

    def _unfit(self, state: State) -> str:
        """Return why a state cannot be used; empty if it can."""
        if not state.made:
            return "first use"
        if self._login.valid_seconds and time.time() - state.made >= self._login.valid_seconds:
            return f"it was older than {self._login.valid_seconds:g} s"
        failure = self._checked(state)
        return "" if failure is None else f"its check failed: {failure.message}"

    def _checked(self, state: State) -> AttemptFailure | None:
        """Return why the check of a state fails; None if it passes, or if there is none."""
        check = self._login.check
        if check is None:
            return None
        test = Test(self._login.id, self._login.id, (), timeout_seconds=CHECK_SECONDS, evidence="off", steps=(check,))
        return self._carry_out(
            msgspec.structs.replace(self.given(state), test=test, slow_seconds=0.0, pausing=None), None
        ).failure

    def _make(self, before: State, reason: str) -> State:
        """Make the state, and retain it for all workers.

        Raises:
            _NotSignedInError: it cannot be made.
        """
        login, test, begun = self._login, self._request.test, time.monotonic()
        storage: dict[str, Any] = {}
        saved: dict[str, Any] = {}

        def take(session: Session | None, scope: Scope) -> None:
            saved.update(scope.saved)
            if session is not None:
                storage.update(session.storage())
            sent = {(cookie["name"], cookie["domain"], cookie["path"]): cookie for cookie in self._http.cookies()}
            shown = {
                (cookie["name"], cookie["domain"], cookie["path"]): cookie for cookie in storage.get("cookies", ())
            }
            storage.update(cookies=[*{**sent, **shown}.values()], origins=storage.get("origins", []))

        login_test = Test(
            login.id,
            login.id,
            test.methods,
            of=test.of or test.id,
            browser=test.browser,
            timeout_seconds=login.timeout_seconds,
            action_timeout_seconds=test.action_timeout_seconds,
            action_idle_seconds=test.action_idle_seconds,
            evidence="off" if test.evidence == "off" else "on_failure",
            errors=test.errors,
            errors_by=test.errors_by,
            emulation=login.emulation,
            emulation_by=login.emulation_by,
            steps=login.steps,
        )
        driver = self._driver if login.page else None
        try:
            request = msgspec.structs.replace(self._request, test=login_test, slow_seconds=0.0, pausing=None)
            result = self._carry_out(request, driver, take)
        except StepError as error:  # the browser was gone when its storage was asked for
            result = self._result(AttemptFailure(error.kind, error.message, pointers=self._pointers), State())
        hidden = tuple(dict.fromkeys([*before.hidden, *secrets_of(storage, saved)]))
        state = State(time.time(), storage, saved, hidden)
        failure = result.failure
        if failure is None and (refused := self._checked(state)) is not None:
            failure = msgspec.structs.replace(refused, message=f"it was made, and its check failed: {refused.message}")
            result = msgspec.structs.replace(result, outcome="failed")
        if failure is not None:
            message = f'the login "{login.id}" failed: {failure.message}'
            failure = msgspec.structs.replace(failure, message=message, step=None)
            self._store.save(
                State(hidden=hidden, failures=before.failures + 1, outcome=result.outcome, failure=failure)
            )
            raise _NotSignedInError(self._of_test(result, failure))
        self._store.save(state)
        self.died = result.died
        seconds = round(time.monotonic() - begun, 3)
        reason = Masks(self._request.secrets, self._environment, {login.id: hidden}).text(reason)
        data = {"login": login.id, "task": self._request.task, "seconds": seconds, "reason": reason}
        message = f'login "{login.id}" made in {seconds:.1f} s for {self._request.task}: {reason}'
        self.notes = (Note(kind="login", message=message, data=data),)
        return state

    def _carry_out(
        self,
        request: Request,
        driver: Driver | None,
        at_end: Callable[[Session | None, Scope], None] = lambda _session, _scope: None,
    ) -> Result:
        mask = Masks(request.secrets, self._environment, request.hidden).text
        return carry_out(request, driver, self._http, mask=mask, early=self._early, at_end=at_end)

    @property
    def _pointers(self) -> tuple[str, ...]:
        return (f"/logins/{self._login.id}/steps",)

    def _of_test(self, result: Result, failure: AttemptFailure) -> Result:
        """Return the result of a login as that of its test, of which no step was carried out."""
        facts = {**result.facts, "login": self._login.id}
        return msgspec.structs.replace(result, failure=failure, steps=(), facts=facts)

    def _result(self, failure: AttemptFailure, state: State) -> Result:
        outcome = state.outcome if state.failure is not None else "error"
        return Result(self._request.task, self._request.attempt, outcome, 0.0, failure)

    def _refused(self, failure: AttemptFailure, state: State = _NONE) -> _NotSignedInError:
        return _NotSignedInError(self._of_test(self._result(failure, state), failure))
