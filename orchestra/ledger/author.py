"""Identify the writer of a ledger: the user's key authenticates its lines, and a signing key, if there is one, its
seals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from orchestra import owner
from orchestra.checkout import SIGN_KEY

Signer: TypeAlias = Callable[[Mapping[str, object]], dict[str, str]]
"""Gives the fields `signed_by` and `signature` for the body of a seal."""


class Author(NamedTuple):
    """The writer of a ledger.

    Attributes:
        secret: the user's key; each line that is written gets a MAC by it. Empty: no line gets one. The lines that follow
            those of another user get none either, unless `trust` is true.
        trust: the user vouches for the lines that another user wrote.
        sign: signs the seals; None for unsigned seals.
    """

    secret: bytes = b""
    trust: bool = False
    sign: Signer | None = None


UNKNOWN: Final = Author()
"""Writes lines without a MAC and seals without a signature."""


def author_of(root: Path, environment: Mapping[str, str]) -> Author:
    """Return the user of a process as the author of ledgers of a project. Raises as `signer_of`."""
    return Author(owner.key(root, environment), sign=signer_of(environment))


def signer_of(environment: Mapping[str, str]) -> Signer | None:
    """Return what signs seals by the key of an environment; None where it has none.

    Raises:
        UsageError: the key cannot be read, or is of another kind.
    """
    given = environment.get(SIGN_KEY, "")
    if not given:
        return None
    from orchestra.ledger import signing  # noqa: PLC0415 - a third of the start of a verb, for those who sign alone

    return signing.signer(given, SIGN_KEY)
