"""Define the vocabulary of steps, which schema, compiler, drivers and docs/steps.md read.

A step in a spec is a mapping with one verb as its key: `{fill: {label: Message, value: hello}}`. The arguments of a step
(`value`, `key`, `files`) are never target keys, so one mapping holds both. Longer than other modules because it is
one table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec

from orchestra.steps.schemas import (
    ANY,
    BOOLEAN,
    COUNT,
    MAPPING,
    NAME,
    NATURAL,
    NUMBER,
    REFERENCE_TARGET,
    SECONDS,
    SIZE,
    TEXT,
    TEXT_MAPPING,
    TEXTS,
    Field,
    Schema,
    described,
    object_of,
)
from orchestra.steps.target import Target

Row = TypeVar("Row")
MAIN = "main"
"""The name of the first page of a test."""

HTTP_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


class Verb(msgspec.Struct, frozen=True):
    """A kind of step.

    Attributes:
        target: whether the step names an element.
        short: the field that a bare text sets (`goto: /` is `goto: {url: /}`), empty if there is none.
        bare: whether the verb alone is a step (`- reload`).
        browser: whether it needs a page; the others run under every driver.
        idempotent: whether it is repeatable without a further effect (a lost MCP session retries only such a step).
        playwright: the Playwright call for readers.
        mcp: the tools of the Playwright MCP server that it can use (`orchestra.steps.mcp_calls`).
        detail: more for docs/steps.md, in Markdown.
    """

    name: str
    doc: str
    example: Any
    target: Literal["required", "optional", "none"] = "none"
    fields: tuple[Field, ...] = ()
    short: str = ""
    bare: bool = False
    browser: bool = True
    idempotent: bool = False
    playwright: str = ""
    mcp: tuple[str, ...] = ()
    detail: str = ""


class Step(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A step of the plan. `args` holds its fields with defaults filled in; `at` are JSON pointers into the spec.

    A step from a block has two places: the use of the block, then its line in the block.
    """

    verb: str
    at: tuple[str, ...] = ()
    target: Target | None = None
    args: dict[str, Any] = {}

    def value(self, name: str) -> Any:
        """Return an argument, else its default: a step that was made without the compiler may lack it."""
        return self.args[name] if name in self.args else DEFAULTS[self.verb][name]


_POINT: Schema = {
    axis: described(NUMBER, f"the pixels from the {side}", 100) for axis, side in (("x", "left"), ("y", "top"))
}
_WITHIN = Field("within_seconds", SECONDS, "the time to wait for it", 10, default=5.0)
_FOR_ELEMENT = Field(
    "within_seconds", SECONDS, "the time to wait for its element (default: `action_timeout_seconds` of the test)", 10
)
_FOR_PAGE = Field("within_seconds", SECONDS, "the limit of the page load (default: `action_timeout_seconds`)", 60)
_MESSAGE = Field(
    "message", TEXT, "the name of the assertion, with which the message of its failure begins", "the cart is empty"
)
_STATUS: Schema = {"type": ["integer", "array"], "items": {"type": "integer"}, "minItems": 1}
_UNTIL: Schema = object_of(
    {
        "status": described(_STATUS, "the status to wait for, or a list of them", 200),
        "match": described({**MAPPING, "minProperties": 1}, "JSONPath to the value to wait for", {"$.status": "done"}),
        "every_seconds": described({**SECONDS, "default": 1}, "the pause between two requests", 2),
        "within_seconds": described({**SECONDS, "default": 30}, "the time to wait for the whole reply that is so", 60),
    },
    anyOf=[{"required": [key]} for key in ("status", "match")],
)
ABORTS = (
    "failed",
    "aborted",
    "accessdenied",
    "addressunreachable",
    "blockedbyclient",
    "connectionaborted",
    "connectionclosed",
    "connectionfailed",
    "connectionrefused",
    "connectionreset",
    "internetdisconnected",
    "namenotresolved",
    "timedout",
)
"""The reasons for which a request can fail, as Playwright names them."""

_URL_GLOB = "a glob of whole URLs: `**` is any text, `*` any text without `/`, `{a,b}` one of them; all else is literal"
_REQUEST: Schema = object_of(
    {
        "url": described(TEXT, _URL_GLOB, "**/api/orders"),
        "method": described({"enum": list(HTTP_METHODS)}, "the method (default: any)", "POST"),
        "json": described(ANY, "the whole JSON body", {"ticker": "NVDA"}),
        "count": described(NATURAL, "the number of such requests (default: one at least)", 1),
    },
    required=["url"],
)
_SAVE = Field("save", NAME, "save the result as `${saved.NAME}` until the end of the test", "elapsed_ms")

_DOWNLOAD_EXPECT: Schema = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {
        "json": {
            **MAPPING,
            "minProperties": 1,
            "description": "JSONPath to the expected value",
            "examples": [{"$.messages[0].role": "user"}],
        },
        "csv": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "description": "the expected content of the table",
            "examples": [{"header": ["role", "text"], "min_rows": 1}],
            "properties": {
                "header": {
                    **TEXTS,
                    "description": "the names of the columns, in order",
                    "examples": [["role", "text"]],
                },
                "rows": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "the number of rows below the header",
                    "examples": [2],
                },
                "min_rows": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "the minimum of rows below the header",
                    "examples": [1],
                },
                "contains": {
                    **TEXT_MAPPING,
                    "minProperties": 1,
                    "description": "values by column that one row must have",
                    "examples": [{"role": "user"}],
                },
            },
        },
        "text": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "description": "the expected content of the text",
            "examples": [{"contain": "NVDA"}],
            "properties": {
                "contain": {**TEXT, "description": "a part of it", "examples": ["NVDA"]},
                "match": {
                    **TEXT,
                    "description": "a regular expression to find in it (Python syntax)",
                    "examples": ["^# Market"],
                },
                "equal": {**TEXT, "description": "the whole text", "examples": ["done\n"]},
            },
        },
    },
}

_LEAVING = (
    "The step passes only if a document was loaded. A `beforeunload` dialog of the page is accepted, unless a\n"
    "[`dialog`](#dialog) step before this one dismisses it: then this step fails."
)

_ALL: tuple[Verb, ...] = (
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
    ),
    Verb(
        "click",
        "Click an element; a double click is `count: 2`.",
        {"role": "button", "name": "Send"},
        target="required",
        fields=(
            Field("count", COUNT, "the number of clicks", 2, default=1),
            Field("button", {"enum": ["left", "right", "middle"]}, "the mouse button", "right", default="left"),
            Field(
                "modifiers",
                {"type": "array", "items": {"enum": ["Alt", "Control", "ControlOrMeta", "Meta", "Shift"]}},
                "keys held down",
                ["Shift"],
                default=[],
            ),
            Field(
                "position",
                {"type": "object", "additionalProperties": False, "required": ["x", "y"], "properties": _POINT},
                "the point to click, from the top left corner of the element (default: its centre)",
                {"x": 10, "y": 5},
            ),
            _FOR_ELEMENT,
        ),
        playwright="locator.click()",
        mcp=("browser_click", "browser_run_code_unsafe"),
    ),
    Verb(
        "fill",
        "Replace the content of an input.",
        {"label": "Message", "value": "Market status"},
        target="required",
        fields=(Field("value", TEXT, "the new content", "Market status", required=True), _FOR_ELEMENT),
        idempotent=True,
        playwright="locator.fill(value)",
        mcp=("browser_type",),
    ),
    Verb(
        "type",
        "Type a text key by key: each character has its key events.",
        {"label": "Message", "value": "Market status"},
        target="optional",
        fields=(Field("value", TEXT, "the text to type", "Market status", required=True), _FOR_ELEMENT),
        short="value",
        playwright="locator.press_sequentially(value)",
        mcp=("browser_evaluate", "browser_run_code_unsafe"),
        detail="The text is added to the content of an input at its caret, which is at the start of an input without focus\n"
        "([press](#press)). Without a target it goes to the element with the focus. A character that no key of a US keyboard\n"
        "makes is inserted, as by an input method. [fill](#fill) replaces the content at once and suits most forms.\n"
        "It waits until the element is visible, enabled and editable, and has the focus, and fails if it never is.",
    ),
    Verb(
        "press",
        "Press a key or a chord, on an element or on the page.",
        {"label": "Message", "key": "Enter"},
        target="optional",
        fields=(
            Field("key", TEXT, "the key by its Playwright name, or any one character", "Enter", required=True),
            _FOR_ELEMENT,
        ),
        short="key",
        playwright="locator.press(key)",
        mcp=("browser_evaluate", "browser_press_key", "browser_run_code_unsafe"),
        detail="As with Playwright itself, the caret of an input without focus is at its start; `End` moves it to the end.\n"
        "It waits until the element is visible and enabled.",
    ),
    Verb(
        "select",
        "Choose options of a select by value or label.",
        {"label": "Ticker", "value": "NVDA"},
        target="required",
        fields=(
            Field(
                "value",
                {"type": ["string", "array"], "items": TEXT},
                "one option or a list of options",
                "NVDA",
                required=True,
            ),
            _FOR_ELEMENT,
        ),
        idempotent=True,
        playwright="locator.select_option(value)",
        mcp=("browser_select_option",),
    ),
    Verb(
        "check",
        "Make a checkbox or radio button checked.",
        {"label": "Compact view"},
        target="required",
        fields=(_FOR_ELEMENT,),
        idempotent=True,
        playwright="locator.check()",
        mcp=("browser_fill_form",),
    ),
    Verb(
        "uncheck",
        "Make a checkbox unchecked.",
        {"label": "Compact view"},
        target="required",
        fields=(_FOR_ELEMENT,),
        idempotent=True,
        playwright="locator.uncheck()",
        mcp=("browser_fill_form",),
    ),
    Verb(
        "hover",
        "Move the pointer over an element.",
        {"testid": "reply"},
        target="required",
        fields=(_FOR_ELEMENT,),
        idempotent=True,
        playwright="locator.hover()",
        mcp=("browser_hover",),
    ),
    Verb(
        "drag",
        "Drag an element and drop it onto another one.",
        {"text": "Buy milk", "onto": {"testid": "done"}},
        target="required",
        fields=(
            Field("onto", REFERENCE_TARGET, "the element to drop it onto", {"testid": "done"}, required=True),
            _FOR_ELEMENT,
        ),
        playwright="locator.drag_to(other)",
        mcp=("browser_evaluate", "browser_drag"),
    ),
    Verb(
        "scroll",
        "Scroll until an element is in view, or the page or an element with scroll bars to a place.",
        {"testid": "footer"},
        target="optional",
        fields=(
            Field(
                "to",
                {"anyOf": [{"type": "string", "enum": ["top", "bottom"]}, {**object_of(_POINT)}]},
                "the place: an end, or CSS pixels from the top left corner",
                "bottom",
            ),
            _FOR_ELEMENT,
        ),
        short="to",
        idempotent=True,
        playwright="locator.scroll_into_view_if_needed()",
        mcp=("browser_evaluate", "browser_run_code_unsafe"),
        detail="With a target alone the element comes into view. `to` scrolls the page; with a target and `to` the content\n"
        "of the element is scrolled. Scrolling is instant, also where the page asks for a smooth one.\n"
        "It fails for an element that does not scroll, and for a negative place that the page does not have.",
    ),
    Verb(
        "focus",
        "Focus an element.",
        {"label": "Message"},
        target="required",
        fields=(_FOR_ELEMENT,),
        idempotent=True,
        playwright="locator.focus()",
        mcp=("browser_evaluate",),
        detail="It waits until the element is visible and enabled, and fails if it does not take the focus.",
    ),
    Verb(
        "blur",
        "Take the focus from an element.",
        {"label": "Message"},
        target="required",
        fields=(_FOR_ELEMENT,),
        idempotent=True,
        playwright="locator.blur()",
        mcp=("browser_evaluate",),
    ),
    Verb(
        "upload",
        "Choose files: of a file input or its label directly, of another element by a click that opens a file chooser.",
        {"label": "Import conversation", "files": ["tests/data/conversation.json"]},
        target="required",
        fields=(
            Field("files", TEXTS, "paths inside the project root", ["tests/data/a.json"], required=True),
            Field(
                "drop", BOOLEAN, "drop the files onto the element, as if dragged from outside (default: false)", True
            ),
            _FOR_ELEMENT,
        ),
        idempotent=True,
        playwright="locator.set_input_files(files)",
        mcp=("browser_evaluate", "browser_run_code_unsafe", "browser_click", "browser_file_upload", "browser_drop"),
        detail="A file input, or its label, gets the files without a click, hidden or not. Any other element is clicked,\n"
        "and the file chooser that it opens within 5 seconds gets them. With `drop: true` the element gets the events of files\n"
        "that are dropped onto it.",
    ),
    Verb(
        "expect",
        "Wait until an element, or the page, meets conditions; fail otherwise.",
        {"role": "heading", "name": "Market Parser", "to": {"be": "visible"}},
        target="optional",
        fields=(
            Field("to", {"$ref": "#/$defs/Conditions"}, "the conditions for the target", {"be": "visible"}),
            Field(
                "all",
                {"$ref": "#/$defs/EachConditions"},
                "the conditions for each match of the target; one match at least",
                {"contain": "NVDA"},
            ),
            Field(
                "any",
                {"$ref": "#/$defs/EachConditions"},
                "conditions, each of which at least one match of the target meets: not always the same one",
                {"have_class": "active"},
            ),
            Field(
                "page",
                {"$ref": "#/$defs/PageConditions"},
                "the conditions for the page, in place of a target",
                {"title": {"contain": "Market"}},
            ),
            Field(
                "request",
                _REQUEST,
                "a request that the pages of the test have sent, in place of a target",
                {"url": "**/api/orders", "method": "POST", "json": {"ticker": "NVDA"}},
            ),
            _MESSAGE,
            _WITHIN,
        ),
        idempotent=True,
        playwright="expect(locator)",
        mcp=("browser_evaluate", "browser_run_code_unsafe"),
        detail="`to` is about one element, except `have_count` and lists, which are about all matches at one moment, as are\n"
        "`all` and `any`. Each condition is checked until it holds, one after the other. If no element matches, a condition\n"
        "and its `not` both fail, except `be: hidden`, `not: {be: visible}` and `have_count`.\n"
        "\n"
        "`request` is about all requests of pages since the test began, those that a [`mock`](#mock) has answered, too.\n"
        "`count: 0` holds at once, so write it after a step that shows that the page is done.",
    ),
    Verb(
        "wait",
        "Wait for an element; fail at once if the failure marker appears first.",
        {"testid": "reply", "within_seconds": 60, "unless": {"testid": "error-banner"}},
        target="required",
        fields=(
            Field("within_seconds", SECONDS, "the time to wait for it", 60, default=30.0),
            Field("be", {"enum": ["visible", "hidden"]}, "the state to wait for", "hidden", default="visible"),
            Field(
                "unless",
                REFERENCE_TARGET,
                "the failure marker: fail at once if it is visible first",
                {"testid": "error-banner"},
            ),
            _MESSAGE,
        ),
        idempotent=True,
        playwright="locator.wait_for()",
        mcp=("browser_evaluate", "browser_run_code_unsafe"),
    ),
    Verb(
        "evaluate",
        "Run JavaScript in the page and check or save its result.",
        {"script": "() => document.title", "equals": "Market Parser"},
        target="optional",
        fields=(
            Field(
                "script",
                TEXT,
                "a JavaScript function; with a target it gets the element",
                "() => document.title",
                required=True,
            ),
            Field("equals", ANY, "the expected result", "Market Parser"),
            Field("below", NUMBER, "the exclusive upper bound of a numeric result", 2000),
            _SAVE,
            _MESSAGE,
            Field(
                "within_seconds",
                SECONDS,
                "the time to wait for its element (default: `action_timeout_seconds` of the test), and for the expected result",
                10,
            ),
        ),
        short="script",
        playwright="page.evaluate(script)",
        mcp=("browser_evaluate",),
        detail="The script is a function or an expression, with or without a semicolon or a comment at its end. Its value is\n"
        "JSON, the same by both methods: `undefined` becomes `null`, a date or any other object with `toJSON` the result of\n"
        "that function, and half of a surrogate pair in a text U+FFFD. A value without a JSON form (`NaN`, `Infinity`, a big\n"
        "integer, a function, a map, a set, an element, a circular reference) fails a step with `equals`, `below` or `save`,\n"
        "and is ignored by a step without them. With `within_seconds` and `equals` or `below` the script is run again\n"
        "until they hold, also when it throws, and a promise that does not settle in that time fails the step; without\n"
        "`within_seconds` it is run once, with the time that the test has left.",
    ),
    Verb(
        "screenshot",
        "Save a screenshot of the page or of an element as evidence.",
        "start page",
        target="optional",
        fields=(
            Field("as", TEXT, "the name of the screenshot", "start page", required=True),
            Field("full_page", BOOLEAN, "the whole page, not only the visible part", True, default=False),
            _FOR_ELEMENT,
        ),
        short="as",
        idempotent=True,
        playwright="page.screenshot()",
        mcp=("browser_take_screenshot",),
    ),
    Verb(
        "download",
        "Click an element, save the file that it downloads, and check the content.",
        {
            "role": "button",
            "name": "Export JSON",
            "as": "conversation.json",
            "expect": {"json": {"$.messages[0].role": "user"}},
        },
        target="required",
        fields=(
            Field("as", TEXT, "the name of the saved file", "conversation.json", required=True),
            Field("expect", _DOWNLOAD_EXPECT, "the expected content", {"text": {"contain": "NVDA"}}),
            _MESSAGE,
            Field("within_seconds", SECONDS, "the limit of the whole download", 10, default=30.0),
            Field("limit_megabytes", SIZE, "the limit of the file size", 1000, default=256.0),
        ),
        playwright="page.expect_download()",
        mcp=("browser_run_code_unsafe",),
    ),
    Verb(
        "dialog",
        "Define the answer to the next dialog; write it before the step that opens the dialog.",
        {"accept": True},
        fields=(
            Field("accept", BOOLEAN, "accept or dismiss", True, required=True),
            Field("text", TEXT, "the text to type into a prompt", "NVDA"),
        ),
        playwright="page.once('dialog')",
        mcp=("browser_handle_dialog",),
        detail="A dialog without such a step is dismissed, and is an error outside assertions ([errors](errors.md)). Only\n"
        "`beforeunload`, which a page opens before it is left, is accepted, and is not an error.",
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
        playwright="context.expect_page()",
        mcp=("browser_tabs",),
        detail="`page: {as: NAME}` waits for a page that has no name yet, the oldest one, and names it; with `opens_with` it\n"
        "must be one that these steps have opened. The steps after it are carried out there. `page: NAME` returns to a\n"
        "page. A page that closes in a `click` or `press` on it, or before the end of the step after that, is left for\n"
        "`main`. The next step on a page that closes at any other time fails; the steps of `finally` are carried out on\n"
        "`main`. A failure lists the open pages, if there are several. All but the first page are closed at the end of the\n"
        "test.",
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
    ),
    Verb(
        "mock",
        "Answer requests of the pages in place of the network, until the end of the test.",
        {"url": "**/api/quote*", "json": {"price": 171.5}},
        fields=(
            Field("url", TEXT, _URL_GLOB, "**/api/quote*", required=True),
            Field("method", {"enum": list(HTTP_METHODS)}, "the method of the requests (default: any)", "GET"),
            Field("status", {"type": "integer", "minimum": 200}, "the status of the reply", 503, default=200),
            Field("json", ANY, "the reply as JSON", {"price": 171.5}),
            Field("body", TEXT, "the reply as text", "busy"),
            Field(
                "file",
                TEXT,
                "the file that is the reply, relative to the project root",
                "data/quote.json",
                holds="path",
            ),
            Field("headers", TEXT_MAPPING, "headers of the reply", {"Retry-After": "5"}, default={}),
            Field("delay_ms", NATURAL, "the milliseconds before the reply", 300, default=0),
            Field("times", COUNT, "the number of requests to answer (default: all); later ones are not mocked", 1),
            Field(
                "abort",
                {"enum": list(ABORTS)},
                "the reason for which the request fails, in place of a reply",
                "timedout",
            ),
        ),
        playwright="context.route()",
        detail="Write it before the step that makes the page send the request. Of several mocks for one request the latest\n"
        "answers; a request that none answers goes to the network. At most one of `json`, `body`, `file` and `abort` is\n"
        "allowed. `http` steps and service workers are not mocked. A mocked reply is no error outside assertions, and\n"
        "[reports](report.md) mark a test with mocks: `mocked GET **/api/quote* (1 request)`.",
    ),
    Verb(
        "clock",
        "Set, stop or advance the time that scripts of the pages read, until the end of the test.",
        {"set": "2026-12-31T23:59:00Z"},
        fields=(
            Field("set", TEXT, "the time from which the clock runs on, with its offset", "2026-12-31T23:59:00Z"),
            Field(
                "fix", TEXT, "the time at which `Date` stops, with its offset; timers run on", "2026-12-31T23:59:00Z"
            ),
            Field("advance_seconds", SECONDS, "the seconds to skip; a timer that is due in them fires once", 3600),
            Field("resume", {"const": True}, "let the clock run on after `fix`", True),
        ),
        playwright="context.clock",
        detail="Write `set` or `fix` before the page is opened, so that its scripts begin at that time. It is the clock of all\n"
        "pages of the test: `Date`, timers, `requestAnimationFrame` and `performance`. Limits of steps are of real time.\n"
        "Exactly one of the keys is allowed. By the method `mcp` the next test begins with a new browser.",
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
    ),
    Verb(
        "http",
        "Send a request from the runner and check the reply.",
        {"GET": "/health", "base": "backend", "status": 200},
        fields=(
            *(Field(method, TEXT, f"the path or URL of a {method} request", "/health") for method in HTTP_METHODS),
            Field("base", TEXT, "the component to whose URL the path is relative", "backend"),
            Field("headers", TEXT_MAPPING, "request headers", {"Accept": "application/json"}, default={}),
            Field("json", ANY, "a JSON body", {"message": "Market status"}),
            Field("form", TEXT_MAPPING, "a form body", {"message": "Market status"}),
            Field("body", TEXT, "a text body", "Market status"),
            Field("status", _STATUS, "the expected status, or a list of them", 200, default=[]),
            Field(
                "match",
                {**MAPPING, "minProperties": 1},
                "JSONPath to the expected value",
                {"$.status": "ok"},
                default={},
            ),
            Field(
                "save", TEXT_MAPPING, "values of the reply to save: name to JSONPath", {"token": "$.token"}, default={}
            ),
            _MESSAGE,
            Field(
                "until",
                _UNTIL,
                "send the request again until the reply is so; then `status`, `match` and `save` are about that reply",
                {"match": {"$.state": "done"}, "within_seconds": 60},
            ),
            Field("within_seconds", SECONDS, "the limit of the whole reply", 10, default=30.0),
            Field("limit_megabytes", SIZE, "the limit of the decoded reply", 200, default=64.0),
        ),
        browser=False,
        playwright="httpx.request()",
        mcp=(),
        detail="With `until` the request is sent again, also after a failure to connect, until the reply has the status and the\n"
        "values, or its `within_seconds` are over: for jobs and mail that take a while.",
    ),
    Verb(
        "set",
        "Save values as `${saved.NAME}` until the end of the test.",
        {"question": "Market status"},
        browser=False,
        idempotent=True,
        playwright="",
        mcp=(),
    ),
    Verb(
        "use",
        "Insert the steps of a block.",
        {"ask": {"message": "Market status"}},
        short="block",
        browser=False,
        idempotent=True,
        playwright="",
        mcp=(),
    ),
)

VERBS: dict[str, Verb] = {verb.name: verb for verb in _ALL}

DEFAULTS: dict[str, dict[str, Any]] = {
    verb.name: {field.name: field.default for field in verb.fields if field.default is not None} for verb in _ALL
}
"""The defaults of each verb, by field."""


def row_of(table: Mapping[str, Row], verb: str, module: str) -> Row:
    """Return the row of a verb in a table next to this one.

    Raises:
        LookupError: the table lacks the verb, which this one has; the message names the module of the table.
    """
    row = table.get(verb)
    if row is None:
        raise LookupError(f'the table of {module} lacks the step "{verb}"')
    return row


def file_name(name: str) -> str:
    """Return a name of the spec as the name of a file: what is no letter, digit, dot, dash or underscore becomes a
    dash.
    """
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, at least one."""
    return max(1, round(seconds * 1000))


def is_repeated(args: Mapping[str, Any]) -> bool:
    """Return True if the script of an `evaluate` is run again until its value is the expected one."""
    return "within_seconds" in args and bool({"equals", "below"} & args.keys())
