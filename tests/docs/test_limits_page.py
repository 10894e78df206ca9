"""docs/limits.md: its numbers are those of the code, and each row names a test that is there."""

from __future__ import annotations

import re

import pytest

from bench import hangs
from orchestra import git, pattern
from orchestra.compiler import expansion
from orchestra.gates import expression
from orchestra.runtime import attempt, body, outlet
from orchestra.runtime.attempts import limit, observed, window
from orchestra.runtime.bounded import paths, pool
from orchestra.runtime.cases import junit, read, report, text
from orchestra.runtime.driver import contract, sections
from orchestra.runtime.driver.playwright import session, watch
from orchestra.runtime.engine import job, spare, workers
from orchestra.runtime.mask import archive, stream
from orchestra.runtime.processes import commands
from orchestra.runtime.servers import journal, probe
from orchestra.steps import vocabulary

DEFAULTS = {
    (verb, field.name): field.default for verb in ("http", "download") for field in vocabulary.VERBS[verb].fields
}
NUMBERS = {
    f"{pattern.LETTERS} letters": "length of a pattern",
    f"{pattern.SECONDS:g} s of processor time, {pattern.SECONDS_PER_MEGABYTE:g} s more": "one search",
    f"{pattern.MEGABYTES} MB, and 32 bytes": "memory of one search",
    f"{journal.SEARCHED_LETTERS >> 20} Mi letters": "output that waits",
    f"{paths.SECONDS:g} s of processor time, {paths.SECONDS_PER_MEGABYTE:g} s more": "one JSONPath",
    f"{paths.MEGABYTES} MB, and {paths.BYTES_PER_BYTE} bytes": "memory of a look",
    f"{paths.VALUES:,}": "values to which",
    f"{expression.LETTERS} letters": "length of a gate",
    f"{expression.ITERATIONS:,} in all": "iterations",
    f"`limit_megabytes: {DEFAULTS['http', 'limit_megabytes']:g}`": "reply to an",
    f"`within_seconds: {DEFAULTS['http', 'within_seconds']:g}`": "time of an",
    f"{body.CODINGS}": "content codings",
    f"{probe.BODY_LIMIT >> 20} MiB of each": "output of a `run`",
    f"{probe.BODY_LIMIT >> 20} MiB; the rest": "response to an",
    f"`limit_megabytes: {DEFAULTS['download', 'limit_megabytes']:g}`": "file of a",
    f"`within_seconds: {DEFAULTS['download', 'within_seconds']:g}`": "time of a `download`",
    f"{read.MEGABYTES} MB, {report.CASES:,} cases; of JUnit {junit.DEPTH} nested elements": "report of a",
    f"{text.LETTERS} letters; {report.SHORT_LETTERS} after the first {report.FULL} failures": "reason of a case",
    f"{report.MORE}": "further failures",
    f"{job.KEPT}": "cases in the message",
    f"{job.ATTACHED_FILES:,}": "files of one glob",
    f"{contract.FOUND_LENGTH} letters": "a *found* value",
    f"{observed.KEPT_SIGNS} of each layer are looked at, {observed.TEXT_LETTERS} letters": "errors of a page",
    f"{observed.KEPT_HOSTS}": "hosts of a page",
    f"the last {watch.KEPT_LINES} of each, {watch.KEPT_LETTERS} letters": "console and failed",
    f"{commands.LOG_LIMIT_BYTES >> 20} MiB": "log of a command",
    f"{journal.LOG_LIMIT_BYTES >> 20} MiB, and": "log of a service |",
    f"the last {window.LIMIT_BYTES >> 10} KiB": "log of a service in",
    f"and {attempt.BEYOND_SECONDS:g} s": "an attempt, in any",
    f"{archive.DEPTH}; the tar": "layers of packing",
    f"{archive.UNPACKED_BYTES >> 20} MiB": "unpacked size",
    f"{archive.MEMBERS:,}": "members of an archive",
    f"{stream.LINE_BYTES >> 10} KiB": "unterminated line",
    f"{attempt.FINALLY_SECONDS:g} s, or": "`finally`",
    f"{workers.START_SECONDS:g} s": "start of a worker",
    f"{session.HUNG_SECONDS:g} s after": "a step on",
    f"{sections.EVIDENCE_SECONDS:g} s, and {sections.LATE_EVIDENCE_SECONDS:g} s": "evidence of a page",
    f"{outlet.LETTERS >> 20} Mi letters are buffered; {outlet.LAST_SECONDS:g} s once the run is ending": "a reader of",
    f"{spare.HEAP_MEGABYTES} MB of heap, and {spare.YOUNG_MEGABYTES} MB": "memory of Playwright",
    f"{git.SECONDS:g} s": "git",
    f"{hangs.HEARD_SECONDS:g} s": "a signal",
    f"{expansion.MOST_DEPTH} deep": "blocks inside",
    f"{expansion.MOST_STEPS:,} and {expansion.MOST_STEPS_IN_ALL:,}": "steps of a test",
    f"{expansion.MOST_COMBINATIONS} and {expansion.MOST_TESTS:,}": "tests of a matrix",
}


@pytest.fixture
def rows(root) -> list[str]:
    text = (root / "docs" / "limits.md").read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| what |")]
    assert len(found) > 30
    return found


def test_each_row_names_a_test_that_is_there(root, rows):
    for row in rows:
        named = re.findall(r"`((?:unit|process|browser)/[\w.]+)`", row.rpartition(" | ")[2])
        assert named, row
        for name in named:
            assert (root / "tests" / name).is_file(), row


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_that_of_the_code(rows, number):
    [row] = [row for row in rows if row.startswith(f"| {NUMBERS[number]}")]
    assert number in row.split(" | ")[1]


def test_the_clock_is_as_the_page_says(root):
    assert pool.WALL == 3.0
    assert (root / "docs" / "limits.md").read_text(encoding="utf-8").count("by the clock three times as much") == 2
    assert limit.MEGABYTE == 1_000_000
