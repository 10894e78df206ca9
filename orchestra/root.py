"""Find the root folder of a project, its settings in pyproject.toml, its suites and its spec files: all of it as text.

`project` makes the record of it that the verbs take. A program that starts often, as the hook of an agent, uses this module
alone: pathlib and the records of `typing` take as long to import as a bare Python takes to start.
"""

from __future__ import annotations

import os
import re

from orchestra import globs, nofollow
from orchestra.nofollow import BELOW

SPEC_FOLDER = "specs"
PLAN_FOLDER = BELOW
SPECS = (f"{SPEC_FOLDER}/*.yaml",)
"""The globs of the spec files where the settings name none."""
_NAME = "orchestra"
_TABLE = r"(?m)^\s*\[\s*tool\s*\.\s*orchestra\s*\]"

_LONG = ('"""', "'''")
"""The quotes of texts that can hold a line which looks like the head of a table."""

_MOST_BYTES = 4 << 20
"""So much of a pyproject.toml is read, and of a spec to see that it is one."""

_SPEC = r"(?m)^orchestra:"
_PLAN = "plan.json"


def find(start: str) -> tuple[str, str]:
    """Return the root of the project that a folder belongs to, and its pyproject.toml, empty if that has no table of ours.

    Raises:
        UsageError: pyproject.toml is not TOML.
    """
    start = os.path.realpath(start)
    git_top = compiled = written = ""
    for folder in _upwards(start):
        if text := _with_table(os.path.join(folder, "pyproject.toml")):  # noqa: PTH118 - pathlib costs a start, as below
            return folder, text
        if not git_top and os.path.exists(os.path.join(folder, ".git")):  # noqa: PTH110, PTH118
            git_top = folder
        if not compiled and _own(folder, PLAN_FOLDER) and suites(folder):
            compiled = folder
        if not written and _own(folder, SPEC_FOLDER) and _has_specs(folder):
            written = folder
    return compiled or git_top or written or start, ""


def spec_globs(root: str, text: str) -> tuple[str, ...]:
    """Return the globs of the spec files. Args and Raises as of `settings`, but a text without the word is not parsed."""
    return settings(root, text)[1] if "specs" in text else SPECS


def settings(root: str, text: str) -> tuple[str, tuple[str, ...]]:
    """Return the default suite and the globs of the spec files.

    Args:
        root: of the project.
        text: its pyproject.toml; empty if that has no table of ours.

    Raises:
        UsageError: it is not TOML, or its table is invalid.
    """
    if not text:
        return "", SPECS
    table = _table(os.path.join(root, "pyproject.toml"), text)  # noqa: PTH118
    if not isinstance(table, dict):
        raise _wrong(root, f"tool.orchestra is {table!r}; it must be a table")
    allowed = ("suite", "specs")
    for key in table:
        if key not in allowed:
            from orchestra.suggest import did_you_mean  # noqa: PLC0415 - only an error needs it

            known = ", ".join(f'"{name}"' for name in allowed)
            raise _wrong(root, f'unknown key "{key}" in [tool.orchestra]{did_you_mean(key, allowed)}; allowed: {known}')
    suite, specs = table.get("suite", ""), table.get("specs", list(SPECS))
    if not isinstance(suite, str):
        raise _wrong(root, f"[tool.orchestra] suite is {suite!r}; it must be a text")
    if not isinstance(specs, list) or not all(isinstance(glob, str) for glob in specs):
        raise _wrong(root, f"[tool.orchestra] specs is {specs!r}; it must be a list of globs")
    for glob in specs:
        if glob.startswith("/") or ".." in glob.split("/"):
            raise _wrong(root, f'the glob "{glob}" of [tool.orchestra] specs leaves the project root')
    return suite, tuple(specs)


def suites(root: str) -> list[str]:
    """Return the suites that have a compiled plan, sorted."""
    home = f"{root}/{PLAN_FOLDER}"
    return sorted(name for name in _names(home) if os.path.exists(f"{home}/{name}/{_PLAN}"))  # noqa: PTH110


def plan_file(suite: str, profile: str = "") -> str:
    """Return the path of a suite's plan, relative to the root."""
    return f"{PLAN_FOLDER}/{suite}/plan{'.' + profile if profile else ''}.json"


def spec_files(root: str, specs: tuple[str, ...]) -> list[str]:
    """Return the spec files, sorted, relative to the root.

    Raises:
        UsageError: a glob is none.
    """
    files: set[str] = set()
    for glob in specs:
        try:
            files.update(globs.files(root, glob))
        except ValueError as error:
            raise _usage(f'"{glob}" of [tool.orchestra] specs is not a glob: {error}') from error
    return sorted(os.path.relpath(path, root) for path in files)


def _upwards(folder: str) -> list[str]:
    """Return a folder and all above it."""
    folders = [folder]
    while (above := os.path.dirname(folders[-1])) != folders[-1]:  # noqa: PTH120
        folders.append(above)
    return folders


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []


def _own(folder: str, name: str) -> bool:
    """Return True if a folder exists and belongs to the user or root, as the one above does: a folder of another user in
    /tmp is not our project.
    """
    try:
        return all(os.stat(path).st_uid in {os.geteuid(), 0} for path in (f"{folder}/{name}", f"{folder}/"))  # noqa: PTH116
    except OSError:
        return False


def _has_specs(folder: str) -> bool:
    """Return True if a folder has a spec of ours among the files of its `specs/`, which other tools have, too."""
    for name in _names(f"{folder}/{SPEC_FOLDER}"):
        if not name.endswith(".yaml"):
            continue
        try:
            if re.search(_SPEC, _text(f"{folder}/{SPEC_FOLDER}/{name}")) is not None:
                return True
        except OSError:
            continue
    return False


def _text(file: str) -> str:
    """Return the text of a file, as far as it is read; a pipe or a device in its place raises OSError, as no file does."""
    with nofollow.open_read(os.path.realpath(file)) as stream:
        return stream.read(_MOST_BYTES).decode(errors="replace")


def _with_table(file: str) -> str:
    """Return a pyproject.toml that has the table [tool.orchestra]; empty if there is none. Raises as `_table`."""
    try:
        text = _text(file)
    except OSError:
        return ""
    if _NAME not in text:
        return ""
    has_head = re.search(_TABLE, text) is not None
    if has_head and not any(quotes in text for quotes in _LONG):  # nothing else can be such a line
        return text
    return text if _table(file, text) is not None else ""


def _table(file: str, text: str) -> object:
    """Return the [tool.orchestra] table of a pyproject.toml; None if it has none.

    Raises:
        UsageError: it seems to have the table, but cannot be read.
    """
    import tomllib  # noqa: PLC0415 - it takes as long as the rest of this module, and its users

    try:
        tool = tomllib.loads(text).get("tool", {})
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        if re.search(_TABLE, text) is None:
            return None  # a file of another user, and not the user's mistake
        raise _usage(
            f"{file}: this is not TOML ({error})", "correct it: its table [tool.orchestra] is needed"
        ) from error
    return tool.get(_NAME) if isinstance(tool, dict) else None


def _wrong(root: str, message: str) -> Exception:
    return _usage(f"{root}/pyproject.toml: {message}")


def _usage(message: str, hint: str = "") -> Exception:
    from orchestra.errors import UsageError  # noqa: PLC0415 - only an error needs it

    return UsageError(message, hint)
