"""Globs of URLs, as Playwright reads them."""

from __future__ import annotations

import functools
import re

_PART = re.compile(r"\*\*|\*|\{|\}|,|.", re.DOTALL)


@functools.cache
def url_pattern(glob: str) -> re.Pattern[str]:
    r"""Return a glob as a regular expression that Python and JavaScript read alike.

    `**` is any text, `*` any text without `/`, `{a,b}` one of several; all else is literal, `?` too.
    """
    depth, parts = 0, ["^"]
    for part in _PART.findall(glob):
        if part == "**":
            parts.append(".*")
        elif part == "*":
            parts.append("[^/]*")
        elif part == "{" and "}" in glob:
            depth += 1
            parts.append("(?:")
        elif part == "}" and depth:
            depth -= 1
            parts.append(")")
        elif part == "," and depth:
            parts.append("|")
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts) + ")" * depth + "$")
