"""The signed-in states of a run: their files, which all workers share, and the values in them that are secret.

A state is in the folder of the run while it lasts, readable by its user alone, and removed at its end. It is no evidence.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from orchestra import nofollow
from orchestra.ledger.disk import disk_error, lock_file, remove_tree, replace_file
from orchestra.ledger.parts import Outcome
from orchestra.ledger.runs import runs_of
from orchestra.plan import Login
from orchestra.runtime.attempt import AttemptFailure
from orchestra.runtime.mask import Masks

FOLDER = "logins"
"""The folder of the states, in that of the run."""

POLL_SECONDS = 0.05

SECRET_LENGTH = 16
"""Values as long as this that look like tokens are secrets, and all of cookies that no script can read from this on:"""
HTTP_ONLY_LENGTH = 8

_MOST_LETTERS = 1 << 14
_TOKEN = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])(?!\w+://)\S+")


class State(msgspec.Struct, frozen=True):
    """A login as its file has it.

    Attributes:
        made: when, in seconds since 1970; 0 if it was not.
        storage: cookies and storage by origin, in Playwright's form.
        saved: the values that its steps saved.
        hidden: every secret value of this login so far, those of older states included.
        failures: how often it could not be made, one after the other.
        outcome: of the last of these.
        failure: of it.
    """

    made: float = 0.0
    storage: dict[str, Any] = {}
    saved: dict[str, Any] = {}
    hidden: tuple[str, ...] = ()
    failures: int = 0
    outcome: Outcome = "passed"
    failure: AttemptFailure | None = None

    @property
    def cookies(self) -> list[dict[str, Any]]:
        """The cookies, for requests without a page."""
        return list(self.storage.get("cookies", ()))


class Store:
    """The file of one login.

    Args:
        folder: of the logins of the run, absolute.
        name: the login's id.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"{name}.json"
        self._lock = folder / f"{name}.lock"

    def load(self) -> State:
        """Return the login as it is; one that was not made without a file.

        Raises:
            MachineError: the disk refuses.
        """
        try:
            return msgspec.json.decode(nofollow.read(self._file), type=State)
        except FileNotFoundError:
            return State()
        except OSError as error:
            raise disk_error(error, self._file, "read") from error

    def save(self, state: State) -> None:
        """Replace the login. Raises MachineError: the disk refuses."""
        replace_file(self._file, msgspec.json.encode(state), mode=0o600)

    @contextmanager
    def locked(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> Iterator[bool]:
        """Hold the lock of the login, which one process has at a time; False if another one has it for too long.

        Raises:
            MachineError: the disk refuses.
        """
        end = clock() + seconds
        try:
            file = nofollow.open_file(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise disk_error(error, self._lock, "write") from error
        try:
            while not (held := lock_file(file, self._lock)) and clock() < end:
                time.sleep(POLL_SECONDS)
            yield held
        finally:
            os.close(file)


def secrets_of(storage: dict[str, Any], saved: dict[str, Any]) -> Iterator[str]:
    """Yield the values of a state that must not be shown: tokens in cookies, storage and saved values."""
    for cookie in storage.get("cookies", ()):
        if _is_secret(cookie["value"], HTTP_ONLY_LENGTH if cookie.get("httpOnly") else SECRET_LENGTH):
            yield cookie["value"]
    for text in _texts([storage.get("origins", ()), saved]):
        if _is_secret(text, SECRET_LENGTH):
            yield text


def _is_secret(text: str, least: int) -> bool:
    """Return True if a text looks like a token: long, in one word, with letters and digits, and neither address nor date."""
    if not least <= len(text) <= _MOST_LETTERS or not _TOKEN.fullmatch(text):
        return False
    with suppress(ValueError):
        datetime.fromisoformat(text)
        return False
    return True


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value, and those in texts that are JSON; an origin is an address, not a value."""
    if isinstance(value, str):
        inner: Any = None
        if value[:1] in ("{", "[", '"'):
            with suppress(ValueError):
                inner = json.loads(value)
        yield from (value,) if inner is None else _texts(inner)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def remove_left(home: Path, own: str = "") -> None:
    """Remove the states that killed runs have left. The suite's lock must be held: no run is in progress.

    Args:
        home: `.orchestra/<suite>`, absolute.
        own: the run that resumes, which uses its own.

    Raises:
        MachineError: the disk refuses.
    """
    for folder in left(home):
        if folder.parent.name != own:
            remove_tree(folder)


def left(home: Path) -> list[Path]:
    """Return the folders of states below a suite's folder."""
    return [folder for run in runs_of(home) if nofollow.is_folder(folder := home / "runs" / run / FOLDER)]


class Shown:
    """The logins of a run as the run sees them: their secrets, which its masks learn, and their end.

    Args:
        folder: of the run.
        logins: of the plan.
        masks: of the run.
    """

    def __init__(self, folder: Path, logins: Sequence[Login], masks: Masks) -> None:
        self.folder = folder / FOLDER
        self._names = tuple(login.id for login in logins)
        self._masks = masks
        if logins:
            nofollow.make_folders(self.folder)

    def learn(self) -> None:
        """Hide what the workers have learnt, before anything that they report is recorded.

        Raises:
            MachineError: the disk refuses.
        """
        for name in self._names:
            self._masks.learn(f"login {name}", Store(self.folder, name).load().hidden)

    def hidden(self) -> dict[str, tuple[str, ...]]:
        """Return the secret values of the logins that were made, by the names that hide them.

        Raises:
            MachineError: the disk refuses.
        """
        found = {f"login {name}": Store(self.folder, name).load().hidden for name in self._names}
        return {name: values for name, values in found.items() if values}

    def close(self) -> None:
        """Remove the states. Raises MachineError: the disk refuses."""
        if self._names:
            remove_tree(self.folder)
