"""Remove the secrets of the run from the result of an attempt: from its files, their names, the text of its failure."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from orchestra import nofollow
from orchestra.ledger.parts import Dropped
from orchestra.runtime.attempt import AttemptFailure, EvidenceFile, Result
from orchestra.runtime.mask import Masks

_OF_PROGRAMS = frozenset({"attachment", "download"})
"""Kinds of evidence whose files have names that the product or a command gave them."""


def without_secrets(result: Result, masks: Masks, folder: Path) -> Result:
    """Return a result without secrets, and clean its files; those that programs wrote become the user's alone.

    A file that cannot be searched is removed, and named in `dropped`.

    Args:
        result: of an attempt, or of a repeat.
        masks: of the run.
        folder: the attempt's own, absolute.

    Raises:
        OSError: the disk refuses.
    """
    if result.evidence:
        with suppress(OSError):  # a folder that a program removed has nothing to be taken
            nofollow.make_private(folder)
    if not masks:
        return result
    # Of what was masked as it came, a part may be older than the knowledge of a secret.
    ours = {one.path: one.masked and not masks.grow for one in result.evidence if one.kind not in _OF_PROGRAMS}
    cleaned = masks.clean(folder, ours)
    kinds = {cleaned.path(one.path): one.kind for one in result.evidence}
    gone = {
        one.path: Dropped(path=one.path, bytes=one.size, kind=kinds.get(one.path, "file"), reason=one.reason)
        for one in cleaned.removed
    }
    evidence = list[EvidenceFile]()
    for one in result.evidence:
        path = cleaned.path(one.path)
        if path not in gone:
            evidence.append(msgspec.structs.replace(one, path=path))
    return msgspec.structs.replace(
        result,
        failure=None if result.failure is None else _failure(result.failure, masks),
        evidence=tuple(evidence),
        cases=tuple(
            msgspec.structs.replace(case, attachments=tuple(map(cleaned.path, case.attachments)))
            if case.attachments
            else case
            for case in result.cases
        ),
        dropped=(*result.dropped, *(gone[path] for path in sorted(gone))),
    )


def _failure(failure: AttemptFailure, masks: Masks) -> AttemptFailure:
    return msgspec.structs.replace(
        failure,
        message=masks.text(failure.message),
        expected=failure.expected and masks.text(failure.expected),
        found=failure.found and masks.text(failure.found),
        hint=failure.hint and masks.text(failure.hint),
        log=failure.log and masks.text(failure.log),
    )
