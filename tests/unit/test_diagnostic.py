"""The texts of problems, for commands that have other work than to validate."""

from __future__ import annotations

from orchestra.diagnostic import MOST_OF_A_RULE, Diagnostic, Place, listed
from orchestra.errors import SpecError


def problems(rule: str, number: int) -> list[Diagnostic]:
    return [Diagnostic(Place("s.yaml", line, 1), rule, "found", "mend it") for line in range(1, number + 1)]


def test_of_each_rule_the_first_problems_are_listed_and_the_rest_is_counted():
    many, few = problems("many", MOST_OF_A_RULE + 980), problems("few", MOST_OF_A_RULE)
    texts = listed([*many, *few])
    shown = [problem.text() for problem in (*many[:MOST_OF_A_RULE], *few)]
    assert texts == [*shown, "980 more of [many]: `orchestra validate` shows all"]
    error = SpecError(tuple(many))
    assert len(error.diagnostics) == MOST_OF_A_RULE + 980
    assert str(error).splitlines()[-1] == "980 more of [many]: `orchestra validate` shows all"
