"""Rules about what cannot be seen: invisible characters, and plain words that YAML takes for something else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from orchestra.compiler.rules.context import Context, Problem, rule
from orchestra.diagnostic import Edit, Place
from orchestra.yamltext.document import Document

# Characters that draw nothing or turn the direction of what follows (Unicode: Default_Ignorable_Code_Point, Bidi_Control),
# but for the variation selectors 15 and 16, which choose between a sign and its emoji. See also CVE-2021-42574.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d"
    "\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_ASCII = bytes(range(0x80))
_JOINER = "\u200d"
_YES = frozenset({"y", "yes", "on", "true"})


def _joins_emoji(text: str, index: int) -> bool:
    """Return True if a zero-width joiner is between two pictures, as in a family emoji."""
    before = text[index - 1 : index].replace("\ufe0f", text[index - 2 : index - 1] or " ")
    after = text[index + 1 : index + 2]
    return all(unicodedata.category(one) in ("So", "Sk") for one in (before, after) if one) and bool(before and after)


def _invisible(document: Document) -> Iterator[tuple[int, str]]:
    text = document.marks.text
    # Few characters of a long spec are not ASCII; to look at those alone is ten times as fast.
    if text.isascii() or not _INVISIBLE.search(text.encode().translate(None, _ASCII).decode()):
        return
    for found in _INVISIBLE.finditer(text):
        if found[0] != _JOINER or not _joins_emoji(text, found.start()):
            yield found.start(), found[0]


@rule
def invisible_character(context: Context) -> Iterator[Problem]:
    r"""A file holds a character that is invisible or that reverses the direction of the text after it.

    A reviewer would read a different text from the one that runs. If such a character is intended, write it as an
    escape in double quotes: `"\u200b"`. Comments are checked, too.
    """
    for document in context.source.documents:
        for index, character in _invisible(document):
            line, column = document.marks.line_column(index)
            code = f"U+{ord(character):04X}"
            name = unicodedata.name(character, "").lower()
            escape = f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"
            what = f"{code} ({name})" if name else code
            message = f"found the invisible character {what}"
            place = Place(document.file, line, column)
            hint = f'remove it, or write "{escape}" in double quotes'
            yield Problem(place, message, hint, edits=(Edit(character, ""),))


@rule
def yaml_trap(context: Context) -> Iterator[Problem]:
    """A plain word is a text or number here and has another type in other YAML readers: `yes`, `off`, `012`.

    YAML 1.2 reads `yes` as a text and `012` as twelve; YAML 1.1, and many people, read them as true and as ten.
    """
    for trap in context.source.traps:
        if trap.kind == "octal":
            message = f'"{trap.text}" is the number {int(trap.text)} here, and an octal number in other YAML readers'
            hint = f'write {int(trap.text)}, or "{trap.text}" in quotes for a text'
            meant = str(int(trap.text))
        else:
            message = f'"{trap.text}" is a text here, and a truth value in other YAML readers'
            hint = f'put it in quotes: "{trap.text}", or write true or false'
            meant = "true" if trap.text.lower() in _YES else "false"
        edits = (Edit(trap.text, f'"{trap.text}"', value=True), Edit(trap.text, meant, value=True))
        yield Problem(trap.place, message, hint, edits=edits)


RULES = (invisible_character, yaml_trap)
