"""The one table of the forms of a report: which file each is written to, and what makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from orchestra.report.formats.ctrf import ctrf
from orchestra.report.formats.junit import junit
from orchestra.report.formats.markdown import markdown
from orchestra.report.html import html
from orchestra.report.rows import Report


class Form(NamedTuple):
    """A form of a report.

    Attributes:
        file: its name in the run's folder.
        make: its text, from the report and the run's folder relative to the project root.
    """

    file: str
    make: Callable[[Report, str], str]


FORMS: Final[Mapping[str, Form]] = {
    "html": Form("report.html", html),
    "md": Form("summary.md", markdown),
    "junit": Form("junit.xml", junit),
    "ctrf": Form("ctrf.json", ctrf),
}
"""Each form, by the name that `--format` takes; a run writes all of them."""
