"""Events made by hand from plain data, without a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from orchestra.ledger.event import CATALOGUE, Body, Event
from orchestra.ledger.view import View, view_of

STAMP = "2026-01-02T03:04:05.000000Z"


def body(kind: str, fields: Mapping[str, Any]) -> Body:
    """The body of an event of this type, as a reader of these fields would be given it."""
    return msgspec.convert(fields, CATALOGUE[kind].body)


def event(seq: int, made: Body, time: str = STAMP) -> Event:
    """An event without its place in a chain."""
    names = {entry.body: name for name, entry in CATALOGUE.items()}
    return Event(seq, time, names.get(type(made), "telepathy"), 1, "", "", made)


def events(*made: Body) -> list[Event]:
    """Events with these bodies, numbered from 1."""
    return [event(seq, one) for seq, one in enumerate(made, 1)]


def view(*made: Body, steps: bool = True) -> View:
    """The view of a run with these events."""
    return view_of(events(*made), steps=steps)


def data(one: Event) -> dict[str, Any]:
    """An event as its line has it."""
    return msgspec.to_builtins(one)
