"""The events of a YAML parser as small structs, from the C part of ruamel or from its pure parser. Owns ruamel.

The C part makes an object of the classes of `ruamel.yaml.events` for each event, by three
nested constructors in Python, which takes two thirds of the time of a whole parse. It looks the classes up in its own
namespace, so while we read, structs stand there in their place: the same stream in half the time (bench/compile.py).
Where that has no effect, and for the pure parser, events are translated one by one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark

from orchestra.yamltext.fault import Fault

try:
    import _ruamel_yaml as c_part  # type: ignore[import-not-found]  # compiled, ships no types
except ImportError:  # pragma: no cover  (a platform for which ruamel.yaml.clib has no wheel)
    c_part = None

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_QUESTION_IN_FLOW: Final = re.compile(r"[\[{,]\s*\?\S")


class _Event(msgspec.Struct, gc=False):
    """An event; subclasses name the fields in the order in which the C part gives them."""


class StreamStartEvent(_Event):
    """The first event."""

    start_mark: Any
    end_mark: Any = None
    encoding: Any = None


class StreamEndEvent(_Event):
    """The last event."""

    start_mark: Any
    end_mark: Any = None


class DocumentStartEvent(_Event):
    """A document begins, with or without `---`."""

    start_mark: Any
    end_mark: Any = None
    explicit: Any = None
    version: Any = None
    tags: Any = None


class DocumentEndEvent(_Event):
    """A document ends."""

    start_mark: Any
    end_mark: Any = None
    explicit: Any = None


class AliasEvent(_Event):
    """An alias `*anchor`."""

    anchor: Any
    start_mark: Any
    end_mark: Any = None


class ScalarEvent(_Event):
    """A scalar. `ctag` is None without a tag; `style` is empty for a plain one."""

    anchor: Any
    ctag: Any
    implicit: Any
    value: Any
    start_mark: Any
    end_mark: Any = None
    style: Any = None


class SequenceStartEvent(_Event):
    """A list begins."""

    anchor: Any
    ctag: Any
    implicit: Any
    start_mark: Any
    end_mark: Any = None
    flow_style: Any = None


class SequenceEndEvent(_Event):
    """A list ends."""

    start_mark: Any
    end_mark: Any = None


class MappingStartEvent(_Event):
    """A mapping begins."""

    anchor: Any
    ctag: Any
    implicit: Any
    start_mark: Any
    end_mark: Any = None
    flow_style: Any = None


class MappingEndEvent(_Event):
    """A mapping ends."""

    start_mark: Any
    end_mark: Any = None


NextEvent: TypeAlias = Callable[[], Any]
_STRUCTS: Final[dict[str, type[_Event]]] = {kind.__name__: kind for kind in _Event.__subclasses__()}
# The whole process shares the namespace of the C part.
_LOCK: Final = threading.Lock()


class RefusedError(Exception):
    """The parser refuses the text; the fault has the reason."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.problem)
        self.fault = fault


@contextmanager
def reading(text: str, *, pure: bool) -> Iterator[NextEvent]:
    """Within it, a function that gives the next event of the text. Use no other YAML reader inside.

    Args:
        text: of the file.
        pure: use the pure parser even where the C part is at hand.

    Raises:
        RefusedError: by the function, or by what it is used in.
    """
    try:
        if pure or c_part is None:
            yield _guarded(map(_translated, _pure_events(text)).__next__, text)
        else:
            with _LOCK, _structs_in_place():
                yield _guarded(_c_events(text), text)
    except MarkedYAMLError as error:
        raise RefusedError(_fault(error)) from None


@contextmanager
def _structs_in_place() -> Iterator[None]:
    classes = {name: getattr(c_part, name) for name in _STRUCTS if hasattr(c_part, name)}
    for name in classes:
        setattr(c_part, name, _STRUCTS[name])
    try:
        yield
    finally:
        for name, kind in classes.items():
            setattr(c_part, name, kind)


def _c_events(text: str) -> NextEvent:
    """Return the events of the C part; translated if it does not take our structs, as another version of it may."""
    next_event: NextEvent = c_part.CParser(text).get_event
    if type(next_event()) is StreamStartEvent:
        return next_event
    return lambda: _translated(next_event())


def _translated(event: Any) -> _Event:
    """Return an event of ruamel as a struct of the same name."""
    struct = _STRUCTS[type(event).__name__]
    return struct(**{name: getattr(event, name) for name in struct.__struct_fields__})


def _pure_events(text: str) -> Iterator[Any]:
    """Yield the events of the pure parser. Escapes that name no character, which the C part refuses, are refused here."""
    mark = StringMark("", 0, 0, 0, "", 0)
    problem = "found invalid Unicode character escape code"
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            mark = event.start_mark
            if type(event).__name__ == "ScalarEvent" and _SURROGATE.search(event.value):
                raise MarkedYAMLError(problem=problem, problem_mark=mark)
            yield event
    except (ValueError, OverflowError):  # chr() of an escape above U+10FFFF
        raise MarkedYAMLError(problem=problem, problem_mark=mark) from None


def _guarded(next_event: NextEvent, text: str) -> NextEvent:
    """Return the events, refusing `[?x]`: a text by YAML 1.2, which both parsers take for the mapping `{x: null}`.

    Only a file in which that may occur pays for the look at each event.
    """
    if not _QUESTION_IN_FLOW.search(text):
        return next_event

    def guarded() -> Any:
        event = next_event()
        mark = event.start_mark
        if text[mark.index - 1 : mark.index] == "?" and text[mark.index : mark.index + 1].strip(" \t\r\n]},"):
            raise MarkedYAMLError(problem="found unexpected '?'", problem_mark=mark)
        return event

    return guarded


def _fault(error: MarkedYAMLError) -> Fault:
    start = None if error.context_mark is None else error.context_mark.index
    index = error.problem_mark.index if error.problem_mark is not None else start or 0
    return Fault(str(error.problem), index, str(error.context or ""), start)
