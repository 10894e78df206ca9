"""Late names in text: `${name}` is looked up, `$${` is a literal `${`.

A reference is a name, never an expression. The compiler replaces what it knows (variables, block parameters) and leaves
the rest in the plan; the runtime replaces what is bound late (`backend.url`, `attempt.dir`, `saved.token`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
"""The pattern of the name of an environment variable."""

SKILLS = ".agents/skills"
"""The folder of skills, which every client that reads skills looks into, except Claude Code."""

_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")


class Reference(NamedTuple):
    """A `${name}` in a text: the name, its offset in code points, and whether it is closed by `}`."""

    name: str
    offset: int
    closed: bool


def skill_name(command: str) -> str:
    """Return the name of the skill of a slash command: lower-case letters, digits, and single hyphens between them."""
    return re.sub(r"[^a-z0-9]+", "-", command.lower()).strip("-")


def skill_file(command: str) -> str:
    """Return the path of the skill of a slash command, relative to the project root."""
    return f"{SKILLS}/{skill_name(command)}/SKILL.md"


def may_hold(value: Any) -> bool:
    """Return True if a text in a JSON value or a part of a plan may hold a name; False is certain.

    To encode a value in C takes a tenth of the time of a walk through it, and most values hold none.
    """
    return b"${" in msgspec.json.encode(value)


def references(text: str) -> Iterator[Reference]:
    """Yield every reference of the text, in order; escaped ones are not references."""
    if "${" not in text:
        return
    for match in _TOKEN.finditer(text):
        if match.group(1) is not None:
            yield Reference(match.group(1), match.start(), bool(match.group(2)))


def names_in(text: str) -> list[str]:
    """Return the names of `references`, in order, where only they are asked for: a third of the time, in C. An escape
    is "".
    """
    return [name for name, _ in _TOKEN.findall(text)] if "${" in text else []


def substitute(text: str, known: Mapping[str, Any], shown: Callable[[Any], str] = str) -> str:
    """Replace the names that are known by their values, as `shown`, and leave every other reference as it is.

    A value is text of the same language: a late name inside it stays a reference, so a block may be given `${saved.x}`.
    """

    def one(match: re.Match[str]) -> str:
        name = match.group(1)
        return shown(known[name]) if name is not None and match.group(2) and name in known else match.group(0)

    return _TOKEN.sub(one, text) if "${" in text else text


def expand(text: str, lookup: Callable[[str], str]) -> str:
    """Return the text with each reference replaced by `lookup(name)`, each `$${` by `${`. Exceptions of `lookup` pass."""

    def one(match: re.Match[str]) -> str:
        return "${" if match.group(1) is None else lookup(match.group(1))

    return _TOKEN.sub(one, text) if "${" in text else text
