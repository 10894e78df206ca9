"""Lower the `errors` of suite, method, group and test to those of a test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from orchestra.compiler.schema.pages import ErrorsSpec
from orchestra.compiler.schema.spec import Spec
from orchestra.compiler.schema.tests import GroupSpec, TestSpec
from orchestra.plan import Errors, Test

_PLAIN = Test("", "", ()).errors
"""The very values that the plan leaves out."""


def lower_errors(
    spec: Spec, test: TestSpec, groups: Sequence[GroupSpec], methods: Iterable[str]
) -> tuple[Errors, dict[str, Errors]]:
    """Return the `errors` of a test, and of those of its methods that differ.

    The nearest place wins, key by key: test, group, method, suite. `allow` of all places counts, and `log_patterns` is
    laid over by component.
    """
    near = [place["errors"] for place in (*groups, test) if "errors" in place]
    wide = [spec["errors"]] if "errors" in spec else []
    common = _laid((*wide, *near))
    declared = spec.get("methods", {})
    by = {
        name: laid
        for name in methods
        if "errors" in declared.get(name, {}) and (laid := _laid((*wide, declared[name]["errors"], *near))) != common
    }
    return common, by


def _laid(places: Iterable[ErrorsSpec]) -> Errors:
    """Places laid over each other, the widest first."""
    laid: dict[str, Any] = {}
    allow: dict[str, None] = {}
    patterns: dict[str, tuple[str, ...]] = {}
    for place in places:
        laid |= cast("dict[str, Any]", place)
        allow |= dict.fromkeys(place.get("allow", ()))
        patterns |= {name: tuple(found) for name, found in place.get("log_patterns", {}).items()}
    laid |= {"allow": tuple(allow), "log_patterns": patterns}
    differing = {name: value for name, value in laid.items() if value != getattr(_PLAIN, name)}
    return Errors(**differing) if differing else _PLAIN
