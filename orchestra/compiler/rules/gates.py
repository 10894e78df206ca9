"""Rules about quality gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.lower.steps import text
from orchestra.compiler.lower.suite import DEFAULT_SPEED
from orchestra.compiler.rules.context import Context, Problem, rule
from orchestra.compiler.schema.spec import GateSpec
from orchestra.gates import catalogue, expression
from orchestra.suggest import correction, did_you_mean

_PHASES: tuple[catalogue.Phase, ...] = ("before", "during", "after")


def _gates(context: Context) -> Iterator[tuple[catalogue.Phase, str, GateSpec]]:
    gates: Any = context.spec.get("gates", {})
    for phase in _PHASES:
        for name, gate in gates.get(phase, {}).items():
            yield phase, name, gate


def _members(context: Context) -> catalogue.Members:
    spec = context.spec
    texts = "".join(gate["require"] + gate.get("message", "") for _, _, gate in _gates(context))
    named = (
        one
        for one, test in context.spec.get("tests", {}).items()
        if not resolve.dimensions(test) and catalogue.nameable(one)
    )
    tests = named if "test." in texts else ()
    speeds = (spec.get("speed", DEFAULT_SPEED), *(method.get("speed", {}) for method in context.methods.values()))
    return catalogue.Members(
        tuple(spec.get("health", {})),
        tuple(context.methods),
        tuple(dict.fromkeys(name for speed in speeds for name in speed)),
        tuple(spec.get("groups", {})),
        tuple(tests),
    )


@rule
def gate_condition(context: Context) -> Iterator[Problem]:
    """The condition of a gate has a syntax error, reads no metric or an unknown one, or compares different types.

    Metrics, their types and the gates that can read them are in docs/metrics.md.
    """
    variables = {f"vars.{name}": value for name, value in context.spec.get("vars", {}).items()}
    members = _members(context)
    for phase, name, gate in _gates(context):
        written = gate["require"]
        condition = text(written, variables)
        if "${" in condition:
            continue  # a name without a value, which is another rule's matter
        path = ("gates", phase, name, "require")
        for problem in expression.check_expression(condition, members, phase):
            # With a variable replaced, the columns are no longer those of the file.
            offset = problem.offset if condition == written else 0
            place = context.place_inside(path, written, offset)
            exact = condition == written and (not offset or place != context.place(path))
            yield Problem(place, problem.message, problem.hint, problem.edit if exact else None)


@rule
def gate_message(context: Context) -> Iterator[Problem]:
    """The message of a gate has a word in braces that is not a metric, or a metric without a value in that phase.

    `{failed} tests failed` shows the number.
    """
    known = catalogue.declare(_members(context))
    for phase, name, gate in _gates(context):
        written = gate.get("message", "")
        for offset, metric in expression.holes(written):
            place = context.place_inside(("gates", phase, name, "message"), written, offset)
            if metric not in known:
                message = f'unknown metric "{metric}" in the message{did_you_mean(metric, known)}'
                yield Problem(place, message, "docs/metrics.md lists them", correction(metric, known))
            elif phase not in known[metric].phases:
                hint = f"it has one {' or '.join(known[metric].phases)}"
                yield Problem(place, f'the metric "{metric}" has no value {phase} the tests', hint)


@rule
def gate_phase(context: Context) -> Iterator[Problem]:
    """A gate that is evaluated once, before or after the tests, has a key that applies only during the tests.

    These are `for_seconds`, and `on_fail` with `stop` or `throttle`.
    """
    for phase, name, gate in _gates(context):
        if phase == "during":
            continue
        if "for_seconds" in gate:
            place = context.place(("gates", phase, name, "for_seconds"), key=True)
            message = f'"for_seconds" has no effect on the gate "{name}", which is evaluated once, {phase} the tests'
            yield Problem(place, message, "remove it, or put the gate under during")
        if gate.get("on_fail") in ("stop", "throttle"):
            place = context.place(("gates", phase, name, "on_fail"))
            message = f'the gate "{name}" is evaluated {phase} the tests, when there is nothing to {gate["on_fail"]}'
            yield Problem(place, message, "write on_fail: block or warn, or put the gate under during")


RULES = (gate_condition, gate_message, gate_phase)
