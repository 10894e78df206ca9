"""The resources and prompts of `orchestra mcp`: specs, plans, the report and the evidence of runs, and the slash commands."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from orchestra import nofollow
from orchestra.compiler.emit import files as emit
from orchestra.current import current_plan
from orchestra.errors import OrchestraError, UsageError
from orchestra.ledger.disk import disk_error
from orchestra.ledger.evidence_file import at_place, open_evidence
from orchestra.ledger.runs import find_run, runs_of
from orchestra.plan import Plan
from orchestra.project import PLAN_FOLDER, Project
from orchestra.report.forms import FORMS

SCHEME: Final = "orchestra"
EVIDENCE: Final = "orchestra://evidence/{suite}/{run}/{+path}"
MOST_BYTES: Final = 1 << 20
"""The largest file that a resource gives whole; of a larger text it gives the end."""


class Listed(NamedTuple):
    """A resource in a list."""

    name: str
    uri: str
    about: str
    mime: str


class Content(NamedTuple):
    """The content of a resource: a text, or bytes in base64."""

    mime: str
    text: str | None = None
    blob: str = ""


class PromptRow(NamedTuple):
    """A prompt in a list."""

    name: str
    about: str


def listed(project: Project) -> Iterator[Listed]:
    """Yield the specs, plans and reports of the suites."""
    for suite in project.suites():
        yield Listed(
            f"spec of {suite}", f"{SCHEME}://spec/{suite}", "The spec file, with its comments.", "application/yaml"
        )
        yield Listed(f"plan of {suite}", f"{SCHEME}://plan/{suite}", "The compiled plan.", "application/json")
        if runs_of(project.root / PLAN_FOLDER / suite):
            about = "All tests of the newest run, with verdicts, durations and failures."
            yield Listed(f"report of {suite}", f"{SCHEME}://report/{suite}", about, "text/markdown")


def read(project: Project, uri: str) -> Content:
    """Return the content of a resource.

    Raises:
        OrchestraError: there is no such resource, or it cannot be read.
    """
    parts = urlsplit(uri)
    suite, _, rest = unquote(parts.path).removeprefix("/").partition("/")
    if parts.scheme != SCHEME:
        raise _unknown(uri)
    home = project.root / PLAN_FOLDER / project.choose(suite)
    match parts.netloc:
        case "spec":
            return _content(project.root / current_plan(project, suite).sources[0], "application/yaml")
        case "plan":
            return _content(project.root / project.plan_file(suite), "application/json")
        case "report":
            return _content(find_run(home, rest or "last") / FORMS["md"].file, "text/markdown")
        case "evidence":
            run, _, path = rest.partition("/")
            folder = find_run(home, run)
            one = at_place(folder, path)
            try:
                with open_evidence(folder, one) as file:
                    data = file.read()
            except OSError as error:
                raise disk_error(error, folder / path, "read") from error
            return _given(one.path, data)
    raise _unknown(uri)


def _unknown(uri: str) -> UsageError:
    kinds = ", ".join(f"{SCHEME}://{kind}/SUITE" for kind in ("spec", "plan", "report"))
    return UsageError(f'unknown resource "{uri}"', f"there are {kinds}, {EVIDENCE}")


def _content(file: Path, mime: str = "") -> Content:
    try:
        data = nofollow.read(file)
    except OSError as error:
        raise disk_error(error, file, "read") from error
    return _given(file.name, data, mime)


def _given(path: str, data: bytes, mime: str = "") -> Content:
    name = path.rpartition("/")[2]
    kind = mime or mimetypes.guess_type(name)[0] or "text/plain"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        if len(data) > MOST_BYTES:
            raise UsageError(
                f'"{name}" has {len(data)} bytes; at most {MOST_BYTES} are given', "open the file"
            ) from None
        return Content(kind, blob=base64.b64encode(data).decode())
    if len(data) > MOST_BYTES:
        text = f"… the last part of {len(data)} bytes:\n{text[-MOST_BYTES:]}"
    return Content(kind, text)


def prompts(project: Project) -> Iterator[PromptRow]:
    """Yield the slash commands of all suites; a suite that cannot be loaded has none."""
    for plan in _plans(project):
        for method in plan.methods:
            if method.command:
                yield PromptRow(
                    method.command, f"Run the suite {plan.suite} by the method {method.id}, and report the result"
                )


def prompt(project: Project, name: str, selection: str) -> str:
    """Return the text of a slash command with a selection in place of its placeholder.

    Raises:
        UsageError: there is none of that name.
    """
    for plan in _plans(project):
        for method in plan.methods:
            if method.command == name:
                return emit.command_text(plan, method, selection)
    known = ", ".join(row.name for row in prompts(project)) or "none"
    raise UsageError(f'unknown prompt "{name}"; there are {known}', "write `command: NAME` below a method")


def _plans(project: Project) -> Iterator[Plan]:
    for suite in project.suites():
        try:
            yield current_plan(project, suite)
        except OrchestraError:
            continue  # `validate` and `compile` report the problem
