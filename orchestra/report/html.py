"""report.html: one page that needs no network and no other file. Pure.

The head of the page is text, so that a reader without scripts, and `grep`, find verdict and failures; tables, charts and
failures are drawn by the page's own script from the data, which lie in the page as compressed JSON. The page's policy lets
nothing else run: style and script are named by their digests, and no text becomes markup.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Final, TypeVar

import jinja2
import msgspec
from markupsafe import Markup

from orchestra import draw, resources
from orchestra.ledger.outcome import FINE
from orchestra.report.page import encoded, page
from orchestra.report.page_data import Page, Part
from orchestra.report.rows import Report

P = TypeVar("P", bound=Part)

STYLES: Final = ("base.css", "parts.css")
SCRIPTS: Final = (
    "dom.js",
    "data.js",
    "table.js",
    "overview.js",
    "failure.js",
    "views.js",
    "needs.js",
    "timeline.js",
    "main.js",
)
LISTED: Final = 100
"""Failures that the page names in its head."""


def html(report: Report, folder: str) -> str:
    """Return the text of report.html, which lies in the run's folder: links to evidence are relative to it.

    Args:
        report: of the run.
        folder: the run's, relative to the project root, to name it.
    """
    return shell(page(report, folder))


def shell(data: Page, *, live: bool = False) -> str:
    """Return the page around its data.

    Args:
        data: of the run.
        live: the page fetches its data from its server, again and again, and has none of its own.
    """
    style, script = styles(), _script()
    bad = [task for task in data.tasks if task.verdict not in FINE][:LISTED]
    template = _environment().get_template("page.html.j2")
    text = template.render(
        policy=policy(style, script, live=live),
        page=_visible(data),
        bad=list(map(_visible, bad)),
        titles={test.id: draw.visible(test.title) for test in data.tests},
        style=Markup(style),  # noqa: S704 - files of this package
        script=Markup(script),  # noqa: S704 - files of this package
        data="" if live else base64.b64encode(zlib.compress(encoded(data), 9)).decode(),
    )
    return f"{text}\n"


def policy(style: str, script: str, *, live: bool = False) -> str:
    """Return the content-security policy of a page with this style and this script."""
    rules = {
        "default-src": "'none'",
        "script-src": _digest(script),
        "style-src": _digest(style),
        "img-src": "'self' file: data:",
        "connect-src": "'self'" if live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return _rules(rules)


def _rules(rules: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def still(template: str, style: str, **values: object) -> str:
    """Return a page without a script: its style is named by digest, and nothing else is allowed but pictures."""
    rules = {
        "default-src": "'none'",
        "style-src": _digest(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    text = _environment().get_template(template)
    shown = text.render(policy=_rules(rules), style=Markup(style), **values)  # noqa: S704 - files of this package
    return f"{shown}\n"


def styles() -> str:
    """Return the style of all pages."""
    return "\n".join(_asset(name) for name in STYLES)


@cache
def _script() -> str:
    parts = "\n".join(_asset(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();'


@cache
def _asset(name: str) -> str:
    return resources.read_text("templates", f"report/{name}")


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FunctionLoader(_asset)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)


def _visible(part: P) -> P:
    """Return a part of the data whose own texts are visible."""
    texts = {
        name: draw.visible(value) for name in part.__struct_fields__ if isinstance(value := getattr(part, name), str)
    }
    return msgspec.structs.replace(part, **texts)
