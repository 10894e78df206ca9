"""A node of Dask: `orchestra worker`. It takes attempts as tasks of Dask, and answers what the run asks it.

The process of the node is a worker of Dask without its nanny, which would start it again unseen. A task only hands its attempt to
the visit and waits, so that no work of a test is in the process that answers heartbeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from orchestra.errors import MachineError, OrchestraError
from orchestra.ledger.disk import remove_tree
from orchestra.project import Project
from orchestra.runtime.nodes.dask_package import distributed, no_scheduler, told
from orchestra.runtime.nodes.parcel import ParcelError, piece
from orchestra.runtime.nodes.scratch import scratch
from orchestra.runtime.nodes.visit import Visit, prove
from orchestra.runtime.nodes.words import (
    CHUNK_BYTES,
    DATA,
    INLINE_BYTES,
    LOST_SECONDS,
    PARCEL,
    SLOT,
    Answer,
    Ask,
    Hello,
    Order,
    Parcel,
    Proof,
    Wanted,
)

HANDLER = "orchestra"
"""The name under which a node answers."""

START_SECONDS = 20.0
"""The limit until the scheduler has answered."""

SPARE_THREADS = 4
"""More tasks than slots, for those that were given up and have not ended."""

Say = Callable[[str], None]


class Node:
    """Answers a run. All of it is called in the loop of Dask.

    Args:
        project: of the node.
        name: its own.
        environment: of its process.
        say: prints a line for the person who started it.
    """

    def __init__(self, project: Project, name: str, environment: Mapping[str, str], say: Say) -> None:
        self._project, self._name = project, name
        self._environment = environment
        self._say = say
        self._session = ""
        self._visit: Visit | None = None
        self._beat = 0.0
        self._parcels: dict[str, tuple[bytes, str]] = {}
        self._taken: set[str] = set()
        self._changing = asyncio.Lock()

    async def answer(self, op: str, data: bytes) -> bytes:
        """Answer a question of the run."""
        if op == "hello":
            return await self._hello(msgspec.json.decode(data, type=Hello))
        ask = msgspec.json.decode(data, type=Ask)
        visit = self._visit
        if visit is None or ask.session != self._session or not visit.alive:
            return b"gone"
        self._beat = time.monotonic()
        if op == "beat":
            return DATA + msgspec.json.encode(await asyncio.to_thread(visit.pulse, ask.offset))
        if op == "read":
            return DATA + await asyncio.to_thread(self._read, visit, ask)
        if op == "forget":
            await asyncio.to_thread(self._forget, visit, ask.lease)
        elif op == "end":
            visit.end(ask.lease)
        elif op == "stop":
            visit.stop()
        elif op == "want":
            visit.want(msgspec.json.decode(data, type=Wanted).components)
        elif op == "look":
            await _looked(visit, msgspec.json.decode(data, type=Wanted).components)
        elif op == "bye":
            await self.leave("the run has ended")
            return DATA + msgspec.json.encode(await asyncio.to_thread(visit.pulse, ask.offset))
        return b"ok"

    async def _hello(self, hello: Hello) -> bytes:
        await self.leave("another run begins")
        async with self._changing:
            proof, ground = await asyncio.to_thread(prove, self._project, hello, self._environment)
            if ground is not None and not proof.missing:
                try:
                    self._visit = await asyncio.to_thread(Visit, self._project.root, self._name, hello, ground)
                except OrchestraError as error:
                    return msgspec.json.encode(Proof(proof.session, proof.network, fault=error.message))
                self._session = proof.session
                self._beat = time.monotonic()
                self._parcels, self._taken = {}, set()
                self._say(f"node {self._name}: run {hello.run} of suite {hello.suite}")
            return msgspec.json.encode(proof)

    async def carry_out(self, data: bytes) -> bytes:
        """Carry out the attempt of a task of Dask, once: a lease that comes again is refused."""
        order = msgspec.json.decode(data, type=Order)
        visit = self._visit
        if visit is None or order.session != self._session or order.lease in self._taken:
            raise RuntimeError("it does not know the lease")
        self._taken.add(order.lease)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Parcel | None] = loop.create_future()
        visit.start(order.request, order.lease, lambda parcel: _resolve(loop, future, parcel))
        parcel = await future
        if parcel is None:
            raise RuntimeError("it let go of the run")
        text = msgspec.json.encode(parcel)
        if order.session == self._session:
            self._parcels[order.lease] = (text, order.request.folder)
        if len(text) <= INLINE_BYTES and not parcel.learnt:
            return msgspec.json.encode(Answer(order.lease, parcel))
        return msgspec.json.encode(Answer(order.lease, None, hashlib.sha256(text).hexdigest(), len(text)))

    def _read(self, visit: Visit, ask: Ask) -> bytes:
        text, folder = self._parcels[ask.lease]
        if ask.path == PARCEL:
            return text[ask.offset : ask.offset + CHUNK_BYTES]
        try:
            return piece(visit.folder_of(folder), ask.path, ask.offset)
        except (OSError, ParcelError) as error:
            raise RuntimeError(f'"{ask.path}" cannot be read: {error}') from None

    def _forget(self, visit: Visit, lease: str) -> None:
        _, folder = self._parcels.pop(lease, (b"", ""))
        if folder:
            with contextlib.suppress(MachineError):
                remove_tree(visit.folder_of(folder))

    async def leave(self, why: str) -> None:
        """End everything that was started for a run."""
        async with self._changing:
            visit, self._visit, self._session = self._visit, None, ""
            if visit is not None:
                await asyncio.to_thread(visit.close)
                self._say(f"node {self._name}: free, {why}")

    async def watch(self) -> None:
        """End what belongs to a run that does not ask any more."""
        while True:
            await asyncio.sleep(LOST_SECONDS / 10)
            if self._visit is not None and time.monotonic() - self._beat > LOST_SECONDS:
                await self.leave(f"no heartbeat of the run for {LOST_SECONDS:.0f} s")


def _resolve(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Parcel | None], parcel: Parcel | None) -> None:
    """Give a task its parcel, from the thread of the visit."""

    def give() -> None:
        if not future.done():
            future.set_result(parcel)

    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(give)


async def _looked(visit: Visit, components: Sequence[str]) -> None:
    """Wait until it is known whether components are well. No thread waits: those are for heartbeats."""
    loop = asyncio.get_running_loop()
    known = asyncio.Event()

    def done() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(known.set)

    visit.look(components, done)
    await known.wait()


_SERVING: list[Node] = []
"""The node of this process, for the tasks of Dask."""


async def carry_out(data: bytes) -> bytes:
    """Carry out an attempt in the node of this process."""
    if not _SERVING:
        raise RuntimeError("this process is no node of orchestra")
    return await _SERVING[0].carry_out(data)


def serve(project: Project, address: str, *, name: str, slots: int, environment: Mapping[str, str], say: Say) -> None:
    """Serve as a node until a signal ends it, or the scheduler is gone.

    Args:
        project: of the node.
        address: of the scheduler.
        name: of the node; empty for one of its own.
        slots: attempts at once.
        environment: of the process.
        say: prints a line.

    Raises:
        MachineError: the scheduler does not answer, refuses the node, or is gone.
    """
    name = name or f"{socket.gethostname()}-{os.getpid()}"
    with scratch() as folder:
        asyncio.run(
            _serve(project, address, name=name, slots=slots, environment=environment, say=say, folder=str(folder))
        )


async def _serve(
    project: Project, address: str, *, name: str, slots: int, environment: Mapping[str, str], say: Say, folder: str
) -> None:
    dask = distributed()
    node = Node(project, name, environment, say)
    worker: Any = dask.Worker(
        address,
        nthreads=slots + SPARE_THREADS,
        resources={SLOT: slots},
        name=name,
        dashboard=False,
        memory_limit=0,
        local_directory=folder,
        death_timeout=START_SECONDS,
    )

    async def answer(what: str, data: bytes) -> bytes:
        return await node.answer(what, data)

    worker.handlers[HANDLER] = answer
    _SERVING[:] = [node]
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked.set)
    try:
        try:
            async with asyncio.timeout(START_SECONDS + 5):
                await worker
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            raise _refused(address, name, error) from error
        say(f"node {name}: {slots} slot{'s' * (slots != 1)}, at {address}")
        watch = asyncio.ensure_future(node.watch())
        ends = [asyncio.ensure_future(worker.finished()), asyncio.ensure_future(asked.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        watch.cancel()
        await node.leave("it ends")
        if not asked.is_set():
            raise MachineError(f"the scheduler at {address} is gone", "start it again, then this node")
    finally:
        _SERVING.clear()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(START_SECONDS):
                await worker.close(reason="orchestra-node-ends")


def _refused(address: str, name: str, error: BaseException) -> OrchestraError:
    cause = error.__cause__ or error
    if "name taken" in str(cause):
        return MachineError(f'a node "{name}" is at {address} already', "give this one another name with --name")
    return no_scheduler(address, told(cause))
