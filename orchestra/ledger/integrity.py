"""Rules of integrity: may a green run be believed? Pure. May import `plan`, `steps`, `event` and `outcome`.

The audit asks whether the record is whole; these rules ask whether what it records is worth something. Each is a function
from the facts of a run to its faults, in words; a rule without faults is held. Which rules are required is a policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from orchestra.ledger.event import CATALOGUE, Event
from orchestra.ledger.outcome import GOOD
from orchestra.plan import Plan, Test
from orchestra.steps import VERBS, Step

Body = Mapping[str, Any]

NO_TIME: Final = 0.0005
"""Seconds, less than half a millisecond: nothing was opened, sent or started."""

_JUDGES: Final = frozenset({"expect", "wait", "http"})
"""Steps that judge in any case; `http` wants a status below 400 where none is stated."""

_JUDGES_BY: Final[Mapping[str, frozenset[str]]] = {
    "evaluate": frozenset({"equals", "below"}),
    "download": frozenset({"expect"}),
}
"""Steps that judge where they have one of these fields."""


class Tried(NamedTuple):
    """What the rules read of an attempt: `steps` are the outcomes of its steps, `kept` the number of its files."""

    test: str
    number: int
    outcome: str
    seconds: float
    steps: tuple[str, ...]
    kept: int


@dataclass(slots=True)
class Facts:
    """What the rules read, taken from the events of a run one by one.

    Attributes:
        plan: that the run executed.
        selection: the tasks that must have a verdict.
        verdicts, attempts: by task, what stands.
        trees: the provenance of git of each segment; empty where there was no work tree.
        fresh: what the run found out at its end: whether the spec was still what the plan was compiled from; None: nothing.
        changed: tests whose plan was another in an earlier segment.
    """

    plan: Plan
    selection: Sequence[str] = ()
    verdicts: dict[str, Body] = field(default_factory=dict)
    attempts: dict[str, list[Tried]] = field(default_factory=dict)
    trees: list[Body] = field(default_factory=list)
    fresh: bool | None = None
    changed: list[str] = field(default_factory=list)

    def see(self, event: Event) -> None:
        """Take one event in; one of a newer version, or of another type, changes nothing."""
        known, take = CATALOGUE.get(event.type), _TAKE.get(event.type)
        if take is not None and known is not None and event.v <= known.version:
            take(self, event.body)

    def close(self) -> None:
        """Nothing to close: an observer of a run must have it."""

    def good(self) -> Iterator[tuple[str, Body, Test | None, Tried]]:
        """The tasks that executed and are good: verdict, test, and the last attempt."""
        tests = {test.id: test for test in self.plan.tests}
        for task, verdict in self.verdicts.items():
            attempts = self.attempts.get(task)
            if verdict["verdict"] in GOOD and verdict["attempts"] and attempts:
                yield task, verdict, tests.get(verdict["test"]), attempts[-1]

    def _run_started(self, body: Body) -> None:
        self.selection = body["selection"]
        self.trees.append(body["provenance"].get("git") or {})

    def _run_resumed(self, body: Body) -> None:
        self._reopen(body["rerun"])
        self.fresh = None
        self.changed += body.get("changed", ())
        if "provenance" in body:
            self.trees.append(body["provenance"].get("git") or {})

    def _attempt_finished(self, body: Body) -> None:
        steps = tuple(step["outcome"] for step in body["steps"])
        tried = Tried(body["test"], body["attempt"], body["outcome"], body["seconds"], steps, len(body["evidence"]))
        self.attempts.setdefault(body["task"], []).append(tried)

    def _verdict(self, body: Body) -> None:
        self.verdicts[body["task"]] = body

    def _gate(self, body: Body) -> None:
        self.fresh = body["values"].get("plan_fresh", self.fresh)

    def _rolled_back(self, body: Body) -> None:
        self._reopen(body["reopened"])
        for task, done in body["restored"].items():
            self.verdicts[task] = {**self.verdicts.get(task, {}), **done}

    def _reopen(self, tasks: Iterable[str]) -> None:
        for task in tasks:
            self.verdicts.pop(task, None)
            self.attempts.pop(task, None)


_TAKE: Final[Mapping[str, Callable[[Facts, Body], None]]] = {
    name: getattr(Facts, f"_{name}") for name in CATALOGUE if hasattr(Facts, f"_{name}")
}


def _all_selected(facts: Facts) -> Iterator[str]:
    missing = [task for task in facts.selection if task not in facts.verdicts]
    yield from (f"{task} has no verdict" for task in missing)
    if not facts.selection:
        yield "no test was selected"


def _steps_ran(facts: Facts) -> Iterator[str]:
    for task, _, test, last in facts.good():
        if test is None or not (test.before or test.steps):
            continue
        done = last.steps
        if not done:
            yield f"{task} passed without one step on record"
        elif all(outcome == "skipped" for outcome in done):
            yield f"{task} passed though all of its {len(done)} steps were skipped"


def _expectations(facts: Facts) -> Iterator[str]:
    for task, _, test, _ in facts.good():
        if (
            test is not None
            and test.command is None
            and not any(map(judges, (*test.before, *test.steps, *test.finally_)))
        ):
            yield f"{task} passed, and none of its steps expects anything"


def judges(step: Step) -> bool:
    """Whether a step judges what the product shows or answers."""
    by = _JUDGES_BY.get(step.verb, frozenset())
    return step.verb in _JUDGES or any(step.args.get(name) is not None for name in by)


def _time_taken(facts: Facts) -> Iterator[str]:
    for task, _, _, last in facts.good():
        if last.seconds < NO_TIME:
            yield f"{task} passed in {last.seconds * 1000:.3f} ms"


def _evidence_kept(facts: Facts) -> Iterator[str]:
    tests = {test.id: test for test in facts.plan.tests}
    for task, attempts in facts.attempts.items():
        for tried in attempts:
            test = tests.get(tried.test)
            wanted = test is not None and test.evidence != "off" and _has_page(test)
            if wanted and tried.outcome == "failed" and not tried.kept:
                yield f"{task} failed in attempt {tried.number}, and nothing was kept of it"


def _has_page(test: Test) -> bool:
    return any(VERBS[step.verb].browser for step in (*test.before, *test.steps, *test.finally_))


def _plan_fresh(facts: Facts) -> Iterator[str]:
    if facts.fresh is None:
        yield "the run did not get to see whether its spec was still the same"
    elif not facts.fresh:
        yield "the spec was changed while its plan was run"
    yield from (f"{name} was run by a plan that was changed between two parts of the run" for name in facts.changed)


def _clean_tree(facts: Facts) -> Iterator[str]:
    for tree in facts.trees:
        number = tree.get("dirty_files")
        if number is None:
            yield "git knew no work tree of the run, so no commit has what it ran"
        elif number:
            paths = sorted(tree.get("dirty") or {})
            differ = "1 file differs" if number == 1 else f"{number} files differ"
            yield f"{differ} from commit {tree.get('commit', '')[:12]}: {_some(paths)}"


def _not_degraded(facts: Facts) -> Iterator[str]:
    for task, verdict, _, _ in facts.good():
        if verdict.get("degraded"):
            yield f"{task} passed with {', '.join(verdict['degraded'])}"


class Rule(NamedTuple):
    """A rule: what it asks for, whether it is required unless a policy says otherwise, and its faults."""

    asks: str
    required: bool
    faults: Callable[[Facts], Iterator[str]]


RULES: Final[Mapping[str, Rule]] = {
    "all_selected": Rule("each selected test has a verdict", True, _all_selected),
    "steps_ran": Rule("a test that passed ran steps, and not all were skipped", True, _steps_ran),
    "expectations": Rule("a test that passed expects something", False, _expectations),
    "time_taken": Rule("no test passed in no time", True, _time_taken),
    "evidence_kept": Rule("of each failure in a browser something was kept", True, _evidence_kept),
    "plan_fresh": Rule("the plan that was run is that of the spec", True, _plan_fresh),
    "clean_tree": Rule("what was run is in a commit", False, _clean_tree),
    "not_degraded": Rule("no test passed on something else than declared", False, _not_degraded),
}
"""The rules by id."""


class Held(NamedTuple):
    """What became of a rule: `faults` is empty when it is held."""

    rule: str
    asks: str
    required: bool
    faults: tuple[str, ...]

    @property
    def bad(self) -> bool:
        """Whether it fails the policy."""
        return self.required and bool(self.faults)

    @property
    def word(self) -> str:
        """In a word."""
        return "not held" if self.faults else "held"

    @property
    def evidence(self) -> str:
        """The first faults, and how many more there are; what was asked for when there are none."""
        return _some(self.faults, "; ") if self.faults else self.asks


def judge(facts: Facts, require: Iterable[str] = (), excuse: Iterable[str] = ()) -> tuple[Held, ...]:
    """Judge a run by each rule.

    Args:
        facts: of the run.
        require: ids of rules that are required, too.
        excuse: ids of rules that are not required.
    """
    required = ({name for name, rule in RULES.items() if rule.required} | set(require)) - set(excuse)
    return tuple(Held(name, rule.asks, name in required, tuple(rule.faults(facts))) for name, rule in RULES.items())


VERSION: Final = 1
"""Of what the rules ask for: what was sealed by another version cannot be found again by this one."""


def sealed(facts: Facts) -> dict[str, Any]:
    """What the seal of a run says of the rules; see `Seal`."""
    return {"rules": {one.rule: not one.faults for one in judge(facts)}, "rules_version": VERSION}


def seal_fault(facts: Facts, body: Body) -> str | None:
    """What a seal says of the rules that the events before it do not bear out; a rule of a newer version is passed over."""
    if body.get("rules_version") != VERSION:
        return None
    found = sealed(facts)["rules"]
    wrong = [rule for rule, held in body.get("rules", {}).items() if rule in found and found[rule] != held]
    return f'it says of the rule "{wrong[0]}" what the events before it do not bear out' if wrong else None


_SHOWN = 5


def _some(texts: Sequence[str], between: str = ", ") -> str:
    more = len(texts) - _SHOWN
    return between.join((*texts[:_SHOWN], *([f"and {more} more"] if more > 0 else [])))
