"""Mask secrets in the free text of an event and nowhere else: the structs declare which strings are ours (`Ours`).

A secret can be an ordinary word (`DB_PASSWORD=test`). Masked in keys, ids and words of fixed sets, it would destroy the
record that it is to be kept out of.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from orchestra.ledger.canonical import whole_text
from orchestra.ledger.event import Body
from orchestra.ledger.parts import Ours

BodyT = TypeVar("BodyT", bound=Body)

Mask: TypeAlias = Callable[[str], str]
_Walk: TypeAlias = Callable[[Any, Mask], Any]


def masked(body: BodyT, mask: Mask) -> BodyT:
    """Return a copy of an event's body with `mask` applied to its free text.

    Strings below a field without a declared shape (`facts`, `data`) are free text, but the keys of such a field are
    not: this program writes them. A key of a field whose type declares its keys as free text (hosts of a page's
    requests, changed files) comes from the product, and is masked.
    """
    walk = _record(type(body))
    return body if walk is None else cast("BodyT", walk(body, mask))


def _text(value: Any, mask: Mask) -> Any:
    return mask(whole_text(value)) if isinstance(value, str) else value


def _anything(value: Any, mask: Mask) -> Any:
    """Mask every string of a value, but no key."""
    if isinstance(value, Mapping):
        return {key: _anything(item, mask) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_anything(item, mask) for item in value]
    return _text(value, mask)


@functools.cache
def _record(record: type[msgspec.Struct]) -> _Walk | None:
    """Return how the free text of a record is masked; None where it has none."""
    found = {name: _walk(hint) for name, hint in get_type_hints(record, include_extras=True).items()}
    fields = {name: walk for name, walk in found.items() if walk is not None}
    if not fields:
        return None

    def walk_fields(value: Any, mask: Mask) -> Any:
        if not isinstance(value, record):
            return value
        clean = {name: walk(getattr(value, name), mask) for name, walk in fields.items()}
        return msgspec.structs.replace(value, **clean)

    return walk_fields


def _walk(hint: Any) -> _Walk | None:
    """Return how a value of a type is masked; None where nothing of it is free text."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return None if any(isinstance(argument, Ours) for argument in arguments[1:]) else _walk(arguments[0])
    if origin in (Union, types.UnionType):
        # A union of the catalogue is one type or null; every walk leaves a value of another type as it is.
        return next((walk for walk in map(_walk, arguments) if walk is not None), None)
    if origin in (list, tuple):
        return _items(_walk(arguments[0]))
    if origin in (dict, Mapping):
        return _entries(_walk(arguments[0]), _walk(arguments[1]))
    if hint is str:
        return _text
    if hint is Any:
        return _anything
    return _record(hint) if isinstance(hint, type) and issubclass(hint, msgspec.Struct) else None


def _items(item: _Walk | None) -> _Walk | None:
    if item is None:
        return None

    def walk_items(value: Any, mask: Mask) -> Any:
        return tuple(item(one, mask) for one in value) if isinstance(value, (list, tuple)) else value

    return walk_items


def _entries(key: _Walk | None, item: _Walk | None) -> _Walk | None:
    if key is None:
        return None if item is None else lambda value, mask: {name: item(one, mask) for name, one in value.items()}

    def walk_entries(value: Any, mask: Mask) -> Any:
        found: dict[str, Any] = {}
        for name, one in value.items():
            clean = shown = key(name, mask)
            number = 1
            while shown in found:  # two keys with the same secret in two forms: both entries are recorded
                number += 1
                shown = f"{clean} ({number})"
            found[shown] = one if item is None else item(one, mask)
        return found

    return walk_entries
