"""A case: one test inside of a suite that another runner executed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

CaseVerdict: TypeAlias = Literal["passed", "flaky", "failed", "timeout", "error", "skipped", "interrupted"]

BAD: Final[frozenset[CaseVerdict]] = frozenset({"failed", "timeout", "error", "interrupted"})
"""Verdicts of a case that fail its test unless each such case is excused."""


def is_named(name: str, globs: Iterable[str]) -> bool:
    """Return whether a glob fits the name of a case. Only `*` means more than itself: names have brackets."""
    return any(re.fullmatch(".*".join(map(re.escape, glob.split("*"))), name) for glob in globs)


class Case(msgspec.Struct, frozen=True, omit_defaults=True):
    """One test of a wrapped suite, as its runner reports it.

    Attributes:
        name: unique in its report, the same in each run: `login.spec.ts`, the separator of `text`, `signs in`.
        verdict: `flaky` passed after the runner itself had tried it again; an expected failure is a pass.
        seconds: of the execution that counts.
        retries: how often the runner tried it again.
        message: why it did not pass, or why it was skipped; of a flaky case, why it failed first. Masked, without escape codes.
        more: its further failures: soft assertions, parts of it, its tear-down.
        cause: class of the failure as the runner names it: `AssertionError`, `expect.toBe`.
        attachments: paths of its files as the runner wrote them.
        excused: why it does not fail its test, though it did not pass.
    """

    name: str
    verdict: CaseVerdict
    seconds: float = 0.0
    retries: int = 0
    message: str = ""
    more: tuple[str, ...] = ()
    cause: str = ""
    attachments: tuple[str, ...] = ()
    excused: str = ""

    @property
    def line(self) -> str:
        """Its name, and the first line of why it did not pass."""
        first = next(iter(self.message.splitlines()), "")
        return f"{self.name}: {first or self.verdict}"

    @property
    def texts(self) -> tuple[str, ...]:
        """Each failure of it, after its name: what the patterns of `known_failures` are looked for in."""
        return tuple(f"{self.name}: {text}" for text in (self.message or self.verdict, *self.more))
