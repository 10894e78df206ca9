"""Choose the rows of `orchestra up` that a run may use, and compare their code with the files as they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from orchestra import git
from orchestra.plan import Component, Job, Plan
from orchestra.runtime.build import Build, build_of
from orchestra.runtime.servers.up import UpRow, lives, read, variables

MOST_NAMED = 3
"""So many changed files are named in a message."""

_MOST_FILES = 20_000
"""A bound for a folder that is in no git work tree; behind it nothing is looked at."""

_CODE = re.compile(
    r"\.(?:astro|c|cc|cjs|clj|cpp|cs|css|ejs|erb|exs?|fs|go|gql|graphql|h|hbs|hpp|html|java|jinja|j2|jsx?|kt|less|lua|mjs|mts"
    r"|php|pl|proto|py|rb|rs|sass|scala|scss|sh|sql|svelte|swift|toml|tsx?|vue|xml|ya?ml|zig)"
)
"""Suffixes of what programs are written in. Servers write files too: data and logs are not looked at."""

_NO_SOURCES = frozenset({"__pycache__", "node_modules"})

_NO_COMMAND = Job(run=())


class Usable(NamedTuple):
    """The rows that are up and that a run can use.

    Attributes:
        rows: those that it may use as they stand.
        refused: why it may not use others.
        unsure: why those that it uses may hold older code than the files do; nothing shows that they do.
    """

    rows: dict[str, UpRow]
    refused: dict[str, str]
    unsure: dict[str, str]


def fix(name: str) -> str:
    """Return what the user can do about a row that may be old code."""
    return (
        f"`orchestra up --restart {name}` starts it again, and `inputs` of the spec list the files that it is made of"
    )


def usable(root: Path, home: Path, plan: Plan, environment: Mapping[str, str]) -> Usable:
    """Return the rows that a run may use as they stand, with what speaks against the others.

    Args:
        root: the project root.
        home: `.orchestra/<suite>`.
        plan: of the run.
        environment: of the run.
    """
    found = Usable({}, {}, {})
    up = read(home)
    if up is None:
        return found
    here = variables(root, plan.components, environment, up.mark)
    changed = sorted(name for name in here.keys() | up.variables.keys() if here.get(name) != up.variables.get(name))
    rows = {row.id: row for row in plan.components}
    for component in plan.components:  # in the order of the plan, in which needs come first
        row = up.rows.get(component.id)
        if row is None or not _started(component) or row.state == "idle":
            continue
        build = build_of(root, component)
        why = _unfit(component, row, build.digest, rows, found.rows)
        if not why and changed:
            why = f"{', '.join(changed)} had another value when it was started"
        if why:
            found.refused[component.id] = why
        else:
            found.rows[component.id] = row
            if doubt := _doubt(root, plan, component, row, build):
                found.unsure[component.id] = doubt
    return found


def _doubt(root: Path, plan: Plan, component: Component, row: UpRow, build: Build) -> str:
    """Return the reason why the age of the code of a row is unknown; empty if its files are declared."""
    since = datetime.fromtimestamp(row.since).astimezone().strftime("%H:%M:%S")
    if build.unread:
        name = build.unread[0].relative_to(root).as_posix()
        return (
            f'it was started at {since}, and a link leads its input "{name}" out of the project, where no file is read'
        )
    if build.declared:
        return ""
    files = [str(path.relative_to(root)) for path in islice(_later(root, plan, component, row, build), MOST_NAMED + 1)]
    if files:
        more = " and more" if len(files) > MOST_NAMED else ""
        listed = ", ".join(sorted(files[:MOST_NAMED]))
        return f"{listed}{more} changed after it was started at {since}, and it declares no `inputs`"
    if not build.known:
        return f"it was started at {since}, its `run` names no file of this project, and it declares no `inputs`"
    return ""


def _later(root: Path, plan: Plan, component: Component, row: UpRow, build: Build) -> Iterator[Path]:
    """Yield the files of code in the component's folder that changed after its start: not its own, nor those of the
    suite.
    """
    cwd = (component.service or component.job or _NO_COMMAND).cwd
    named = {word for test in plan.tests if test.command is not None for word in test.command.argv}
    known = {*build.files, *(root / name for name in (*plan.sources, plan.outputs.doit, plan.outputs.docs, *named))}
    return (path for path in _changed_since(root / cwd, row.since) if path not in known)


def _unfit(
    component: Component, row: UpRow, build: str, rows: Mapping[str, Component], good: Mapping[str, UpRow]
) -> str:
    if row.state != "healthy":
        return f"it is {row.state}{f': {row.reason}' if row.reason else ''}"
    if row.degraded:
        return f"it is degraded: {row.degraded}"
    if row.build != build:
        return "its command, environment or input files have changed since it was started"
    if component.service is not None and not lives(row):
        return "its process is gone"
    lacking = [need for need in component.needs if _started(rows[need]) and need not in good]
    return f"it needs {lacking[0]}, which is not used" if lacking else ""


def _started(component: Component) -> bool:
    return component.service is not None or component.job is not None


def _changed_since(folder: Path, moment: float) -> Iterator[Path]:
    """Yield the files of code below a folder that were written after a moment, in no order; none in a hidden folder.

    Args:
        folder: where to look. In a git work tree, files that git ignores are left out.
        moment: seconds of the epoch.
    """
    listed = git.text(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    paths = _walk(folder) if listed is None else (folder / name for name in listed.split("\0") if name)
    for path in paths:
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part in _NO_SOURCES for part in parts)
        if _CODE.fullmatch(path.suffix) and not hidden and _written(path) > moment:
            yield path


def _written(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _walk(folder: Path) -> Iterator[Path]:
    count = 0
    for base, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name not in _NO_SOURCES and not _environment(base, name)
        ]
        for name in files:
            count += 1
            if count > _MOST_FILES:
                return
            yield Path(base, name)


def _environment(base: str, name: str) -> bool:
    """Return True if a folder is a virtual environment of Python."""
    return Path(base, name, "pyvenv.cfg").exists()
