"""Evaluate errors outside assertions against the `errors` of a test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

import msgspec

from orchestra.layers import LAYERS, Layer
from orchestra.ledger.parts import Finding
from orchestra.plan import Errors, Test
from orchestra.runtime.attempt import AttemptFailure, Result
from orchestra.runtime.attempts.observed import Sign, host_of
from orchestra.runtime.bounded.patterns import PatternError, first

KEPT_FINDINGS = 50


def errors_of(test: Test, method: str) -> Errors:
    """Return the `errors` of a test by a method."""
    return test.errors_by.get(method, test.errors)


def app_hosts(names: Mapping[str, str], visited: Iterable[str]) -> frozenset[str]:
    """Return the hosts of the tested app: those of the health matrix, and those that the test goes to.

    Args:
        names: late names with their values; `backend.url` is an address of the matrix.
        visited: addresses that steps `goto` have opened.
    """
    urls = (*(value for name, value in names.items() if name.endswith(".url")), *visited)
    return frozenset(host for url in urls if (host := host_of(url)))


def findings_of(
    signs: Iterable[tuple[Sign, int]], dialogs: Iterable[str], errors: Errors, app: Collection[str]
) -> tuple[Finding, ...]:
    """Return the findings of a page, by layer.

    Args:
        signs: what was seen, and how often.
        dialogs: those that no step answers.
        errors: those of the test.
        app: see `app_hosts`; what another host answers with 500 and above is a failed request.

    Raises:
        PatternError: one of `allow` cannot be searched for.
    """
    seen = [(sign, count, sign.layer) for sign, count in signs]
    seen = [
        (sign, count, "failed_requests" if layer == "http_5xx" and sign.host not in app else layer)
        for sign, count, layer in seen
    ]
    seen += [(Sign("open_dialogs", text), 1, "open_dialogs") for text in dialogs]
    seen = [(sign, count, layer) for sign, count, layer in seen if getattr(errors, layer) != "ignore"]
    allowed = first(errors.allow, [sign.text for sign, _, _ in seen])
    return ordered(
        finding(errors, layer, sign.text, sign.where, count)
        for (sign, count, layer), pattern in zip(seen, allowed, strict=True)
        if pattern is None
    )


def finding(errors: Errors, layer: Layer, text: str, where: str, count: int = 1) -> Finding:
    """Return a finding in a layer that is not ignored, of a text that is not allowed."""
    level: Literal["fail", "warn"] = getattr(errors, layer)
    return Finding(layer=layer, level=level, text=text, where=where, count=count)


def pattern_failure(error: PatternError, test: Test, method: str, *keys: str) -> AttemptFailure:
    """Return the failure of an attempt whose errors could not be evaluated.

    Args:
        error: what is wrong with the pattern.
        test: its own.
        method: its own.
        keys: that lead to the list of the pattern in `errors`.
    """
    places = (f"/tests/{test.of or test.id}", *(f"/groups/{name}" for name in test.groups), f"/methods/{method}", "")
    path = "/".join(key.replace("~", "~0").replace("/", "~1") for key in ("errors", *keys, error.pattern))
    return AttemptFailure(
        "setup", error.message, pointers=tuple(f"{place}/{path}" for place in places), hint=error.hint
    )


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings sorted: failing ones first, then by layer; bounded."""
    by = sorted(findings, key=lambda one: (one.level != "fail", LAYERS.index(one.layer)))
    return tuple(by[:KEPT_FINDINGS])


def failure(findings: Iterable[Finding], at: str) -> AttemptFailure | None:
    """Return the failure that findings make of an attempt; None when all of them only warn."""
    bad = [one for one in findings if one.level == "fail"]
    if not bad:
        return None
    first, *others = bad
    more = f", and {len(others)} more" if others else ""
    message = f"{first.layer}: {first.text}{f' ({first.where})' if first.where else ''}{more}"
    hint = f"fix it, or allow it in the spec: errors: {{{first.layer}: warn}}, or allow: [a part of its text]"
    return AttemptFailure("assertion", message, pointers=(at,), expected=f"no {first.layer}", hint=hint)


def failed_by(result: Result, findings: Iterable[Finding], at: str) -> Result:
    """Return the result with more findings; one that fails makes a pass a failure."""
    every = ordered((*result.findings, *findings))
    bad = failure(every, at) if result.outcome == "passed" else None
    if bad is None:
        return msgspec.structs.replace(result, findings=every)
    return msgspec.structs.replace(result, findings=every, outcome="failed", failure=bad)
