"""Rules of integrity: may a green run be believed? Pure.

The audit asks whether the record is whole; these rules ask whether what it records is worth something. Each is a function
from the plan of a run and its view to its faults, in words; a rule without faults is held. Which rules are required is a
policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from orchestra.ledger.event import AttemptFinished, Seal, VerdictGiven
from orchestra.ledger.life import Life
from orchestra.ledger.outcome import GOOD
from orchestra.ledger.view import View
from orchestra.plan import Plan, Test
from orchestra.steps.step import Step
from orchestra.steps.vocabulary import on_page

NO_TIME: Final = 0.0005
"""Seconds, less than half a millisecond: nothing was opened, sent or started."""

_JUDGES: Final = frozenset({"expect", "wait", "http"})
"""Steps that always check something; `http` requires a status below 400 if none is given."""

_JUDGES_BY: Final[Mapping[str, frozenset[str]]] = {
    "evaluate": frozenset({"equals", "below"}),
    "download": frozenset({"expect"}),
}
"""Steps that check something if they have one of these fields."""


@dataclass(frozen=True)
class Facts:
    """The input of the rules: the plan that the run executed, and its view."""

    plan: Plan
    view: View

    @cached_property
    def tests(self) -> dict[str, Test]:
        """The tests of the plan by id."""
        return {test.id: test for test in self.plan.tests}

    @cached_property
    def good(self) -> Sequence[tuple[VerdictGiven, Test | None, Life, AttemptFinished]]:
        """The tasks that executed and are good: verdict, test, life of the task, its last attempt."""
        tests, lives = self.tests, self.view.lives
        return [
            (given, tests.get(given.test), life, last)
            for task, given in self.view.verdicts.items()
            if given.verdict in GOOD and given.attempts and (last := (life := lives[task]).last) is not None
        ]


def _all_selected(facts: Facts) -> Iterator[str]:
    selection = facts.view.selection
    yield from (f"{task} has no verdict" for task in selection if task not in facts.view.verdicts)
    if not selection:
        yield "no test was selected"


def _steps_ran(facts: Facts) -> Iterator[str]:
    for given, test, life, _ in facts.good:
        if test is None or not (test.before or test.steps):
            continue
        sums = life.sums
        if not sums.number:
            yield f"{given.task} passed without a recorded step"
        elif sums.skipped == sums.number:
            yield f"{given.task} passed although all of its {sums.number} steps were skipped"


def _expectations(facts: Facts) -> Iterator[str]:
    for given, test, _, _ in facts.good:
        if (
            test is not None
            and test.command is None
            and not any(map(judges, (*test.before, *test.steps, *test.finally_)))
        ):
            yield f"{given.task} passed, but none of its steps has an expectation"


def judges(step: Step) -> bool:
    """Return True if a step checks the output of the product."""
    if step.verb in _JUDGES:
        return True
    by = _JUDGES_BY.get(step.verb)
    return by is not None and any(step.args.get(name) is not None for name in by)


def _time_taken(facts: Facts) -> Iterator[str]:
    for given, _, _, last in facts.good:
        if last.seconds < NO_TIME:
            yield f"{given.task} passed in {last.seconds * 1000:.3f} ms"


def _evidence_kept(facts: Facts) -> Iterator[str]:
    for task, life in facts.view.lives.items():
        for body in (seen.body for seen in life.attempts):
            if body.outcome != "failed" or body.evidence:
                continue
            test = facts.tests.get(body.test)
            if test is not None and test.evidence != "off" and _has_page(test):
                yield f"{task} failed in attempt {body.attempt}, and has no evidence"


def _has_page(test: Test) -> bool:
    return any(on_page(step.verb) for step in (*test.before, *test.steps, *test.finally_))


def _plan_fresh(facts: Facts) -> Iterator[str]:
    found = [seen.body.values["plan_fresh"] for seen in facts.view.gates.values() if "plan_fresh" in seen.body.values]
    if not found:
        yield "the run did not check its spec at the end"
    elif not found[-1]:
        yield "the spec was changed while its plan was run"
    for segment in facts.view.segments:
        yield from (f"{name} ran by a plan that changed between two segments of the run" for name in segment.changed)


def _clean_tree(facts: Facts) -> Iterator[str]:
    for tree in [segment.provenance.git for segment in facts.view.segments if segment.provenance is not None]:
        number = tree.dirty_files
        if number is None:
            yield "the run was outside a git work tree, so no commit has its files"
        elif number:
            paths = sorted(tree.dirty)
            differ = "1 file differs" if number == 1 else f"{number} files differ"
            yield f"{differ} from commit {tree.commit[:12]}: {_some(paths)}"


def _not_degraded(facts: Facts) -> Iterator[str]:
    for given, _, _, _ in facts.good:
        if given.degraded:
            yield f"{given.task} passed with {', '.join(given.degraded)}"


class Rule(NamedTuple):
    """A rule: its requirement, whether it is required by default, and its faults."""

    asks: str
    required: bool
    faults: Callable[[Facts], Iterator[str]]


RULES: Final[Mapping[str, Rule]] = {
    "all_selected": Rule("each selected test has a verdict", True, _all_selected),
    "steps_ran": Rule("each passed test ran steps, and not all were skipped", True, _steps_ran),
    "expectations": Rule("each passed test has an expectation", False, _expectations),
    "time_taken": Rule("no test passed in less than half a millisecond", True, _time_taken),
    "evidence_kept": Rule("each failure in a browser has evidence", True, _evidence_kept),
    "plan_fresh": Rule("the executed plan is that of the spec", True, _plan_fresh),
    "clean_tree": Rule("the executed files are in a commit", False, _clean_tree),
    "not_degraded": Rule("no test passed on something other than declared", False, _not_degraded),
}
"""The rules by id."""


class Held(NamedTuple):
    """The result of a rule: `faults` is empty if it holds."""

    rule: str
    asks: str
    required: bool
    faults: tuple[str, ...]

    @property
    def bad(self) -> bool:
        """Return True if it fails the policy."""
        return self.required and bool(self.faults)

    @property
    def word(self) -> str:
        """In a word."""
        return "not held" if self.faults else "held"

    @property
    def evidence(self) -> str:
        """The first faults, and how many more there are; what was asked for when there are none."""
        return _some(self.faults, "; ") if self.faults else self.asks


def evaluate(facts: Facts, require: Iterable[str] = (), excuse: Iterable[str] = ()) -> tuple[Held, ...]:
    """Check a run against each rule.

    Args:
        facts: of the run.
        require: ids of rules that are required, too.
        excuse: ids of rules that are not required.
    """
    required = ({name for name, rule in RULES.items() if rule.required} | set(require)) - set(excuse)
    return tuple(Held(name, rule.asks, name in required, tuple(rule.faults(facts))) for name, rule in RULES.items())


VERSION: Final = 1
"""Of what the rules ask for: what was sealed by another version cannot be found again by this one."""


def sealed(facts: Facts) -> dict[str, bool]:
    """Return the rules for the seal of a run: each by id, held or not."""
    return {one.rule: not one.faults for one in evaluate(facts)}


def seal_fault(facts: Facts, seal: Seal) -> str | None:
    """Return the rules of a seal that the events before it contradict; a rule of a newer version is skipped."""
    if seal.rules_version != VERSION:
        return None
    found = sealed(facts)
    wrong = [rule for rule, held in seal.rules.items() if rule in found and found[rule] != held]
    return f'its result of the rule "{wrong[0]}" contradicts the events before it' if wrong else None


_SHOWN = 5


def _some(texts: Sequence[str], between: str = ", ") -> str:
    more = len(texts) - _SHOWN
    return between.join((*texts[:_SHOWN], *([f"and {more} more"] if more > 0 else [])))
