"""Text of a spec as a literal of Python or of YAML.

Markdown, Mermaid and the terminal have their escapes in `orchestra.draw`, which reports share.

Both literals are the same under every version of Python: `repr` asks the Unicode database of the running version what
is printable, so it serves here for ASCII only; for the rest, characters that do not show are escaped by a fixed table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestra.draw import HIDDEN

_PYTHON = re.compile(rf"[\n\r\t\\'{HIDDEN}]")
_PYTHON_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": r"\\", "'": r"\'"}
# `$`, `@`, braces and the backtick too: the bytes of a command's frontmatter then hold no trigger of its reader. Nor
# `---`, at which Claude Code ends the frontmatter wherever it is, in a quoted text too.
_YAML = re.compile(rf'["\\$@`{{}}\n\r\t\u2028\u2029\ufffe\uffff{HIDDEN}]|-(?=--)')
_YAML_SHORT = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def _code_point(char: str) -> str:
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def python(text: str) -> str:
    """Return the text as a Python literal on one line; `ast.literal_eval` gives it back."""
    if text.isascii():
        return repr(text)
    return "'" + _PYTHON.sub(lambda found: _PYTHON_SHORT.get(found[0]) or _code_point(found[0]), text) + "'"


def python_tuple(texts: Iterable[str]) -> str:
    """Return the texts as a literal tuple."""
    items = [python(text) for text in texts]
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def yaml(text: str) -> str:
    """Return the text as a double-quoted YAML scalar on one line."""
    return '"' + _YAML.sub(lambda found: _YAML_SHORT.get(found[0]) or _code_point(found[0]), text) + '"'
