"""Profiles: named changes to a spec, merged over it (JSON Merge Patch, RFC 7396)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import cast

from orchestra.compiler.include import Assembled
from orchestra.diagnostic import Place
from orchestra.yamltext.document import Json, Path, locate


@dataclass(frozen=True, slots=True)
class Profiled(Assembled):
    """A spec with a profile applied. A value of the profile has its place in the profile."""

    profile: str = ""

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Return the place of the value (or the key): in the profile if it sets it, else in the spec."""
        inside: Path = ("profiles", self.profile, *path)
        in_file = any(inside[: len(path)] == path for path in self.grafts)
        if in_file or locate(inside, self.documents) is not None:
            return Assembled.place(self, inside, key=key)
        return Assembled.place(self, path, key=key)


def merge(base: Json, patch: Json) -> Json:
    """Return the base with the patch applied: mappings are merged, null takes a key away, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def apply(assembled: Assembled, name: str) -> Profiled:
    """Return the spec with its profile `name` merged in and its profiles taken out; the profile must exist."""
    data = cast("dict[str, Json]", assembled.data)
    profiles = cast("dict[str, Json]", data["profiles"])
    rest = {key: value for key, value in data.items() if key != "profiles"}
    plain = {field.name: getattr(assembled, field.name) for field in fields(Assembled)}
    return Profiled(**{**plain, "data": merge(rest, profiles[name])}, profile=name)
