"""The way of a run to a cluster of Dask, as its client. Dask places tasks and carries words; it decides nothing.

Each attempt is one task with a key of its own, for one node and no other, which Dask neither repeats nor moves. The run also
asks nodes directly: for heartbeats, for files, and to end an attempt. All of it is in one thread with a loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

import msgspec

from orchestra.errors import MachineError
from orchestra.instances import used_on_nodes
from orchestra.runtime.attempt import Request
from orchestra.runtime.engine.contract import Scene
from orchestra.runtime.nodes.cluster import Answered, Broken, Cluster, Dropped, Inbox, Joined, Left, Refused
from orchestra.runtime.nodes.dask_beats import Beats
from orchestra.runtime.nodes.dask_courier import FETCH_SECONDS, Courier
from orchestra.runtime.nodes.dask_package import distributed, no_scheduler, told
from orchestra.runtime.nodes.own_nodes import OwnNodes
from orchestra.runtime.nodes.parcel import ParcelError, arrived
from orchestra.runtime.nodes.proof import TRANSPORT, network, only_here, programs_of, refusal, variables_of, versions
from orchestra.runtime.nodes.scratch import scratch
from orchestra.runtime.nodes.words import (
    BEAT_SECONDS,
    LOST_SECONDS,
    SLOT,
    Answer,
    Ask,
    Hello,
    Order,
    Proof,
)

CONNECT_SECONDS: Final = 10.0
"""The limit until the scheduler has answered."""

HELLO_SECONDS: Final = 150.0
"""The limit for the proof of a node, which may launch each browser."""

BYE_SECONDS: Final = 20.0
"""The limit for a node to end all that it has started."""

SCAN_SECONDS: Final = 1.0

RELEASE_SECONDS: Final = 0.05
"""So long a result stays with Dask. Its client sends at most once in 10 ms: to let go at once would hold up the next attempt."""

_T = TypeVar("_T")


def _task() -> Callable[[bytes], Coroutine[Any, Any, bytes]]:
    """Return the function of every task. It is made here, so that it travels as code: a scheduler needs no orchestra."""

    async def attempt(data: bytes) -> bytes:
        from orchestra.runtime.nodes.dask_node import carry_out  # noqa: PLC0415 - of the node

        return await carry_out(data)

    return attempt


def _claim() -> Callable[..., Any]:
    """Return what a scheduler executes for a run that begins: it is the only one, and Dask repeats nothing by itself.

    A claim counts while the client that made it is connected.
    """

    async def claim(who: str, client: str, dask_scheduler: Any = None) -> str:
        held = getattr(dask_scheduler, "orchestra_claim", ("", ""))
        if held[1] != client and held[1] in dask_scheduler.clients:
            return str(held[0])
        dask_scheduler.orchestra_claim = (who, client)
        dask_scheduler.allowed_failures = 0
        stealing = dask_scheduler.extensions.get("stealing")
        if stealing is not None:
            await stealing.stop()
        return ""

    return claim


async def _own_scheduler(dask: ModuleType, folder: Path) -> Any:
    """Start a scheduler in this process, which keeps its files in a folder."""
    return await dask.Scheduler(
        host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0", dashboard=False, local_directory=str(folder)
    )


def _check_versions(address: str, theirs: Mapping[str, Any]) -> None:
    """Raise MachineError if a scheduler has other versions than this program."""
    ours = versions({})
    for name, there, here in (
        (TRANSPORT, str(theirs.get("distributed")), ours.transport),
        ("Python", _minor(str(theirs.get("python"))), _minor(ours.python)),
    ):
        if there != here:
            message = f"the scheduler at {address} has {name} {there}, and here is {here}"
            raise MachineError(message, "install the same version on both")


def _why_gone(error: Exception, *, closed: bool) -> str:
    """Return why a scheduler does not answer: of a client that has closed itself, each call fails in another way."""
    return "it has closed the connection" if closed or isinstance(error, AttributeError) else told(error)


class DaskLink:
    """A connection to a scheduler, in a thread of its own.

    Args:
        address: of the scheduler; empty for one in this process, for a try.
        who: the run, for those who find the cluster in use.

    Raises:
        MachineError: Dask is not installed, the scheduler does not answer, has another version, or is in use.
    """

    def __init__(self, address: str, who: str) -> None:
        self._dask = distributed()
        self._who = who
        self.address = address
        self._own: Any = None
        self._scratch = contextlib.ExitStack()
        self._nodes_here: OwnNodes | None = None
        self._client: Any = None
        self._scene: Scene | None = None
        self._inbox: Inbox | None = None
        self._courier: Courier
        self._hello: Hello
        self._sessions: dict[str, str] = {}
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._refused: set[str] = set()
        self._attended: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._given_up: set[str] = set()
        self._names: dict[str, str] = {}
        self._beats: dict[str, Beats] = {}
        self._told: set[asyncio.Task[None]] = set()
        self._scan_task: asyncio.Task[None] | None = None
        self._missed_since: float | None = None
        self._function = _task()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="dask", daemon=True)
        self._thread.start()
        try:
            self._wait(self._connect(), CONNECT_SECONDS * 3)
        except BaseException:
            self.close()
            raise

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _wait(self, work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise no_scheduler(self.address, f"no answer within {seconds:.0f} s") from None

    # ------------------------------------------------------------------------------------------------------- the scheduler

    async def _connect(self) -> None:
        dask = self._dask
        if not self.address:
            self._own = await _own_scheduler(dask, self._scratch.enter_context(scratch()))
            self.address = self._own.address
        try:
            self._client = await dask.Client(
                self.address, asynchronous=True, set_as_default=False, timeout=CONNECT_SECONDS, name="orchestra"
            )
            self._courier = Courier(self._client)
            theirs = (await self._client.scheduler.versions())["packages"]
        except (OSError, TimeoutError, ValueError) as error:
            raise no_scheduler(self.address, told(error)) from error
        _check_versions(self.address, theirs)
        held = await self._client.run_on_scheduler(_claim(), who=self._who, client=self._client.id)
        if held:
            raise MachineError(
                f"the cluster at {self.address} is in use by {held}", "wait for its end, or start another scheduler"
            )

    def engine(self, scene: Scene) -> Cluster:
        """Begin to look for nodes, for a run, and return the engine that places its attempts on them."""
        self._scene, self._inbox = scene, Inbox()
        self._hello = Hello(
            scene.run,
            scene.mark,
            scene.plan.suite,
            scene.plan.profile,
            tuple(sorted(scene.browsers)),
            programs_of(scene.tests, used_on_nodes(scene.plan.components, scene.tests)),
            variables_of(scene.plan, scene.environment),
        )
        self._versions, self._network = versions(scene.browsers), network()
        self._plan, self._only_here = scene.plan.digest(), only_here(scene.plan, scene.tests)
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(CONNECT_SECONDS)
        if self._own is not None:
            self._nodes_here = OwnNodes(scene, self.address)
        return Cluster(scene, self, self._inbox, self.address)

    async def _begin(self) -> None:
        self._scan_task = asyncio.ensure_future(self._scan())

    def _put(self, news: Any) -> None:
        if self._inbox is not None:
            self._inbox.put(news)

    async def _scan(self) -> None:
        """Look which nodes there are, until the end."""
        while True:
            try:
                found = await self._nodes()
                self._missed_since = None
            except Exception as error:  # noqa: BLE001 - whatever Dask raises: it does not answer
                now = time.monotonic()
                self._missed_since = self._missed_since or now
                if now - self._missed_since > LOST_SECONDS or self._client.status == "closed":
                    self._put(Broken(self._gone(_why_gone(error, closed=self._client.status == "closed"))))
                    return
                found = None
            if found is not None:
                self._compare(found)
            await asyncio.sleep(SCAN_SECONDS)

    def _gone(self, reason: str) -> MachineError:
        return MachineError(
            f"the Dask scheduler at {self.address} is gone: {reason}",
            f"start it and its nodes again, then `orchestra run --resume --engine dask --scheduler {self.address}`",
        )

    async def _nodes(self) -> dict[str, tuple[str, int]]:
        """Return the name and the slots of each node, by its address."""
        async with asyncio.timeout(BEAT_SECONDS * 2):
            identity = await self._client.scheduler.identity(n_workers=-1)
        return {
            address: (str(row["name"]), slots)
            for address, row in identity["workers"].items()
            if (slots := int(row.get("resources", {}).get(SLOT, 0))) > 0
        }

    def _compare(self, found: Mapping[str, tuple[str, int]]) -> None:
        for address in [one for one in self._followed if one not in found]:
            self._followed.pop(address).cancel()
            self._leave(address, "it is not in the cluster any more")
            self._release(address)
        self._refused &= found.keys()
        for address, (name, slots) in found.items():
            if address not in self._followed and address not in self._refused:
                self._followed[address] = asyncio.ensure_future(self._follow(address, name, slots))

    # ----------------------------------------------------------------------------------------------------------- a node

    async def _follow(self, address: str, name: str, slots: int) -> None:
        """Let a node prove itself, and ask for its heartbeat until it is lost."""
        try:
            answer = await self._courier.ask(address, "hello", self._hello, HELLO_SECONDS)
            refused = self._refusal(proof := msgspec.json.decode(answer, type=Proof))
        except (OSError, TimeoutError):  # it is asked again, unless it has left
            await asyncio.sleep(SCAN_SECONDS)
            self._followed.pop(address, None)
            return
        except Exception as error:  # noqa: BLE001 - whatever a node of another version raises
            refused, proof = (f"it failed: {told(error)}", "see what it prints"), Proof("", "")
        if refused is not None:
            self._refused.add(address)
            self._followed.pop(address, None)
            self._put(Refused(name, *refused))
            return
        self._sessions[address], self._names[address] = proof.session, name
        self._put(Joined(address, name, slots))
        beats = self._beats[address] = Beats(
            self._courier, address, name, proof.session, put=self._put, scheduled=self._scheduled
        )
        reason = await beats.follow()
        self._followed.pop(address, None)
        self._leave(address, reason)

    def _refusal(self, proof: Proof) -> tuple[str, str] | None:
        return refusal(
            proof, plan=self._plan, versions=self._versions, network=self._network, only_here=self._only_here
        )

    async def _scheduled(self) -> bool:
        """Return whether the scheduler answers: a node ends with it, and then it is no loss of the node."""
        try:
            await self._nodes()
        except Exception:  # noqa: BLE001 - whatever Dask raises
            return False
        return True

    def _leave(self, address: str, reason: str) -> None:
        if self._sessions.pop(address, None) is None:
            return
        self._given_up |= {lease for lease, (where, _) in self._attended.items() if where == address}
        self._put(Left(address, reason))

    def _release(self, address: str) -> None:
        """Let go of the tasks of a node that will never answer: Dask would keep them for one that has its address."""
        for where, task in list(self._attended.values()):
            if where == address:
                task.cancel()

    # -------------------------------------------------------------------------------------------------------- an attempt

    def start(self, address: str, lease: str, request: Request, folder: Path) -> None:
        """Send an attempt to a node, and fetch its files into a folder."""
        self._loop.call_soon_threadsafe(self._attend, address, lease, request, folder)

    def _attend(self, address: str, lease: str, request: Request, folder: Path) -> None:
        session = self._sessions.get(address)
        if session is None:  # it left while the run decided: the run hears that, too
            return
        order = msgspec.json.encode(Order(session, lease, request))
        task = asyncio.ensure_future(self._carried(address, session, lease, order, folder))
        self._attended[lease] = (address, task)
        task.add_done_callback(lambda _: self._attended.pop(lease, None))

    async def _carried(self, address: str, session: str, lease: str, order: bytes, folder: Path) -> None:
        """Wait for one attempt, and put what came of it."""
        future = self._client.submit(
            self._function,
            order,
            key=f"orchestra-{lease}",
            workers=[address],
            allow_other_workers=False,
            resources={SLOT: 1},
            retries=0,
            pure=False,
        )
        answered = False
        try:
            answer = msgspec.json.decode(await future.result(), type=Answer)
            answered = True
            await self._received(address, Ask(session, lease), answer, folder)
        except MachineError as error:
            self._put(Broken(error))
        except (OSError, TimeoutError, ParcelError, msgspec.MsgspecError) as error:
            await self._drop(address, lease, f"its result did not arrive: {told(error)}")
        except RuntimeError as error:  # of the node, which has let go of the run
            if self._sessions.get(address) == session:
                self._leave(address, told(error).partition(": ")[2])
        except Exception as error:  # noqa: BLE001 - whatever Dask raises
            await self._drop(address, lease, f"Dask gave the attempt up: {told(error)}")
        finally:
            self._loop.call_later(RELEASE_SECONDS if answered else 0, future.release)

    async def _drop(self, address: str, lease: str, reason: str) -> None:
        """Report an attempt without a result. If its node or the scheduler is gone, that is reported, and not this."""
        with contextlib.suppress(Exception):
            found = await self._nodes()
            if address in found:
                self._put(Dropped(lease, reason))
            else:
                self._compare(found)

    async def _received(self, address: str, ask: Ask, answer: Answer, folder: Path) -> None:
        if answer.lease != ask.lease:
            raise ParcelError("it answered with another lease")
        late = ask.lease in self._given_up
        parcel = answer.parcel or await self._courier.parcel(address, ask, answer)
        if not late:
            for sent in parcel.files:
                await self._courier.fetch(address, ask, sent, folder)
        late = ask.lease in self._given_up
        result = arrived(parcel.result, folder)
        self._put(Answered(ask.lease, self._name(address), result, parcel.learnt, parcel.fault))
        if not late:
            with contextlib.suppress(Exception):
                await self._courier.ask(address, "forget", ask, FETCH_SECONDS)
        if parcel.fault:
            self._refuse(address, parcel.fault)

    def _refuse(self, address: str, reason: str) -> None:
        """Give a node up that can carry out nothing more; it would take one attempt after the other, and fail each."""
        if address not in self._sessions:
            return
        self._tell(address, "bye", "")
        self._refused.add(address)
        if (following := self._followed.pop(address, None)) is not None:
            following.cancel()
        self._leave(address, reason)
        self._put(Refused(self._name(address), reason, "free some space there, and start the node again"))

    def _name(self, address: str) -> str:
        return self._names.get(address, address)

    def end(self, address: str, lease: str) -> None:
        """Let a node end an attempt."""
        self._loop.call_soon_threadsafe(self._tell, address, "end", lease)

    def want(self, address: str, components: Sequence[str]) -> None:
        """Let a node start its instances of components."""
        self._loop.call_soon_threadsafe(lambda: self._beats[address].want(components))

    def look(self, address: str, components: Sequence[str], number: int) -> None:
        """Let a node look at them."""
        self._loop.call_soon_threadsafe(lambda: self._beats[address].look(components, number))

    def stop(self) -> None:
        """Let every node end every attempt."""
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        for address in self._sessions:
            self._tell(address, "stop", "")

    def _tell(self, address: str, op: str, lease: str) -> None:
        ask = Ask(self._sessions.get(address, ""), lease)

        async def tell() -> None:
            with contextlib.suppress(Exception):  # a node that does not hear is lost
                await self._courier.ask(address, op, ask, FETCH_SECONDS)

        self._told.add(task := asyncio.ensure_future(tell()))
        task.add_done_callback(self._told.discard)

    # ----------------------------------------------------------------------------------------------------------- the end

    def close(self) -> None:
        """Let every node end what it has of the run, and end the connection. A second call does nothing."""
        if not self._thread.is_alive():
            return
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._part(), self._loop).result(BYE_SECONDS * 2)
        if self._nodes_here is not None:
            self._nodes_here.close()
        if self._own is not None:
            with contextlib.suppress(Exception):
                asyncio.run_coroutine_threadsafe(self._own.close(), self._loop).result(CONNECT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._scratch.close()

    async def _part(self) -> None:
        tasks = [one for one in (self._scan_task, *self._followed.values()) if one is not None]
        tasks += [task for _, task in self._attended.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        byes = [self._beats[address].part(BYE_SECONDS) for address in self._sessions]
        await asyncio.gather(*byes, return_exceptions=True)
        if self._client is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._client.close()


def _minor(full: str) -> str:
    return ".".join(full.split(".")[:2])
