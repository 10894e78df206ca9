"""The keeper of `orchestra up` hears every signal, whenever it comes."""

from __future__ import annotations

import os
import signal
import threading

from orchestra.runtime.servers import up
from orchestra.runtime.servers.keeper import Keeper, Order


class Overtaken(Keeper):
    """A keeper whose SIGTERM comes after it has looked whether the end was asked for, and before it waits."""

    def __init__(self, order: Order, mark: str) -> None:
        self._asked_to_end = False
        self._looks = 0
        super().__init__(order, mark)

    @property
    def ended(self) -> bool:
        found = self._asked_to_end
        self._looks += 1
        if self._looks == 1:
            self.signalled(signal.SIGTERM, None)
        return found

    @ended.setter
    def ended(self, value: bool) -> None:
        self._asked_to_end = value


def test_a_signal_between_a_look_and_the_wait_is_heard(tmp_path):
    home = tmp_path / ".orchestra/s"
    (home / up.FOLDER).mkdir(parents=True)
    keeper = Overtaken(Order(str(tmp_path), str(home), "", ()), f"up-{os.getpid()}-test")
    kept = threading.Thread(target=keeper.keep, daemon=True)
    kept.start()
    kept.join(60)
    assert not kept.is_alive()
