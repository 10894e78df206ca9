"""Secrets are masked in the free text of an event and nowhere else: the catalogue says which strings are ours (`Ours`).

A secret can be an ordinary word (`DB_PASSWORD=test`). Masked in keys, ids and words of fixed sets, it would destroy the
record that it is to be kept out of.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NotRequired, Required, TypeAlias, Union, get_args, get_origin, get_type_hints

from orchestra.ledger.canonical import whole_text
from orchestra.ledger.event import CATALOGUE, Ours

Mask: TypeAlias = Callable[[str], str]
_Walk: TypeAlias = Callable[[Any, Mask], Any]


def masked(kind: str, body: Mapping[str, object], mask: Mask) -> dict[str, Any]:
    """Return a copy of an event's body with `mask` applied to its free text.

    Strings below a field without a declared shape (`facts`, `data`) are free text, the keys of such a field are not: this
    program writes them. A key of a field whose type says that its keys are free text (hosts of a page's requests, changed
    files) comes from the product, and is masked.

    Args:
        kind: a type of the catalogue.
        body: of an event of that type.
        mask: takes secrets out of a text.
    """
    walk = _record(CATALOGUE[kind].body)
    return dict(body) if walk is None else walk(body, mask)


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
def _record(record: type) -> _Walk | None:
    """Return how the free text of a record is masked; None where it has none."""
    found = {name: _walk(hint) for name, hint in get_type_hints(record, include_extras=True).items()}
    fields = {name: walk for name, walk in found.items() if walk is not None}
    if not fields:
        return None

    def walk_fields(value: Any, mask: Mask) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: fields[name](item, mask) if name in fields else item for name, item in value.items()}

    return walk_fields


def _walk(hint: Any) -> _Walk | None:
    """Return how a value of a type is masked; None where nothing of it is free text."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return None if any(isinstance(one, Ours) for one in arguments[1:]) else _walk(arguments[0])
    if origin in (NotRequired, Required):
        return _walk(arguments[0])
    if origin in (Union, types.UnionType):
        # A union of the catalogue is one type or null; every walk leaves a value of another type as it is.
        return next((walk for walk in map(_walk, arguments) if walk is not None), None)
    if origin in (list, tuple):
        return _items(_walk(arguments[0]))
    if origin in (dict, Mapping):
        return _entries(_walk(arguments[0]), _walk(arguments[1]))
    if hint is str:
        return _text
    if hint in (object, Any):
        return _anything
    return _record(hint) if hasattr(hint, "__annotations__") else None


def _items(item: _Walk | None) -> _Walk | None:
    if item is None:
        return None

    def walk_items(value: Any, mask: Mask) -> Any:
        return [item(one, mask) for one in value] if isinstance(value, (list, tuple)) else value

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
