"""Resolve the runtime variables of a test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from orchestra import names
from orchestra.errors import UsageError
from orchestra.pattern import PatternFaultError, compiled
from orchestra.steps.target import Target
from orchestra.suggest import did_you_mean

_SAVED = "saved."


def readable(target: Target | None) -> None:
    """Refuse a target whose pattern cannot be read, once names are replaced. Raises UsageError: it is so."""
    while target is not None:
        try:
            compiled(target.name_match or "")
        except PatternFaultError as error:
            message = f'the pattern "{target.name_match}" of a name cannot be read: {error.reason}'
            raise UsageError(message, hint="it holds the value of a name") from None
        target = target.within


class Scope:
    """The names that have a value: those bound before the test, and what its own steps saved.

    Args:
        bound: `backend.url`, `attempt.dir`, `env.HOME`, …
        saved: what its login saved.

    Attributes:
        saved: the values of `saved.*`.
    """

    def __init__(self, bound: Mapping[str, str], saved: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._bound = bound
        self.saved: dict[str, Any] = {**saved}

    def save(self, name: str, value: Any) -> None:
        """Keep a JSON value as `${saved.NAME}`, in place of an older one."""
        self.saved[name] = value

    def lookup(self, name: str) -> Any:
        """Return the value of a name: a text, or the JSON value that was saved.

        Raises:
            UsageError: it has none here.
        """
        key = name.removeprefix(_SAVED)
        if name.startswith(_SAVED):
            if key in self.saved:
                return self.saved[key]
            near = did_you_mean(key, self.saved)
            message = f"no earlier step has saved ${{{name}}}{near}"
            raise UsageError(message, "save it in an earlier step: `set`, or `save` of `http` or `evaluate`")
        if name in self._bound:
            return self._bound[name]
        if name.startswith("env."):
            raise UsageError(f"the environment variable {name[4:]} is not set, and the spec uses ${{{name}}}", "set it")
        raise UsageError(f"${{{name}}} has no value here{did_you_mean(name, self._bound)}")

    @staticmethod
    def text(value: Any) -> str:
        """Return a JSON value inside a text: texts as they are, the rest as JSON."""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def fill(self, value: Any) -> Any:
        """Return a value of the plan with late names replaced, deep, in keys too.

        A text that is one saved name and nothing else becomes what was saved, be it a number or a list.

        Raises:
            UsageError: a name has no value.
        """
        if isinstance(value, str):
            if value.startswith("${" + _SAVED) and value.endswith("}") and "}" not in value[:-1]:
                return self.lookup(value[2:-1])
            return names.expand(value, lambda name: self.text(self.lookup(name)))
        if isinstance(value, dict):
            return {self.text(self.fill(key)): self.fill(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.fill(item) for item in value]
        return value

    def target(self, target: Target) -> Target:
        """Return a target with late names replaced.

        Raises:
            UsageError: a name has no value, or makes a pattern that cannot be read.
        """
        texts = ("value", "name", "name_match", "has_text", "frame")
        changed: dict[str, Any] = {
            key: self.text(self.fill(value)) for key in texts if (value := getattr(target, key)) is not None
        }
        if target.within is not None:
            changed["within"] = self.target(target.within)
        final = msgspec.structs.replace(target, **changed)
        readable(final)
        return final
