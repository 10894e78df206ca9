"""Baselines: how long each test usually takes, and when it takes longer than that.

A duration is a suspected regression when three things hold together (`suspect`), and one when they hold again in each of
`confirm` immediate repeats:

- ratio: it is more than `slower_ratio` times the median;
- seconds: it is more than `slower_seconds` above the median;
- noise: it is further above the median than the spread of the baseline explains.

The spread is 1.4826 x MAD, which for normal noise estimates its standard deviation and which half of the values cannot
spoil (Hampel 1974; Rousseeuw and Croux 1993). The margin is spread x sqrt(1 + window / runs): with a full window that of
a difference of two measurements, and wider while the median itself rests on few. That all repeats must agree is what
keeps false alarms rare; `python -m bench quality` measures it. Recovery (`faster`) is the same the other way round.

Samples are in two files of one form, sorted, one test a line. `baseline.json` is kept in git; only people change it
(`accept`, `reset`). `durations.json` is not: it belongs to this machine, and a run that ends well writes it. It holds the
accepted samples of a key and those measured since; `known` ignores an entry that begins with other ones than are accepted now.

Git merges `baseline.json` line by line with its driver `union`, which takes the lines of both sides, and those that one of
them has not changed as well where they lie next to each other. So that the result is always a baseline, every line ends in a
comma and names the run that it was accepted from: of two lines of a key the one of the later run counts.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import msgspec

from orchestra import nofollow, stored
from orchestra.errors import MachineError
from orchestra.ledger.canonical import digest
from orchestra.ledger.disk import disk_error
from orchestra.ledger.event import Moved
from orchestra.ledger.run_record import Execution, RunRecord
from orchestra.plan import Baseline

FORMAT: Final = 2
READ: Final = frozenset({1, FORMAT})
"""Formats that are read; one of format 1 has no closing entry, and a run wrote it."""

FILE: Final = "baseline.json"
"""The accepted durations, in git."""

DURATIONS: Final = "durations.json"
"""The durations that runs measured on this machine, in addition to the accepted ones."""

_CLOSING: Final = ""
"""The key of the last entry, which has no samples and no comma after it."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """The samples of a key in a file, and the id of the run that they were accepted from, empty where it is not known."""

    seconds: tuple[float, ...]
    run: str = ""


NORMAL: Final = 1.4826
"""1 / the 75th percentile of the standard normal distribution: makes the MAD of normal noise its standard deviation."""

DIGITS: Final = 4
"""Significant digits of a sample in the file: finer than any noise."""


class Usual(NamedTuple):
    """The usual duration of a test: median and median absolute deviation in seconds, over a number of runs."""

    median: float
    mad: float
    runs: int


def usual(seconds: Sequence[float]) -> Usual:
    """Median and MAD of samples, at least one."""
    middle = statistics.median(seconds)
    return Usual(middle, statistics.median(abs(one - middle) for one in seconds), len(seconds))


class Bounds(NamedTuple):
    """Durations in seconds between which nothing is suspected; `fast` is 0 where no duration is suspiciously short."""

    fast: float
    slow: float


def bounds(base: Usual, rule: Baseline) -> Bounds | None:
    """Return the bounds of a duration; None before the baseline has `min_runs` runs. See the module for the rule."""
    if base.runs < rule.min_runs:
        return None
    margin = NORMAL * base.mad * math.sqrt(1 + rule.window / base.runs)
    slow = max(base.median * rule.slower_ratio, base.median + rule.slower_seconds, base.median + margin)
    fast = min(base.median / rule.slower_ratio, base.median - rule.slower_seconds, base.median - margin)
    return Bounds(max(fast, 0.0), slow)


def suspect(seconds: float, limits: Bounds) -> Moved | None:
    """Compare a duration with its baseline."""
    if seconds > limits.slow:
        return "slower"
    return "faster" if seconds < limits.fast else None


def place_of(machine: str, profile: str) -> str:
    """Return where durations were measured: the shape of the machine, and the profile of the spec where there was one."""
    return f"{machine}/{profile}" if profile else machine


def key_of(task: str, browser: str, place: str) -> str:
    """Return the name of a baseline: method and test, browser, place. No two of them compare with each other."""
    return f"{task} {browser or '-'} {place}"


def parts_of(key: str) -> tuple[str, str, str]:
    """Return task, browser and place of a key; a task may hold spaces."""
    task, browser, place = key.rsplit(" ", 2)
    return task, browser, place


Samples: TypeAlias = Mapping[str, tuple[float, ...]]


def filled(samples: Samples, found: Mapping[str, float], window: int) -> dict[str, tuple[float, ...]]:
    """Return the samples with one more each, where the window is not full.

    A full window is fixed until a user accepts another: a moving window would follow a test that becomes slower a
    little with each commit, and never see it.
    """
    more = {key: (*samples.get(key, ()), _short(seconds)) for key, seconds in found.items()}
    return {**samples, **{key: taken for key, taken in more.items() if len(taken) <= window}}


def accepted(
    records: Iterable[RunRecord], tasks: set[str] | None, place: str, runs: int, window: int
) -> dict[str, Entry]:
    """Return new samples from history: the last passing attempts, and the repeats that confirmed a change.

    Args:
        records: runs in the order of time.
        tasks: those to accept, None for all.
        place: where the runs that count were made; of these no duration that was disturbed.
        runs: of how many runs of a task, the latest.
        window: how many samples at most, the latest.
    """
    found: dict[str, list[tuple[float, ...]]] = {}
    latest: dict[str, str] = {}
    for record in records:
        if record.place != place:
            continue
        for task, one in record.executions.items():
            if (tasks is None or task in tasks) and one.verdict in {"passed", "flaky"} and (taken := _taken(one)):
                key = key_of(task, one.browser, place)
                found.setdefault(key, []).append(taken)
                latest[key] = record.run
    return {
        key: Entry(tuple(_short(one) for taken in parts[-runs:] for one in taken)[-window:], latest[key])
        for key, parts in found.items()
    }


def _taken(one: Execution) -> tuple[float, ...]:
    first = () if one.passing is None or one.disturbed else (one.passing,)
    return (*first, *one.repeats)


def _short(seconds: float) -> float:
    return float(f"{seconds:.{DIGITS}g}")


def together(accepted: Samples, durations: Samples) -> dict[str, tuple[float, ...]]:
    """Return what is accepted, with what was measured since on top of just that."""
    since = {
        key: taken for key, taken in durations.items() if taken[: len(accepted.get(key, ()))] == accepted.get(key, ())
    }
    return {**accepted, **since}


def known(home: Path) -> dict[str, tuple[float, ...]]:
    """Return the samples of the suite whose folder is `home`: what is accepted, and what was measured since.

    Raises:
        MachineError: one of the two files cannot be read, or is damaged.
    """
    return together(load(home / FILE), load(home / DURATIONS))


class _Form(msgspec.Struct, frozen=True):
    orchestra: str
    format: int
    tests: msgspec.Raw = msgspec.Raw(b"{}")
    seconds: dict[str, tuple[float, ...]] = {}  # of format 1


def load(path: Path) -> dict[str, tuple[float, ...]]:
    """Return the samples of a file by key, as `entries` reads them."""
    return {key: entry.seconds for key, entry in entries(path).items()}


def entries(path: Path) -> dict[str, Entry]:
    """Return the entries of a file by key; empty when there is none. Of two of a key the one of the later run counts.

    Raises:
        MachineError: it cannot be read, or is not a baseline of a format that is read.
    """
    try:
        content = nofollow.read(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise disk_error(error, path, "read") from error
    fix = "take it from git again, or start over with `orchestra baseline reset --all`"
    if path.name != FILE:
        fix = "remove it, or start over with `orchestra baseline reset --all`"
    try:
        form = stored.decode(content, _Form)
        lines = [*((key, Entry(taken)) for key, taken in form.seconds.items()), *_lines(form.tests)]
    except (ValueError, RecursionError) as error:
        raise MachineError(f'"{path}" is not a baseline: {error}', fix) from error
    if form.format not in READ:
        raise MachineError(f'"{path}" has format {form.format}; this version reads format {FORMAT} and before', fix)
    odd = next((key for key, _ in lines if key.count(" ") < 2), None)
    if odd is not None:
        raise MachineError(f'"{path}" is not a baseline: "{odd}" names no task, browser and machine', fix)
    wrong = next((key for key, entry in lines if not entry.seconds or min(entry.seconds) < 0), None)
    if wrong is not None:
        raise MachineError(f'"{path}" has no samples, or one below 0, for "{wrong}"', fix)
    return dict(sorted(lines, key=lambda line: line[1].run))


def _lines(tests: msgspec.Raw) -> list[tuple[str, Entry]]:
    """Return the entries of an object in order, also those whose key is there twice. Raises msgspec.DecodeError."""
    pairs = json.loads(bytes(tests), object_pairs_hook=list)
    lines = msgspec.convert(pairs, list[tuple[str, list[tuple[str, object]]]])
    return [(key, msgspec.convert(dict(fields), Entry)) for key, fields in lines if key != _CLOSING]


def encode(entries: Mapping[str, Entry]) -> bytes:
    """Return the bytes of a file: a line of form, one line a key, sorted, and a line to close."""
    lines = (f"{_json(key)}: {_json(entries[key])},\n" for key in sorted(entries))
    closing = f"{_json(_CLOSING)}: {{}}\n}}}}\n"
    return f'{{"orchestra": "baseline", "format": {FORMAT}, "tests": {{\n{"".join(lines)}{closing}'.encode()


def plain(samples: Samples) -> dict[str, Entry]:
    """Return samples as entries of no run that is known."""
    return {key: Entry(taken) for key, taken in samples.items()}


def digest_of(samples: Samples) -> str | None:
    """Return the digest of a baseline, None for an empty one."""
    return digest({key: list(taken) for key, taken in samples.items()}) if samples else None


def kept_name(digest: str) -> str:
    """Return the name of the file in a run's folder that keeps the durations of this digest, which the run replaced."""
    return f"durations-{digest[:16]}.json"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
