"""The steps that save files or give files to the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestra.steps import page_script
from orchestra.steps.moment import milliseconds
from orchestra.steps.page_script import literal
from orchestra.steps.schemas import BOOLEAN, MAPPING, SECONDS, SIZE, TEXT, TEXT_MAPPING, TEXTS, Field, Schema
from orchestra.steps.step import Step
from orchestra.steps.tool_call import ACTION_MS, Asked, ToolCall, act, code, text_of
from orchestra.steps.verb import FOR_ELEMENT, MESSAGE, Verb, python_subject


def file_name(name: str) -> str:
    """Return a name of the spec as the name of a file: what is no letter, digit, dot, dash or underscore becomes a
    dash.
    """
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"


def project_files(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the files of the project that steps send or answer with, as far as their names are known before a run."""
    for step in steps:
        files = list(step.args["files"]) if step.verb == "upload" else []
        if step.verb in ("mock", "har") and "file" in step.args:
            files.append(step.args["file"])
        parts = step.args.get("multipart", {}) if step.verb == "http" else {}
        files += (part["file"] for part in parts.values() if isinstance(part, dict))
        yield from (str(file) for file in files if "${" not in str(file))


def chooser_calls(step: Step) -> tuple[ToolCall, ToolCall]:
    """Return the tool calls of an `upload` whose element is no file input: the click that opens the chooser, and its
    answer.
    """
    the = Asked(step, step.args, 0.0, "")
    paths = [text_of(path) for path in the.args["files"]]
    return ToolCall("browser_click", the.on_target()), ToolCall("browser_file_upload", {"paths": paths})


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


def _upload_text(step: Step, args: Mapping[str, Any]) -> str:
    if args.get("drop"):
        return f"{python_subject(step)}.drop({{'files': {args['files']!r}}})"
    return f"{python_subject(step)}.set_input_files({args['files']!r})"


def _upload_calls(the: Asked) -> Iterator[ToolCall]:
    # A file input is often hidden behind a styled label, and hidden elements cannot be clicked, so it gets its files
    # without a click. A click on any other element opens the file chooser (`chooser_calls`).
    if the.args.get("drop"):
        yield from act("browser_drop", target=the.target(), paths=[text_of(path) for path in the.args["files"]])
        return
    yield from act("browser_evaluate", target=the.target(), function=page_script.FILE_INPUT)
    paths, limit = literal([text_of(path) for path in the.args["files"]]), {"timeout": ACTION_MS}
    yield from code(f"await page.{the.target()}.setInputFiles({paths}, {literal(limit)});")


def _screenshot_text(step: Step, args: Mapping[str, Any]) -> str:
    whole = ", full_page=True" if args.get("full_page") and step.target is None else ""
    return f"{python_subject(step)}.screenshot(path={file_name(args['as']) + '.png'!r}{whole})"


def _screenshot_calls(the: Asked) -> Iterator[ToolCall]:
    whole = {"fullPage": True} if the.args.get("full_page") and the.step.target is None else {}
    name = f"{the.folder}{file_name(the.text('as'))}.png"
    return act("browser_take_screenshot", filename=name, type="png", scale="css", **the.on_target(), **whole)


def _download_text(step: Step, args: Mapping[str, Any]) -> str:
    timeout = f"timeout={milliseconds(args['within_seconds'])}"
    click = f"{python_subject(step)}.click()"
    return f"with page.expect_download({timeout}) as download: {click}  # kept as {file_name(args['as'])!r}"


def _download_calls(the: Asked) -> Iterator[ToolCall]:
    path = literal(the.folder + file_name(the.text("as")))
    limit = milliseconds(the.args["within_seconds"])
    return code(
        # The click by itself: a download that does not begin is then no failure of the click, and the other way round.
        f"const begun = page.waitForEvent('download', {{ timeout: {limit} }});",
        "begun.catch(() => {});",
        f"await page.{the.target()}.click({{ timeout: {limit} }});",
        "const download = await begun;",
        f"await download.saveAs({path});",
        f"return {{ path: {path}, suggested: download.suggestedFilename() }};",
    )


VERBS: tuple[Verb, ...] = (
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
            FOR_ELEMENT,
        ),
        idempotent=True,
        playwright="locator.set_input_files(files)",
        mcp=("browser_evaluate", "browser_run_code_unsafe", "browser_click", "browser_file_upload", "browser_drop"),
        detail="A file input, or its label, gets the files without a click, hidden or not. Any other element is clicked,\n"
        "and the file chooser that it opens within 5 seconds gets them. With `drop: true` the element gets the events of files\n"
        "that are dropped onto it.",
        text=_upload_text,
        calls=_upload_calls,
    ),
    Verb(
        "screenshot",
        "Save a screenshot of the page or of an element as evidence.",
        "start page",
        target="optional",
        fields=(
            Field("as", TEXT, "the name of the screenshot", "start page", required=True),
            Field("full_page", BOOLEAN, "the whole page, not only the visible part", True, default=False),
            FOR_ELEMENT,
        ),
        short="as",
        idempotent=True,
        playwright="page.screenshot()",
        mcp=("browser_take_screenshot",),
        text=_screenshot_text,
        calls=_screenshot_calls,
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
            MESSAGE,
            Field("within_seconds", SECONDS, "the limit of the whole download", 10, default=30.0),
            Field("limit_megabytes", SIZE, "the limit of the file size", 1000, default=256.0),
        ),
        playwright="page.expect_download()",
        mcp=("browser_run_code_unsafe",),
        text=_download_text,
        calls=_download_calls,
    ),
)
