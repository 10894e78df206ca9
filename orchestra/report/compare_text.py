"""A comparison in words and tables, for terminals and Markdown. Pure. May import `compare`, `table` and `draw`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from orchestra import draw
from orchestra.ledger.event import VERDICTS
from orchestra.report.compare import Comparison, Paired, Side, Totals, counted, recommended

Form = Literal["terminal", "markdown"]


def compared_lines(found: Comparison, form: Form = "terminal") -> Iterator[str]:
    """The comparison, line by line; tables are several lines in one text."""
    safe = _inline if form == "markdown" else draw.one_line
    bullet = "- " if form == "markdown" else ""
    tests = counted(found.tests, "test")
    yield f"{bullet}{safe(f'{found.second} against {found.first}: {tests} by both')}"
    for side, names in ((found.first, found.only_first), (found.second, found.only_second)):
        if names:
            yield f"{bullet}{safe(f'only {side}: ' + ', '.join(names))}"
    if not found.tests:
        return
    yield f"{bullet}{safe(f'{found.tests - len(found.disagreeing)} of {found.tests} agree (good or not)')}"
    if found.seconds is not None:
        yield f"{bullet}{safe(f'a test: {_more(found.seconds)}{_ratio(found.ratio)}')}"
    for side, totals in zip((found.first, found.second), found.totals, strict=True):
        if said := _totals(totals):
            yield f"{bullet}{safe(f'{side}: {said}')}"
    if said := recommended(found):
        yield f"{bullet}{safe(said)}"
    yield ""
    yield _table((f"{found.first} \\ {found.second}", *_seen(found)), _matrix(found), form)
    if found.steps:
        yield ""
        rows = [(cost.verb, str(cost.more.pairs), _more(cost.more)) for cost in found.steps]
        yield _table(("step", "pairs", f"{found.second} takes"), rows, form)
    for name, sides in found.disagreeing.items():
        yield ""
        yield _table((f"{name} disagrees", found.first, found.second), _beside(*sides), form)


def _seen(found: Comparison) -> list[str]:
    return [verdict for verdict in VERDICTS if any(verdict == b for _, b in found.matrix)]


def _matrix(found: Comparison) -> list[tuple[str, ...]]:
    return [
        (verdict, *(str(found.matrix.get((verdict, other), 0)) for other in _seen(found)))
        for verdict in VERDICTS
        if any(verdict == a for a, _ in found.matrix)
    ]


def _beside(a: Side, b: Side) -> list[tuple[str, str, str]]:
    rows = [
        ("verdict", a.verdict, b.verdict),
        ("seconds", f"{a.seconds:.3g}", f"{b.seconds:.3g}"),
        ("message", a.message, b.message),
        ("expected", a.expected, b.expected),
        ("found", a.found, b.found),
        ("evidence", ", ".join(a.evidence), ", ".join(b.evidence)),
    ]
    return [row for row in rows if row[1] or row[2]]


def _more(taken: Paired) -> str:
    within = "" if taken.low is None or taken.high is None else f" (95 %: {taken.low:+.3g} to {taken.high:+.3g})"
    return f"{taken.median:+.3g} s{within or f' (too few pairs for an interval: {taken.pairs})'}"


def _ratio(taken: Paired | None) -> str:
    if taken is None:
        return ""
    within = "" if taken.low is None or taken.high is None else f" ({taken.low:.2f} to {taken.high:.2f})"
    return f", {taken.median:.2f} x{within}"


def _totals(totals: Totals) -> str:
    parts = [
        counted(totals.calls, "tool call") if totals.calls else "",
        counted(totals.polls, "poll") if totals.polls else "",
        f"lag {totals.lag:.3g} s in the median" if totals.lag is not None else "",
        counted(totals.files, "file") + " of evidence" if totals.files else "",
    ]
    return ", ".join(filter(None, parts))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], form: Form) -> str:
    if form == "markdown":
        return draw.markdown_table(list(map(_inline, heads)), [list(map(_inline, row)) for row in rows])
    return draw.terminal_table(heads, rows)


def _inline(text: str) -> str:
    return draw.markdown(draw.one_line(text))
