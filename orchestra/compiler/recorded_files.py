"""Check the HAR files that a plan records: each is written whole, so two tests or methods would lose one recording."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from orchestra import names
from orchestra.compiler.include import Assembled
from orchestra.compiler.step_places import arguments_of
from orchestra.diagnostic import Diagnostic
from orchestra.plan import Plan
from orchestra.steps.step import Step

RULE = "shared-har"


def check(plan: Plan, source: Assembled) -> list[Diagnostic]:
    """Return each HAR file that several tests record, once, and each that several methods record by a `har` of their own.

    A step of a test records by each of its methods, one after the other, into one file: that is one recording, repeated.
    """
    return sorted(set(_shared(plan, source)))


def _shared(plan: Plan, source: Assembled) -> Iterator[Diagnostic]:
    tests_of: dict[str, list[str]] = {}
    methods_of: dict[str, list[str]] = {}
    for test_id, method, step, file in _recordings(plan):
        place = source.place((*arguments_of(step), "file"))
        tests = tests_of.setdefault(file, [])
        if test_id not in tests:
            tests.append(test_id)
            if len(tests) == 2:
                message = f'the HAR file "{file}" is recorded by "{tests[0]}" and "{test_id}": each writes it whole'
                hint = "write ${test.id} in its name, or record it in one test"
                yield Diagnostic(place, RULE, message, hint)
        methods = methods_of.setdefault(file, [])
        if step.at[-1] == f"/methods/{method}/har" and method not in methods:
            methods.append(method)
            if len(methods) == 2:
                who = f'the methods "{methods[0]}" and "{method}"'
                message = f'the HAR file "{file}" is recorded by {who}: each writes it whole'
                hint = "write ${method.id} in its name, or record it by one method"
                yield Diagnostic(place, RULE, message, hint)


def _recordings(plan: Plan) -> Iterator[tuple[str, str, Step, str]]:
    """Yield test, method, step and file of each recording whose file is known before the run."""
    for test in plan.tests:
        of_methods = ((method, step) for method, steps in test.substitutes_by.items() for step in steps)
        own = ((method, step) for step in (*test.before, *test.steps, *test.finally_) for method in test.methods)
        for method, step in (*of_methods, *own):
            if step.verb == "har" and step.args["update"]:
                fixed = {"test.id": test.id, "method.id": method}
                file = posixpath.normpath(names.substitute(str(step.args["file"]), fixed))
                if "${" not in file:
                    yield test.id, method, step, file
