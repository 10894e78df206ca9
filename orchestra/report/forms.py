"""The one table of the forms of a report: which file each is written to, and what makes it.

To add a form, write a function that makes its text and add its row to `FORMS`. A package can bring forms of its own
(docs/plug-ins.md): it gives a `Form` under the entry point `orchestra.formats`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from orchestra import plugins
from orchestra.plan import Plan
from orchestra.plugins import PluginError
from orchestra.report.formats.ctrf import ctrf
from orchestra.report.formats.junit import junit
from orchestra.report.formats.markdown import markdown
from orchestra.report.rows import Report


class Form(NamedTuple):
    """A form of a report.

    Attributes:
        file: its name in the run's folder; that of a plug-in is `report.EXTENSION`.
        make: its text, from the report and the run's folder relative to the project root.
    """

    file: str
    make: Callable[[Report, str], str]


def page() -> Callable[[Report, str], str]:
    """Return what makes the page: its templates are a tenth of a start, so a run imports them while its first tests run."""
    from orchestra.report.html import html  # noqa: PLC0415 - see above

    return html


def _html(report: Report, folder: str) -> str:
    return page()(report, folder)


FORMS: Final[Mapping[str, Form]] = {
    "html": Form("report.html", _html),
    "md": Form("summary.md", markdown),
    "junit": Form("junit.xml", junit),
    "ctrf": Form("ctrf.json", ctrf),
}
"""Each form of orchestra, by the name that `--format` takes; a run writes all of them, and those of its plug-ins."""

_FILE = re.compile(r"report\.[a-z0-9]{1,20}")


def forms_of(plan: Plan, root: str | os.PathLike[str]) -> Mapping[str, Form]:
    """Return the forms of a suite: those of orchestra, then those of its plug-ins.

    Args:
        plan: of the suite.
        root: the project root; no plug-in is loaded from there.

    Raises:
        PluginError: a form cannot be loaded, or would take the name or the file of another one.
    """
    if not any(package.formats for package in plan.plugins):
        return FORMS
    forms = dict(FORMS)
    owners = dict.fromkeys(FORMS, "orchestra")
    for package in plan.plugins:
        for name in package.formats:
            form = plugins.load("format", name, package.name, Form, root)
            title = f'the format "{name}" of the plug-in "{package.name}"'
            if name in forms:
                raise PluginError(
                    f"{title} has the name of one of {owners[name]}", plugins.rivals(package.name, owners[name])
                )
            same = next((other for other, one in forms.items() if one.file == form.file), "")
            if same:
                message = f'{title} is written to "{form.file}", as is "{same}" of {owners[same]}'
                raise PluginError(message, plugins.rivals(package.name, owners[same]))
            if not _FILE.fullmatch(form.file):
                message = f'{title} names the file "{form.file}", which is not `report.` with an extension'
                raise PluginError(message, plugins.REPORT)
            forms[name], owners[name] = _guarded(title, form), package.name
    return forms


def _guarded(title: str, form: Form) -> Form:
    """Return the form with its own failures named."""

    def make(report: Report, folder: str) -> str:
        try:
            text: object = form.make(report, folder)
        except Exception as error:
            raise PluginError(f"{title} failed: {type(error).__name__}: {error}", plugins.REPORT) from error
        if not isinstance(text, str):
            raise PluginError(f"{title} failed: it made {type(text).__name__}, not a text", plugins.REPORT)
        return text

    return form._replace(make=make)
