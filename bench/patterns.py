"""Measure the cost of a pattern that backtracks: the limit of its search, and no more.

    python -m bench patterns

One test fails with a text of 60 letters, in which a pattern of `known_failures` is searched for. The control has a pattern that
takes as long as the text. The difference of both is held to the limit of a search.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.measure import ORCHESTRA, Case, Figure, Timing, alternate, figures, once, timings
from bench.runtime import fresh
from orchestra.pattern import SECONDS

CONTROL = "a+$"
PATTERNS = {r"(a+)+$": "a" * 60 + "!", r"(\w+\s?)*;": "word " * 12, r"(.*)*x": "a" * 60}
LIMIT = 1.2
"""In limits of a search: its processor time, and a process that starts and is ended."""

_SPEC = """orchestra: 1
suite: work
methods: {{cli: {{driver: command, workers: 1}}}}
defaults: {{retries: {{max: 0}}}}
tests:
  t:
    known_failures: [{{match: '{pattern}', reason: measured}}]
    command: {{argv: [cp, report.xml, "${{attempt.dir}}/j.xml"], junit: "${{attempt.dir}}/j.xml"}}
"""


def _project(root: Path, pattern: str, text: str) -> Case:
    (root / "specs").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[tool.orchestra]\n")
    (root / "specs" / "work.yaml").write_text(_SPEC.format(pattern=pattern))
    report = f'<testsuite><testcase name="t"><failure message="{text}"/></testcase></testsuite>'
    (root / "report.xml").write_text(report)
    once(Case([*ORCHESTRA, "compile"], root))
    return Case([*ORCHESTRA, "run"], root, fresh(root), exit_code=1)


def _figure(name: str, ours: Timing, control: Timing) -> Figure:
    wall, cpu = (ours.wall - control.wall) / SECONDS, (ours.cpu - control.cpu) / SECONDS
    return Figure(f"{name} over the control, x the limit of a search", wall, cpu, LIMIT, by_cpu=True)


def run(rounds: int = 5, patterns: Mapping[str, str] = PATTERNS) -> str:
    """Return all tables."""
    with tempfile.TemporaryDirectory() as scratch:
        asked = {CONTROL: "a" * 60 + "!", **patterns}
        cases = {
            pattern: _project(Path(scratch) / str(number), pattern, text)
            for number, (pattern, text) in enumerate(asked.items())
        }
        taken = alternate(cases, rounds)
    found = [_figure(pattern, taken[pattern], taken[CONTROL]) for pattern in patterns]
    title = "Patterns: a run whose test fails"
    return f"{timings(title, taken)}\n{figures('Patterns that backtrack', found)}"
