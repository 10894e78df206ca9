"""Secrets: their values are replaced in every text before it is written, in each form that a run could produce.

What a program writes by itself (a download, a report of a command) is cleaned where it lies. May import nothing of this
package.
"""

from __future__ import annotations

import base64
import html
import json
import mmap
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, quote_plus

MINIMUM_LENGTH = 4
"""A shorter value is masked where it is a word of its own, in texts and not in files: `1` is part of every number."""

STRONG_LENGTH = 8
"""A shorter value, and one that is a word or a number, can be in a text by chance; `weakness` warns of it."""

_ORDINARY = re.compile(r"[A-Za-z]{1,12}|[0-9]{1,12}")

_ESCAPED_IN_URLS = (
    ' "<>`',  # fragment
    ' "#<>',  # query
    " \"#<>'",  # query of http
    ' "#<>?^`{}',  # path
    ' "#<>?`{}',  # path, of browsers that leave ^
    ' "#%<>?[\\]^`{|}',  # encodeURI
    ' "#$%&+,/:;<=>?@[\\]^`{|}',  # encodeURIComponent
)
"""What browsers escape in each part of a URL: https://url.spec.whatwg.org/#percent-encoded-bytes, and ECMA-262."""

_PRINTABLE = frozenset(map(chr, range(0x21, 0x7F)))
_BLOCK_BYTES = 1 << 20
_PICTURES = frozenset({".png", ".webm"})


def forms(value: str) -> set[str]:
    """The ways in which a value may be written: raw, URL, JSON, HTML, and base64 at each of the three offsets."""
    raw = value.encode()
    found = {value, quote(value, safe=""), quote_plus(value), quote(value), html.escape(value)}
    found |= {quote(value, safe="".join(sorted(_PRINTABLE - set(escaped)))) for escaped in _ESCAPED_IN_URLS}
    found |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    for shift in range(3):
        # The first and last characters of a base64 text depend on the neighbours; what lies between does not.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * shift + raw).decode()
            core = text[(0, 2, 3)[shift] : len(text.rstrip("=")) - (1 if (shift + len(raw)) % 3 else 0)]
            found.add(core)
    return {form for form in found if len(form) >= MINIMUM_LENGTH}


def weakness(name: str, value: str) -> str:
    """Return why a value is no good secret, in words that do not give it away; empty for a good one."""
    if not value.strip():
        return f"the value of {name} is blank, so it is not masked"
    if len(value) < STRONG_LENGTH or _ORDINARY.fullmatch(value):
        return (
            f"the value of {name} is shorter than {STRONG_LENGTH} characters, or an ordinary word or number: "
            "texts that hold it by chance are masked, too"
        )
    return ""


class Masks:
    """The values of the named variables, to be replaced by `***NAME***`, the longest form first.

    Args:
        names: of the variables that hold secrets.
        env: where their values are.

    Attributes:
        weak: warnings of values that are no good secrets.
    """

    def __init__(self, names: Sequence[str], env: Mapping[str, str]) -> None:
        values = {name: env[name] for name in names if env.get(name, "").strip()}
        self.weak = tuple(why for name in names if env.get(name) and (why := weakness(name, env[name])))
        self._words = {
            form: name for name, value in values.items() if len(value) >= MINIMUM_LENGTH for form in forms(value)
        }
        short = {value: name for name, value in values.items() if len(value) < MINIMUM_LENGTH}
        marks = {f"***{name}***": name for name in values}  # found first, so that a text may be masked twice
        ordered = sorted(self._words, key=lambda word: (-len(word), word))
        patterns = [*map(re.escape, [*marks, *ordered]), *(_as_a_word(value) for value in sorted(short))]
        self._text = re.compile("|".join(patterns))
        self._log = re.compile("|".join(patterns).encode())
        self._bytes = re.compile(b"|".join(re.escape(word.encode()) for word in [*marks, *ordered]))
        self._names = marks | self._words | short
        self._longest = max((len(word.encode()) for word in [*marks, *ordered]), default=0)

    def __bool__(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self._names)

    def text(self, text: str) -> str:
        """A text without the secrets."""
        if not self._names:
            return text
        return self._text.sub(lambda match: f"***{self._names[match.group(0)]}***", text)

    def stream(self) -> StreamMask | None:
        """A mask for bytes that come in pieces; None when there is nothing to hide."""
        return self._stream(self._log) if self._names else None

    def _stream(self, pattern: re.Pattern[bytes]) -> StreamMask:
        names = {word.encode(): name.encode() for word, name in self._names.items()}
        return StreamMask(pattern, names, self._longest)

    def clean(self, folder: Path) -> None:
        """Take the secrets out of every file below a folder; pictures are left, for what they show is no text.

        Raises:
            OSError: the disk refuses; the file that it refused is as it was.
        """
        if not self._words:
            return
        for file in folder.rglob("*"):
            if not file.is_file() or file.is_symlink() or file.suffix in _PICTURES:
                continue
            if file.suffix == ".zip" and zipfile.is_zipfile(file):
                self._clean_archive(file)
            if self._occurs(file):
                self._rewrite(file)

    def _clean_archive(self, file: Path) -> None:
        """Put a clean copy in the place of an archive, where a secret stands packed in one of its members."""
        staged = file.with_name(f".{file.name}.clean")
        try:
            with zipfile.ZipFile(file) as old:
                if not any(self._bytes.search(old.read(one)) for one in old.infolist()):
                    return
                with zipfile.ZipFile(staged, "w", zipfile.ZIP_DEFLATED) as new:
                    for one in old.infolist():
                        new.writestr(self.text(one.filename), self._masked(old.read(one)))
            staged.replace(file)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
            return  # damaged or under a password: nobody reads a secret in it either
        finally:
            staged.unlink(missing_ok=True)

    def _masked(self, data: bytes) -> bytes:
        mask = self._stream(self._bytes)
        return mask.feed(data) + mask.finish()

    def _occurs(self, file: Path) -> bool:
        if not file.stat().st_size:
            return False
        with file.open("rb") as data, mmap.mmap(data.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return self._bytes.search(content) is not None

    def _rewrite(self, file: Path) -> None:
        """Put a clean copy in the place of a file; a large one is never whole in the memory."""
        mask, staged = self._stream(self._bytes), file.with_name(f".{file.name}.clean")
        try:
            with file.open("rb") as data, staged.open("wb") as out:
                while block := data.read(_BLOCK_BYTES):
                    out.write(mask.feed(block))
                out.write(mask.finish())
            staged.replace(file)
        finally:
            staged.unlink(missing_ok=True)


def _as_a_word(value: str) -> str:
    """Return a pattern for a value where no letter or digit continues it."""
    before = r"(?<!\w)" if value[0].isalnum() else ""
    after = r"(?!\w)" if value[-1].isalnum() else ""
    return f"{before}{re.escape(value)}{after}"


class StreamMask:
    """Takes secrets out of a stream, also those that lie across two pieces: it holds back less than the longest one."""

    def __init__(self, pattern: re.Pattern[bytes], names: Mapping[bytes, bytes], longest: int) -> None:
        self._pattern = pattern
        self._names = names
        self._keep = longest - 1
        self._held = b""
        self._before = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be written after this piece has come."""
        return self._pass(self._held + piece, self._keep)

    def finish(self) -> bytes:
        """What was held back, once no more comes."""
        return self._pass(self._held, 0)

    def _pass(self, piece: bytes, keep: int) -> bytes:
        # The byte before counts: a short value is masked as a word of its own.
        data, first = self._before + piece, len(self._before)
        cut = max(first, len(data) - keep)
        out, at = [], first
        for match in self._pattern.finditer(data, first):
            if match.start() >= cut:
                break
            out += [data[at : match.start()], b"***" + self._names[match.group(0)] + b"***"]
            at = match.end()
        end = max(at, cut)
        out.append(data[at:end])
        self._before, self._held = data[max(0, end - 1) : end], data[end:]
        return b"".join(out)
