"""The process that works. Run as `python -I -S helper.py [FOLDER…]`, by path: imports the standard library only.

FOLDERS are where the library for JSONPath lies. A request is a line of three numbers (the size of the JSON that follows,
the memory that is allowed, the size of the data behind the JSON); the answer is one line of JSON. Before each part of the
work its number is written on a line: when the process is ended in the middle, the last number names the part.
The system ends it by SIGPROF when the processor time of a part is over, and refuses memory beyond the limit.
"""

# ruff: noqa: PTH123, SIM105 - pathlib and contextlib would double the time to start
from __future__ import annotations

import json
import re
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple


def main() -> None:
    """Answer requests until stdin is closed."""
    sys.path += sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the process that asks has its own way to end, and closes stdin then
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    requests = sys.stdin.buffer
    while head := requests.readline():
        size, memory, more = map(int, head.split())
        _bound(memory)
        _tell(_answer(requests.read(size), requests.read(more)))


def _bound(size: int) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (OSError, ValueError):
        pass  # macOS takes no such limit


def _tell(value: object) -> None:
    sys.stdout.buffer.write(json.dumps(value).encode() + b"\n")
    sys.stdout.buffer.flush()


def _answer(request: bytes, data: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(request)
        return {"value": _KINDS[asked["kind"]](asked, data)}
    except (re.error, OverflowError, RecursionError) as error:
        return {"fault": f"cannot be read: {error}"}
    except MemoryError:
        return {"fault": "memory"}
    except OSError as error:
        return {"lost": error.strerror or str(error)}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _begun(number: int, seconds: float) -> None:
    """Start the clock for a part; 0 seconds leave the clock unchanged."""
    _tell(number)
    if seconds:
        signal.setitimer(signal.ITIMER_PROF, seconds)


# ------------------------------------------------------------------------------------------------------------- patterns


def _groups(request: dict[str, Any], _: bytes) -> dict[str, str] | None:
    """Return the named groups of the first match."""
    _begun(0, request["seconds"])
    [pattern] = request["patterns"]
    found = re.compile(pattern, re.MULTILINE if request["lines"] else 0).search(request["text"])
    return None if found is None else {name: value or "" for name, value in found.groupdict().items()}


def _first(request: dict[str, Any], _: bytes) -> list[int]:
    """For each text the number of the first pattern that is found in it, -1 for none."""
    numbers = [-1] * len(request["texts"])
    for number, source in enumerate(request["patterns"]):
        _begun(number, 0 if number else request["seconds"])
        for index in _fitting(source, request["texts"], numbers):
            numbers[index] = number
    return numbers


def _fitting(source: str, texts: list[str], numbers: list[int]) -> Iterator[int]:
    """Yield the positions of a pattern in the texts without an earlier match."""
    search = re.compile(source).search
    return (index for index, number in enumerate(numbers) if number < 0 and search(texts[index]))


def _in_file(request: dict[str, Any], _: bytes) -> list[tuple[int, str]]:
    """Return the lines behind a place in a file that a pattern fits, with their numbers, up to the most that is asked
    for.

    Of a traceback of Python there is one, with its exception as its text.
    """
    above, data = _read(request["path"], request["start"], request["size"])
    rows = _rows(data.decode(errors="replace"), re.compile(request["stamp"]), re.compile(request["escape"]))
    texts = [text for _, text in rows]
    hits: dict[int, _Hit] = {}
    blocks = _tracebacks(texts)
    for index, number in enumerate(_each(request["patterns"], texts, request["seconds"], 0)):
        if number >= 0:
            block = blocks.get(index)
            hits.setdefault(index if block is None else block[-1], _Hit(rows[index][0], index, block))
    hits_and_texts = [(hit, hit.text(texts)[: request["letters"]]) for hit in hits.values()]
    owners = [(number, line) for number, (hit, text) in enumerate(hits_and_texts) for line in (text, *hit.lines(texts))]
    checked_lines = [request["prefix"] + line for _, line in owners]
    numbers = (
        _each(request["unless"], checked_lines, request["seconds"], len(request["patterns"])) if checked_lines else []
    )
    allowed = {owner for (owner, _), number in zip(owners, numbers, strict=True) if number >= 0}
    lines = [(above + 1 + hit.line, text) for number, (hit, text) in enumerate(hits_and_texts) if number not in allowed]
    return lines[: request["most"]]


class _Hit(NamedTuple):
    """A line that a pattern fits.

    Attributes:
        line: its number, from 0.
        place: of its text.
        block: the texts of the traceback that it belongs to, its exception last; None for none.
    """

    line: int
    place: int
    block: range | None

    def text(self, texts: list[str]) -> str:
        """Return the text of the line; of a traceback its exception, behind the line that leads to it."""
        text = texts[self.place].strip()
        if self.block is None:
            return text
        exception = texts[self.block[-1]].strip()
        return f"{text}: {exception}" if self.place < self.block[0] else exception

    def lines(self, texts: list[str]) -> list[str]:
        """Return the numbers of its lines."""
        return [] if self.block is None else [texts[self.place], *(texts[index] for index in self.block)]


def _rows(text: str, stamp: re.Pattern[str], escape: re.Pattern[str]) -> list[tuple[int, str]]:
    """Return each line as a person sees it, with the number of the line of the file that it is in: CR ends one, too."""
    rows = []
    for number, line in enumerate(text.split("\n")):
        plain = escape.sub("", stamp.sub("", line, count=1))
        rows += [(number, piece) for piece in plain.removesuffix("\r").split("\r")]
    return rows


_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)


def _tracebacks(texts: list[str]) -> dict[int, range]:
    """For each line of a traceback, and for the line that leads to it, the traceback, up to its last exception."""
    found: dict[int, range] = {}
    index = 0
    while index < len(texts):
        if texts[index].strip() != _TRACEBACK:
            index += 1
            continue
        last = end = _exception(texts, index)
        while last is not None:
            end, following = last, _chained(texts, last)
            last = None if following is None else _exception(texts, following)
        if end is None:  # the log ends in it
            return found
        found |= dict.fromkeys(range(max(0, index - 1), end + 1), range(index, end + 1))
        index = end + 1
    return found


def _exception(texts: list[str], begin: int) -> int | None:
    """Return the position of the exception of a traceback: the first unindented line after its frames. None if it is
    not there yet.
    """
    for index in range(begin + 1, len(texts)):
        if texts[index] and not texts[index][0].isspace():
            return index
    return None


def _chained(texts: list[str], end: int) -> int | None:
    """Return the start of the traceback that an exception leads to; None if there is none."""
    behind = [index for index in range(end + 1, min(end + 5, len(texts))) if texts[index].strip()][:2]
    if len(behind) == 2 and texts[behind[0]].strip() in _CHAINED and texts[behind[1]].strip() == _TRACEBACK:
        return behind[1]
    return None


def _each(patterns: list[str], texts: list[str], seconds: float, base: int) -> list[int]:
    """As `_first`, with a limit for each pattern."""
    numbers = [-1] * len(texts)
    for number, source in enumerate(patterns, base):
        _begun(number, seconds)
        for index in _fitting(source, texts, numbers):
            numbers[index] = number
    return numbers


def _read(path: str, start: int, size: int) -> tuple[int, bytes]:
    """Return how many lines are above a place in a file, and the bytes from there."""
    above, left = 0, start
    with open(path, "rb") as file:
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            above += block.count(b"\n")
            left -= len(block)
        return above, file.read(size)


# ------------------------------------------------------------------------------------------------------------- JSONPath


def _values(request: dict[str, Any], data: bytes) -> list[Any] | str:
    """For each path the values to which it leads, or why it cannot be followed as a text; a text alone for no JSON."""
    from jsonpath_rfc9535 import JSONPathError  # noqa: PLC0415 - most requests are for patterns
    from jsonpath_rfc9535 import compile as compile_path  # noqa: PLC0415

    _begun(0, request["seconds"])
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        return str(error)
    answers: list[Any] = []
    for number, path in enumerate(request["paths"]):
        _begun(number, request["seconds"])
        values: list[Any] = []
        try:
            for node in compile_path(path).finditer(document):
                values.append(node.value)
                if len(values) > request["most"]:
                    break
        except (JSONPathError, RecursionError) as error:
            answers.append(str(error) or "it is nested too deeply")
        else:
            answers.append(values)
    return answers


_KINDS = {"groups": _groups, "first": _first, "in_file": _in_file, "values": _values}

if __name__ == "__main__":
    main()
