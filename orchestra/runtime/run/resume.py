"""Resume a run: which results are accepted, which tests run again, and when it is refused.

`decide` is pure. A verdict is kept when it is good and its digest of plan entry, inputs and service builds is that of
now, unless it is of `before_all` or `after_all` of a group of which a test is left. Everything else runs: what failed,
what was blocked by it, what never started. An attempt that the end of a segment cut off does not count; those that had
ended before do, so that a test keeps its number of retries.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from orchestra.errors import PlanError, UsageError
from orchestra.ledger import plan_store
from orchestra.ledger.outcome import FINE, GOOD
from orchestra.ledger.view import View, look
from orchestra.plan import Plan, Test
from orchestra.runtime.attempts.passed import FOLDER as OUTPUT
from orchestra.runtime.select import task_name, with_needs

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Resumed:
    """The start of a further segment of a run.

    Attributes:
        segment: its number, which its folders have in their names.
        kept: tasks whose verdicts stand.
        rerun: tasks that had something and run again from their first attempt.
        changed: tests whose plan is another than it was.
    """

    segment: int = 0
    kept: frozenset[str] = frozenset()
    rerun: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def nothing_to_resume(before: View) -> str:
    """Return the reason why a run cannot be resumed because nothing is left to do; empty if something is."""
    if before.start is None:
        return "its record is empty"
    if before.start.merged is not None:
        return "it was merged from shards, which have runs of their own"
    bad = [
        task for task in before.selection if task not in before.verdicts or before.verdicts[task].verdict not in FINE
    ]
    return "" if bad or before.segment.finish is None else "it is complete"


def going_on(
    folder: Path, plan: Plan, builds: Mapping[str, str], inputs: Callable[[Test], str], *, allow_changed: bool
) -> Resumed:
    """Return the start of the next segment of the run in a folder. Raises as `look`, `kept` and `decide`."""
    before = look(folder, steps=False)
    if reason := nothing_to_resume(before):
        raise UsageError(f"run {folder.name} cannot be resumed: {reason}", "start a new one with `orchestra run`")
    digest = before.segment.plan_digest
    then = plan if digest == plan.digest() else plan_store.load(folder, digest)
    found = decide(before, then, plan, builds, inputs, allow_changed=allow_changed)
    return replace(found, segment=unused(folder, found.segment))


def unused(folder: Path, segment: int) -> int:
    """Return the first number from `segment` on that no folder and no log of an attempt has.

    A power cut may take the event with which a segment began, and leave the folders and logs that its attempts had made.
    """
    places = ("attempts/*/*/*", f"{OUTPUT}/*")
    while any(any(folder.glob(f"{place}-resume{segment}*")) for place in places):
        segment += 1
    return segment


def decide(
    before: View,
    then: Plan,
    now: Plan,
    builds: Mapping[str, str],
    inputs: Callable[[Test], str],
    *,
    allow_changed: bool,
) -> Resumed:
    """Return the accepted results and the tasks to run.

    Args:
        before: the run so far.
        then: the plan of its latest segment.
        now: the plan that is to be executed.
        builds: of the services, by component, as they are now.
        inputs: the digest that a test has now.
        allow_changed: run the tests again that the plan has changed, instead of refusing.

    Raises:
        PlanError: the spec was changed and that was not allowed, or the run cannot hold what it asks now.
    """
    selection = before.selection
    changed = changed_tests(then, now, selection) if then.digest() != now.digest() else []
    if then.digest() != now.digest():
        run = before.start.run if before.start is not None else ""
        _refuse_what_cannot_go_on(run, selection, now)
        if not allow_changed:
            raise _changed(run, then, now, changed)
    tests = {test.id: test for test in now.tests}
    kept: set[str] = set()
    for task in selection:
        given, test = before.verdicts.get(task), tests[task.partition(":")[2]]
        if given is None or given.verdict not in GOOD or test.id in changed:
            continue
        if given.inputs and given.inputs == inputs(test):
            kept.add(task)
    kept -= once_again(now, selection, kept)
    other = dict(before.segment.builds) != dict(builds)
    anew = {task for task in before.verdicts if task not in kept}
    for task, life in before.lives.items():
        # A last attempt that was final, without its verdict on record: the verdict is uncertain.
        half_done = life.given is None and life.last is not None and not life.last.retry
        if half_done or (life.ended and (other or task.partition(":")[2] in changed)):
            anew.add(task)
    rerun = tuple(task for task in selection if task in anew and task not in kept)
    return Resumed(len(before.segments), frozenset(kept), rerun, tuple(changed))


def once_again(plan: Plan, selection: Sequence[str], kept: Collection[str]) -> set[str]:
    """Return the tasks of `before_all` and `after_all` that run again because another test of their group does.

    Args:
        plan: that is to be executed.
        selection: of the run.
        kept: the tasks whose verdicts would stand.
    """
    tests = {test.id: test for test in plan.tests}
    left = [
        (method, tests[name]) for method, _, name in (task.partition(":") for task in selection if task not in kept)
    ]
    found: set[str] = set()
    for group in plan.groups:
        once = {*group.before_all, *group.after_all}
        methods = {method for method, test in left if once and group.id in test.groups and test.id not in once}
        found |= {task_name(method, name) for method in methods for name in once}
    return found


def changed_tests(then: Plan, now: Plan, selection: Iterable[str]) -> list[str]:
    """Return the selected tests that mean something else now: their own entry, their method, or a component that they
    require.
    """
    old = {test.id: test for test in then.tests}
    other_rows = _differing(then.components, now.components)
    other_methods = _differing(then.methods, now.methods)
    tests = {test.id: test for test in now.tests}
    found: dict[str, None] = {}
    for task in selection:
        method, _, name = task.partition(":")
        test = tests.get(name)
        if test is None or test != old.get(name) or method in other_methods or _rows(now, test) & other_rows:
            found[name] = None
    return list(found)


def _differing(then: Iterable[Any], now: Iterable[Any]) -> set[str]:
    old = {part.id: part for part in then}
    return {part.id for part in now if old.get(part.id) != part}


def _rows(plan: Plan, test: Test) -> set[str]:
    """Return the components that a test requires, and those that these need."""
    rows = {row.id: row for row in plan.components}
    found, stack = set[str](), list(test.requires)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack += rows[name].needs
    return found


def _refuse_what_cannot_go_on(run: str, selection: Sequence[str], now: Plan) -> None:
    there = {f"{method.id}:{test.id}" for method in now.methods for test in now.tests if method.id in test.methods}
    mend = "start a new run with `orchestra run`"
    if gone := [task for task in selection if task not in there]:
        raise PlanError(f"run {run} cannot be resumed: the spec no longer has {_listed(gone)}", mend)
    if more := [task for task in with_needs(now, selection) if task not in set(selection)]:
        raise PlanError(
            f"run {run} cannot be resumed: its tests now need {_listed(more)}, which it did not select", mend
        )


def _changed(run: str, then: Plan, now: Plan, changed: Sequence[str]) -> PlanError:
    if changed:
        what = f"these tests changed: {_listed(changed)}"
    else:
        parts = [name for name in msgspec.structs.asdict(now) if getattr(then, name) != getattr(now, name)]
        reported = [name for name in parts if name not in {"sources", "source_digest", "outputs"}]
        what = f"its tests are unchanged, but {_listed(reported)} changed"
    return PlanError(
        f"the spec was changed after run {run} began; {what}",
        "`orchestra run --resume --allow-changed` runs only those again; `orchestra run` starts a new run",
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f'"{name}"' for name in names[:_SHOWN]) + more
