"""The steps that open, choose, size and leave pages, and answer their dialogs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.steps.page_script import literal
from orchestra.steps.schemas import BOOLEAN, COUNT, NAME, SECONDS, TEXT, Field, Schema, described, object_of, one_of
from orchestra.steps.step import Step
from orchestra.steps.tool_call import NAVIGATION_MS, Asked, ToolCall, act, code
from orchestra.steps.verb import Verb, on_subject

MAIN = "main"
"""The name of the first page of a test."""


_FOR_PAGE = Field("within_seconds", SECONDS, "the limit of the page load (default: `action_timeout_seconds`)", 60)


_LEAVING = (
    "The step passes only if a document was loaded. A `beforeunload` dialog of the page is accepted, unless a\n"
    "[`dialog`](#dialog) step before this one dismisses it: then this step fails."
)


def _goto_text(_step: Step, args: Mapping[str, Any]) -> str:
    until = args["until"]
    return f"page.goto({args['url']!r}{'' if until == 'load' else f', wait_until={until!r}'})"


def _goto_calls(the: Asked) -> Iterator[ToolCall]:
    until = the.args["until"]
    if until == "load":
        return act("browser_navigate", url=the.text("url"))
    # The tool waits for the whole document, and five seconds for what it shows.
    options = {"waitUntil": until, "timeout": NAVIGATION_MS}
    return code(f"await page.goto({literal(the.text('url'))}, {literal(options)});")


def _back_calls(_the: Asked) -> Iterator[ToolCall]:
    return act("browser_navigate_back")


def _reload_calls(_the: Asked) -> Iterator[ToolCall]:
    # By the page's own location.reload() the next call would still meet the old document.
    return code("await page.reload();")


def _page_text(_step: Step, args: Mapping[str, Any]) -> str:
    if "as" in args:
        return f"page = pages[{args['as']!r}] = page.context.pages[-1]"
    return f"page = pages[{args['name']!r}]"


def _page_calls(the: Asked) -> Iterator[ToolCall]:
    # Which tab that is, is known when the step is carried out.
    return act("browser_tabs", action="select", index=the.args.get("index", 0))


def _close_page_text(_step: Step, args: Mapping[str, Any]) -> str:
    return f"pages[{args['name']!r}].close()" if "name" in args else "page.close(); page = pages['main']"


def _close_page_calls(the: Asked) -> Iterator[ToolCall]:
    return act("browser_tabs", action="close", index=the.args.get("index", 0))


def _viewport_text(_step: Step, args: Mapping[str, Any]) -> str:
    return f"page.set_viewport_size({{'width': {args['width']!r}, 'height': {args['height']!r}}})"


def _viewport_calls(the: Asked) -> Iterator[ToolCall]:
    return act("browser_resize", width=the.args["width"], height=the.args["height"])


DIALOGS = ("alert", "confirm", "prompt", "beforeunload")
"""The types of dialogs, as Playwright names them."""


def _text_of_dialog(part: str, pattern: str) -> Schema:
    properties = {
        "contain": described(TEXT, "a part of it", part),
        "match": described(TEXT, "a regular expression to find in it (Python syntax)", pattern),
    }
    return {**object_of(properties), "type": ["string", "object"]}


TEXTS_OF_DIALOG = ("message", "default_value")
"""The keys of a step `dialog` that expect a text, which are the names of Playwright, too."""


def _dialog_text(_step: Step, args: Mapping[str, Any]) -> str:
    answer = f"accept({args['text']!r})" if args["accept"] and "text" in args else "accept()"
    checks = [f"dialog.type == {args['type']!r}"] if "type" in args else []
    for name in TEXTS_OF_DIALOG:
        wanted = args.get(name, {})
        checks += [f"dialog.{name} == {wanted!r}"] if isinstance(wanted, str) else []
        parts = wanted if isinstance(wanted, dict) else {}
        checks += [f"{parts['contain']!r} in dialog.{name}"] if "contain" in parts else []
        checks += [f"re.search({parts['match']!r}, dialog.{name})"] if "match" in parts else []
    expects = f"  # expected: {' and '.join(checks)}" if checks else ""
    return f"page.once('dialog', lambda dialog: dialog.{answer if args['accept'] else 'dismiss()'}){expects}"


def _dialog_calls(the: Asked) -> Iterator[ToolCall]:
    text = {"promptText": the.text("text")} if "text" in the.args else {}
    return act("browser_handle_dialog", accept=the.args["accept"], **text)


VERBS: tuple[Verb, ...] = (
    Verb(
        "goto",
        "Open a page and wait until it has loaded.",
        "${frontend.url}/",
        fields=(
            Field("url", TEXT, "the address", "${frontend.url}/", required=True),
            Field(
                "until",
                {"enum": ["load", "domcontentloaded", "commit"]},
                "the state of the page to wait for: all resources, the whole document, or its first bytes",
                "domcontentloaded",
                default="load",
            ),
            _FOR_PAGE,
        ),
        short="url",
        idempotent=True,
        playwright="page.goto(url)",
        mcp=("browser_navigate", "browser_run_code_unsafe"),
        detail=_LEAVING,
        text=_goto_text,
        calls=_goto_calls,
    ),
    Verb(
        "page",
        "Continue on another page of the test: one that was just opened, which gets a name, or one with a name.",
        {"as": "report", "opens_with": [{"click": {"text": "Report"}}]},
        fields=(
            Field("name", NAME, "the page to return to; the first page is `main`", "main"),
            Field("as", NAME, "the name of the tab or popup that was opened", "report"),
            Field(
                "opens_with",
                {"$ref": "#/$defs/Steps"},
                "the steps that open it, carried out before (default: earlier steps have opened it)",
                [{"click": {"text": "Report"}}],
            ),
            Field("within_seconds", SECONDS, "the time to wait for the page to open", 20, default=10.0),
        ),
        short="name",
        rules={**one_of(("name", "as")), "dependentRequired": {"opens_with": ["as"]}},
        playwright="context.expect_page()",
        mcp=("browser_tabs",),
        detail="`page: {as: NAME}` waits for a page that has no name yet, the oldest one, and names it; with `opens_with` it\n"
        "must be one that these steps have opened. The steps after it are carried out there. `page: NAME` returns to a\n"
        "page. A page that closes in a `click` or `press` on it, or before the end of the step after that, is left for\n"
        "`main`. The next step on a page that closes at any other time fails; the steps of `finally` are carried out on\n"
        "`main`. A failure lists the open pages, if there are several. All but the first page are closed at the end of the\n"
        "test.",
        text=_page_text,
        calls=_page_calls,
    ),
    Verb(
        "close_page",
        "Close a tab or popup, the current one or one with a name; the steps after it are on `main` if it was the current one.",
        "report",
        fields=(Field("name", NAME, "the page to close (default: the current one)", "report"),),
        short="name",
        bare=True,
        playwright="page.close()",
        mcp=("browser_tabs",),
        detail="The first page is not closed.",
        text=_close_page_text,
        calls=_close_page_calls,
    ),
    Verb(
        "viewport",
        "Set the size of the page.",
        {"width": 390, "height": 844},
        fields=(
            Field("width", COUNT, "CSS pixels", 390, required=True),
            Field("height", COUNT, "CSS pixels", 844, required=True),
        ),
        idempotent=True,
        playwright="page.set_viewport_size()",
        mcp=("browser_resize",),
        text=_viewport_text,
        calls=_viewport_calls,
    ),
    Verb(
        "back",
        "Go back in the history.",
        {},
        fields=(_FOR_PAGE,),
        bare=True,
        playwright="page.go_back()",
        mcp=("browser_navigate_back",),
        detail="It fails if the history has no earlier page. " + _LEAVING,
        text=on_subject("go_back"),
        calls=_back_calls,
    ),
    Verb(
        "reload",
        "Load the page again.",
        {},
        fields=(_FOR_PAGE,),
        bare=True,
        idempotent=True,
        playwright="page.reload()",
        mcp=("browser_run_code_unsafe",),
        detail=_LEAVING,
        text=on_subject("reload"),
        calls=_reload_calls,
    ),
    Verb(
        "dialog",
        "Define the answer to the next dialog, and what is expected of it; write it before the step that opens the dialog.",
        {"accept": True, "type": "confirm", "message": "Delete 2 rows?"},
        fields=(
            Field("accept", BOOLEAN, "accept or dismiss", True, required=True),
            Field("text", TEXT, "the text to type into a prompt", "NVDA"),
            Field("type", {"enum": list(DIALOGS)}, "its expected type (default: any)", "confirm"),
            Field(
                "message",
                _text_of_dialog("2 rows", "^Delete [0-9]+ rows"),
                "its expected message, whole with white space collapsed, a part of it or a pattern (default: any)",
                {"contain": "2 rows"},
            ),
            Field(
                "default_value",
                _text_of_dialog("report", "[.]csv$"),
                "the expected text that a prompt shows in its field, in the same forms (default: any)",
                "report.csv",
            ),
        ),
        playwright="page.once('dialog')",
        mcp=("browser_handle_dialog",),
        detail="A dialog without such a step is dismissed, and is an error outside assertions ([errors](errors.md)). Only\n"
        "`beforeunload`, which a page opens before it is left, is accepted, and is not an error.\n"
        "\n"
        "A dialog of another `type`, or with another `message` or `default_value`, is answered, and the step that opened it\n"
        "fails with what was expected and what opened. If no dialog opens until the end of the steps, the test fails. A step\n"
        "without the three keys is no expectation. Only a prompt has a `default_value`.",
        text=_dialog_text,
        calls=_dialog_calls,
    ),
)
