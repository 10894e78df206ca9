"""Turn events into lines and lines into events: the hash of the content and the hash before.

A line is the canonical JSON of the event. Its keys are sorted, so `hash` is between `body` and `prev`, and the hashed
text is the line without that piece. Writing and checking therefore encode nothing twice. Between `hash` and `prev`
there can be `mac`: the MAC of the hash by the key of the user who wrote the line. As each hash covers all before it,
the MAC of the last line covers the whole chain.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from orchestra import owner
from orchestra.ledger.canonical import canonical, parse, scrubbed
from orchestra.ledger.event import Body, Event, Seal, Segment, Unknown
from orchestra.ledger.free_text import masked
from orchestra.ledger.versions import body_of, type_of

GENESIS: Final = "0" * 64
"""The hash before the first event."""

_HASH_KEY: Final = b',"hash":"'
_HASH_LENGTH: Final = 64
_MAC: Final = re.compile(rb',"mac":"([0-9a-f]{%d})"' % owner.MAC_LENGTH)


class Tip(NamedTuple):
    """The last whole event of a ledger, as far as the next one needs it.

    Attributes:
        end: the offset behind its line, in the file that is written; 0 when that file holds no event yet.
        segment: the number of that file, from 1.
        mac: as its line has it, empty where it has none.
    """

    seq: int = 0
    hash: str = GENESIS
    time: str = ""
    end: int = 0
    segment: int = 1
    mac: str = ""


class BrokenLineError(ValueError):
    """A line is not the event of its position; the text has the reason."""


def link(
    tip: Tip, time: str, body: Body, mask: Callable[[str], str] | None, secret: bytes = b""
) -> tuple[Event, bytes]:
    """Return the event that follows `tip`, and its line with the line feed.

    A clock that was set back does not make the record go back: the event then has the time of the one before.

    Raises:
        ValueError: the body holds what JSON cannot.
        TypeError: the body is none of the catalogue, or holds an object that is not plain data.
    """
    kind, version = type_of(body)
    if mask:
        body = masked(body, mask)
    try:
        text = canonical(body)
    except UnicodeEncodeError:
        body = msgspec.convert(scrubbed(msgspec.to_builtins(body)), type(body))
        text = canonical(body)
    seq, stamp = tip.seq + 1, max(time, tip.time)
    front = b'{"body":' + text
    back = _behind_hash(tip.hash, seq, stamp, kind, version)
    digest = hashlib.sha256(front + back).hexdigest()
    mac = owner.mac(secret, digest) if secret else ""
    event = Event(seq, stamp, kind, version, tip.hash, digest, body, mac)
    return event, _whole(front, digest, mac, back) + b"\n"


def _whole(front: bytes, digest: str, mac: str, back: bytes) -> bytes:
    """Return a line of what is before its hash, its hash, its MAC, and the rest."""
    own = f',"mac":"{mac}"' if mac else ""
    return b'%b,"hash":"%b"%b%b' % (front, digest.encode(), own.encode(), back)


def _behind_hash(prev: str, seq: int, time: str, kind: str, version: int) -> bytes:
    """Return the end of a line, from behind its hash and its MAC."""
    return f',"prev":"{prev}","seq":{seq},"time":"{time}","type":"{kind}","v":{version}}}'.encode()


class _Line(msgspec.Struct, gc=False):
    """A line before it is known what its body is."""

    body: msgspec.Raw
    prev: str
    seq: int
    time: str
    type: str
    v: int
    mac: str = ""


_decode = msgspec.json.Decoder(_Line).decode


def unlink(line: bytes, seq: int, prev: str) -> Event:
    """Return the event of a line (without its line feed) that must be number `seq` and follow the hash `prev`.

    Raises:
        BrokenLineError: any byte of it is not as it was written, or it belongs elsewhere.
    """
    cut = line.rfind(_HASH_KEY)
    start = cut + len(_HASH_KEY)
    end = start + _HASH_LENGTH
    if cut < 0 or line[end : end + 1] != b'"':
        raise BrokenLineError("it is not an event: it has no hash")
    recorded = line[start:end]
    actual = hashlib.sha256(line[:cut] + line[_behind(line, end + 1) :]).hexdigest()
    if recorded != actual.encode():
        raise BrokenLineError(
            f"its content has the hash {actual[:12]}…, but it states {recorded[:12].decode('ascii', 'replace')}…"
        )
    try:
        head = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenLineError(f"it is not an event: {error}") from error
    if head.prev != prev:
        raise BrokenLineError(f"it follows the hash {head.prev[:12]}…, but the hash before it is {prev[:12]}…")
    if head.seq != seq:
        raise BrokenLineError(f"it is number {head.seq}, but its place is {seq}")
    try:
        body = body_of(head.type, head.v, head.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenLineError(f'it is not an event "{head.type}": {error}') from error
    return Event(seq, head.time, head.type, head.v, prev, actual, body, head.mac)


def _behind(line: bytes, start: int) -> int:
    """Return the offset behind the MAC that begins at an offset, or that offset where none does."""
    mac = _MAC.match(line, start)
    return mac.end() if mac is not None else start


def mac_of(line: bytes) -> str:
    """Return the MAC of a line, empty where it has none."""
    mac = _MAC.match(line, line.rfind(_HASH_KEY) + len(_HASH_KEY) + _HASH_LENGTH + 1)
    return mac[1].decode() if mac is not None else ""


def hash_of(line: bytes) -> str:
    """Return the hash in a line."""
    start = line.rfind(_HASH_KEY) + len(_HASH_KEY)
    return line[start : start + _HASH_LENGTH].decode("ascii", "replace")


def strict_fault(line: bytes, event: Event, before: Tip) -> str | None:
    """Return the fault of a line whose chain is intact: odd JSON, a step back in time, a false seal."""
    if not _is_as_written(line, event) and canonical(parse(line)) != line:
        return "it is not in canonical JSON (RFC 8785)"
    if event.time < before.time:
        return f"it has the time {event.time}, before that of the event before it, {before.time}"
    match event.body:
        case Segment() if before.end:
            return "it begins a file, but is in the middle of one"
        case Seal(events=events, head=head) if (events, head) != (before.seq, before.hash):
            return f"it seals {events} events, but {before.seq} precede it"
    return None


def _is_as_written(line: bytes, event: Event) -> bool:
    """Return True if `link` would write the event as this line, which is canonical then.

    False proves nothing: a newer program may have written more fields. To look here first takes a third of the time.
    """
    if type(event.body) is Unknown:
        return False
    try:
        front = b'{"body":' + canonical(event.body)
    except ValueError:
        return False
    back = _behind_hash(event.prev, event.seq, event.time, event.type, event.v)
    return line == _whole(front, event.hash, event.mac, back)
