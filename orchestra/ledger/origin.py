"""Define the origin of a run in its first event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from orchestra.ledger.parts import Id, Part, means


class Git(Part, frozen=True, kw_only=True):
    """The work tree of a run; empty outside of one."""

    commit: Id = ""
    branch: str = ""
    dirty_files: Annotated[int | None, means("changed files, all of them")] = None
    dirty: Annotated[
        Mapping[str, Id | None], means("digests of the first 200 changed files by path; null for one that is gone")
    ] = {}


class Environment(Part, frozen=True, kw_only=True):
    """The environment of a run, redacted."""

    values: Annotated[Mapping[Id, str], means("variables that are known to change runs and to hold no secret")] = {}
    names: Annotated[tuple[Id, ...], means("of all other variables")] = ()


class Provenance(Part, frozen=True, kw_only=True):
    """Origin of a run: commit, tools, machine, who started it."""

    orchestra: Annotated[Id, means("version")] = ""
    python: Annotated[Id, means("version")] = ""
    tools: Annotated[Mapping[Id, Id], means("versions of packages")] = {}
    browsers: Annotated[Mapping[Id, Id], means("versions by engine")] = {}
    system: Id = ""
    distribution: Id = ""
    machine: Id = ""
    cores: int = 0
    memory_megabytes: int = 0
    git: Git = Git()
    environment: Environment = Environment()
    started_by: Annotated[Id, means("`person`, `agent` or `ci`")] = ""
    user: str = ""
    job: Annotated[str, means("address of the job in CI")] = ""


def machine_shape(origin: Provenance) -> str:
    """Return what durations depend on, as one word: `linux-x86_64-2cpu-8gb`; memory is rounded to whole GiB."""
    system = origin.system.partition(" ")[0].lower() or "unknown"
    memory = round(origin.memory_megabytes / 1024)
    return f"{system}-{origin.machine or 'unknown'}-{origin.cores}cpu-{memory}gb"
