"""Read the JavaScript that Playwright writes for an action: chains of calls with literals, and nothing else.

`await page.getByRole('button', { name: 'Send' }).click();` becomes the calls `getByRole` and `click`. An expression that is
none of these is refused, never evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)
    | (?P<pattern>/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\]|\\.)*\])+/[a-z]*)
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<name>[A-Za-z_$][\w$]*)
    | (?P<sign>[()\[\]{},.:;])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]+)\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|.))", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "undefined": None}


class NotReadError(Exception):
    """The text is no chain of calls with literals."""


class Pattern(msgspec.Struct, frozen=True):
    """A regular expression, as it was written."""

    source: str


class Call(msgspec.Struct, frozen=True):
    """One call of a chain, or a property (`keyboard`), which has no arguments."""

    name: str
    args: tuple[Any, ...] = ()


class Chain(msgspec.Struct, frozen=True):
    """A chain of calls on a name: `page`, `expect`, or empty for a locator without `page.`."""

    calls: tuple[Call, ...]


def statements(code: str) -> Iterator[Chain]:
    """Yield the statements of a code section, one a line; comments and what cannot be read are passed over."""
    reader = _Reader(code)
    while not reader.at_end():
        start = reader.place
        try:
            yield reader.statement()
        except NotReadError:
            reader.skip_line(start)


def expression(text: str) -> Chain:
    """Return the chain of a whole text: `getByRole('button')`, with or without `page.`.

    Raises:
        NotReadError: it is none.
    """
    reader = _Reader(text)
    chain = reader.statement()
    if not reader.at_end():
        raise NotReadError(text)
    return chain


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.place = 0

    def at_end(self) -> bool:
        return not self._text[self.place :].strip()

    def skip_line(self, start: int) -> None:
        """Continue after the first line that has something, from a place on."""
        blank = len(self._text[start:]) - len(self._text[start:].lstrip())
        end = self._text.find("\n", start + blank)
        self.place = len(self._text) if end < 0 else end + 1

    def statement(self) -> Chain:
        if self._peek() == ("name", "await"):
            self._next()
        chain = self._chain()
        rest = self._text[self.place :].lstrip(" \t\r")
        if not self._takes(";") and rest and not rest.startswith("\n"):
            raise NotReadError(rest)
        return chain

    def _match(self) -> re.Match[str] | None:
        return _TOKEN.match(self._text, self.place)

    def _peek(self) -> tuple[str, str]:
        match = self._match()
        return ("", "") if match is None or match.lastgroup is None else (match.lastgroup, match[match.lastgroup])

    def _next(self) -> tuple[str, str]:
        match = self._match()
        if match is None or match.lastgroup is None:
            raise NotReadError(self._text[self.place :])
        self.place = match.end()
        return match.lastgroup, match[match.lastgroup]

    def _expect(self, sign: str) -> None:
        if self._next() != ("sign", sign):
            raise NotReadError(self._text)

    def _takes(self, sign: str) -> bool:
        if self._peek() != ("sign", sign):
            return False
        self._next()
        return True

    def _chain(self) -> Chain:
        calls: list[Call] = []
        while True:
            kind, name = self._next()
            if kind != "name":
                raise NotReadError(self._text)
            if self._takes("("):
                calls.append(Call(name, self._until(")")))
            elif calls or name != "page":
                calls.append(Call(name))
            if not self._takes("."):
                return Chain(tuple(calls))

    def _until(self, sign: str) -> tuple[Any, ...]:
        values: list[Any] = []
        while not self._takes(sign):
            values.append(self._value())
            if not self._takes(","):
                self._expect(sign)
                break
        return tuple(values)

    def _value(self) -> Any:
        kind, text = self._peek()
        if kind == "text":
            self._next()
            return _unquoted(text)
        if kind == "pattern":
            self._next()
            return Pattern(text)
        if kind == "number":
            self._next()
            return float(text) if "." in text else int(text)
        if kind == "name" and text in _WORDS:
            self._next()
            return _WORDS[text]
        if kind == "name":
            return self._chain()
        if self._takes("["):
            return list(self._until("]"))
        if self._takes("{"):
            return self._object()
        raise NotReadError(self._text)

    def _object(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not self._takes("}"):
            kind, key = self._next()
            if kind not in {"name", "text"}:
                raise NotReadError(self._text)
            self._expect(":")
            values[_unquoted(key) if kind == "text" else key] = self._value()
            if not self._takes(","):
                self._expect("}")
                break
        return values


def _unquoted(literal: str) -> str:
    """Return the text of a literal. Half of a surrogate pair stays one; both halves become a character."""

    def character(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        return chr(int(code, 16)) if code else _LETTERS.get(match[4], match[4])

    text = _ESCAPE.sub(character, literal[1:-1])
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
