"""Compare a sentence about a run with the sealed record of the run. Pure.

A claim differs if one of its numbers does, and also if it leaves out a test that is not green or a gate that failed: a true
part of the truth is no honest report. It is undecided if it has a word that is neither compared nor known to claim nothing.
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
_NUMBERS: Final[Sequence[str]] = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_NUMBER: Final = rf"(?:\d+|no|none|{'|'.join(_NUMBERS)})\b"
_WORD: Final = "|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True))
_PART: Final = (
    rf"(?:(?P<every>all)(?:\s+(?:of\s+)?(?:the\s+)?(?P<count>{_NUMBER}))?"
    rf"|(?P<number>{_NUMBER})(?:\s*(?:/|\b(?:out\s+)?of\b)\s*(?:the\s+)?(?P<of>{_NUMBER}))?)"
    rf"(?:\s+tests?)?(?:\s+(?:have|has|are|were|is|was))?\s+(?P<word>{_WORD}|green)\b"
    rf"(?:\s+(?:out\s+)?of\s+(?:the\s+)?(?P<out_of>{_NUMBER})\b(?:\s+tests?\b)?)?"
)
_FILLER: Final = (
    r"(?P<filler>(?:a|an|and|are|but|exactly|has|have|i|in|is|of|only|overall|ran|that|the|there|total|was|we|were|with"
    r"|(?:results?|run|summary|tests)(?!\s*\d))\b(?![\w'\u2019-])|[-\u2013\u2014:.!*\u2022|]+(?![\w%]))"
)
_TOKEN: Final = re.compile(rf"{_PART}|{_FILLER}|(?P<rest>[^\s,;()]+)", re.IGNORECASE)
"""A sentence from its begin: a part that is compared, a word that claims nothing, or a word that is not checked."""
FORMS: Final = (
    '"16 tests, 16 passed", "14 of 16 passed, 2 failed", "all 16 tests passed", "no failures", "1 gate failed"'
)


class Claim(NamedTuple):
    """The numbers of a claim.

    Attributes:
        counts: by verdict, `TESTS` or `GATES`.
        every: the verdict that all tests are claimed to have; `green` for any that fails no run; empty for none.
        unchecked: what else the sentence has, as it is written. No record confirms it, so the claim does not hold.
    """

    counts: Mapping[str, int]
    every: str = ""
    unchecked: Sequence[str] = ()


def parse(sentence: str) -> Claim:
    """Return the claim of a sentence.

    Raises:
        UsageError: it has no number to compare, or two numbers for one thing.
    """
    counts: dict[str, int] = {}
    verdicts: set[str] = set()
    unchecked: list[tuple[int, int]] = []
    for part in _TOKEN.finditer(sentence):
        if part["filler"]:
            continue
        if part["rest"] or not _is_checked(part):
            _add(unchecked, sentence, part.span())
            continue
        word = "green" if part["word"].lower() == "green" else _WORDS[part["word"].lower()]
        if word == "green" or (part["every"] and word != TESTS):
            verdicts.add(word)
        _count(counts, TESTS if part["every"] or word == "green" else word, part["count"] or part["number"])
        _count(counts, TESTS, part["of"])
        _count(counts, TESTS, part["out_of"])
    if not counts and not verdicts:
        raise UsageError(f'"{sentence}" has no number that a record can confirm', f"write it as {FORMS}")
    if len(verdicts) > 1:
        raise UsageError(
            f"the claim has two verdicts for all tests: {', '.join(sorted(verdicts))}", "write one of them"
        )
    return Claim(counts, "".join(verdicts), tuple(sentence[begin:end].rstrip(".:!") for begin, end in unchecked))


def _is_checked(part: re.Match[str]) -> bool:
    """Return whether a record confirms all of a part: it has the gates that failed, and not how many there are."""
    word = _WORDS.get(part["word"].lower())
    if word == GATES:
        return not (part["every"] or part["of"] or part["out_of"])
    return word != TESTS or part["every"] is None or part["count"] is not None


def _add(spans: list[tuple[int, int]], sentence: str, span: tuple[int, int]) -> None:
    """Add a span, joined with the one before if only space is between them."""
    if spans and sentence[spans[-1][1] : span[0]].isspace():
        span = (spans.pop()[0], span[1])
    spans.append(span)


def _count(counts: dict[str, int], name: str, written: str | None) -> None:
    if written is None:
        return
    word = written.lower()
    number = 0 if word in {"no", "none"} else _NUMBERS.index(word) if word in _NUMBERS else int(word)
    if counts.setdefault(name, number) != number:
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
        if name not in claim.counts and name != claim.every:
            yield "", f"{numbers[name]} {name}"


def _others(every: str, numbers: Mapping[str, int]) -> list[str]:
    """Return the verdicts of the tests that contradict the same verdict for all."""
    fine = FINE if every == "green" else {every}
    return [name for name in VERDICTS if numbers[name] and name not in fine]


def _bad(numbers: Mapping[str, int]) -> Sequence[str]:
    return [name for name in (*VERDICTS, GATES) if numbers[name] and name not in FINE]
