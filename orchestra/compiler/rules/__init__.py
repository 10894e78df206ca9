"""Define the semantic rules for specs that the schema accepts.

A rule is one small function from a context to problems; its name is its id, its docstring its page in docs/rules.md. No
rule relies on another one: each passes over what only another one may refuse, so that all problems show at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from orchestra.compiler.include import Assembled
from orchestra.compiler.provided import BUILT_IN, Provided
from orchestra.compiler.rules import (
    address,
    characters,
    clock,
    commands,
    cycles,
    drivers,
    emulation,
    files,
    gates,
    health,
    keys,
    logins,
    matrix,
    on_nodes,
    pages,
    patterns,
    per_worker,
    pools,
    ports,
    profiles,
    references,
    saved,
    suites,
    tests,
    unknown,
)
from orchestra.compiler.rules.context import Context, Rule, rule_id
from orchestra.compiler.schema.spec import Spec
from orchestra.diagnostic import Diagnostic

__all__ = ["RULES", "SUITE_RULES", "Context", "Rule", "check", "check_suites"]

RULES: dict[str, Rule] = {
    rule_id(rule): rule
    for module in (
        tests,
        cycles,
        unknown,
        references,
        saved,
        address,
        drivers,
        clock,
        emulation,
        logins,
        pools,
        commands,
        keys,
        matrix,
        health,
        per_worker,
        on_nodes,
        ports,
        files,
        pages,
        patterns,
        gates,
        profiles,
        characters,
    )
    for rule in module.RULES
}

SUITE_RULES: dict[str, Callable[[Sequence[Context]], Iterator[Diagnostic]]] = {
    rule_id(rule): rule for rule in suites.RULES
}


def check(spec: Spec, source: Assembled, provided: Provided = BUILT_IN) -> list[Diagnostic]:
    """Return every problem that a rule finds in a spec, sorted by place, each once."""
    context = Context(spec, source, provided)
    return sorted({problem for rule in RULES.values() for problem in rule(context)})


def check_suites(contexts: Sequence[Context]) -> list[Diagnostic]:
    """Return every problem between specs of one project, sorted by place, each once."""
    return sorted({problem for rule in SUITE_RULES.values() for problem in rule(contexts)})
