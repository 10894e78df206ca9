"""The project: its root folder, its settings in pyproject.toml, its spec files. May import `errors` and `suggest`.

The root is the nearest folder with a `[tool.orchestra]` table in its pyproject.toml, else the top of the git work tree,
else the folder itself. Every path in a spec is relative to it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from orchestra.errors import UsageError
from orchestra.suggest import did_you_mean

SPEC_FOLDER = "specs"
PLAN_FOLDER = ".orchestra"
_TABLE = "[tool.orchestra"


@dataclass(frozen=True, slots=True)
class Project:
    """A project's root and its settings.

    Attributes:
        root: the absolute path of the root folder, links resolved.
        suite: the suite that is meant where none is named; empty if the project does not say.
        specs: globs of the spec files, relative to the root.
    """

    root: Path
    suite: str = ""
    specs: tuple[str, ...] = (f"{SPEC_FOLDER}/*.yaml",)

    def spec_files(self) -> list[str]:
        """The spec files, sorted, relative to the root."""
        found = {path for glob in self.specs for path in self.root.glob(glob) if path.is_file()}
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def suites(self) -> list[str]:
        """The suites that have a compiled plan, sorted."""
        return sorted(path.parent.name for path in (self.root / PLAN_FOLDER).glob("*/plan.json"))

    def plan_file(self, suite: str, profile: str = "") -> str:
        """The path of a suite's plan, relative to the root."""
        return f"{PLAN_FOLDER}/{suite}/plan{'.' + profile if profile else ''}.json"

    def choose(self, suite: str | None) -> str:
        """The suite that is meant: the named one, else the only one, else that of pyproject.toml.

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


def find(start: Path) -> Project:
    """The project that a folder belongs to.

    Raises:
        UsageError: pyproject.toml is not TOML, or its table does not say what it may say.
    """
    start = start.resolve()
    git_top = None
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            if _TABLE in text:
                return _read(folder, file, text)
        if git_top is None and (folder / ".git").exists():
            git_top = folder
    return Project(git_top or start)


def _read(root: Path, file: Path, text: str) -> Project:
    try:
        table = tomllib.loads(text).get("tool", {}).get("orchestra", {})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file}: this is not TOML ({error})") from error
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
