"""Compare a sentence about a run with the sealed record of the run. Pure.

A claim differs if one of its numbers does, and also if it leaves out a test that is not green or a gate that failed: a true
part of the truth is no honest report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from orchestra.errors import UsageError
from orchestra.ledger.event import VERDICTS
from orchestra.ledger.outcome import FINE
from orchestra.ledger.view import View

TESTS: Final = "tests"
GATES: Final = "gates failed"

_WORDS: Final[Mapping[str, str]] = {
    **{word: word for word in VERDICTS},
    "failures": "failed",
    "failure": "failed",
    "fail": "failed",
    "pass": "passed",
    "timeouts": "timeout",
    "timed out": "timeout",
    "errors": "error",
    "gates failed": GATES,
    "gate failed": GATES,
    "failed gates": GATES,
    "failed gate": GATES,
    "tests": TESTS,
    "test": TESTS,
}
_NUMBER = r"(?P<number>\d+|no|none|all)"
_WORD = "|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True))
_PART: Final = re.compile(
    rf"\b{_NUMBER}\b(?:\s*(?:/|of|out of)\s*(?P<all>\d+))?"
    rf"(?:\s+(?P<count>\d+))?(?:\s+tests?)?(?:\s+(?:have|has|are|were|is|was))?\s+(?P<word>{_WORD}|green)\b",
    re.IGNORECASE,
)
_FORMS: Final = (
    '"16 tests, 16 passed", "14 of 16 passed, 2 failed", "all 16 tests passed", "no failures", "1 gate failed"'
)


class Claim(NamedTuple):
    """The numbers of a claim.

    Attributes:
        counts: by verdict, `TESTS` or `GATES`.
        every: the verdict that all tests are claimed to have; `green` for any that fails no run; empty for none.
    """

    counts: Mapping[str, int]
    every: str = ""


def parse(sentence: str) -> Claim:
    """Return the claim of a sentence.

    Raises:
        UsageError: it has no number to compare, or two numbers for one thing.
    """
    counts: dict[str, int] = {}
    every = ""
    for part in _PART.finditer(sentence):
        word = part["word"].lower()
        number = part["number"].lower()
        if number == "all":
            every = "green" if word == "green" else _WORDS[word]
            _count(counts, TESTS, part["count"])
        elif word != "green":
            _count(counts, _WORDS[word], "0" if number in {"no", "none"} else number)
        else:
            every = "green"
            _count(counts, TESTS, number)
        _count(counts, TESTS, part["all"])
    if not counts and not every:
        raise UsageError(f'"{sentence}" has no number that a record can confirm', f"write it as {_FORMS}")
    return Claim(counts, every)


def _count(counts: dict[str, int], name: str, number: str | None) -> None:
    if number is None:
        return
    if counts.setdefault(name, int(number)) != int(number):
        raise UsageError(f"the claim has two numbers for {name}: {counts[name]} and {number}", "write one of them")


def recorded(view: View) -> dict[str, int]:
    """Return the numbers of a run: tests, verdicts, failed gates."""
    failed = [seen for seen in view.gates.values() if seen.body.result == "failed"]
    return {TESTS: len(view.selection), **view.counts, GATES: len(failed)}


def differences(claim: Claim, numbers: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield the claimed and the recorded form of each difference; an omission is claimed as nothing."""
    for name, number in claim.counts.items():
        if numbers[name] != number:
            yield f"{number} {name}", f"{numbers[name]} {name}"
    if claim.every and (others := _others(claim.every, numbers)):
        yield f"all {claim.every}", ", ".join(f"{numbers[name]} {name}" for name in others)
        return
    for name in _bad(numbers):
        if name not in claim.counts:
            yield "", f"{numbers[name]} {name}"


def _others(every: str, numbers: Mapping[str, int]) -> list[str]:
    """Return the verdicts of the tests that contradict the same verdict for all."""
    fine = FINE if every == "green" else {every}
    return [name for name in VERDICTS if numbers[name] and name not in fine]


def _bad(numbers: Mapping[str, int]) -> Sequence[str]:
    return [name for name in (*VERDICTS, GATES) if numbers[name] and name not in FINE]
