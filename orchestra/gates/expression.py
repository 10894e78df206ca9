"""Check and evaluate the conditions of gates, CEL over the metrics of `catalogue`. Owns cel_expr_python."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from orchestra.diagnostic import Edit
from orchestra.gates.catalogue import METRICS, WORD, Members, Metric, Phase, Type, declare, metric_of
from orchestra.suggest import correction, did_you_mean

_LEXEME = re.compile(
    r"""//[^\n]*|[rRbB]{0,2}(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)""",
    re.DOTALL,
)


class Problem(NamedTuple):
    """A problem of an expression: offset in code points from its start, message, hint, and the edit that fixes it."""

    offset: int
    message: str
    hint: str = ""
    edit: Edit | None = None


class NotApplicable(NamedTuple):
    """An expression that cannot be decided, because these metrics have no value for what was selected."""

    missing: tuple[str, ...]


class EvaluationError(Exception):
    """An expression that has all its metrics and still no value: a division by zero, an overflow, a wrong type."""


def _identifiers(expression: str) -> Iterator[tuple[int, str]]:
    """Offset and dotted name of each identifier outside of texts and comments."""
    for lexeme in _LEXEME.finditer(expression):
        if lexeme["name"] is not None:
            yield lexeme.start(), lexeme["name"]


def names_in(expression: str) -> tuple[str, ...]:
    """Return the metrics that an expression reads, each once, in its order."""
    return tuple(dict.fromkeys(name for _, name in _identifiers(expression) if metric_of(name) is not None))


_HOLE = re.compile(rf"(?<!\$)\{{([a-z][a-z0-9_]*(?:\.{WORD})*)\}}")


def holes(message: str) -> Iterator[tuple[int, str]]:
    """Offset and name of each metric in braces in a gate's message: `{failed} tests failed`."""
    for hole in _HOLE.finditer(message):
        yield hole.start(1), hole[1]


def filled(message: str, values: Mapping[str, Any]) -> str:
    """Return a gate's message with values in the place of its metrics in braces; one without a value is `no value`."""

    def value_of(hole: re.Match[str]) -> str:
        value = values.get(hole[1], "no value")
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    return _HOLE.sub(value_of, message)


@functools.cache
def _environment(declared: tuple[tuple[str, Type], ...]) -> Any:
    """Return a CEL environment in which these names have these types."""
    # The library costs as much to load as a whole compile of a small spec: only a spec with gates pays for it.
    from cel_expr_python import cel  # noqa: PLC0415

    types = {"int": cel.Type.INT, "double": cel.Type.DOUBLE, "string": cel.Type.STRING, "bool": cel.Type.BOOL}
    return cel.NewEnv(variables={name: types[kind] for name, kind in declared})


def check_expression(expression: str, members: Members, phase: Phase) -> list[Problem]:
    """Return every problem of a gate's condition, in its order; empty if it can be evaluated in this phase.

    Args:
        expression: the condition, in CEL.
        members: of the suite.
        phase: of the gate.
    """
    if len(expression) > LETTERS:
        return [
            Problem(
                0, f"the condition has {len(expression)} letters, at most {LETTERS} are allowed", "make two gates of it"
            )
        ]
    declared = declare(members)
    environment = _environment(tuple((name, metric.type) for name, metric in declared.items()))
    try:
        compiled = environment.compile(expression)
    except RuntimeError as error:
        return list(_refusals(str(error), expression, declared)) or [_beyond(str(error))]
    kind = compiled.return_type().name().lower()
    if kind != "bool":
        return [
            Problem(
                0,
                f"the condition gives {_A_TYPE.get(kind, 'something else')}; wanted is true or false",
                "compare it: failed <= 5",
            )
        ]
    read = [(offset, name, declared[name]) for offset, name in _identifiers(expression) if name in declared]
    if not read:
        hint = f"compare a metric, for instance {METRICS['failed'].example}"
        return [Problem(0, "the condition reads no metric, so its result never changes", hint)]
    return [
        Problem(offset, f'the metric "{name}" has no value {phase} the tests', f"evaluate it {_or(metric.phases)}")
        for offset, name, metric in read
        if phase not in metric.phases
    ]


LETTERS = 2000
"""The length of a condition: what the library may build in its iterations is a multiple of it."""

ITERATIONS = 10_000
"""So often may the macros of a condition (`all`, `exists`, `map`, …) go round in all; it is the library's own limit."""

CEL_EXAMPLE = "CEL is written so: failed <= 5 && !(error > 0) || degraded == 0"
_A_TYPE = {"int": "a whole number", "double": "a number", "string": "a text", "uint": "a whole number"}
_REFUSAL = re.compile(r"^(?:[A-Z_]+: )?ERROR: <input>:(\d+):(\d+): (.*)$", re.MULTILINE)
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '\((.*)\)'")
_OPERATOR = re.compile(r"_?(\W+)_")
# A number that is a whole operand: to rewrite one inside a longer term would only move the mistake.
_NUMBER_AFTER = re.compile(r"[<>=!]+\s*(-?\d+(?:\.\d+)?)(?=\s*(?:$|[)&|?:]))")
_NUMBER_BEFORE = re.compile(r"(?:^|[(&|?:])\s*(-?\d+(?:\.\d+)?)\s*$")


def _refusals(text: str, expression: str, declared: Mapping[str, Metric]) -> Iterator[Problem]:
    """Yield the problems behind CEL's refusal, which has line, column and kind only in its text.

    A syntax error hides the rest, so that only the first is given.
    """
    starts = [0, *(end.end() for end in re.finditer("\n", expression))]
    for line, column, said in _REFUSAL.findall(text):
        offset = min(starts[int(line) - 1] + int(column) - 1, len(expression))
        undeclared, overload = _UNDECLARED.match(said), _OVERLOAD.match(said)
        if undeclared is not None:
            yield _unknown(undeclared[1], offset, expression, declared)
        elif overload is not None:
            yield _mismatch(overload[1], overload[2], offset, expression)
        else:
            rest = expression[offset : offset + 20]
            found = f'near "{rest}"' if rest else "at its end"
            yield Problem(
                offset,
                f"the condition cannot be read {found}",
                CEL_EXAMPLE,
            )
            return


_OUTSIDE = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
"""The library's name for a kind of error, before and after its words."""


def _beyond(text: str) -> Problem:
    """Return a refusal without a place: the condition is nested too deeply, for instance."""
    return Problem(0, f"the condition cannot be read: {_OUTSIDE.sub('', text)}", "make several gates of it")


_MOST_NAMED = 40
"""Metrics that an error names: a suite may have thousands of tests."""


def _unknown(name: str, offset: int, expression: str, declared: Mapping[str, Metric]) -> Problem:
    """Return a name that is no metric. CEL points at the last dot of a dotted name."""
    start = next((at for at, word in _identifiers(expression) if at <= offset < at + len(word)), offset)
    head = name.partition(".")[0]
    siblings = [known for known in declared if known.startswith(f"{head}.")]
    allowed = f"; there are {_quoted(siblings)}" if 0 < len(siblings) <= _MOST_NAMED else ""
    return Problem(
        start,
        f'unknown metric "{name}"{did_you_mean(name, declared)}{allowed}',
        "" if allowed else "docs/metrics.md lists them",
        correction(name, declared),
    )


def _mismatch(function: str, types: str, offset: int, expression: str) -> Problem:
    """Operands that CEL does not compare or compute with each other."""
    operator = _OPERATOR.fullmatch(function)
    if operator is None:
        return Problem(
            offset, f'"{function}" cannot be applied to ({types})', "docs/metrics.md has the types of all metrics"
        )
    left, _, right = types.partition(", ")
    message = (
        f'"{operator[1]}" cannot stand between {left} and {right}'
        if right
        else f'"{operator[1]}" cannot stand before {left}'
    )
    after = _NUMBER_AFTER.match(expression, offset)
    before = _NUMBER_BEFORE.search(expression, 0, offset)
    number = after or before
    hint, edit = "docs/metrics.md has the types of all metrics", None
    if {left, right} == {"int", "double"}:
        hint = "convert one of them: double(failed)"
        if number is not None:
            wanted = left if after is not None else right
            hint = f"write {_written_as(number[1], wanted)}"
            # A fraction that would be lost, and a number before the operator, not behind the place, are the user's.
            same = wanted == "double" or float(number[1]).is_integer()
            edit = Edit(number[1], _written_as(number[1], wanted)) if after and same else None
    elif {left, right} <= {"string", "int", "double"} and "string" in {left, right} and number is not None:
        hint = f'compare a text with a text: "{number[1]}"'
    return Problem(offset, message, hint, edit)


def _written_as(number: str, kind: str) -> str:
    return f"{number}.0" if kind == "double" else number.partition(".")[0]


def _or(words: Sequence[str]) -> str:
    return " or ".join(words)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


@functools.cache
def compile_expression(expression: str) -> Any:
    """Return the compiled condition, kept for the next time.

    Raises:
        RuntimeError: it is not what `check_expression` has passed.
    """
    read = {name: metric for name in names_in(expression) if (metric := metric_of(name)) is not None}
    return _environment(tuple((name, metric.type) for name, metric in read.items())).compile(expression)


def evaluate(expression: str, values: Mapping[str, Any]) -> bool | NotApplicable:
    """Evaluate a condition.

    Args:
        expression: the condition, passed by `check_expression`.
        values: of the metrics, by name; a metric without a value is left out.

    Raises:
        EvaluationError: it has no value though none of its metrics is missing, or takes more than `ITERATIONS`.
    """
    read = names_in(expression)
    compiled = compile_expression(expression)
    try:
        result = compiled.eval(data={name: _typed(name, values[name]) for name in read if name in values}).value()
    except RuntimeError as error:
        over = "Iteration budget exceeded" in str(error)
        reason = f"it takes more than {ITERATIONS} iterations" if over else _OUTSIDE.sub("", str(error))
        raise EvaluationError(reason) from None
    if isinstance(result, bool):
        return result
    # A missing metric need not matter: `failed == 0 || agreement >= 0.95` is true without an agreement.
    missing = tuple(name for name in read if name not in values)
    if missing:
        return NotApplicable(missing)
    raise EvaluationError(str(result))


def _typed(name: str, value: Any) -> Any:
    metric = metric_of(name)
    return float(value) if metric is not None and metric.type == "double" else value
