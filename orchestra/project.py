"""The project: its root folder, its settings in pyproject.toml, its spec files.

The root is the nearest folder, from the working folder upwards, with a `[tool.orchestra]` table in its pyproject.toml; else
the nearest one that holds a compiled suite; else the top of the git work tree; else the nearest one with specs; else the
working folder itself. Every path in a spec is relative to it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from orchestra import root as roots
from orchestra.errors import UsageError
from orchestra.suggest import did_you_mean

PLAN_FOLDER = roots.PLAN_FOLDER


class Project(NamedTuple):
    """A project's root and its settings.

    Attributes:
        root: the absolute path of the root folder, links resolved.
        suite: the default suite; empty if the project has none.
        specs: globs of the spec files, relative to the root.
    """

    root: Path
    suite: str = ""
    specs: tuple[str, ...] = roots.SPECS

    def spec_files(self) -> list[str]:
        """Return the spec files, sorted, relative to the root.

        Raises:
            UsageError: a glob is none.
        """
        return roots.spec_files(os.fspath(self.root), self.specs)

    def suites(self) -> list[str]:
        """Return the suites that have a compiled plan, sorted."""
        return roots.suites(os.fspath(self.root))

    def plan_file(self, suite: str, profile: str = "") -> str:
        """Return the path of a suite's plan, relative to the root."""
        return roots.plan_file(suite, profile)

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
    root, text = roots.find(os.fspath(start))
    return Project(Path(root), *roots.settings(root, text))
