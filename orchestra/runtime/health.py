"""The health matrix: each component's row, kept by one thread. May import `plan`, `reaper` and the probes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from orchestra.plan import Component
from orchestra.runtime.reaper import Reaper

State: TypeAlias = Literal["idle", "starting", "healthy", "unhealthy", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of a component now. `reason` reads after "which"."""

    id: str
    state: State
    reason: str = ""
    pid: int | None = None
    port: int | None = None
    url: str = ""
    attempts: int = 0
    seconds: float = 0.0
    hint: str = ""
    required: bool = True
    degraded: str = ""


class Matrix:
    """The components of a suite, started on request, with all that they need."""

    def __init__(
        self,
        components: Sequence[Component],
        *,
        root: Path,
        folder: Path,
        mark: str,
        env: Mapping[str, str],
        secrets_mask: Callable[[str], str],
        on_event: Callable[[dict[str, Any]], None],
        wake: Callable[[], None],
        reaper: Reaper | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self._components = {one.id: one for one in components}
        self._rows = {one.id: Row(one.id, "idle", required=one.required) for one in components}

    def required_by(self, ids: Iterable[str]) -> tuple[str, ...]:
        """These and all that they need, in the order of the plan."""
        found: set[str] = set()
        ahead = list(ids)
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += self._components[name].needs
        return tuple(name for name in self._components if name in found)

    def request(self, ids: Iterable[str]) -> None:
        """Start these and all that they need; returns at once."""
        for name in self.required_by(ids):
            self._rows[name] = Row(name, "failed", "cannot be started", required=self._components[name].required)

    def row(self, id: str) -> Row:  # noqa: A002 - it is the component's id
        """What is known of a component now."""
        return self._rows[id]

    def names(self) -> dict[str, str]:
        """The addresses that are bound so far."""
        return {}

    def close(self) -> None:
        """Stop everything, in reverse order."""
