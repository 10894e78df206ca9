"""Baselines: how long each test usually takes, and when it takes longer than that.

May import `canonical`, `disk`, `history`, `plan`.

A duration is a suspected regression when three things hold together (`suspect`), and one when they hold again in each of
`confirm` immediate repeats:

- ratio: it is more than `slower_ratio` times the median;
- seconds: it is more than `slower_seconds` above the median;
- noise: it is further above the median than the spread of the baseline explains.

The spread is 1.4826 x MAD, which for normal noise estimates its standard deviation and which half of the values cannot
spoil (Hampel 1974; Rousseeuw and Croux 1993). The margin is spread x sqrt(1 + window / runs): with a full window that of
a difference of two measurements, and wider while the median itself rests on few. That all repeats must agree is what
keeps false alarms rare; `python -m bench quality` measures it. Recovery (`faster`) is the same the other way round.

`baseline.json` is kept in git: samples only, sorted, one test a line.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import msgspec

from orchestra import nofollow
from orchestra.errors import MachineError
from orchestra.ledger.canonical import digest
from orchestra.ledger.disk import disk_error, replace_file
from orchestra.ledger.event import Moved
from orchestra.ledger.history import Execution, RunRecord
from orchestra.plan import Baseline

FORMAT: Final = 1
FILE: Final = "baseline.json"

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


def key_of(task: str, browser: str, machine: str) -> str:
    """Return the name of a baseline: method and test, browser, machine shape. No two of them compare with each other."""
    return f"{task} {browser or '-'} {machine}"


Samples: TypeAlias = Mapping[str, tuple[float, ...]]


def filled(samples: Samples, found: Mapping[str, float], window: int) -> dict[str, tuple[float, ...]]:
    """Return the samples with one more each, where the window is not full.

    A full window is fixed until a user accepts another: a moving window would follow a test that becomes slower a
    little with each commit, and never see it.
    """
    more = {key: (*samples.get(key, ()), _short(seconds)) for key, seconds in found.items()}
    return {**samples, **{key: taken for key, taken in more.items() if len(taken) <= window}}


def accepted(records: Iterable[RunRecord], tasks: set[str] | None, machine: str, runs: int, window: int) -> Samples:
    """Return new samples from history: the last passing attempts, and the repeats that confirmed a change.

    Args:
        records: runs in the order of time.
        tasks: those to accept, None for all.
        machine: the shape whose runs count.
        runs: of how many runs of a task, the latest.
        window: how many samples at most, the latest.
    """
    found: dict[str, list[tuple[float, ...]]] = {}
    for record in records:
        if record.machine != machine:
            continue
        for task, one in record.executions.items():
            if (tasks is None or task in tasks) and one.passing is not None and one.verdict in {"passed", "flaky"}:
                found.setdefault(key_of(task, one.browser, machine), []).append(_taken(one))
    return {
        key: tuple(_short(one) for taken in parts[-runs:] for one in taken)[-window:] for key, parts in found.items()
    }


def _taken(one: Execution) -> tuple[float, ...]:
    return (*((one.passing,) if one.passing is not None else ()), *one.repeats)


def _short(seconds: float) -> float:
    return float(f"{seconds:.{DIGITS}g}")


class _Form(msgspec.Struct, frozen=True):
    orchestra: str
    format: int
    seconds: dict[str, tuple[float, ...]]


def load(path: Path) -> dict[str, tuple[float, ...]]:
    """Return the samples of a baseline file by key; empty when there is none.

    Raises:
        MachineError: it cannot be read, or is not a baseline of this format: it is in git, so a user must fix it.
    """
    try:
        content = nofollow.read(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise disk_error(error, path, "read") from error
    mend = "take it from git again, or start over with `orchestra baseline reset`"
    try:
        form = msgspec.json.decode(content, type=_Form)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MachineError(f'"{path}" is not a baseline: {error}', mend) from error
    if form.format != FORMAT:
        raise MachineError(f'"{path}" has format {form.format}; this version reads format {FORMAT}', mend)
    wrong = next((key for key, taken in form.seconds.items() if not taken or min(taken) < 0), None)
    if wrong is not None:
        raise MachineError(f'"{path}" has no samples, or one below 0, for "{wrong}"', mend)
    return form.seconds


def encode(samples: Samples) -> bytes:
    """Return the bytes of a baseline file: a line of form, then one line a key, sorted."""
    lines = (f"{_json(key)}: {_json(list(samples[key]))}" for key in sorted(samples) if samples[key])
    body = ",\n".join(lines)
    return f'{{"orchestra": "baseline", "format": {FORMAT}, "seconds": {{\n{body}\n}}}}\n'.encode()


def digest_of(samples: Samples) -> str | None:
    """Return the digest of a baseline, None for an empty one."""
    return digest({key: list(taken) for key, taken in samples.items()}) if samples else None


def kept_name(digest: str) -> str:
    """Return the file in a run's folder that keeps the baseline of this digest, which the run replaced."""
    return f"baseline-{digest[:16]}.json"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def save(path: Path, samples: Samples) -> None:
    """Write the file in one step, or remove it where no sample is left.

    Raises:
        MachineError: the disk refuses; the old file stays.
    """
    if samples:
        replace_file(path, encode(samples))
        return
    try:
        nofollow.unlink(path)
    except OSError as error:
        raise disk_error(error, path, "remove") from error
