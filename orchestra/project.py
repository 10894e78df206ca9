"""The project: its root folder, its settings in pyproject.toml, its spec files.

The root is the nearest folder, from the working folder upwards, with a `[tool.orchestra]` table in its pyproject.toml; else
the nearest one that holds a compiled suite; else the top of the git work tree; else the nearest one with specs; else the
working folder itself. Every path in a spec is relative to it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from orchestra import globs, nofollow
from orchestra.errors import UsageError
from orchestra.nofollow import BELOW
from orchestra.suggest import did_you_mean

SPEC_FOLDER = "specs"
PLAN_FOLDER = BELOW
_NAME = "orchestra"
_TABLE = re.compile(r"^\s*\[\s*tool\s*\.\s*orchestra\s*\]", re.MULTILINE)

_MOST_BYTES = 4 << 20
"""So much of a pyproject.toml is read, and of a spec to see that it is one."""

_SPEC = re.compile(r"^orchestra:", re.MULTILINE)


class Project(NamedTuple):
    """A project's root and its settings.

    Attributes:
        root: the absolute path of the root folder, links resolved.
        suite: the default suite; empty if the project has none.
        specs: globs of the spec files, relative to the root.
    """

    root: Path
    suite: str = ""
    specs: tuple[str, ...] = (f"{SPEC_FOLDER}/*.yaml",)

    def spec_files(self) -> list[str]:
        """Return the spec files, sorted, relative to the root.

        Raises:
            UsageError: a glob is none.
        """
        found: set[Path] = set()
        for glob in self.specs:
            try:
                found.update(globs.files(self.root, glob))
            except ValueError as error:
                raise UsageError(f'"{glob}" of [tool.orchestra] specs is not a glob: {error}') from error
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def suites(self) -> list[str]:
        """Return the suites that have a compiled plan, sorted."""
        return sorted(path.parent.name for path in (self.root / PLAN_FOLDER).glob("*/plan.json"))

    def plan_file(self, suite: str, profile: str = "") -> str:
        """Return the path of a suite's plan, relative to the root."""
        return f"{PLAN_FOLDER}/{suite}/plan{'.' + profile if profile else ''}.json"

    def choose(self, suite: str | None) -> str:
        """Return the suite that is meant: the named one, else the only one, else that of pyproject.toml.

        Raises:
            UsageError: there is no such suite, none at all, or no way to choose.
        """
        known = self.suites()
        if not known:
            raise UsageError(f"no compiled suite below {self.root / PLAN_FOLDER}", "write one with `orchestra compile`")
        listed = ", ".join(f'"{name}"' for name in known)
        if suite is not None:
            if suite not in known:
                raise UsageError(f'unknown suite "{suite}"{did_you_mean(suite, known)}; there are {listed}')
            return suite
        if len(known) == 1:
            return known[0]
        if self.suite in known:
            return self.suite
        raise UsageError(
            f"there are {len(known)} suites: {listed}",
            'name one with --suite, or set `suite = "…"` in the [tool.orchestra] table of pyproject.toml',
        )


def here() -> Project:
    """Return the project of the working folder.

    Raises:
        UsageError: there is no working folder any more, or its settings are wrong.
    """
    try:
        folder = Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the working folder does not exist any more", "change to another folder") from error
    return find(folder)


def find(start: Path) -> Project:
    """Return the project that a folder belongs to.

    Raises:
        UsageError: pyproject.toml is not TOML, or its table is invalid.
    """
    start = start.resolve()
    git_top = compiled = written = None
    for folder in (start, *start.parents):
        table = _table(folder / "pyproject.toml")
        if table is not None:
            return _settings(folder, table)
        if git_top is None and (folder / ".git").exists():
            git_top = folder
        if compiled is None and _own(folder / PLAN_FOLDER) and any(folder.glob(f"{PLAN_FOLDER}/*/plan.json")):
            compiled = folder
        if written is None and _own(folder / SPEC_FOLDER) and _has_specs(folder):
            written = folder
    return Project(compiled or git_top or written or start)


def _own(folder: Path) -> bool:
    """Return True if a folder exists and belongs to the user or root: a folder of another user in /tmp is not our
    project.
    """
    try:
        return all(path.stat().st_uid in {os.geteuid(), 0} for path in (folder, folder.parent))
    except OSError:
        return False


def _has_specs(folder: Path) -> bool:
    """Return True if a folder has a spec of ours among the files of its `specs/`, which other tools have, too."""
    for file in folder.glob(f"{SPEC_FOLDER}/*.yaml"):
        try:
            if _SPEC.search(_text(file)) is not None:
                return True
        except OSError:
            continue
    return False


def _text(file: Path) -> str:
    """Return the text of a file, as far as it is read; a pipe or a device in its place raises OSError, as no file does."""
    with nofollow.open_read(os.path.realpath(file)) as stream:
        return stream.read(_MOST_BYTES).decode(errors="replace")


def _table(file: Path) -> Any:
    """Return the [tool.orchestra] table of a pyproject.toml; None if there is no such file or table.

    Raises:
        UsageError: it seems to have the table, but cannot be read.
    """
    try:
        text = _text(file)
    except OSError:
        return None
    if _NAME not in text:
        return None
    import tomllib  # noqa: PLC0415 - half of the start of this module, for which `--help` has no use

    try:
        tool = tomllib.loads(text).get("tool", {})
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        if _TABLE.search(text) is None:
            return None  # a file of another user, and not the user's mistake
        raise UsageError(
            f"{file}: this is not TOML ({error})", "correct it: its table [tool.orchestra] is needed"
        ) from error
    return tool.get(_NAME) if isinstance(tool, dict) else None


def _settings(root: Path, table: Any) -> Project:
    file = root / "pyproject.toml"
    if not isinstance(table, dict):
        raise UsageError(f"{file}: tool.orchestra is {table!r}; it must be a table")
    allowed = ("suite", "specs")
    for key in table:
        if key not in allowed:
            known = ", ".join(f'"{name}"' for name in allowed)
            raise UsageError(
                f'{file}: unknown key "{key}" in [tool.orchestra]{did_you_mean(key, allowed)}; allowed: {known}'
            )
    suite, specs = table.get("suite", ""), table.get("specs", [f"{SPEC_FOLDER}/*.yaml"])
    if not isinstance(suite, str):
        raise UsageError(f"{file}: [tool.orchestra] suite is {suite!r}; it must be a text")
    if not isinstance(specs, list) or not all(isinstance(glob, str) for glob in specs):
        raise UsageError(f"{file}: [tool.orchestra] specs is {specs!r}; it must be a list of globs")
    for glob in specs:
        if Path(glob).is_absolute() or ".." in Path(glob).parts:
            raise UsageError(f'{file}: the glob "{glob}" of [tool.orchestra] specs leaves the project root')
    return Project(root, suite, tuple(specs))
