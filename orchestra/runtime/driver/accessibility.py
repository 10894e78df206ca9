"""Implement `expect: {a11y: …}`: the rules of axe-core on the page, by whichever driver."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from orchestra.runtime.driver.contract import Job, unmet
from orchestra.runtime.driver.wording import seconds_text

PAUSE_SECONDS: Final = 0.5
"""The pause before the rules are checked again; a check of a large page takes as long."""

LOADED_PAGE: Final = "document.readyState === 'complete' && location.href !== 'about:blank'"
"""A script of the page: whether it can be checked after its load."""

IMPACTS: Final = ("minor", "moderate", "serious", "critical")

_LEVELS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
_TAGS: Final[Mapping[str, tuple[str, ...]]] = {
    "wcag2a": _LEVELS[:1],
    "wcag2aa": _LEVELS[:2],
    "wcag21aa": _LEVELS[:4],
    "wcag22aa": _LEVELS,
    "best-practice": (*_LEVELS, "best-practice"),
}
"""The rules of each standard, those of the standards that it contains included."""

_SHOWN: Final = 5
"""So many elements of a rule are in a message."""

AUDIT: Final = """([context, options]) => axe.run(context, options).then(({ violations }) => ({
  violations: violations.map((rule) => ({
    id: rule.id, impact: rule.impact ?? 'minor', help: rule.help, url: rule.helpUrl,
    nodes: rule.nodes.map((node) => ({ target: node.target.flat(9).join(' '), html: node.html })),
  })),
}), (error) => ({ error: String(error?.message ?? error) }))"""
"""A function of the page that gives the violated rules; `axe` is loaded in each of its frames before."""


class Node(msgspec.Struct, frozen=True):
    """An element that violates a rule."""

    target: str
    html: str


class Violation(msgspec.Struct, frozen=True):
    """A rule that elements of a page violate."""

    id: str
    impact: str
    help: str
    url: str
    nodes: tuple[Node, ...]


class Audited(msgspec.Struct, frozen=True):
    """The violated rules of a page, or why they are not known."""

    violations: tuple[Violation, ...] = ()
    error: str = ""


@functools.cache
def source() -> str:
    """Return the script that gives a page `axe`."""
    return (Path(__file__).resolve().parents[2] / "axe" / "axe.min.js").read_text(encoding="utf-8")


def arguments(wanted: Mapping[str, Any]) -> list[Any]:
    """Return the arguments of `AUDIT`: the part of the page, and the rules."""
    context = {key: wanted[key] for key in ("include", "exclude") if key in wanted}
    options = {"runOnly": {"type": "tag", "values": list(_TAGS[wanted["standard"]])}, "resultTypes": ["violations"]}
    return [context or {"include": [":root"]}, options]


EVERY_RULE: Final = arguments({"standard": "wcag22aa"})
"""The arguments of `AUDIT` for the check of each page."""


def violations_in(result: Any) -> Iterator[str]:
    """Yield each rule that a page violates, in the form of an error outside assertions."""
    for rule in msgspec.convert(result, Audited).violations:
        shown = ", ".join(node.target for node in rule.nodes[:_SHOWN])
        more = f", and {len(rule.nodes) - _SHOWN} more" if len(rule.nodes) > _SHOWN else ""
        yield f"{rule.id} ({rule.impact}): {rule.help}: {shown}{more}"


def expect_accessible(job: Job, audit: Callable[[list[Any]], Any], pause: Callable[[float], None]) -> None:
    """Wait until the page violates no rule that the step is about.

    Args:
        job: the step.
        audit: runs `AUDIT` with these arguments.
        pause: waits for so many seconds.

    Raises:
        StepError: it still does at the end of the time of the step.
    """
    wanted = {"standard": "wcag22aa", "impact": "minor", **job.args["a11y"]}
    own = float(job.args["within_seconds"])
    end = time.monotonic() + job.deadline.limit(own)
    given, least = arguments(wanted), IMPACTS.index(wanted["impact"])
    while True:
        audited = msgspec.convert(audit(given), Audited)
        if audited.error:
            raise unmet(f"the accessibility rules cannot be checked: {audited.error}", found=audited.error)
        bad = [rule for rule in audited.violations if IMPACTS.index(rule.impact) >= least]
        if not bad:
            return
        left = end - time.monotonic()
        if left <= 0:
            break
        pause(min(PAUSE_SECONDS, left))
    of_impact = "" if least == 0 else f" of impact {wanted['impact']} or higher"
    expected = f"no violation of {wanted['standard']}{of_impact}"
    names = ", ".join(f"{rule.id} ({rule.impact}, {len(rule.nodes)} found)" for rule in bad)
    message = f"the page violates {len(bad)} accessibility rule{'s' * (len(bad) != 1)} of {wanted['standard']}"
    message += f" after {seconds_text(job.allowed(own))}: {names}"
    raise unmet(message, expected=expected, found="\n".join(_shown(bad)), hint=f"read {bad[0].url}")


def _shown(violations: Sequence[Violation]) -> Iterator[str]:
    """Yield the lines of a message: each rule, and its elements."""
    for rule in violations:
        yield f"{rule.id}: {rule.help}"
        yield from (f"  {node.target}  {node.html}" for node in rule.nodes[:_SHOWN])
        if len(rule.nodes) > _SHOWN:
            yield f"  and {len(rule.nodes) - _SHOWN} more"
