"""Check the wording of pages, docstrings, comments and messages against a list of denied words.

    words.py              list each denied word in the covered places; exit 1 if there is any
    words.py --count      print the number of occurrences of each word

docs/glossary.md has the terms to use. In Python only strings and comments are read, in Markdown everything except code.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# A word in all its forms, and the terms that replace it.
DENIED = {
    r"mend(?:s|ed|ing)?": "fix, hint, repair",
    r"judg(?:es?|ed|ing|e?ments?)": "validate, check, evaluate",
    r"(?:tell(?:s|ing)?|told)": "report, show, print",
    r"(?:says?|saying|said)": "report, state, declare, define",
    r"anew": "again, or a verb with re-",
    r"(?:nobody|somebody|anybody|everybody|who(?:so)?ever)": "the name of the actor, or no one",
    r"beside": "next to, in addition to",
    r"(?:rungs?|ladders?)": "recovery step, recovery policy",
    r"(?:stands|stood)": "is, applies",
    r"(?:go(?:es|ing)?|went) on with": "resume, continue",
}
OPENING = "sentence that opens with What or Whoever"
PATTERNS = {word: re.compile(rf"\b{word}\b", re.IGNORECASE) for word in DENIED} | {
    OPENING: re.compile(r"(?:^|(?<=[.!:] ))(?:What|Whoever)\b(?!.*\?)")
}
ADVICE = DENIED | {OPENING: "a concrete subject"}

# The covered places, as globs from the root. A file of EXEMPT is not read.
COVERED = (
    *("*.md", "docs/**/*.md", ".claude/**/*.md", "templates/*", "Makefile", "dodo.py"),
    *("orchestra/**/*.py", "scripts/*.py", "bench/**/*.py"),
)
EXEMPT = {"scripts/words.py": "it holds the words"}

# Phrases that may stay, by file, with the reason.
EXCEPTIONS = {
    ("CONTRIBUTING.md", '"What" or "Whoever"'): "the rule itself",
}

INLINE_CODE = re.compile(r"`[^`]*`")
ENTRY = re.compile(r"^\w+(?:, \w+)*: ")  # the name of an argument or attribute in a docstring
VALUE = re.compile(r"\{[^{}]*\}")  # of an f-string, which is one token before Python 3.12


def markdown(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page without code."""
    fenced = False
    for number, line in enumerate(text.splitlines(), start=1):
        fence = line.lstrip().startswith("```")
        if not fence and not fenced:
            yield number, INLINE_CODE.sub("``", line)
        fenced ^= fence


def python(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of strings and comments, without inline code."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.STRING or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            if " " not in token.string:  # a key, and no prose
                continue
            body = token.string.lstrip("rbfuRBFU").strip("\"'")
            lines = (VALUE.sub("", body) if token.string[0] in "fF" else body).splitlines()
        elif token.type == tokenize.COMMENT:
            lines = [token.string.lstrip("# ")]
        else:
            continue
        for number, line in enumerate(lines, start=token.start[0]):
            yield number, INLINE_CODE.sub("``", ENTRY.sub("", line.strip()))


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that people read."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from python(text)
    elif path.suffix == ".md":
        yield from markdown(text)
    else:
        yield from enumerate(text.splitlines(), start=1)


def files(root: Path, globs: Sequence[str]) -> list[Path]:
    """Return the files of these places, sorted."""
    paths = {path for glob in globs for path in root.glob(glob) if path.is_file()}
    return sorted(path for path in paths if path.relative_to(root).as_posix() not in EXEMPT)


def denied(root: Path, globs: Sequence[str]) -> Iterator[tuple[str, int, str, str]]:
    """Yield file, line, match and word for each denied word."""
    for path in files(root, globs):
        name = path.relative_to(root).as_posix()
        excused = [phrase for file, phrase in EXCEPTIONS if file == name]
        for number, line in prose(path):
            rest = line
            for phrase in excused:
                rest = rest.replace(phrase, "")
            for word, pattern in PATTERNS.items():
                for match in pattern.finditer(rest):
                    yield name, number, match.group(), word


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Print the denied words, or their counts."""
    parser = argparse.ArgumentParser(prog="words.py", description="Check the wording against the list of denied words.")
    parser.add_argument("--count", action="store_true", help="print how often each word occurs in the covered places")
    if parser.parse_args(arguments).count:
        counts = Counter(word for _, _, _, word in denied(root, COVERED))
        for word in PATTERNS:
            print(f"{counts[word]:6}  {word}")
        return 0
    matches = list(denied(root, COVERED))
    for name, number, match, word in matches:
        print(f'{name}:{number}: "{match}" is on the list of denied words: use {ADVICE[word]}')
    return int(bool(matches))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
