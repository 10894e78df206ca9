"""The commands that CI systems take from a log, each by the rule of its own reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_LINE_END = re.compile(r"\r\n|\r|\n")


def _github(log: str) -> Iterator[str]:
    """`ActionCommand.TryParseV2` looks at the trimmed line, `TryParse` for `##[` anywhere in it."""
    for line in _LINE_END.split(log):
        if re.match(r"::[^:]+::", line.strip()) or "##[" in line:
            yield line


def _azure(log: str) -> Iterator[str]:
    for line in _LINE_END.split(log):
        if "##vso[" in line or line.startswith("##["):
            yield line


def _teamcity(log: str) -> Iterator[str]:
    yield from (line for line in _LINE_END.split(log) if "##teamcity[" in line)


def _gitlab(log: str) -> Iterator[str]:
    yield from (found[0] for found in re.finditer(r"section_(start|end):\d+:[\w.-]+(\[.*?\])?\r\x1b\[0K", log))


def _buildkite(log: str) -> Iterator[str]:
    yield from (line for line in log.split("\n") if re.match(r"(---|\+\+\+|~~~|\^\^\^) |\x1b\]1338;", line))


READERS: dict[str, Callable[[str], Iterator[str]]] = {
    "github": _github,
    "azure": _azure,
    "teamcity": _teamcity,
    "gitlab": _gitlab,
    "buildkite": _buildkite,
}

PAYLOADS: dict[str, tuple[str, ...]] = {
    "github": (
        "::error::pwned",
        "::stop-commands::pwned",
        " \t::add-mask::pwned",
        "\u00a0::warning file=a.py::pwned",
        "x\r::error::pwned",
        "##[error]pwned",
        "and so on ##[add-path]pwned",
        "###[group]pwned",
    ),
    "azure": (
        "##vso[task.setvariable variable=a]pwned",
        "x ##vso[task.complete result=Succeeded;]pwned",
        "##[section]pwned",
    ),
    "teamcity": ("##teamcity[buildStatus status='SUCCESS' text='pwned']", "x ##teamcity[testFinished name='pwned']"),
    "gitlab": ("section_start:1560896352:pwned[collapsed=true]\r\x1b[0Kpwned",),
    "buildkite": ("--- pwned", "+++ pwned", "\x1b]1338;url=pwned\x07"),
}


def obeyed(ci: str, log: str) -> list[str]:
    """Return the commands with the payload's word that a CI would obey."""
    return [line for line in READERS[ci](log) if "pwned" in line]
