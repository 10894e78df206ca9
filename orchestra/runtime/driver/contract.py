"""Define the contract between the loop of a test and its driver: limits, failures, sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from orchestra.ledger.event import SessionChanged
from orchestra.ledger.parts import Died, Outcome, Traffic
from orchestra.runtime.attempt import NO_LOOKS, EvidenceFile, FailureKind, Looks, Request
from orchestra.runtime.attempts.observed import Sign
from orchestra.runtime.scope import Scope
from orchestra.steps.step import Step
from orchestra.steps.target import target_of

TRACE = "trace.zip"
"""The trace of an attempt: `playwright show-trace` opens it."""

CHOOSER_SECONDS = 5.0
"""The time after a click in which a file chooser must open."""

OVER_SECONDS = 0.02
"""With so little time left a test counts as over: a limit that ends with the test's may fire a moment early."""

FOUND_LENGTH = 2000
"""The limit of a found value in a message. It is cut after masking: half of a secret would not be recognised."""

Lookup: TypeAlias = Literal["", "absent", "several"]


@dataclass(frozen=True, slots=True)
class Effort:
    """The cost of a step, if a driver counts it: tool calls, polls, and the lag of the last poll behind the page."""

    calls: int = 0
    polls: int = 0
    lag_seconds: float | None = None


class StepError(Exception):
    """A step could not be carried out, or what it expects does not hold. The loop adds which step it was.

    Args:
        outcome: `failed` is the product's fault, `error` that of the spec or the machine.
        kind: of the failure, as its event has it.
        message: what was found, lower case at the start.
        expected: what the spec asks for.
        found: the last found value, whole.
        hint: what to do about it.
        effort: what the step had cost by then.
        lookup: how the target of the step failed to be one element, if that is why; more about it is added then.

    Attributes:
        log: of an expectation, what was waited for and what was seen, how often.
        died: the part of the browser session whose loss it is, if no page was to be had for that reason.
    """

    def __init__(
        self,
        outcome: Outcome,
        kind: FailureKind,
        message: str,
        *,
        expected: str = "",
        found: str = "",
        hint: str = "",
        effort: Effort = Effort(),
        lookup: Lookup = "",
    ) -> None:
        super().__init__(message)
        self.outcome: Outcome = outcome
        self.kind: FailureKind = kind
        self.message = message
        self.expected = expected
        self.found = found
        self.hint = hint
        self.effort = effort
        self.lookup: Lookup = lookup
        self.log = ""
        self.died: tuple[Died, ...] = ()


def unmet(message: str, *, expected: str = "", found: str = "", hint: str = "", lookup: Lookup = "") -> StepError:
    """Return the product did not do what the spec expects."""
    return StepError("failed", "assertion", message, expected=expected, found=found, hint=hint, lookup=lookup)


def unfit(message: str, *, found: str = "", hint: str = "") -> StepError:
    """Return the step cannot be carried out as it is written."""
    return StepError("error", "setup", message, found=found, hint=hint)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a part of a test, by the clock."""

    at: float
    clock: Callable[[], float] = time.monotonic

    def left(self) -> float:
        """Seconds until the end, 0 at least."""
        return max(0.0, self.at - self.clock())

    def over(self) -> bool:
        """Return True if nothing more can be done in time."""
        return self.left() <= OVER_SECONDS

    def limit(self, own: float) -> float:
        """Return how many seconds a call may take whose own limit is `own`; a millisecond at least."""
        return max(0.001, min(own, self.left()))


@dataclass(frozen=True, slots=True)
class Patience:
    """The time that an action waits for its element: at most, and while no request of the page is pending."""

    seconds: float = 30.0
    idle_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """A step as a driver gets it: late names replaced, and all that it may need.

    Attributes:
        step: of the plan, every text final.
        root: the project root; files to upload are inside it.
        folder: the attempt's own folder, for pictures and downloads.
        scope: where values are saved.
        deadline: that of the part of the test with the step.
        left: seconds until the deadline when the step began.
        kept: the evidence of the attempt, to be added to.
        patience: the default time that an action waits.
        looks: the expected pictures of the test.
    """

    step: Step
    root: Path
    folder: Path
    scope: Scope
    deadline: Deadline
    left: float
    kept: list[EvidenceFile] = field(default_factory=list)
    patience: Patience = Patience()
    looks: Looks = NO_LOOKS

    @property
    def args(self) -> dict[str, Any]:
        """The fields of the step."""
        return self.step.args

    def text(self, name: str) -> str:
        """Return an argument as text: a block's parameter may have given a number."""
        return text_of(self.step.args[name])

    @property
    def own_seconds(self) -> float:
        """Return the longest wait of the step, if its test has that much time left."""
        return float(self.step.args.get("within_seconds", self.patience.seconds))

    @property
    def idle_seconds(self) -> float:
        """Return the time that it waits while no request of the page is pending."""
        own = self.own_seconds
        return own if "within_seconds" in self.step.args else min(own, self.patience.idle_seconds)

    def allowed(self, own: float | None = None) -> float:
        """Return how many seconds a call with this own limit was given, for messages."""
        return min(self.own_seconds if own is None else own, self.left)

    def keep(self, name: str, kind: str) -> Path:
        """Return the path of a file of the attempt, which is listed as evidence once."""
        entry = EvidenceFile(name, kind)
        if entry not in self.kept:
            self.kept.append(entry)
        return self.folder / name


def of_target(job: Job, field: str) -> Job:
    """Return a step as if one of its fields were its target, which messages then name."""
    return replace(job, step=msgspec.structs.replace(job.step, target=target_of(job.args[field])))


def text_of(value: Any) -> str:
    """Return a scalar as text, booleans and null as JSON writes them."""
    return value if isinstance(value, str) else Scope.text(value)


class Unmet(NamedTuple):
    """An expectation of a step that did not hold by the end of the steps, and the pointers of that step."""

    failure: StepError
    at: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """The events of a page outside its steps.

    Attributes:
        signs: what may be an error, and how often it was seen.
        dialogs: those that no step answers.
        network: the traffic by host.
        unmet: what a step expected of later ones, and did not come, or a file that cannot be written.
    """

    signs: Mapping[Sign, int]
    dialogs: tuple[str, ...]
    network: dict[str, Traffic]
    unmet: Unmet | None = None


@dataclass(frozen=True, slots=True)
class Carrier:
    """The browser session that carried out a test, after it.

    Attributes:
        alive: whether each part lives: `browser`, and `server` by the method mcp.
        died: parts that died before the test or in it.
        session: its state, if it outlives the test.
    """

    alive: Mapping[str, bool]
    died: tuple[Died, ...] = ()
    session: SessionChanged | None = None


class Session(Protocol):
    """The page of one test."""

    def bound(self, seconds: float) -> None:
        """From now on let nothing take longer than this, whatever hangs; a call that does ends with `StepError`."""

    def rest(self, seconds: float) -> None:
        """Wait while a person looks at the page, and handle its events meanwhile. Raises nothing."""

    def do(self, job: Job) -> Effort:
        """Carry out a step that needs a browser.

        Raises:
            StepError: it failed; a step that took all of its deadline counts as the test's timeout.
        """

    def keep_evidence(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Write a picture `name`.png, console and network of the page as it is now; what cannot be had is left out."""

    def picture(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Write a picture `name`.png of the page as it is now; nothing when none is to be had."""

    def step_picture(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Write a small picture `name`.jpg of the page after a step; nothing when none is to be had."""

    def seen(self) -> Seen:
        """Return the events of the page outside the steps, up to now. Raises nothing."""

    def film(self, file: Path) -> str:
        """Begin a video of the page; why there is none, or nothing. Raises nothing."""

    def film_end(self) -> None:
        """Finish the video: it is whole when this returns. Raises nothing."""

    def cookies(self) -> list[dict[str, Any]]:
        """Return the cookies of all sites, in Playwright's form.

        Raises:
            StepError: the page or its browser does not answer.
        """

    def storage(self) -> dict[str, Any]:
        """Return cookies and storage, in Playwright's form; asked only where the pages are those of a browser of the machine.

        Raises:
            StepError: the page or its browser does not answer.
        """

    def facts(self) -> dict[str, Any]:
        """Return figures for the report."""

    def carrier(self) -> Carrier:
        """Look at what carried out the test, and make it fit for the next one where that is possible. Raises nothing."""

    def close(self) -> None:
        """Let go of the page; the browser stays warm. Raises nothing."""


class Driver(Protocol):
    """Lives as long as its worker and keeps a browser warm."""

    def open(self, request: Request) -> Session:
        """Return a fresh page for a test.

        Raises:
            StepError: no page is to be had.
        """

    def close(self) -> None:
        """End the browser and all that was started. Raises nothing."""
