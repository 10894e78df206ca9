"""The masks of a run: what takes the values of its secrets out of texts, streams and files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orchestra.runtime.mask.files import Cleaned, clean
from orchestra.runtime.mask.finder import Finder, GrowingFinder, Secret, finder, name_mark
from orchestra.runtime.mask.stream import StreamMask, replaced
from orchestra.runtime.mask.weak import weakness

_KNOWN: dict[Secret, None] = {}
"""The secrets of all masks of this process: its last words, those of a bug, must not show them either."""


def last_words(text: str) -> str:
    """Return a text without any secret that this process knows of."""
    data = text.encode(errors="surrogatepass")
    spans = finder(tuple(_KNOWN)).find(data) if _KNOWN else []
    return replaced(data, spans).decode(errors="surrogatepass")


class Masks:
    """Replaces the values of variables by `***NAME***`.

    Args:
        names: of the variables that hold secrets.
        env: where their values are.
        hidden: further values, by what hides them.
        growing: more may be learnt later.

    Attributes:
        weak: warnings of values that are no good secrets.
    """

    def __init__(
        self,
        names: Sequence[str],
        env: Mapping[str, str],
        hidden: Mapping[str, Sequence[str]] = MappingProxyType({}),
        *,
        growing: bool = False,
    ) -> None:
        self.weak = tuple(why for name in names if env.get(name) and (why := weakness(name, env[name])))
        secrets = tuple(Secret(name, env[name]) for name in names if env.get(name, "").strip())
        secrets += tuple(Secret(name, value) for name, values in hidden.items() for value in values)
        _KNOWN.update((secret, None) for secret in secrets)
        self._growing = GrowingFinder(secrets) if growing else None
        self._finder: Finder | None = self._growing or (finder(secrets) if secrets else None)

    @property
    def grow(self) -> bool:
        """Return whether more secrets may be learnt."""
        return self._growing is not None

    def learn(self, name: str, values: Sequence[str]) -> None:
        """Hide further values from now on, as `name`; only masks that grow can."""
        if self._growing is None:
            raise AssertionError("these masks do not grow")
        secrets = tuple(Secret(name, value) for value in values)
        _KNOWN.update((secret, None) for secret in secrets)
        self._growing.learn(secrets)

    def __bool__(self) -> bool:
        """Return whether there is anything to hide."""
        return self._finder is not None

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        if self._finder is None or not text:
            return text
        data = text.encode(errors="surrogatepass")
        spans = self._finder.find(data)
        return replaced(data, spans).decode(errors="surrogatepass") if spans else text

    def value(self, value: Any) -> Any:
        """Return a copy of a value with every text in it masked: each as it was, before any is encoded."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, (list, tuple)) else value

    def stream(self) -> StreamMask | None:
        """Return a mask for bytes that come in pieces; None when there is nothing to hide."""
        return None if self._finder is None else StreamMask(self._finder)

    def name(self, name: str) -> str:
        """Return the name of a file without the secrets."""
        if self._finder is None:
            return name
        data = os.fsencode(name)
        spans = [span for span in self._finder.find(data) if not span.short]
        return os.fsdecode(replaced(data, spans, mark=name_mark)) if spans else name

    def clean(self, folder: Path, ours: Mapping[str, bool] = MappingProxyType({})) -> Cleaned:
        """Take the secrets out of every file below a folder. See `files.clean`.

        Raises:
            OSError: the disk refuses; the file that it refused is as it was.
        """
        return Cleaned({}, ()) if self._finder is None else clean(folder, self._finder, self.name, ours)


NOTHING = Masks((), {})
"""The masks of a run without secrets."""
