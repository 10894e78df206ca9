"""Store and read the plan that a run executed, in its folder, for reports, audits and resumes, independent of the
current spec.

A run that was resumed under a changed spec has one file for each plan.
"""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec

from orchestra import nofollow, plan_file
from orchestra.errors import PlanError
from orchestra.ledger.disk import replace_file
from orchestra.ledger.view import look
from orchestra.plan import Plan
from orchestra.yamltext.digest import digest_files

_SHOWN = 12


def file_name(digest: str) -> str:
    """Return the name of the file, by the plan's digest (`sha256:` and 64 hexadecimal digits)."""
    return f"plan-{digest.removeprefix('sha256:')[:_SHOWN]}.json"


def store(folder: Path, plan: Plan) -> None:
    """Write the plan into a run's folder, which is there, if the plan is not. Raises MachineError when the disk refuses."""
    file = folder / file_name(plan.digest())
    if not nofollow.is_file(file):
        replace_file(file, plan_file.dump(plan, whole=True))


def load(folder: Path, digest: str) -> Plan:
    """Return the plan with this digest from a run's folder.

    Raises:
        PlanError: the file is not there, was changed, or holds another plan.
    """
    file = folder / file_name(digest)
    try:
        data = nofollow.read(file)
    except OSError as error:
        raise PlanError(f'the plan of the run cannot be read: "{file}": {error.strerror}') from error
    try:
        plan, found = _digested(data, file.name)
    except PlanError as error:
        raise PlanError(f"{folder}/{error.message}", error.hint) from error
    if found != digest:
        raise PlanError(f'"{file}" holds the plan {found}, and not {digest}, which the run executed')
    return plan


@functools.lru_cache(maxsize=1)
def _digested(data: bytes, name: str) -> tuple[Plan, str]:
    """Return the plan in a file, and its digest. The shards of a selection have the same bytes: they are decoded once."""
    plan = plan_file.load(data, name)
    return plan, plan.digest()


def latest(root: Path, folder: Path) -> Plan:
    """Return the plan that the latest segment of a run executed.

    Where the spec is another one by now, the plan names no sources: a line of the new text would be a lie.

    Args:
        root: the project root.
        folder: the run's.

    Raises:
        PlanError: the plan cannot be read, or not even the beginning of the run was recorded.
        LedgerError: the ledger is damaged.
    """
    digest = look(folder, steps=False).segment.plan_digest
    if not digest:
        raise PlanError(f"of run {folder.name} its record is empty", "start one with `orchestra run`")
    plan = load(folder, digest)
    try:
        same = digest_files(root, plan.sources) == plan.source_digest
    except OSError:
        same = False
    return plan if same else msgspec.structs.replace(plan, sources=())
