"""What a test and its services are made of, as digests for `unchanged`, resume and baselines. May import `files` and `plan`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from orchestra import plan as plans
from orchestra import source
from orchestra.plan import Plan, Service, Test
from orchestra.runtime.files import matching


def files_digest(root: Path, globs: Iterable[str]) -> str:
    """The digest of the files that the globs name: paths and contents, sorted; what is unreadable counts as absent."""
    digest = hashlib.sha256()
    for path in matching(root, globs):
        try:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            content = "-"
        digest.update(f"{path.relative_to(root).as_posix()}\0{content}\0".encode())
    return digest.hexdigest()


def source_now(root: Path, sources: Iterable[str]) -> str:
    """The digest of the spec files as they are now; empty when one cannot be read."""
    try:
        return source.digest_files(root, tuple(sources))
    except OSError:
        return ""


def service_build(root: Path, service: Service) -> str:
    """The build of a service: its command, folder and environment as the plan has them (no secret has a value there),
    and its input files.
    """
    told = plans.encode([service.run, service.cwd, service.env])
    return hashlib.sha256(told + files_digest(root, service.inputs).encode()).hexdigest()


def inputs_digest(root: Path, plan: Plan, test: Test) -> str:
    """The digest of all that a test's verdict rests on: its plan entry, its input files, the builds of its services."""
    rows = {row.id: row for row in plan.components}
    needed, stack = set[str](), list(test.requires)
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack += rows[name].needs
    builds = [service_build(root, row.service) for name in sorted(needed) if (row := rows[name]).service is not None]
    told = plans.encode(test) + files_digest(root, test.inputs).encode() + "".join(builds).encode()
    return hashlib.sha256(told).hexdigest()
