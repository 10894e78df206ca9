"""Requests to a worker as tests write them: steps as in a spec, the rest filled in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestra.compiler.lower.steps import lower_steps
from orchestra.plan import Method, Test
from orchestra.runtime.attempt import Request
from orchestra.runtime.browsers.finder import Browser
from orchestra.steps.step import Step


def steps(said: Sequence[Any], section: str = "steps") -> tuple[Step, ...]:
    """Steps as they stand in YAML: `{goto: /}`, or a bare verb."""
    return lower_steps({}, list(said), f"/tests/T1/{section}", {})


def request(
    folder: Path,
    said: Sequence[Any],
    *,
    browser: Browser | None = None,
    names: dict[str, str] | None = None,
    before: Sequence[Any] = (),
    last: Sequence[Any] = (),
    driver: str = "playwright",
    secrets: tuple[str, ...] = (),
    **options: Any,
) -> Request:
    """A request for a test with these steps; `folder` is both the root and the attempt's folder."""
    test = Test(
        "T1",
        "A test",
        ("cli",),
        before=steps(before, "before"),
        steps=steps(said),
        finally_=steps(last, "finally"),
        **options,
    )
    bound = {"test.id": "T1", "attempt.dir": str(folder), **(names or {})}
    method = Method("cli", "Playwright", driver)
    return Request(
        "cli:T1", test, method, 1, str(folder), str(folder), bound, "run/cli:T1/1", browser=browser, secrets=secrets
    )
