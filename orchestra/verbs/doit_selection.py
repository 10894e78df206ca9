"""`ORCHESTRA_SELECT`: words and options of `orchestra run` for a run by doit, whose own command line has none of them."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import click
from click.core import ParameterSource

from orchestra.errors import UsageError
from orchestra.ledger.runs import LAST
from orchestra.plan import Plan
from orchestra.project import PLAN_FOLDER, Project
from orchestra.runtime.dag import Launch
from orchestra.runtime.run.session import Options
from orchestra.verbs.choosing import Choice, choose, failures_of
from orchestra.verbs.group import in_our_words
from orchestra.verbs.proven import proven_plan
from orchestra.verbs.repeating import several
from orchestra.verbs.runs import run
from orchestra.verbs.unfit import refuse_together

SELECT: Final = "ORCHESTRA_SELECT"

_TESTS = frozenset({"selection", "methods", "titles", "last_failed", "failed_in", "since"})
_RUN = frozenset(
    {
        *("max_failures", "first_failure", "retries", "isolate_retries", "shuffle"),
        *("workers", "engine", "scheduler", "headed", "slow", "force"),
    }
)
_AGAIN = frozenset({"times", "until_fail", "burned"})


class Selected(NamedTuple):
    """The effect of `ORCHESTRA_SELECT`.

    Attributes:
        tasks: that it selects; None if it selects none.
        options: of the run.
        several: carries out several runs in place of one; None for one.
    """

    tasks: list[str] | None
    options: Options
    several: Callable[[Launch, Plan, Sequence[str]], int] | None


def selected(project: Project, suite: str, profile: str, text: str, options: Options) -> Selected:
    """Return the effect of `ORCHESTRA_SELECT`.

    Args:
        project: whose suite.
        suite: the default one.
        profile: of its spec, empty for none.
        text: the value of the variable.
        options: of the run without the variable.

    Raises:
        UsageError: the value is not one of `orchestra run`, holds an option that does not fit, or selects nothing.
        PlanError: the plan is stale.
    """
    context = _context(text)
    given, values = _given(context), context.params
    if unfit := [word for name, word in given.items() if name not in _TESTS | _RUN | _AGAIN]:
        raise UsageError(
            f"{SELECT}: {unfit[0]} does not fit a run by doit", f"remove {', '.join(unfit)}, or use `orchestra run`"
        )
    refuse_together(context)
    options = dataclasses.replace(
        options,
        workers=values["workers"],
        engine=values["engine"],
        scheduler=values["scheduler"],
        headed=values["headed"],
        slow_ms=values["slow"],
        force=options.force or values["force"],
        seed=values["shuffle"],
        max_failures=values["max_failures"] or int(values["first_failure"]),
        retries=values["retries"],
        isolate_retries=values["isolate_retries"],
    )
    times, until_fail, since = values["times"], values["until_fail"], values["burned"]
    again = partial(several, times=times, until_fail=until_fail, since=since) if given.keys() & _AGAIN else None
    if not given.keys() & _TESTS:
        return Selected(None, options, again)
    choice = Choice(values["selection"], values["methods"], values["titles"], since=values["since"])
    if given.keys() & {"last_failed", "failed_in"}:
        failures = failures_of(project.root / PLAN_FOLDER / suite, values["failed_in"] or LAST)
        if not failures.tasks:
            raise UsageError(f"nothing to run: all tests of run {failures.run} are green", f"unset {SELECT}")
        choice = dataclasses.replace(choice, failures=failures)
    chosen = choose(proven_plan(project, suite, profile), choice, project)
    if not chosen.tasks:
        raise UsageError(f"nothing to run: nothing has changed since {choice.since}", f"unset {SELECT}")
    return Selected(chosen.tasks, dataclasses.replace(options, selected_by=chosen.by), again)


def _context(text: str) -> click.Context:
    try:
        return run.make_context(SELECT, shlex.split(text), max_content_width=100)
    except click.ClickException as error:
        found = in_our_words(error)
        raise UsageError(f"{SELECT}: {found.message}", "see `orchestra run --help`") from error
    except click.exceptions.Exit as error:
        raise UsageError(f"{SELECT}: --help does not fit a run by doit", "remove --help") from error
    except ValueError as error:
        raise UsageError(f"{SELECT}: {text!r} is not words of a command line: {error}", "close its quotes") from error


def _given(context: click.Context) -> dict[str, str]:
    """Return the parameters that the value gives, each as people write it."""
    return {
        param.name or "": "SELECTION" if isinstance(param, click.Argument) else param.opts[0]
        for param in run.params
        if context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
    }
