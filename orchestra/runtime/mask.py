"""Secrets: their values are replaced in every text before it is written, in each form that a run could produce.

May import nothing of this package.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote, quote_plus

MINIMUM_LENGTH = 4
"""Shorter values are not masked: `1` or `on` would black out half of every log. `orchestra doctor` says so."""


def forms(value: str) -> set[str]:
    """The ways in which a value may be written: raw, URL, JSON, HTML, and base64 at each of the three offsets."""
    raw = value.encode()
    found = {value, quote(value, safe=""), quote_plus(value), quote(value), html.escape(value)}
    found |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    for shift in range(3):
        # The first and last characters of a base64 text depend on the neighbours; what lies between does not.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * shift + raw).decode()
            core = text[(0, 2, 3)[shift] : len(text.rstrip("=")) - (1 if (shift + len(raw)) % 3 else 0)]
            found.add(core)
    return {form for form in found if len(form) >= MINIMUM_LENGTH}


def masker(names: Iterable[str], env: Mapping[str, str]) -> Callable[[str], str]:
    """A function that replaces the values of the named variables by `***NAME***`, the longest form first."""
    words = {form: name for name in names if len(env.get(name, "")) >= MINIMUM_LENGTH for form in forms(env[name])}
    if not words:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word))))
    return lambda text: pattern.sub(lambda match: f"***{words[match.group(0)]}***", text)
