"""Check profiles as they are written; the other rules check their effect on the spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from orchestra.compiler.rules.context import Context, Problem, quoted, rule
from orchestra.compiler.schema.spec import Spec
from orchestra.suggest import correction, did_you_mean

_FIXED = frozenset({"orchestra", "suite", "include", "override", "profiles", "compile"})
_SECTIONS = tuple(key for key in Spec.__annotations__ if key not in _FIXED)


@rule
def profile_section(context: Context) -> Iterator[Problem]:
    """A profile changes a section that does not exist, or one that no profile can change.

    Fixed are `orchestra`, `suite`, `include`, `override`, `profiles` and `compile`: a profile is another way to run the
    same suite. A profile can be empty.
    """
    for name, profile in context.spec.get("profiles", {}).items():
        for key in profile:
            if key not in _SECTIONS:
                place = context.place(("profiles", name, key), key=True)
                if key in _FIXED:
                    yield Problem(place, f'the profile "{name}" cannot change "{key}"', "remove it from the profile")
                else:
                    message = f'the profile "{name}" changes the unknown section "{key}"{did_you_mean(key, _SECTIONS)}'
                    hint = f"there are {quoted(_SECTIONS, most=len(_SECTIONS))}"
                    yield Problem(place, message, hint, correction(key, _SECTIONS, taken=profile))


@rule
def profile_null(context: Context) -> Iterator[Problem]:
    """A profile removes (`null`) a key that does not exist."""
    for name, profile in context.spec.get("profiles", {}).items():
        for path, lost, known in _lost(profile, context.spec, ()):
            near = did_you_mean(lost[-1], known)
            message = f'the profile "{name}" removes "{".".join(path)}", which is not there{near}'
            below = len(lost) > 1  # an unknown section is corrected by `profile_section`
            place = context.place(("profiles", name, *(lost if near and below else path)), key=True)
            holder: Any = profile
            for key in lost[:-1]:
                holder = holder[key]
            edit = correction(lost[-1], known, taken=holder) if below else None
            yield Problem(place, message, "correct the name, or remove it", edit)


_Keys: TypeAlias = tuple[str, ...]


def _lost(patch: Any, base: Any, path: _Keys) -> Iterator[tuple[_Keys, _Keys, list[str]]]:
    """Yield the path of each null without a value to take away, that of its first key that is not there, and the keys that
    are there.
    """
    known = list(base) if isinstance(base, dict) else []
    for key, value in patch.items():
        if value is None and key not in known:
            yield (*path, key), (*path, key), known
        elif isinstance(value, dict):
            below = _lost(value, base[key] if key in known else {}, (*path, key))
            yield from below if key in known else ((inner, (*path, key), known) for inner, _, _ in below)


RULES = (profile_section, profile_null)
