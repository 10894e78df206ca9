"""Questions of a run to its nodes, and the files that come back: in pieces, straight from the node."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from orchestra.ledger.disk import disk_error
from orchestra.runtime.nodes.parcel import Incoming, ParcelError
from orchestra.runtime.nodes.words import DATA, PARCEL, Answer, Ask, Parcel, Sent

FETCH_SECONDS: Final = 30.0
"""The limit for one piece of a file."""


class Courier:
    """Asks nodes, by the connections of a client of Dask.

    Args:
        client: of Dask.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    async def ask(self, address: str, op: str, words: msgspec.Struct, seconds: float) -> bytes:
        """Return the answer of a node to a question, within so many seconds. Raises what Dask raises."""
        async with asyncio.timeout(seconds):
            return bytes(await self._client.rpc(address).orchestra(what=op, data=msgspec.json.encode(words)))

    async def parcel(self, address: str, ask: Ask, answer: Answer) -> Parcel:
        """Fetch what came of an attempt. Raises ParcelError: it is not what the node named."""
        text = b""
        while len(text) < answer.bytes:
            ask = Ask(ask.session, ask.lease, PARCEL, len(text))
            block = await self._read(address, ask)
            if not block:
                break
            text += block
        if hashlib.sha256(text).hexdigest() != answer.digest:
            raise ParcelError("it came with another content than was sent")
        return msgspec.json.decode(text, type=Parcel)

    async def _read(self, address: str, ask: Ask) -> bytes:
        """Return a part of a file on a node, empty at its end."""
        answer = await self.ask(address, "read", ask, FETCH_SECONDS)
        if not answer.startswith(DATA):
            raise ParcelError("the node has it no more")
        return answer.removeprefix(DATA)

    async def fetch(self, address: str, ask: Ask, sent: Sent, folder: Path) -> None:
        """Fetch one file. Raises MachineError: the disk of the run refuses it."""
        with _disk(folder / sent.path):
            incoming = Incoming(folder, sent)
        try:
            while incoming.bytes < sent.bytes:
                question = Ask(ask.session, ask.lease, sent.path, incoming.bytes)
                block = await self._read(address, question)
                if not block:
                    break
                with _disk(folder / sent.path):
                    incoming.add(block)
        finally:
            with _disk(folder / sent.path):
                incoming.close()
        incoming.check()


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Distinguish an error of the disk of the run from one of the way to a node."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path, "write") from error
