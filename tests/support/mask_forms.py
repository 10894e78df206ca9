"""Each form in which programs write a secret, made by the encoders that they use, and what must not be left of it."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

from msgspec import json as compact


def _ansi(text: str) -> str:
    """Colours that change within the text, as a diff or `grep --color` marks a part of it."""
    return f"\x1b[32m{text[:5]}\x1b[1;31m{text[5:7]}\x1b[0m\x1b[38;5;12m{text[7:]}\x1b(B\x1b[m"


def _slashed(text: str) -> str:
    return json.dumps(text).replace("/", "\\/")


def _go(text: str) -> str:
    """As Go, and JSON in a page: what HTML would read is a code."""
    return "".join(f"\\u{ord(letter):04x}" if letter in "<>&\u2028" else letter for letter in json.dumps(text))


def _octal(text: str) -> str:
    """As git writes the names of files."""
    return "".join(chr(one) if 31 < one < 127 else f"\\{one:03o}" for one in text.encode())


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _wrapped(text: str) -> str:
    """Lines of 76 characters, as MIME and `base64` make them; the text lies across two."""
    return base64.encodebytes(b"x" * 50 + text.encode() + b"y" * 40).decode()


def _pem(text: str) -> str:
    code = base64.b64encode(b"x" * 40 + text.encode() + b"y" * 40).decode()
    return "\n".join("    " + code[at : at + 64] for at in range(0, len(code), 64))


FORMS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "url": lambda text: quote(text, safe=""),
    "url of a path": quote,
    "url, lower-case": lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
    "url of a form": quote_plus,
    "decoded by a form": lambda text: text.replace("+", " "),
    "url of what a form decoded": lambda text: quote(text.replace("+", " ")),
    "url twice": lambda text: quote(quote(text, safe=""), safe=""),
    "url twice, lower-case": lambda text: re.sub(
        "%25..", lambda code: code[0].lower(), quote(quote(text, safe=""), safe="")
    ),
    "json": json.dumps,
    "json in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "json of msgspec": lambda text: compact.encode(text).decode(),
    "json in json": lambda text: json.dumps(json.dumps(text)),
    "json in json in json": lambda text: json.dumps(json.dumps(json.dumps(text, ensure_ascii=False))),
    "json with \\/": _slashed,
    "json with \\u003c": _go,
    "json with \\u003c in json": lambda text: json.dumps(_go(text)),
    "json in a url": lambda text: quote(json.dumps(text)),
    "html": html.escape,
    "html, quotes left": lambda text: html.escape(text, quote=False),
    "html with &#39;": lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "html with numbers": lambda text: "".join(
        one if one.isascii() and one.isalnum() else f"&#{ord(one)};" for one in text
    ),
    "html with &apos;": lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    "html twice": lambda text: html.escape(html.escape(text)),
    "html of json": lambda text: html.escape(json.dumps(text)),
    "html of a url": lambda text: html.escape(f"?a=1&token={quote_plus(text)}"),
    "html in a url": lambda text: quote(html.escape(text)),
    "xml": escape,
    "xml of an attribute": quoteattr,
    "xml in ASCII": lambda text: escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "shell": shlex.quote,
    "shell in json": lambda text: json.dumps(shlex.quote(text)),
    "shell with '\\''": lambda text: "'" + text.replace("'", "'\\''") + "'",
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "ascii": ascii,
    "octal": _octal,
    "sql": lambda text: "'" + text.replace("'", "''") + "'",
    "csv": lambda text: '"' + text.replace('"', '""') + '"',
    "colours": _ansi,
    "colours in json": lambda text: json.dumps(_ansi(text)),
    "colours in xml": lambda text: escape(_ansi(text)).replace("\x1b", "#x1B"),
    "base64": _b64,
    "base64 after one byte": lambda text: _b64("u" + text),
    "base64 after two bytes": lambda text: _b64("u:" + text + ":more"),
    "base64 of a url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in a url": lambda text: quote(_b64(text), safe=""),
    "base64 of json": lambda text: _b64(json.dumps({"token": text})),
    "base64 in lines of 76": _wrapped,
    "base64 in lines of 64, indented": _pem,
    "base64 in lines, in json": lambda text: json.dumps(_wrapped(text)),
    "base64 twice": lambda text: _b64(_b64(text)),
    "base64 twice, after two bytes": lambda text: _b64("ab" + _b64("c:" + text)),
    "hex": lambda text: text.encode().hex(),
    "hex, upper-case": lambda text: text.encode().hex().upper(),
    "hex in lines of 60": lambda text: re.sub("(.{60})", "\\1\n", (b"x" * 26 + text.encode() + b"y" * 40).hex()),
    "lower-case": str.lower,
    "upper-case": str.upper,
    "cut off": lambda text: text[: len(text) // 2] + "…",
    "cut off in ASCII": lambda text: text[: len(text) // 2] + "...",
    "cut off before": lambda text: "..." + text[len(text) // 2 :],
}
"""By name; each takes a text of one line and gives it as a text in which it can be read."""

BYTES: dict[str, Callable[[str], bytes]] = {
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16-le": lambda text: text.encode("utf-16-le"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
}
"""Forms that are no text in UTF-8."""

AT_MOST = 5
"""So many characters of a secret may be left, at either end of its form: digits of base64 that depend on their neighbours."""
