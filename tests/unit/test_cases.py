"""The reader of what wrapped runners report: recorded files of real runners, broken files, any text."""

from __future__ import annotations

import os
import re
import resource
import string
from pathlib import Path
from xml.sax.saxutils import quoteattr

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.ledger.case import BAD, Case, is_named
from orchestra.runtime.cases.junit import read_junit
from orchestra.runtime.cases.playwright_json import read_playwright
from orchestra.runtime.cases.pytest_reportlog import read_reportlog
from orchestra.runtime.cases.read import read
from orchestra.runtime.cases.report import CASES, ReportError
from orchestra.runtime.cases.text import LETTERS, tidy
from tests.support import golden

DATA = Path(__file__).parent.parent / "data" / "cases"
RECORDED = sorted(path for path in DATA.iterdir() if path.suffix != ".out")


def as_it_is(text: str) -> str:
    return text


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_what_a_runner_wrote_gives_its_cases(path):
    report = read(path, path.suffix[1:], as_it_is)
    lines = [msgspec.json.format(msgspec.json.encode(case), indent=1).decode() for case in report.cases]
    lines += [f"outside of any case: {text}" for text in report.errors]
    golden.check(path.with_name(f"{path.name}.out"), "".join(f"{line}\n" for line in lines))


def junit(cases: str, suite: str = "") -> bytes:
    return f"<testsuites><testsuite {suite}>{cases}</testsuite></testsuites>".encode()


def only(data: bytes) -> Case:
    [case] = read_junit([data], as_it_is).cases
    return case


@pytest.mark.parametrize(
    "data, verdict, message",
    [
        (b"\xef\xbb\xbf" + junit('<testcase name="t"><failure message="b"/></testcase>'), "failed", "b"),
        (junit('<testcase name="t"><failure message="a\x1b[31mred\x1b[0m"/></testcase>'), "failed", "ared"),
        (junit('<testcase name="t"><failure message="a#x1B[31mred"/></testcase>'), "failed", "ared"),
        (junit('<testcase name="t"><failure message="b\u00e4m"/></testcase>'), "failed", "b\u00e4m"),
        (
            '<?xml version="1.0" encoding="utf-16"?><testsuite><testcase name="t"><error message="\u2603"/></testcase></testsuite>'.encode(
                "utf-16"
            ),
            "error",
            "\u2603",
        ),
        (
            b'<testsuite xmlns="urn:x"><testcase name="t"><skipped message="later"/></testcase></testsuite>',
            "skipped",
            "later",
        ),
        (junit('<testcase name="t" status="failed"/>'), "failed", ""),
        (junit('<testcase name="t" status="notrun"/>'), "skipped", ""),
        (junit('<testcase name="t"><system-out><![CDATA[<failure/>]]></system-out></testcase>'), "passed", ""),
        (junit('<testcase name="t"><failure>\n  why\n    at f (x.js:1:2)</failure></testcase>'), "failed", "why"),
        (
            junit('<testcase name="t"><failure message="Failed">x_test.go:1: why</failure></testcase>'),
            "failed",
            "x_test.go:1: why",
        ),
    ],
)
def test_a_case_is_read_however_it_is_written(data, verdict, message):
    case = only(data)
    assert (case.name, case.verdict, case.message) == ("t", verdict, message)


@pytest.mark.parametrize(
    "reader, data, words",
    [
        (read_junit, b"", "is not XML (no element found"),
        (read_junit, b"<testsuite>", "is not XML (no element found"),
        (read_junit, b"<html/>", 'is no JUnit file: its root is "html"'),
        (read_junit, b'<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>', "has a DOCTYPE"),
        (read_junit, b"<a>" * 101, "has more than 100 levels of nested elements"),
        (read_junit, junit('<testcase name="t"/>' * (CASES + 1)), f"has more than {CASES} cases"),
        (read_reportlog, b"", "is empty"),
        (read_reportlog, b"{}\n", "is no file of pytest --report-log: it does not begin with the start of a session"),
        (read_reportlog, b"<testsuite/>\n", "is no file of pytest --report-log (line 1: JSON is malformed"),
    ],
)
def test_a_file_that_is_no_report_is_refused(reader, data, words):
    with pytest.raises(ReportError) as raised:
        reader(data.splitlines(keepends=True) if reader is read_reportlog else [data], as_it_is)
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"suites": 3}', b'{"suites": ' + b"[" * 100_000])
def test_a_file_that_is_none_of_playwright_is_refused(data):
    with pytest.raises(ReportError, match="is no file of Playwright's reporter json"):
        read_playwright(data, as_it_is)


def test_a_file_that_counts_failures_and_names_none_is_not_believed():
    report = read_junit([junit("", 'tests="3" failures="2"')], as_it_is)
    assert (report.cases, report.errors) == ([], ["its suites count 2 failures, and no case has one"])


def test_cases_of_one_name_all_count():
    report = read_junit([junit('<testcase name="t"/><testcase name="t"><failure message="b"/></testcase>')], as_it_is)
    assert [(case.name, case.verdict) for case in report.cases] == [("t", "passed"), ("t (2)", "failed")]


def test_a_report_log_that_breaks_off_names_the_test_that_did_not_end():
    lines = (DATA / "pytest-9-reruns.pytest_reportlog").read_bytes().splitlines(keepends=True)
    begun = next(n for n, line in enumerate(lines) if b"test_ok" in line)
    report = read_reportlog([*lines[: begun + 1], b'{"$report_type": "Te'], as_it_is)
    assert [(case.name, case.verdict) for case in report.cases if case.verdict == "interrupted"] == [
        ("test_a.py::test_ok", "interrupted")
    ]
    assert report.errors == ["pytest ended before its session did"]


@pytest.mark.parametrize("before", [LETTERS - 3, LETTERS, 63_995])
@pytest.mark.parametrize("between", ["", "\x1b[31m", "#x1B[1m"])
def test_a_secret_is_masked_before_a_text_is_cut(before, between):
    seen = []

    def mask(text: str) -> str:
        seen.append(text)
        return text.replace("s3cret-word", "***")

    told = tidy(f"{'x' * before}s3cret{between}-word{'y' * 2000}", mask)
    assert "s3cret" not in told
    assert len(told) <= LETTERS + 1


ENTITY = '<!DOCTYPE a [<!ENTITY b "cccccccccc"><!ENTITY d "&b;&b;&b;&b;&b;&b;&b;&b;">]>'


@pytest.mark.parametrize(
    "kind, text, message",
    [
        ("junit", f"{ENTITY}<testcase><failure>&d;</failure></testcase>", "has a DOCTYPE, which is not allowed"),
        ("junit", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "has a DOCTYPE"),
        ("junit", "<a" + " " * 64_000_000, "has more than 64 MB"),
        ("playwright_json", " " * 64_000_001, "has more than 64 MB"),
        ("pytest_reportlog", " " * 64_000_001, "has more than 64 MB"),
        ("junit", "<a>", "is not XML (no element found: line 1, column 3)"),
    ],
    ids=["entities", "external", "large", "large-json", "large-log", "cut"],
)
def test_a_file_beyond_a_limit_is_refused(tmp_path, kind, text, message):
    (tmp_path / "report").write_text(text)
    with pytest.raises(ReportError, match=re.escape(message)):
        read(tmp_path / "report", kind, as_it_is)


def test_a_pipe_in_the_place_of_a_report_is_none(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "pipe", "junit", as_it_is) is None
    assert read(tmp_path / "nothing", "junit", as_it_is) is None


def test_a_large_junit_file_takes_the_memory_of_its_cases(tmp_path):
    case = '<testcase name="n"><failure>\n  words\n</failure><system-out>' + "x" * 1000 + "</system-out></testcase>"
    (tmp_path / "j.xml").write_text(f"<testsuite>{case * CASES}</testsuite>")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = read(tmp_path / "j.xml", "junit", as_it_is)
    assert [case.line for case in report.cases[:2]] == ["n: words", "n (2): words"]
    assert len(report.cases) == CASES
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60_000, "kilobytes; as elements the file has 50 megabytes"


@pytest.mark.parametrize(
    "glob, fits", [("a [x] *", True), ("a*", True), ("*y", True), ("a [x]", False), ("?*", False), ("*", True)]
)
def test_only_a_star_of_a_glob_means_more_than_itself(glob, fits):
    assert is_named("a [x] \u203a y", [glob]) is fits


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32)))), max_size=40)
CASES_OF = st.lists(st.tuples(TEXTS, st.sampled_from(["", "failure", "error", "skipped"]), TEXTS), max_size=8)


@given(CASES_OF)
def test_whatever_texts_a_junit_file_has_each_case_is_there_once(cases):
    inner = "".join(
        f"<testcase name={quoteattr(name)}>{f'<{tag} message={quoteattr(text)}/>' if tag else ''}</testcase>"
        for name, tag, text in cases
    )
    report = read_junit([junit(inner)], as_it_is)
    assert len({case.name for case in report.cases}) == len(cases)
    verdicts = {"": "passed", "failure": "failed", "error": "error", "skipped": "skipped"}
    assert [case.verdict for case in report.cases] == [verdicts[tag] for _, tag, _ in cases]


@given(st.binary(max_size=200), st.sampled_from([read_junit, read_playwright, read_reportlog]))
def test_no_bytes_break_a_reader(data, reader):
    try:
        report = reader(data if reader is read_playwright else [data], as_it_is)
    except ReportError:
        return
    assert all(case.verdict in BAD or case.name for case in report.cases)


@given(st.integers(0, 20), st.data())
def test_a_report_cut_anywhere_is_refused_or_never_a_pass(at, data):
    path = data.draw(st.sampled_from([one for one in RECORDED if one.suffix != ".pytest_reportlog"]))
    whole = path.read_bytes().rstrip()
    reader = read_junit if path.suffix == ".junit" else read_playwright
    with pytest.raises(ReportError):
        reader([whole[: len(whole) - 1 - at]] if reader is read_junit else whole[: len(whole) - 1 - at], as_it_is)


@given(st.text(string.printable + "\x1b\x9b\r\b", max_size=200))
def test_no_escape_code_is_left_in_a_text(text):
    assert not set(tidy(text, as_it_is)) & {"\x1b", "\x9b", "\r", "\b"}
