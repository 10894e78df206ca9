"""A problem at a place in a file, the one form in which every stage of the compiler reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

MOST_OF_A_RULE: Final = 20
"""So many problems of one rule are shown where a command that has other work than to validate finds them."""


class Place(NamedTuple):
    """A position in a file: the path relative to the project root, line and column counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Edit(NamedTuple):
    """A text at or behind the place of a problem, and the text to write for it.

    Attributes:
        old: the text; where `value` is true, the value at the place, which may be in quotes.
        new: the text to write for it, with its own quotes where `value` is true.
        value: the edit is of a whole value, which begins at the place.
        place: None for that of the problem.
    """

    old: str
    new: str
    value: bool = False
    place: Place | None = None


class Diagnostic(NamedTuple):
    """One problem, ordered by place.

    Attributes:
        place: in the spec.
        rule: the id of the rule, a heading of docs/rules.md.
        message: lower case, names quoted, the value found, the values allowed, where the other party is defined.
        hint: the fix, empty if the message states it.
        edit: the fix as an edit, if there is a single one.
        edits: the fixes as edits, if there are several and the writer of the spec has to choose.
    """

    place: Place
    rule: str
    message: str
    hint: str = ""
    edit: Edit | None = None
    edits: tuple[Edit, ...] = ()

    def text(self) -> str:
        """`file:line:col: message [rule]`, with the hint on a line of its own."""
        head = f"{self.place}: {self.message} [{self.rule}]"
        lines = [head, f"    hint: {self.hint}"] if self.hint else [head]
        return "\n".join(" ".join(line.splitlines()) for line in lines)


def listed(problems: Iterable[Diagnostic]) -> list[str]:
    """Return the texts of problems for a command that has other work than to validate: of each rule the first ones, and a
    line with the number of the rest.
    """
    texts: list[str] = []
    seen: Counter[str] = Counter()
    for problem in problems:
        seen[problem.rule] += 1
        if seen[problem.rule] <= MOST_OF_A_RULE:
            texts.append(problem.text())
    for rule, number in seen.items():
        if number > MOST_OF_A_RULE:
            texts.append(f"{number - MOST_OF_A_RULE} more of [{rule}]: `orchestra validate` shows all")
    return texts
