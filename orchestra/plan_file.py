"""Write and read plan.json, the file of a plan, so that git merges the changes of two branches."""

from __future__ import annotations

import msgspec

from orchestra import conflict, stored
from orchestra.errors import PlanError
from orchestra.outputs import unix
from orchestra.plan import Plan, digest, encode, encoded

FORMAT = 2
READ = frozenset({1, 2})
"""The formats that can be read: old runs keep the plans that they executed."""


_LISTS = ("components", "gates", "groups", "logins", "methods", "plugins", "sources")
"""Keys with a line for each item, so that two branches that each add one do not change the same line."""


def dump(plan: Plan, *, whole: bool = False) -> bytes:
    """Return the bytes of plan.json: a header line, one line a test, then the rest, one line a key, or an item of a
    list.

    No line concerns the whole file, and an item follows its comma, so git merges additions of two branches. The digests
    of the file and of its sources are in the index of the outputs (`orchestra.outputs`).

    Args:
        plan: what to write.
        whole: with the digest of the sources in the header, for a copy that is in no index.
    """
    parts = encoded(plan)
    lists = {"tests": parts.tests}
    lists |= {key: [encode(item) for item in getattr(plan, key)] for key in _LISTS if key in parts.rest}
    keys = ["tests", *sorted(parts.rest.keys() - {"source_digest"})]
    lines = [_lines(key, lists[key]) if key in lists else b'"%s": %s' % (key.encode(), parts.rest[key]) for key in keys]
    header = encode(_Header(FORMAT, plan.source_digest if whole else ""))
    return b'{"orchestra": ' + header + b",\n" + b",\n".join(lines) + b"\n}\n"


def _lines(key: str, items: list[bytes]) -> bytes:
    return b'"%s": [%s\n]' % (
        key.encode(),
        b"".join(b"\n%s%s" % (b"," if index else b"", item) for index, item in enumerate(items)),
    )


class _Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """`body` and `compiler` are of format 1, in which the file held its own digest."""

    format: int
    source: str = ""
    body: str = ""
    compiler: str = ""


def load(data: bytes, name: str) -> Plan:
    """Read plan.json.

    Args:
        data: its bytes; CRLF line ends are accepted.
        name: its path, for messages.

    Raises:
        PlanError: it is not a plan, is of another format, or was changed by hand.
    """
    hint = "regenerate it with `orchestra compile`; manual changes of a generated file are lost"
    text = unix(data)
    if conflict.marked(text):
        message = f"{name}: it holds the conflict markers of a merge"
        raise PlanError(
            message, "resolve the conflicts of the specs, then run `orchestra compile`, which overwrites it"
        )
    head, _, body = text.partition(b",\n")
    try:
        header = stored.decode(head.removeprefix(b'{"orchestra": '), _Header)
    except ValueError as error:
        message = f"{name}: this is not a compiled plan ({error})"
        raise PlanError(message, hint) from error
    if header.format not in READ:
        formats = " and ".join(map(str, sorted(READ)))
        message = f"{name}: plan format {header.format}; this version reads {formats}"
        raise PlanError(message, "run `orchestra compile` with the version that you have installed")
    if header.format == 1 and header.body != digest(body):
        message = f"{name}: the plan was changed or damaged after it was compiled (its body digest does not match)"
        raise PlanError(message, hint)
    try:
        plan = stored.decode(b"{" + body, Plan)
    except ValueError as error:
        message = f"{name}: the plan cannot be read ({error})"
        raise PlanError(message, hint) from error
    return msgspec.structs.replace(plan, source_digest=header.source)
