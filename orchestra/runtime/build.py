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


class Builds:
    """The builds of a plan's services, each made once; what a run started stays what it is until the run ends."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self._root = root
        self._rows = {row.id: row for row in plan.components}
        self.services = {row.id: service_build(root, row.service) for row in plan.components if row.service is not None}

    def inputs_digest(self, test: Test) -> str:
        """The digest of all that a verdict rests on: the test's plan entry, its input files, its services' builds."""
        needed, stack = set[str](), list(test.requires)
        while stack:
            name = stack.pop()
            if name not in needed:
                needed.add(name)
                stack += self._rows[name].needs
        builds = [self.services[name] for name in sorted(needed) if name in self.services]
        files = files_digest(self._root, test.inputs)
        return hashlib.sha256(plans.encode(test) + files.encode() + "".join(builds).encode()).hexdigest()
