"""Read the tool calls of the Playwright MCP server from a log.

Three forms are known: `session.md`, which the server writes with `--save-session`; JSON lines of the protocol itself
(`tools/call` and its results) or of plain records (`{"tool": …, "args": …}`); and the transcript of a session of Claude Code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_TOOL = re.compile(r"browser_[a-z_]+$")
_HEADING = re.compile(r"^### (.+)$", re.MULTILINE)
_CALL = "### Tool call: "
_BLOCK = re.compile(r"^```json\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
_CODE = "Ran Playwright code"


class Called(msgspec.Struct):
    """One call and what it answered.

    Attributes:
        tool: `browser_click`.
        args: as it was called.
        code: the JavaScript that it carried out.
        events: what the page did meanwhile: downloads.
        error: why it failed; empty if it did not.
        line: of the log, from 1.
    """

    tool: str
    args: Mapping[str, Any]
    code: str = ""
    events: str = ""
    error: str = ""
    line: int = 0


def read(text: str) -> list[Called]:
    """Return the calls of a log, in order; none if it has none."""
    return list(_markdown(text)) if re.search(f"^{_CALL}", text, re.MULTILINE) else list(_json_lines(text))


def _markdown(text: str) -> Iterator[Called]:
    """Yield the calls of a `session.md`."""
    starts = [match.start() for match in re.finditer(f"^{_CALL}", text, re.MULTILINE)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        part = text[start:end]
        tool = part[len(_CALL) :].splitlines()[0].strip()
        blocks = [_object(block) for block in _BLOCK.findall(part)]
        args, result = (*blocks, {}, {})[:2]
        if _TOOL.search(tool):
            yield Called(
                tool,
                args,
                str(result.get("code") or ""),
                str(result.get("events") or ""),
                str(result.get("error") or "") if result.get("isError") or result.get("error") else "",
                text.count("\n", 0, start) + 1,
            )


def _json_lines(text: str) -> Iterator[Called]:
    """Yield the calls of JSON lines, each with the result that a later line has for its id."""
    calls: list[Called] = []
    waiting: dict[str, Called] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for key, item in _parts(_object(line)):
            if isinstance(item, Called):
                item.line = number
                calls.append(item)
                if key:
                    waiting[key] = item
            elif key in waiting:
                _answered(waiting.pop(key), item)
    yield from calls


def _parts(record: Mapping[str, Any]) -> Iterator[tuple[str, Called | Mapping[str, Any]]]:
    """Yield calls and results of a record, with the id that both have."""
    message = record.get("message")
    if isinstance(message, dict):
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") == "tool_use":
                yield from _call(part.get("id"), part.get("name"), part.get("input"))
            elif isinstance(part, dict) and part.get("type") == "tool_result":
                yield _key(part.get("tool_use_id")), part
        yield from _parts(message)
        return
    if record.get("method") == "tools/call" and isinstance(record.get("params"), dict):
        params = record["params"]
        yield from _call(record.get("id"), params.get("name"), params.get("arguments"))
    elif "method" not in record and "id" in record and isinstance(record.get("result") or record.get("error"), dict):
        yield _key(record["id"]), record.get("result") or {"isError": True, "content": str(record["error"])}
    else:
        name = next((record[key] for key in ("tool", "name", "toolName") if isinstance(record.get(key), str)), None)
        args = next((record[key] for key in ("args", "arguments", "input", "params") if key in record), None)
        for key, call in _call(record.get("id"), name, args):
            if "result" in record or "error" in record:
                _answered(call, _result(record))
            yield key, call


def _result(record: Mapping[str, Any]) -> Mapping[str, Any]:
    result = record.get("result")
    failed = bool(record.get("isError") or record.get("error"))
    if isinstance(result, dict):
        return {**result, "isError": result.get("isError") or failed}
    return {"content": str(record.get("error") or result or ""), "isError": failed}


def _call(key: Any, name: Any, args: Any) -> Iterator[tuple[str, Called]]:
    match = _TOOL.search(name) if isinstance(name, str) else None
    if match is not None:
        yield _key(key), Called(match[0], _object(args) if isinstance(args, str) else args or {})


def _key(value: Any) -> str:
    return "" if value is None else str(value)


def _answered(call: Called, result: Mapping[str, Any]) -> None:
    """Add to a call what its result has: sections of Markdown under headings."""
    content = result.get("content", "")
    parts = content if isinstance(content, list) else [content]
    text = "\n".join(part.get("text", "") if isinstance(part, dict) else str(part) for part in parts)
    sections = dict(_sections(text))
    code = sections.get(_CODE, "")
    call.code = re.sub(r"^```\w*\n|\n?```\s*$", "", code.strip())
    call.events = sections.get("Events", "")
    if result.get("isError") or result.get("is_error"):
        call.error = sections.get("Error", text).strip() or "it failed"


def _sections(text: str) -> Iterator[tuple[str, str]]:
    headings = [*_HEADING.finditer(text)]
    ends = [*(match.start() for match in headings[1:]), len(text)]
    for match, end in zip(headings, ends, strict=False):
        yield match[1].strip(), text[match.end() : end].strip("\n")


def _object(text: str) -> dict[str, Any]:
    """Return the object that a text is in JSON; an empty one for any other text."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
