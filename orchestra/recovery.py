"""The one table of recovery steps: how a component that failed is brought back. To add a step, write its row here.

Schema, rules, lowering, the bound of a recovery, its messages and its execution ask for the properties of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec


class StepKind(msgspec.Struct, frozen=True):
    """A recovery step, as compiler, runtime and reports need to know it.

    A step that neither runs a command nor starts the component probes it as it is.

    Attributes:
        name: as `recover` names it.
        one: its noun in messages.
        many: the plural.
        repeats: it is tried `retries.max` times with the waits of `retries`; all others are tried once.
        command: it is a mapping with a command, and not a word.
        starts: it ends the service and its dependents, and starts the service again.
        moves: it starts on another port.
        failover: it starts the declared failover; such a step is the last.
        renews: `between_methods` can name it.
    """

    name: str
    one: str
    many: str
    repeats: bool = False
    command: bool = False
    starts: bool = False
    moves: bool = False
    failover: bool = False
    renews: bool = False


_ALL: tuple[StepKind, ...] = (
    StepKind("retry", "retry", "retries", repeats=True),
    StepKind("restart", "restart", "restarts", starts=True, renews=True),
    StepKind("run", "repair", "repairs", command=True, renews=True),
    StepKind("port", "move to another port", "moves to another port", starts=True, moves=True),
    StepKind("failover", "failover", "failovers", starts=True, failover=True),
)

RECOVERY: Final[Mapping[str, StepKind]] = {kind.name: kind for kind in _ALL}
"""Each recovery step, by its name in a spec and in a plan."""

REPAIR: Final = next(kind for kind in _ALL if kind.command)
"""The step that is a mapping with a command."""

RECOVERY_WORDS: Final = tuple(kind.name for kind in _ALL if not kind.command)
"""The steps that a spec writes as a word."""

RENEWAL_WORDS: Final = tuple(kind.name for kind in _ALL if kind.renews and not kind.command)
"""The words that `between_methods` can name."""
