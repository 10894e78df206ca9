"""A run as one of its nodes carries it out: attempts by the same engine as on one machine, in a thread of its own.

Whatever a node starts carries the tree mark of the node below that of the run, and has a reaper: it ends with the visit, with the
process of the node, and when no heartbeat of the run has come for `LOST_SECONDS`.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from orchestra import nofollow
from orchestra.errors import MachineError, OrchestraError
from orchestra.ledger.disk import closed_on_error, disk_error, lock_file, make_folder, remove_tree
from orchestra.ledger.quick import HELD
from orchestra.ledger.running_step import running_steps
from orchestra.plan import Plan
from orchestra.project import PLAN_FOLDER, Project
from orchestra.runtime import inherited
from orchestra.runtime.attempt import AttemptFailure, Request, Result, launches_browser, writes_files
from orchestra.runtime.attempts.limit import within_limit
from orchestra.runtime.attempts.window import Mark
from orchestra.runtime.attempts.without_secrets import without_secrets
from orchestra.runtime.browsers import finder
from orchestra.runtime.browsers.finder import Browser
from orchestra.runtime.engine.local import Local
from orchestra.runtime.load_plan import load_plan
from orchestra.runtime.logins import FOLDER as LOGINS
from orchestra.runtime.logins import Shown
from orchestra.runtime.mask import Masks
from orchestra.runtime.nodes.own_rows import OwnRows
from orchestra.runtime.nodes.parcel import files_of
from orchestra.runtime.nodes.proof import lacking, network, versions
from orchestra.runtime.nodes.words import Hello, Parcel, Proof, Pulse
from orchestra.runtime.processes.command_log import settle
from orchestra.runtime.processes.reaper import Reaper

FOLDER = "nodes"
"""The folder of a suite for what its nodes write."""

LOGS = "output"
"""The folder of a node for the logs of commands while they run."""

_LOCK = ".lock"
"""Ends the name of the file that a node holds locked while it visits; a killed one does not."""

LOOK_SECONDS = 1.0

TURN_SECONDS = 20.0
"""The limit for another node of the checkout that begins at the same time; one that is stopped just then never ends."""

_TURN_LOOK_SECONDS = 0.05

ROOM_BYTES = 65536
"""A disk that cannot take so much is full."""

Ended = Callable[[Parcel | None], None]
"""Is given what came of an attempt; None if the visit ended before."""


class Ground(NamedTuple):
    """The facts that a node found before a visit: its plan, environment, secrets and browsers."""

    plan: Plan
    environment: dict[str, str]
    secrets: tuple[str, ...]
    browsers: Mapping[str, Browser]


def prove(project: Project, hello: Hello, environment: Mapping[str, str]) -> tuple[Proof, Ground | None]:
    """Return what a node has of that a run needs. It may take a minute: browsers are launched.

    Args:
        project: of the node.
        hello: of the run.
        environment: of the node's process.
    """
    session = secrets.token_hex(8)
    try:
        plan = load_plan(project, hello.suite, hello.profile)
        inherits = inherited.of_plan(project.root, plan, environment)
    except OrchestraError as error:
        return Proof(session, network(), fault=error.message), None
    found = {engine: finder.find(engine, inherits.environment, project.root) for engine in hello.browsers}
    here = {engine: one for engine, one in found.items() if isinstance(one, Browser)}
    proof = Proof(
        session,
        network(),
        plan.digest(),
        versions=versions({engine: one.version for engine, one in here.items()}),
        missing=lacking(hello, inherits.environment),
    )
    return proof, Ground(plan, inherits.environment, inherits.secrets, here)


class Visit:
    """A run on this node. `start`, `end` and `close` may be called by any thread.

    Args:
        root: the project root of the node.
        name: of the node.
        hello: of the run.
        ground: what the node has.

    Raises:
        MachineError: the disk refuses.
    """

    def __init__(self, root: Path, name: str, hello: Hello, ground: Ground) -> None:
        self._root, self._ground = root, ground
        self._methods = {method.id: method for method in ground.plan.methods}
        self._mark = f"{hello.mark}/@{name}"
        self.folder = root / PLAN_FOLDER / hello.suite / FOLDER / name
        self._lock = _own(self.folder)
        with closed_on_error(self._lock):
            self._begin(root)

    def _begin(self, root: Path) -> None:
        ground = self._ground
        make_folder(self.folder / LOGS)
        self._names = inherited.names_of(ground.plan, ground.environment)
        self._masks = Masks(ground.secrets, ground.environment, growing=bool(ground.plan.logins))
        self._logins = Shown(self.folder, ground.plan.logins, self._masks)
        self._reaper = Reaper.start(self._mark)
        self._local = Local(
            ground.environment,
            root=root,
            folder=self.folder,
            mark=self._mark,
            reaper=self._reaper,
            masks=self._masks,
        )
        self._rows = OwnRows(
            ground.plan,
            root=root,
            folder=self.folder,
            mark=self._mark,
            environment=ground.environment,
            masks=self._masks,
            reaper=self._reaper,
            in_use=self._in_use,
        )
        self.want, self.look = self._rows.want, self._rows.look
        self._count = 0
        self._asked: deque[Callable[[], None]] = deque()
        self._under_way: dict[str, tuple[Request, Ended]] = {}
        self._logs_from: dict[str, Mapping[str, Mark]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="visit", daemon=True)
        self._thread.start()

    def start(self, request: Request, lease: str, ended: Ended) -> None:
        """Start an attempt.

        Args:
            request: with a folder relative to that of the run.
            lease: its own.
            ended: is given what came of it, in the thread of the visit.
        """
        self._asked.append(lambda: self._start(request, lease, ended))
        self._local.wake()

    def end(self, lease: str) -> None:
        """End an attempt before its time."""
        self._asked.append(lambda: self._local.end(lease))
        self._local.wake()

    def stop(self) -> None:
        """End every attempt, as interrupted."""
        self._asked.append(self._local.stop)
        self._local.wake()

    def pulse(self, taken: int = 0) -> Pulse:
        """Return what the run learns with each heartbeat.

        Args:
            taken: how many changes of rows it has taken.
        """
        now = time.time()
        steps = running_steps(self.folder).values()
        shown = tuple(step._replace(since=max(0.0, now - step.since)) for step in steps)
        moving = self._rows.moving()  # before the changes: what ends between the two is in them
        return Pulse(shown, self._rows.changes(taken), moving)

    def _in_use(self, component: str) -> bool:
        return any(component in self._rows.required(request.test) for request, _ in list(self._under_way.values()))

    def folder_of(self, lease_folder: str) -> Path:
        """Return the folder of an attempt."""
        return self.folder / lease_folder

    def close(self) -> None:
        """End everything that this visit has started. The output of its workers stays until the next visit."""
        self._closing.set()
        self._local.wake()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Return whether the visit can take attempts."""
        return self._thread.is_alive() and not self._closing.is_set()

    def _work(self) -> None:
        try:
            while not self._closing.is_set():
                while self._asked:
                    self._asked.popleft()()
                for done in self._local.poll(LOOK_SECONDS):
                    self._ended(done.lease, done.result)
        finally:
            for done in self._local.poll(0.0):  # what has ended by itself is an answer, however late
                self._ended(done.lease, done.result)
            self._local.stop()
            self._local.close()
            self._rows.close()
            self._reaper.close()
            with suppress(MachineError):
                self._logins.close()
            for _, ended in self._under_way.values():
                ended(None)
            os.close(self._lock)

    def _start(self, request: Request, lease: str, ended: Ended) -> None:
        folder = str(self.folder / request.folder)
        try:
            if writes_files(request.test):
                make_folder(folder)
        except MachineError as error:
            reason = f"the node cannot write: {error.message}"
            ended(Parcel(_fault(request, reason), fault=without_room(self.folder) and reason))
            return
        self._under_way[lease] = (request, ended)
        self._logs_from[lease] = self._rows.marks(request.test)
        self._count += 1
        _, _, attempt = request.mark.partition("/")
        browser = self._ground.browsers.get(request.test.browser)
        self._local.start(
            msgspec.structs.replace(
                request,
                root=str(self._root),
                folder=folder,
                log=str(self.folder / LOGS / f"{self._count}.log") if request.test.command is not None else "",
                names={**self._names, **request.names, "attempt.dir": folder},
                mark=f"{self._mark}/{attempt}",
                browser=browser if launches_browser(request.test, request.method) else None,
                secrets=self._ground.secrets,
                logins=str(self.folder / LOGINS) if request.login is not None else "",
            ),
            lease,
        )

    def _ended(self, lease: str, result: Result) -> None:
        request, ended = self._under_way.pop(lease)
        folder = self.folder / request.folder
        try:
            self._logins.learn()
            for one in result.evidence:
                if one.apart:
                    settle(Path(one.apart), folder / one.path)
            result = self._rows.with_logs(request.test, result, folder, self._logs_from.pop(lease, {}))
            result = within_limit(without_secrets(result, self._masks, folder), request.test, folder)
            files = files_of(folder) if result.evidence else ()
            parcel = Parcel(self._masked(request, result), files, self._logins.hidden())
        except (OSError, OrchestraError, ValueError) as error:
            text = error.message if isinstance(error, OrchestraError) else str(error)
            parcel = Parcel(_fault(request, self._masks.text(f"the node cannot hand over its files: {text}")))
        ended(self._with_room(request, parcel))

    def _with_room(self, request: Request, parcel: Parcel) -> Parcel:
        """Return a parcel; of a node with a full disk, one that shows that: no failure on it is one of the test."""
        result = parcel.result
        if result.outcome == "interrupted" or (result.outcome == "passed" and "log_error" not in result.facts):
            return parcel
        reason = without_room(self.folder)
        if not reason:
            return parcel
        if result.outcome != "passed":
            parcel = Parcel(_fault(request, f"the node cannot write: {reason}"), learnt=parcel.learnt)
        return msgspec.structs.replace(parcel, fault=f"it cannot write: {reason}")

    def _masked(self, request: Request, result: Result) -> Result:
        """Return a result without the secrets that only this node knows."""
        if not self._masks:
            return result
        try:
            return msgspec.convert(self._masks.value(msgspec.to_builtins(result)), Result)
        except msgspec.ValidationError:  # a secret as short as a word of ours
            return _fault(request, "a secret of the node is part of every result: use a longer value")


def _own(folder: Path) -> int:
    """Make the folder of a node, remove those that killed nodes of this checkout have left, and return the lock of the own one.

    One node at a time: the look for what killed ones have left takes their locks, and would refuse a node that begins then.

    Raises:
        MachineError: another node has it, or the disk refuses.
    """
    nodes = folder.parent
    try:
        nofollow.make_folders(nodes)
        turn = os.open(nodes, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _take_turn(turn)
            return _taken(folder, nodes)
        finally:
            os.close(turn)
    except OSError as error:
        raise disk_error(error, nodes, "write") from error


def _take_turn(turn: int) -> None:
    """Wait until no other node of the checkout begins. Raises MachineError at the limit, and OSError: there are no locks."""
    deadline = time.monotonic() + TURN_SECONDS
    while True:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in HELD:
                raise
        else:
            return
        if time.monotonic() >= deadline:
            message = f"another node of this checkout has been about to begin for {TURN_SECONDS:.0f} s"
            raise MachineError(message, "let it go on if it is stopped, or end it")
        time.sleep(_TURN_LOOK_SECONDS)


def _taken(folder: Path, nodes: Path) -> int:
    """Do what `_own` does, while no other node does. Raises MachineError, and OSError: the disk refuses."""
    for path in nodes.iterdir():
        if path.name.endswith(_LOCK):
            file = _locked(path)
            if file is not None:
                remove_tree(nodes / path.name.removesuffix(_LOCK))
                path.unlink()
                os.close(file)
    own = _locked(nodes / f"{folder.name}{_LOCK}")
    if own is None:
        raise MachineError(
            f'another node "{folder.name}" is in this checkout', "give this one another name with --name"
        )
    with closed_on_error(own):
        remove_tree(folder)
        make_folder(folder)
    return own


def _locked(path: Path) -> int | None:
    """Return an open file that this process has locked; None if another one has."""
    file = nofollow.open_file(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with closed_on_error(file):
        if lock_file(file, path):
            return file
    os.close(file)
    return None


def without_room(folder: Path) -> str:
    """Return why nothing more can be written to a folder; empty if something can. A quota counts like a full disk."""
    probe = folder / ".room"
    try:
        with os.fdopen(nofollow.open_file(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            file.write(bytes(ROOM_BYTES))
    except OSError as error:
        return disk_error(error, folder, "write").message
    finally:
        with suppress(OSError):
            nofollow.unlink(probe)
    return ""


def _fault(request: Request, message: str) -> Result:
    return Result(request.task, request.attempt, "error", 0.0, AttemptFailure("crash", message))
