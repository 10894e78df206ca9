"""The nearest known name to one that is not known."""

from __future__ import annotations

from collections.abc import Container, Iterable

from orchestra.diagnostic import Edit


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` was probably meant to be, whatever its case, or None when none is near.

    The same names give the same answer in any order of `known` (Ratcliff and Obershelp's ratio, 0.6 and above).
    """
    from difflib import get_close_matches  # noqa: PLC0415 - `--help` and `--check` have no wrong name to pay it for

    by_fold = {candidate.casefold(): candidate for candidate in sorted(known, reverse=True)}
    near = get_close_matches(name.casefold(), by_fold, 1)
    return by_fold[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean "testid"?)` to stand behind a message, or nothing when no known name is near."""
    near = closest(name, known)
    return f' (did you mean "{near}"?)' if near is not None and near != name else ""


def correction(name: str, known: Iterable[str], taken: Container[str] = ()) -> Edit | None:
    """Return the edit that writes the name that was probably meant, or None when no known name is near.

    Args:
        name: that is not known.
        known: names.
        taken: the keys of its mapping, if it is a key: one cannot be there twice.
    """
    near = closest(name, known)
    return Edit(name, near) if near is not None and near != name and near not in taken else None
