"""Compare an HTTP reply with the expectation of a spec, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_SHOWN = 200


def short(text: str) -> str:
    """Return the text in one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def misfit(args: Mapping[str, Any], status: int, body: bytes) -> str:
    """Return the problem of a reply, as the end of a sentence; empty if there is none."""
    wanted = args.get("status", 200)
    statuses = wanted if isinstance(wanted, list) else [wanted]
    if status not in statuses:
        return f"answered {status}, not {' or '.join(map(str, statuses))}: {short(body.decode(errors='replace'))!r}"
    text = body.decode(errors="replace")
    if "contains" in args and args["contains"] not in text:
        return f"answered {status} without {args['contains']!r}: {short(text)!r}"
    return _unlike(args.get("json", {}), body)


def _unlike(wanted: Mapping[str, Any], body: bytes) -> str:
    """Return the first key of a JSON reply that is not as wanted."""
    if not wanted:
        return ""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return f"did not answer JSON: {short(body.decode(errors='replace'))!r}"
    for key, value in wanted.items():
        found, here = _dig(reply, key)
        if not here:
            return f"answered without {key!r}: {short(json.dumps(reply))}"
        # By text, because True == 1 in Python and not in JSON.
        if json.dumps(found, sort_keys=True) != json.dumps(value, sort_keys=True):
            return f"answered {key} = {short(json.dumps(found))}, not {json.dumps(value)}"
    return ""


def _dig(value: Any, key: str) -> tuple[Any, bool]:
    if isinstance(value, dict) and key in value:
        return value[key], True
    head, dot, rest = key.partition(".")
    if isinstance(value, list) and head.isdigit() and int(head) < len(value):
        return _dig(value[int(head)], rest) if dot else (value[int(head)], True)
    if isinstance(value, dict) and dot and head in value:
        return _dig(value[head], rest)
    return None, False


def impostor(wanted: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> str:
    """Return the reason why a reply is not of the expected server."""
    for name, value in wanted.get("header", {}).items():
        found = headers.get(name)
        if found != value:
            shown = "is missing" if found is None else f"is {found!r}"
            return f"was answered by another server: its header {name!r} {shown}, not {value!r}"
    unlike = _unlike(wanted.get("json", {}), body)
    return f"was answered by another server: it {unlike}" if unlike else ""
