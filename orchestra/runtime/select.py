"""Which tests of a plan a selection means.

B004            a test, or all tests that its matrix makes
B0*             a glob over ids
B004..B009      every id between the two, both included, in natural order (B9 before B10)
basics          a group, also `group:basics`
tag:smoke       a tag
cli:B004        any of these by one method only
!tag:slow       without these; alone, all others

`select` reads these words. A filter (`titled`, `among`) takes tasks and returns some of them in the same order, so that
filters can follow each other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from orchestra.errors import UsageError
from orchestra.plan import Plan, Test
from orchestra.suggest import did_you_mean


def task_name(method: str, test: str) -> str:
    """Return the name of a test by a method, as doit, the ledger and the reports know it: `cli:B004`."""
    return f"{method}:{test}"


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key in which runs of digits count as numbers: B9 comes before B10."""
    parts = re.split(r"(\d+)", text)
    return tuple((1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts)


def _tests(plan: Plan, word: str) -> list[Test]:
    tests = plan.tests
    if not word:  # the `of` of most tests and the `group` of some are empty, too
        return []
    kind, _, name = word.partition(":")
    if kind == "tag" and name:
        return [test for test in tests if name in test.tags]
    if kind == "group" and name:
        return [test for test in tests if name in test.groups]
    if exact := [test for test in tests if word in {test.id, test.of}]:
        return exact
    low, dots, high = word.partition("..")
    if dots and low and high:
        first, last = natural(low), natural(high)
        return [test for test in tests if first <= natural(test.of or test.id) <= last]
    if any(mark in word for mark in "*?["):
        return [test for test in tests if fnmatchcase(test.id, word)]
    return [test for test in tests if word in test.groups]


def select(plan: Plan, words: Sequence[str], methods: Iterable[str] = ()) -> list[str]:
    """Return the task names that a selection means, in the plan's order: method by method, dependencies first.

    Args:
        plan: the compiled suite.
        words: forms of the module's docstring; without one that is not `!…` every test is meant.
        methods: only these methods; none means all.

    Raises:
        UsageError: a word or a method that nothing answers to, or an empty selection.
    """
    known = [method.id for method in plan.methods]
    wanted = list(methods)
    for method in wanted:
        if method not in known:
            listed = ", ".join(f'"{name}"' for name in known)
            raise UsageError(f'unknown method "{method}"{did_you_mean(method, known)}; there are {listed}')
    allowed = wanted or known
    meant = {word: set(named(plan, word, allowed)) for word in words}
    added = [tasks for word, tasks in meant.items() if not excludes(word)] or [set(named(plan, "*", allowed))]
    removed = [tasks for word, tasks in meant.items() if excludes(word)]
    chosen = set[str]().union(*added).difference(*removed)
    tasks = [task for method in known for test in plan.tests if (task := task_name(method, test.id)) in chosen]
    if not tasks:
        shown = " ".join(words) or "every test"
        raise UsageError(
            f"nothing to run: {shown} by {', '.join(allowed)} selects no test", "see `orchestra run --list`"
        )
    return tasks


def excludes(word: str) -> bool:
    """Return whether a word of a selection removes tests from it."""
    return word.startswith("!")


def named(plan: Plan, word: str, methods: Iterable[str]) -> list[str]:
    """Return the task names of a word alone, with or without its `!`, in no order.

    Args:
        plan: the compiled suite.
        word: a form of the module's docstring.
        methods: those that count if the word names none.

    Raises:
        UsageError: no test answers to the word.
    """
    bare = word.removeprefix("!")
    known = {method.id for method in plan.methods}
    head, colon, rest = bare.partition(":")
    own = bool(colon) and head in known
    tests = _tests(plan, rest if own else bare)
    if not tests:
        raise _nothing(plan, word)
    return [
        task_name(method, test.id)
        for test in tests
        for method in ([head] if own else methods)
        if method in test.methods
    ]


def titled(plan: Plan, tasks: Iterable[str], texts: Sequence[str]) -> list[str]:
    """Return the tasks whose title holds one of some texts, whatever the case; all of them without a text."""
    folded = [text.casefold() for text in texts]
    fitting = {test.id for test in plan.tests if any(text in test.title.casefold() for text in folded)}
    return [task for task in tasks if not texts or task.partition(":")[2] in fitting]


def among(tasks: Iterable[str], others: Collection[str]) -> list[str]:
    """Return the tasks that are among others."""
    return [task for task in tasks if task in others]


def _nothing(plan: Plan, word: str) -> UsageError:
    names = [*(test.id for test in plan.tests), *(group.id for group in plan.groups)]
    tags = sorted({f"tag:{tag}" for test in plan.tests for tag in test.tags})
    return UsageError(
        f'no test, group, tag or glob "{word}" in suite "{plan.suite}"{did_you_mean(word, [*names, *tags])}',
        "see `orchestra run --list`",
    )


def with_needs(plan: Plan, tasks: Iterable[str]) -> list[str]:
    """Return the tasks, all that they need and the tests of `after_all` of their groups, in the plan's order."""
    by_id, closers = {test.id: test for test in plan.tests}, plan.closers()
    needed: set[str] = set()
    stack = list(tasks)
    while stack:
        task = stack.pop()
        if task in needed:
            continue
        needed.add(task)
        method, _, test_id = task.partition(":")
        others = (*by_id[test_id].needs, *closers.get(test_id, ()))
        stack += [task_name(method, other) for other in others if other in by_id and method in by_id[other].methods]
    return [task for method in plan.methods for test in plan.tests if (task := task_name(method.id, test.id)) in needed]
