"""Patterns for the ways in which programs spell one character: as it is, or escaped for where it is written.

Letters and digits of ASCII are never escaped, so what lies between two of them decides. An escape may be escaped again (JSON
in JSON, HTML in a URL): each pattern has room for it. All repetitions have a limit, and most give nothing back (`{0,8}+`), so
that no text makes a match slow.
"""

from __future__ import annotations

import functools
import re
from html.entities import codepoint2name

_PERCENT = rb"%(?:25){0,3}"
_NUMBER_SIGN = rb"(?:#|%(?:25){0,3}23)"
_SEMICOLON = rb"(?:;|%(?:25){0,3}3[Bb])"
_AMPERSAND = rb"(?:&|%%(?:25){0,3}26|\\{1,8}+u0026)(?:amp%b){0,3}" % _SEMICOLON
_SLASH = rb"(?:\\|%(?:25){0,3}5[Cc]|&#92;)"
_SLASHES = _SLASH + rb"{0,16}+"
"""Backslashes before a character; each time that JSON is put into JSON their number doubles."""

_BEFORE_CODE = _SLASH + rb"{1,16}+"
_CONTROLS = {"\n": b"n", "\r": b"r", "\t": b"t", "\b": b"b", "\f": b"f"}
_NAMES = {"'": "apos", "\n": "NewLine", "\t": "Tab"}


def raw_bytes(text: str) -> bytes:
    """Return a text in UTF-8; bytes of a variable that are not UTF-8 are as they were."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")


@functools.cache
def spelling(letter: str, number: int = 1) -> bytes:
    """Return a pattern (of bytes) for a character, or for a run of the same one."""
    if letter == "\\":
        escaped = _any(_BEFORE_CODE + _any(*_escapes("\\")), _entity("\\"))
        return _any(escaped * number, _SLASH + rb"{%d,%d}" % (number, 16 * number))
    if letter == " ":
        # A browser shows several spaces as one.
        return rb"%s{1,%d}" % (_character(" ", rb"[ \t+]|\xc2\xa0|%(?:25){0,3}2[bB]|&#43;"), 4 * number)
    if letter == "+":  # a form decodes it as a space
        return _character("+", rb"\+| |%(?:25){0,3}20") * number
    if letter in "'\"":
        return _quotes(letter, number)
    return _character(letter) * number


def _character(letter: str, raw: bytes = b"") -> bytes:
    """Return the pattern of one character; `raw` is its own when it is not the character itself."""
    if letter.isascii() and letter.isalnum():
        return letter.encode()
    raw = raw or re.escape(raw_bytes(letter))
    if not letter.isascii() and ord(letter) < 256:
        raw += b"|" + re.escape(bytes([ord(letter)]))  # ISO 8859-1
    return _any(_SLASHES + _any(_percent(letter), _entity(letter), raw), _BEFORE_CODE + _any(*_escapes(letter)))


def _quotes(letter: str, number: int) -> bytes:
    """Return the pattern of quotes: SQL and CSV double them, a shell ends the text for one."""
    single, double = _character("'"), _character('"')
    shell = _any(single + double + single + double + single, single + _BEFORE_CODE + single + single)
    one = double if letter == '"' else _any(shell, single)
    if number == 1:
        escaped = _any(_BEFORE_CODE + letter.encode(), _percent(letter), _entity(letter))
        return _any(letter.encode() * 2, escaped * 2, one)  # both escaped: the first of JSON's own is not
    return rb"%s{%d,%d}" % (one, number, 2 * number)


def _escapes(letter: str) -> tuple[bytes, ...]:
    """Return patterns of the escapes of JSON, JavaScript, Python and C, without the backslash before them."""
    code, raw = ord(letter), raw_bytes(letter)
    units = letter.encode("utf-16-be", "surrogatepass")
    parts = [_BEFORE_CODE.join(b"u" + _hex(units[at : at + 2].hex()) for at in range(0, len(units), 2))]
    parts += [rb"u\{0{0,5}" + _hex(f"{code:x}") + rb"\}", b"U" + _hex(f"{code:08x}")]
    parts += [b"x" + _hex(f"{code:02x}")] if code < 256 else []
    parts.append(_BEFORE_CODE.join(b"x" + _hex(f"{byte:02x}") for byte in raw))
    parts.append(_BEFORE_CODE.join(b"%03o" % byte for byte in raw))
    parts += [_CONTROLS[letter]] if letter in _CONTROLS else []
    return tuple(parts)


def spellings(letter: str) -> tuple[bytes, ...]:
    """Return the usual ways to write a character; a letter or digit of ASCII has one."""
    code, raw = ord(letter), raw_bytes(letter)
    if letter.isascii() and letter.isalnum():
        return (raw,)
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    texts = [
        "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)),
        f"\\U{code:08x}",
        f"\\u{{{code:x}}}",
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}",
        "".join(f"\\x{byte:02x}" for byte in raw),
        f"&#x{code:x};",
        "".join(f"%{byte:02x}" for byte in raw),
        "".join(f"%25{byte:02x}" for byte in raw),
    ]
    entity = codepoint2name.get(code) or _NAMES.get(letter) or f"#{code}"
    texts += [_upper(text) for text in texts]
    texts += [f"&{entity};", f"&#{code};", "".join(f"\\{byte:03o}" for byte in raw)]
    found = [text.encode() for text in texts]
    return (*found, raw, *(b"\\" + one for one in (raw, found[6], found[7]) if letter.isascii()))


def _upper(escape: str) -> str:
    """Return an escape with its hexadecimal digits in upper case."""
    return re.sub(r"(?<=[\\#][uUx])[{0-9a-f]+|(?<=%)[0-9a-f]+", lambda digits: digits[0].upper(), escape)


def _percent(letter: str) -> bytes:
    return b"".join(_PERCENT + _hex(f"{byte:02x}") for byte in raw_bytes(letter))


def _entity(letter: str) -> bytes:
    code = ord(letter)
    names = [name.encode() for name in (codepoint2name.get(code), _NAMES.get(letter)) if name]
    number = _NUMBER_SIGN + rb"(?:0{0,6}+%d|[xX]0{0,6}+%s)" % (code, _hex(f"{code:x}"))
    return _AMPERSAND + _any(*names, number) + _SEMICOLON


def _hex(digits: str) -> bytes:
    """Return hexadecimal digits in either case."""
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits).encode()


def _any(*patterns: bytes) -> bytes:
    return b"(?:" + b"|".join(patterns) + b")"
