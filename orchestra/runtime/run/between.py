"""Run the `between_methods` of components before a test of another method uses them. One thread owns it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future

from orchestra.instances import component_of
from orchestra.plan import Component
from orchestra.runtime.servers.matrix import Matrix


class Between:
    """Which method has used each component last.

    Args:
        components: of the plan.
        matrix: renews them.
        wake: called when one was renewed, by another thread.
        note: records what is done: component and method.
    """

    def __init__(
        self,
        components: Iterable[Component],
        matrix: Matrix,
        wake: Callable[[], None],
        note: Callable[[str, str], None],
    ) -> None:
        self._declared = frozenset(component.id for component in components if component.between)
        self._matrix = matrix
        self._wake = wake
        self._note = note
        self._used: dict[str, str] = {}
        self._under_way: dict[str, Future[None]] = {}

    def ready(self, method: str, required: Iterable[str]) -> bool:
        """Return whether a test of a method may use these components now; begin to renew those of another method.

        A bug of ours in a renewal is raised.
        """
        mine = [name for name in required if component_of(name) in self._declared]
        for name in mine:
            if self._used.setdefault(name, method) != method:
                self._used[name] = method
                if (renewal := self._matrix.renew(name)) is not None:
                    self._note(name, method)
                    self._under_way[name] = renewal
                    renewal.add_done_callback(lambda _: self._wake())
        for name in [name for name, renewal in self._under_way.items() if renewal.done()]:
            self._under_way.pop(name).result()
        return not any(name in self._under_way for name in mine)
