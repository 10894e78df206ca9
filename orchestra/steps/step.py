"""Define the step of a plan."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestra.steps.target import Target


class Step(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A step of the plan. `args` holds its fields with defaults filled in; `at` are JSON pointers into the spec.

    A step from a block has two places: the use of the block, then its line in the block.
    """

    verb: str
    at: tuple[str, ...] = ()
    target: Target | None = None
    args: dict[str, Any] = {}
