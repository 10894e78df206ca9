"""A comparison in words and tables, for terminals and Markdown. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from orchestra import draw
from orchestra.ledger.event import VERDICTS
from orchestra.report.by_hand import HEADS, TITLE, ByHand
from orchestra.report.compare.comparison import Agreement, Comparison, Paired, Totals, counted
from orchestra.report.compare.sides import Side

Form = Literal["terminal", "markdown"]

_USUAL = 10
"""Tests whose baselines are shown, those that differ most."""

_GAINS = 8
"""Tests that a recommendation names."""

_THOUSAND = 1000


class Grid(NamedTuple):
    """A table of a comparison.

    Attributes:
        heads: of its columns.
        rows: of texts.
        test: the test that both sides disagree about; empty for another table.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    test: str = ""


def compared_lines(comparison: Comparison, form: Form = "terminal") -> Iterator[str]:
    """Yield the comparison, line by line; tables are several lines in one text."""
    safe = _inline if form == "markdown" else draw.one_line
    bullet = "- " if form == "markdown" else ""
    for part in parts(comparison):
        if isinstance(part, Grid):
            yield from ("", _table(part.heads, part.rows, form))
        else:
            yield f"{bullet}{safe(part)}"


def parts(comparison: Comparison) -> Iterator[str | Grid]:
    """Yield the statements of a comparison, then its tables."""
    yield f"{comparison.second} against {comparison.first}: {_compared(comparison)} by both"
    for side, names in ((comparison.first, comparison.only_first), (comparison.second, comparison.only_second)):
        if names:
            yield f"only {side}: {', '.join(names)}"
    if not comparison.tests:
        return
    yield f"{_agreeing(comparison)} of {comparison.tests + comparison.cases} agree (good or not)"
    if comparison.seconds is not None:
        yield f"a test: {_more(comparison.seconds)}{_ratio(comparison.ratio)}"
    if walls := _walls(comparison):
        yield walls
    for side, totals in zip((comparison.first, comparison.second), comparison.totals, strict=True):
        if costs := _totals(totals):
            yield f"{side}: {costs}"
    if advice := recommended(comparison):
        yield advice
    yield Grid((f"{comparison.first} \\ {comparison.second}", *_seen(comparison)), _matrix(comparison))
    if comparison.steps:
        rows = [(cost.verb, str(cost.more.pairs), _more(cost.more)) for cost in comparison.steps]
        yield Grid(("step", "pairs", f"{comparison.second} takes"), rows)
    if comparison.usual:
        heads = ("usual (baseline)", comparison.first, "runs", comparison.second, "runs", "ratio")
        yield Grid(heads, list(_usual(comparison)))
    for name, sides in comparison.disagreeing.items():
        yield Grid((f"{name} disagrees", comparison.first, comparison.second), _side_by_side(*sides), name)


def _compared(comparison: Comparison) -> str:
    """Return the tests that both executed, in words."""
    cases = f" and {counted(comparison.cases, 'case')}" if comparison.cases else ""
    return f"{counted(comparison.tests, 'test')}{cases}"


def _agreeing(comparison: Comparison) -> int:
    return comparison.tests + comparison.cases - len(comparison.disagreeing)


def agreement_lines(agreements: Sequence[Agreement], form: Form = "terminal") -> Iterator[str]:
    """Yield the table of `agreement_grid` as text."""
    grid = agreement_grid(agreements)
    yield _table(grid.heads, grid.rows, form)


def agreement_grid(agreements: Sequence[Agreement]) -> Grid:
    """Return a row and a column a side, for more than two: of how many tests that both executed the outcome is the same."""
    names = list(dict.fromkeys(name for agreement in agreements for name in (agreement.first, agreement.second)))
    cells = {
        frozenset((agreement.first, agreement.second)): f"{agreement.agree} of {agreement.tests}"
        for agreement in agreements
    }
    return Grid(("agree", *names), [(row, *(cells.get(frozenset((row, name)), "") for name in names)) for row in names])


def by_hand_grid(claims: Mapping[str, Sequence[ByHand]]) -> Grid:
    """Return the results that were seen by hand, by run. No side is compared with them: they are claims."""
    rows = [(run, *one.cells(one.paths)) for run, of_run in claims.items() for one in of_run]
    return Grid((f"{TITLE.lower()}, in run", *HEADS), rows)


def by_hand_lines(claims: Mapping[str, Sequence[ByHand]], form: Form = "terminal") -> Iterator[str]:
    """Yield the table of `by_hand_grid` as text; nothing if there is no claim."""
    grid = by_hand_grid(claims)
    if grid.rows:
        yield from ("", _table(grid.heads, grid.rows, form))


def _usual(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Yield the tests whose baselines differ most, and how many more there are."""
    order = sorted(
        comparison.usual,
        key=lambda test: (-abs(comparison.usual[test][1].median - comparison.usual[test][0].median), test),
    )
    for test in order[:_USUAL]:
        one, other = comparison.usual[test]
        ratio = f"{other.median / one.median:.2f} x" if one.median > 0 else "-"
        yield test, f"{one.median:.3g} s", str(one.runs), f"{other.median:.3g} s", str(other.runs), ratio
    if len(order) > _USUAL:
        yield f"and {len(order) - _USUAL} more", "", "", "", "", ""


def _size(number: int) -> str:
    """Bytes for people, by powers of 1,000."""
    value, unit = float(number), "B"
    for larger in ("kB", "MB", "GB"):
        if value < _THOUSAND:
            break
        value, unit = value / _THOUSAND, larger
    return f"{value:.3g} {unit}"


def _seen(comparison: Comparison) -> list[str]:
    return [verdict for verdict in VERDICTS if any(verdict == b for _, b in comparison.matrix)]


def _matrix(comparison: Comparison) -> list[tuple[str, ...]]:
    return [
        (verdict, *(str(comparison.matrix.get((verdict, other), 0)) for other in _seen(comparison)))
        for verdict in VERDICTS
        if any(verdict == a for a, _ in comparison.matrix)
    ]


def _side_by_side(a: Side, b: Side) -> list[tuple[str, str, str]]:
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


def _walls(comparison: Comparison) -> str:
    """Return the total time of all tests by each side."""
    parts = [
        f"{side} {one.seconds:.3g} s ({one.at_once:.2g} at a time)"
        for side, one in zip((comparison.first, comparison.second), comparison.walls, strict=True)
        if one is not None
    ]
    return f"all tests: {', '.join(parts)}" if parts else ""


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
        f"{counted(totals.files, 'file')} of evidence ({_size(totals.bytes)})" if totals.files else "",
        counted(totals.requests, "request") + " of pages" if totals.requests is not None else "",
        f"{_size(totals.sent)} of answers" if totals.sent is not None else "",
    ]
    return ", ".join(filter(None, parts))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], form: Form) -> str:
    if form == "markdown":
        return draw.markdown_table(list(map(_inline, heads)), [list(map(_inline, row)) for row in rows])
    return draw.terminal_table(heads, rows)


def _inline(text: str) -> str:
    return draw.markdown(draw.one_line(text))


def _quicker(comparison: Comparison) -> str:
    """By which side these tests take less time: one of them, and all together where the sides ran differently many at a time."""
    more, quick, run = comparison.seconds, comparison.quicker_test, comparison.quicker_run
    if more is None:
        return ""
    slow = comparison.second if quick == comparison.first else comparison.first
    same = "all verdicts are the same" if not comparison.disagreeing else f"{_agreeing(comparison)} agree"
    if not quick:
        return f"no difference of time is proven over {counted(more.pairs, 'test')}"
    test = f"of {_compared(comparison)} {same}, and {quick} takes {abs(more.median):.3g} s less a test than {slow}"
    if not run:
        return f"{test}: run {quick} where time counts"
    apart = " and ".join(
        f"{one.seconds:.3g} s by {side}, {one.at_once:.2g} at a time"
        for side, one in zip((comparison.first, comparison.second), comparison.walls, strict=True)
        if one is not None
    )
    rest = f", {quick} where that of one test does" if quick != run else ""
    return f"{test}; all together take {apart}: run {run} where the time of a run counts{rest}"


def recommended(comparison: Comparison) -> str:
    """Return the side from which these tests gain, with the numbers; empty without a recommendation."""
    if not comparison.tests:
        return ""
    only = {
        comparison.first: [name for name, (a, _) in comparison.disagreeing.items() if not a.good],
        comparison.second: [name for name, (_, b) in comparison.disagreeing.items() if not b.good],
    }
    parts = [f"only {side} fails {', '.join(names)}: look at these first" for side, names in only.items() if names]
    if quicker := _quicker(comparison):
        parts.append(quicker)
    for place, (side, other) in enumerate(
        ((comparison.first, comparison.second), (comparison.second, comparison.first))
    ):
        if names := comparison.gains[place]:
            saved = statistics.median(
                comparison.usual[name][1 - place].median - comparison.usual[name][place].median for name in names
            )
            shown = ", ".join(names[:_GAINS]) + (f" and {len(names) - _GAINS} more" if len(names) > _GAINS else "")
            parts.append(f"by their baselines {shown} gain from {side}: {saved:.3g} s less than {other} in the median")
    return "; ".join(parts)
