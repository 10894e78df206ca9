"""Digests of what a test and its services are made of, for `unchanged`, resume and baselines."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from orchestra import plan as plans
from orchestra.plan import Component, Job, Plan, Service, Test, closure
from orchestra.runtime.argv_files import argv_files
from orchestra.runtime.files import matching, open_plain
from orchestra.yamltext.digest import digest_files

_BLOCK_BYTES = 1 << 20


class Build(NamedTuple):
    """The build of a component.

    Attributes:
        digest: of its commands, folders, environment and files; empty for what is not started.
        files: that it is made of, sorted, as far as they are known.
        declared: whether the spec names its files; else they come from the words of `run`.
        unread: those that a link leads out of the project.
    """

    digest: str = ""
    files: tuple[Path, ...] = ()
    declared: bool = True
    unread: tuple[Path, ...] = ()

    @property
    def known(self) -> bool:
        """Return True if the digest covers its code."""
        return (self.declared or bool(self.files)) and not self.unread


def outside(root: Path, files: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that a link leads out of the project.

    Args:
        root: the project root.
        files: below it, by their names.
    """
    real = os.path.realpath(root)
    folders: dict[Path, bool] = {}
    for path in files:
        if path.parent not in folders:
            folders[path.parent] = Path(os.path.realpath(path.parent)).is_relative_to(real)
        if path.is_symlink():
            if not Path(os.path.realpath(path)).is_relative_to(real):
                yield path
        elif not folders[path.parent]:
            yield path


def files_digest(
    root: Path, files: Iterable[Path], unread: Collection[Path], stop: Callable[[], bool] = lambda: False
) -> str:
    """Return the digest of files: paths and contents, in their order; an unreadable file counts as absent.

    Args:
        root: their paths are relative to it.
        files: absolute.
        unread: those that a link leads out of the project (`outside`); they are not read, and count as absent.
        stop: whether the result is no longer needed; called for each piece, and the digest of the rest is that of nothing.
    """
    digest = hashlib.sha256()
    for path in files:
        try:
            content = "-" if path in unread or stop() else _content(path, stop)
        except OSError:
            content = "-"
        digest.update(f"{path.relative_to(root).as_posix()}\0{content}\0".encode())
    return digest.hexdigest()


def _content(path: Path, stop: Callable[[], bool]) -> str:
    digest = hashlib.sha256()
    with open_plain(path) as file:
        while (block := file.read(_BLOCK_BYTES)) and not stop():
            digest.update(block)
    return digest.hexdigest()


def unsure(task: str, components: Sequence[str], unread: Path | None) -> str:
    """Return why a test is run although its digest is that of its last pass.

    Args:
        task: its name.
        components: those of which no digest covers the code.
        unread: an input of the test that a link leads out of the project, relative to the root.
    """
    begin = f"{task} has the inputs of its last pass, and runs nevertheless: "
    if unread is not None:
        return f'{begin}a link leads its input "{unread.as_posix()}" out of the project, where no file is read'
    listed = ", ".join(f'"{name}"' for name in components)
    return f"{begin}no digest covers the code of {listed}; list its files as `inputs`, inside the project"


def source_now(root: Path, sources: Iterable[str]) -> str:
    """Return the digest of the spec files as they are now; empty when one cannot be read."""
    try:
        return digest_files(root, tuple(sources))
    except OSError:
        return ""


def build_of(root: Path, component: Component) -> Build:
    """Return the build of a component, its backup included, from the plan (no secret has a value there) and its files."""
    commands = [one for one in (component.service, component.failover, component.job) if one is not None]
    if not commands:
        return Build()
    files = files_of(root, component)
    text = plans.encode([[command.run, command.shell, command.cwd, command.env] for command in commands])
    unread = tuple(outside(root, files))
    digest = hashlib.sha256(text + files_digest(root.resolve(), files, unread).encode()).hexdigest()
    return Build(digest, files, all(command.inputs for command in commands), unread)


def files_of(root: Path, component: Component) -> tuple[Path, ...]:
    """Return the files that a component is made of, as far as they are known, sorted."""
    commands = (one for one in (component.service, component.failover, component.job) if one is not None)
    return tuple(sorted({file for command in commands for file in _files(root.resolve(), command)}))


def _files(root: Path, command: Service | Job) -> Iterable[Path]:
    if command.inputs:
        return matching(root, command.inputs)
    return argv_files(root, command.cwd, command.run, command.env, shell=command.shell)


class Builds:
    """The builds of a plan's components, each made once; what a run started stays what it is until the run ends.

    Args:
        root: the project root.
        plan: the suite.
        stop: whether the run is ending; the inputs of a test are then read no further.
    """

    def __init__(self, root: Path, plan: Plan, stop: Callable[[], bool] = lambda: False) -> None:
        self._root = root
        self._stop = stop
        self._components, self._plan = plan.components, plan
        self._builds = {row.id: build_of(root, row) for row in plan.components}
        self.digests = {name: build.digest for name, build in self._builds.items() if build.digest}

    def required_by(self, test: Test) -> list[str]:
        """Return the components that a test requires and those that these need, sorted."""
        return sorted(row.id for row in closure(self._components, test.requires))

    def unknown(self, test: Test) -> list[str]:
        """Return the components below a test whose code no digest covers."""
        return [name for name in self.required_by(test) if not self._builds[name].known]

    def unread(self, test: Test) -> Path | None:
        """Return an input of a test that a link leads out of the project, relative to the root."""
        path = next(outside(self._root, matching(self._root, test.inputs)), None)
        return None if path is None else path.relative_to(self._root)

    def inputs_digest(self, test: Test) -> str:
        """Return the digest of all that a verdict rests on: the test's plan entry, its login and pools, its input files, its
        components' builds.
        """
        login = self._plan.login_of(test)
        builds = [self.digests[name] for name in self.required_by(test) if name in self.digests]
        files = list(matching(self._root, test.inputs)) if test.inputs else []
        content = files_digest(self._root, files, set(outside(self._root, files)) if files else set(), self._stop)
        made = b"" if login is None else plans.encode(login)
        made += plans.encode(self._plan.pools_of(test)) if test.takes else b""
        return hashlib.sha256(plans.encode(test) + made + content.encode() + "".join(builds).encode()).hexdigest()
