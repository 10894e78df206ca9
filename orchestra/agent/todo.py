"""A run as a to-do list, in the shapes of the tools of coding agents. Pure.

The text of an entry begins with the id of its task (`cli:B004`), which stays the same; `agent hook` finds its verdict by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

from orchestra.draw import clip, one_line
from orchestra.ledger.view import View
from orchestra.plan import Plan

Status: TypeAlias = Literal["pending", "in_progress", "completed"]
Entry: TypeAlias = dict[str, "str | dict[str, str]"]

FORMATS: Final = ("todowrite", "taskcreate")
_TITLE_LENGTH = 100


def entries(plan: Plan, view: View, format_: str) -> list[Entry]:
    """Return the entries of a run in the order of its tests.

    Args:
        plan: the suite.
        view: of the run.
        format_: one of `FORMATS`.
    """
    titles = {test.id: test.title for test in plan.tests}
    made = _todo if format_ == "todowrite" else _task
    run = view.start.run if view.start is not None else ""
    return [made(task, text, status, verdict, run) for task, text, status, verdict in _rows(titles, view)]


def _rows(titles: Mapping[str, str], view: View) -> Iterator[tuple[str, str, Status, str]]:
    for task in view.selection:
        title = clip(one_line(titles.get(task.partition(":")[2], "")), _TITLE_LENGTH)
        text = f"{task} {title}".rstrip()
        given = view.verdicts.get(task)
        if given is not None:
            yield task, text, "completed", given.verdict
        else:
            yield task, text, "in_progress" if task in view.current else "pending", ""


def _todo(_task: str, text: str, status: Status, verdict: str, _run: str) -> Entry:
    """Return an entry of `todos`, the argument of TodoWrite."""
    return {"content": f"{text}: {verdict}" if verdict else text, "status": status, "activeForm": f"Running {text}"}


def _task(task: str, text: str, status: Status, verdict: str, run: str) -> Entry:
    """Return the arguments of a call of TaskCreate, which begins each task as pending."""
    facts = {"task": task, "run": run, "status": status, **({"verdict": verdict} if verdict else {})}
    about = f"Test {task} of run {run}: {verdict or status}. `orchestra wait` ends with the verdicts."
    return {"subject": text, "description": about, "activeForm": f"Running {text}", "metadata": facts}
