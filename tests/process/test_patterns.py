"""Regular expressions of a spec: the meaning is Python's, and a search costs its limit at most, wherever it is made."""

from __future__ import annotations

import os
import re
import resource
import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.pattern import LETTERS, SECONDS, PatternFaultError, compiled
from orchestra.runtime import bounded
from orchestra.runtime.bounded import pool
from orchestra.runtime.bounded.patterns import Hit, PatternError, first, groups, in_file
from tests.support.project import SuiteProject
from tests.support.servers import until

EVIL = "(a+)+$"
BAIT = "a" * 60 + "!"
OVER = f'the pattern "{EVIL}" did not end within 1 s of processor time'


@pytest.fixture(autouse=True)
def _ended():
    yield
    bounded.close()


# ----------------------------------------------------------------------------------------------------------- the search


@given(
    st.sampled_from(["a(?P<x>b*)", "(?i)É", r"^\w+$", "(?!a)(?P<y>.)?", "", r"\Z", "(?P<z>a)|b"]), st.text("ab\nÉ1 ")
)
def test_a_search_means_what_it_means_in_python(pattern, text):
    for lines in (False, True):
        found = re.search(pattern, text, re.MULTILINE if lines else 0)
        expected = None if found is None else {name: value or "" for name, value in found.groupdict().items()}
        assert groups(pattern, text, lines=lines) == expected


def test_any_text_crosses_over():
    for text in ("\ud800", "\0\r\n\u2028", "😀" * 100_000):
        assert groups(f"^{re.escape(text)}$", text) == {} if len(text) < 10 else groups("😀{9}$", text) == {}


def test_each_text_has_the_first_pattern_that_is_found_in_it():
    assert first(["b", "a", "c"], ["xa", "ab", "d", ""]) == ["a", "b", None, None]
    assert first([], ["a"]) == [None]
    assert first(["a"], []) == []


def test_lines_of_a_file_have_their_numbers_and_what_is_allowed_is_left_out(tmp_path):
    log = tmp_path / "a.log"
    log.write_bytes(b"0 ERROR before\n0 fine\n1  ERROR \xff one\n1 ERROR cart\n1 fine\n1 ERROR two\n1 ERROR three")
    found = in_file(
        ["^ ?ERROR"], log, 22, 1000, letters=11, most=2, stamp=r"\d ", unless=["shop: .*cart"], prefix="shop: "
    )
    assert found == [Hit(3, "ERROR \ufffd one"), Hit(6, "ERROR two")]
    with pytest.raises(OSError, match="No such file"):
        in_file(["a"], tmp_path / "b.log", 0, 1, letters=1, most=1)


CHAIN = """INFO: request
ERROR: Exception in application
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    raise KeyError("first")
KeyError: 'first'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
    raise ValueError("no quote for ERROR")
          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
ValueError: no quote for ERROR
second line of it
INFO: done
Traceback (most recent call last):
  File "b.py", line 1, in f
OSError: [Errno 32] Broken pipe
"""


@pytest.mark.parametrize(
    "patterns, unless, hits",
    [
        (["^ERROR"], [], [Hit(2, "ERROR: Exception in application: ValueError: no quote for ERROR")]),
        (["Traceback"], [], [Hit(3, "ValueError: no quote for ERROR"), Hit(17, "OSError: [Errno 32] Broken pipe")]),
        (
            ["Error", "raise"],
            [],
            [Hit(5, "ValueError: no quote for ERROR"), Hit(19, "OSError: [Errno 32] Broken pipe")],
        ),
        (["Traceback"], ["Broken pipe"], [Hit(3, "ValueError: no quote for ERROR")]),
        (["Traceback"], ["KeyError"], [Hit(17, "OSError: [Errno 32] Broken pipe")]),
        (["second line"], [], [Hit(15, "second line of it")]),
    ],
)
def test_the_message_of_a_traceback_is_its_last_exception(tmp_path, patterns, unless, hits):
    (tmp_path / "a.log").write_text("".join(f"7 {line}\n" for line in CHAIN.splitlines()))
    assert in_file(patterns, tmp_path / "a.log", 0, 10_000, letters=100, most=9, stamp=r"\d ", unless=unless) == hits


def test_a_traceback_that_is_not_whole_is_told_by_its_line(tmp_path):
    (tmp_path / "a.log").write_text("ERROR: it\nTraceback (most recent call last):\n  File 'a.py'")
    hits = in_file(["Traceback", "ERROR"], tmp_path / "a.log", 0, 1000, letters=100, most=9)
    assert hits == [Hit(1, "ERROR: it"), Hit(2, "Traceback (most recent call last):")]


def test_lines_are_searched_as_a_person_sees_them(tmp_path):
    (tmp_path / "a.log").write_bytes(b"1%\r2%\rdone\r\n\x1b[31mERR\x1b[1mOR\x1b[0m: x\n")
    assert in_file(["^done$", "^ERROR: x$"], tmp_path / "a.log", 0, 1000, letters=100, most=9) == [
        Hit(1, "done"),
        Hit(2, "ERROR: x"),
    ]


@pytest.mark.parametrize(
    "pattern", ["a", "(", "[b-a]", "(?P<a>b)(?P<a>c)", r"\8", "(?z)", "a{9999999999}", "(" * 2000, "[[a]"]
)
def test_what_compiles_is_what_a_search_can_read(pattern):
    def refused(read) -> bool:
        try:
            read(pattern)
        except (PatternFaultError, PatternError):
            return True
        return False

    assert refused(compiled) == refused(lambda one: groups(one, "b"))


def test_a_pattern_has_a_length():
    assert compiled("a" * LETTERS)
    with pytest.raises(PatternFaultError, match="it has 2001 letters, at most 2000 are allowed"):
        compiled("a" * (LETTERS + 1))


# ------------------------------------------------------------------------------------------------------------ the limits


def _search(kind: str, folder) -> object:
    if kind == "groups":
        return groups(EVIL, BAIT)
    if kind == "first":
        return first(["x", EVIL, "y"], ["b", BAIT])
    (folder / "a.log").write_text(f"{BAIT}\n")
    if kind == "in_file":
        return in_file(["x", EVIL], folder / "a.log", 0, 1000, letters=500, most=5)
    return in_file(["!"], folder / "a.log", 0, 1000, letters=500, most=5, unless=["x", EVIL])


@pytest.mark.parametrize("kind", ["groups", "first", "in_file", "unless"])
def test_a_pattern_that_goes_back_for_ever_costs_its_limit_and_is_named(tmp_path, kind):
    def used() -> float:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime

    bounded.close()
    before = used()
    with pytest.raises(PatternError, match=re.escape(OVER)) as told:
        _search(kind, tmp_path)
    assert told.value.pattern == EVIL
    assert "(a+)+" in told.value.hint
    assert used() - before < SECONDS + 1, "processor time; the start of the process comes on top"
    assert groups("b", "b") == {}, "the next search has a process of its own"


def test_a_pattern_that_eats_memory_is_refused_it():
    with pytest.raises(PatternError, match="needs more than 256 MB of memory"):
        groups("(?:(a)|(b))*c$", "ab" * 2_000_000)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PatternError):
        groups("(?:(a)|(b))*c$", "ab" * 2_000_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - own < 100_000, "not of the process that asks"


def test_threads_go_on_while_a_pattern_is_searched_for():
    ended = threading.Event()
    turns = 0

    def look() -> None:
        with pytest.raises(PatternError):
            groups(EVIL, BAIT)
        ended.set()

    thread = threading.Thread(target=look)
    thread.start()
    while not ended.is_set():
        turns += 1
        assert groups("b(?P<turn>.)", f"b{turns % 10}") == {"turn": str(turns % 10)}, "another search is not held up"
    thread.join()
    assert turns > 10


def test_a_process_that_is_gone_is_replaced():
    assert groups("a", "a") == {}
    [[waiting]] = pool._idle.values()
    os.kill(waiting.pid, signal.SIGKILL)
    until(lambda: not waiting.alive(), "its end")
    assert groups("a", "a") == {}


# ----------------------------------------------------------------------------------------------------------- whole runs

SPEC = f"""orchestra: 1
suite: s
health:
  chatty:
    service: {{run: [python, chatty.py]}}
    ready: {{log: {{match: 'listening (?P<number>[0-9]+)'}}}}
  mute:
    service: {{run: [python, chatty.py]}}
    ready: {{log: {{match: '{EVIL}'}}}}
    required: false
  tool: {{ready: {{run: {{argv: [python, -c, "print('{BAIT}')"], stdout: '{EVIL}'}}}}, required: false}}
  key: {{ready: {{env: {{name: BAIT, match: '{EVIL}'}}}}, required: false}}
methods: {{cli: {{driver: command, workers: 4}}}}
tests:
  known:
    known_failures: [{{match: a+b}}, {{match: '{EVIL}'}}]
    command: {{argv: [python, write.py, "${{attempt.dir}}/junit.xml"], junit: "${{attempt.dir}}/junit.xml"}}
  held:
    known_failures: [{{match: '{EVIL}'}}]
    quarantine: {{owner: ana, until: "2999-12-31"}}
    command: {{argv: [python, write.py, "${{attempt.dir}}/junit.xml"], junit: "${{attempt.dir}}/junit.xml"}}
  logs:
    requires: [chatty]
    errors: {{service_logs: fail, log_patterns: {{chatty: ['ERROR', '{EVIL}']}}}}
    command: {{argv: [python, loud.py]}}
  mute: {{requires: [mute], command: {{argv: ["true"]}}}}
  tool: {{requires: [tool], command: {{argv: ["true"]}}}}
  key: {{requires: [key], command: {{argv: ["true"]}}}}
  fine: {{requires: [chatty], command: {{argv: ["true"]}}}}
"""
CHATTY = f"""import os, time
print("listening 4711\\n{BAIT}", flush=True)
while not os.path.exists("loud"):
    time.sleep(0.01)
print("{BAIT}", flush=True)
open("heard", "w").close()
time.sleep(1000)
"""
LOUD = """import os, time
open("loud", "w").close()
while not os.path.exists("heard"):
    time.sleep(0.01)
"""
WRITE = f"""import sys
xml = '<testsuite><testcase name="a"><failure message="{BAIT}"/></testcase></testsuite>'
open(sys.argv[1], "w").write(xml)
"""


LINES = {"mute": "9:26", "tool": "11:126", "key": "12:42"}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n")
    for name, text in (("write.py", WRITE), ("chatty.py", CHATTY), ("loud.py", LOUD)):
        (tmp_path / name).write_text(text)
    return SuiteProject(tmp_path)


def test_in_a_run_each_is_an_error_of_what_has_it_with_its_line(project):
    project.write(SPEC).compile()
    done = project.run("run", BAIT=BAIT)
    assert done.code == 1, done.err
    assert project.verdicts() == {
        **dict.fromkeys(("cli:known", "cli:held", "cli:logs"), "error"),
        **dict.fromkeys(("cli:mute", "cli:tool", "cli:key"), "skipped"),
        "cli:fine": "passed",
    }
    of_matrix = {name: f"cannot be asked: {OVER} (specs/s.yaml:{line})" for name, line in LINES.items()}
    assert project.reasons() == {
        "cli:known": f"known_failures: {OVER} (specs/s.yaml:16:44), in: a: {BAIT}",
        "cli:held": f"known_failures: {OVER} (specs/s.yaml:19:30), in: a: {BAIT}",
        "cli:logs": OVER,
        "cli:mute": f"requires mute, which {of_matrix['mute']}",
        "cli:tool": f"requires tool, which failed its check: {of_matrix['tool']}",
        "cli:key": f"requires key, which failed its check: {of_matrix['key']}",
        "cli:fine": "",
    }
    errors = {event["body"]["task"]: event["body"]["error"] for event in project.events("attempt_finished")}
    assert errors["cli:logs"]["at"] == "specs/s.yaml:24:67"
    excused = {event["body"]["task"]: event["body"].get("excused") for event in project.events("verdict")}
    assert excused["cli:held"] == "quarantine until 2999-12-31, ana"
    assert "cli:known known" in (summary := (project.folder / "summary.md").read_text())
    assert "in: a: aaa" in summary
    assert project.run("audit").code == 0


def test_sigterm_is_heard_while_a_pattern_is_searched_for(project):
    """The command goes on for ever, and the search in the log of its service ends by its limit only."""
    spec = SPEC[: SPEC.index("  mute:")] + SPEC[SPEC.index("methods:") : SPEC.index("  known:")] + "  logs:\n"
    spec += SPEC[SPEC.index("    requires: [chatty]") : SPEC.index("  mute: {requires")]
    many = ", ".join(f"'{EVIL[:-1]}{letter}$'" for letter in "bcdefghijklmnopqrstuvwxyz")
    project.write(spec.replace(f"'{EVIL}'", many)).compile()
    running = project.start("run")
    until((project.root / "heard").exists, "the service")
    running.terminate()
    _, said = running.communicate(timeout=60)
    assert running.returncode == 143, said
    assert project.verdicts() == {"cli:logs": "interrupted"}


# --------------------------------------------------------------------------------------------------------- in a browser

SITE = f"""import http.server, sys
PAGE = b'''<p data-testid=bait>{BAIT}</p><a href=/file download>file</a><script>console.error("{BAIT}")</script>'''
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html" if self.path == "/" else "application/octet-stream")
        self.end_headers()
        self.wfile.write(PAGE if self.path == "/" else b"{BAIT}")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
PAGES = f"""orchestra: 1
suite: s
health:
  shop: {{service: {{run: [python, site.py, "${{port}}"], port_range: 4400-4499}}, ready: {{http: {{path: /}}}}}}
methods: {{METHODS}}
defaults: {{requires: [shop], timeout_seconds: 60, retries: {{max: 0}}}}
errors: {{allow: ['nothing']}}
tests:
  allow:
    errors: {{console_errors: fail, allow: ['{EVIL}']}}
    steps: [{{goto: "${{shop.url}}/"}}]
  file:
    steps: [{{goto: "${{shop.url}}/"}}, {{download: {{text: file, as: a, expect: {{text: {{match: '{EVIL}'}}}}}}}}]
  page:
    steps: [{{goto: "${{shop.url}}/"}}, {{expect: {{testid: bait, to: {{match: '{EVIL}'}}, within_seconds: 1}}}}]
  fine:
    steps: [{{goto: "${{shop.url}}/"}}, {{expect: {{testid: bait, to: {{match: '^a+!$'}}}}}}]
"""


METHODS = {"cli": "driver: playwright, workers: 1", "mcp": "driver: mcp, session: {single: true}"}


@pytest.mark.browser
@pytest.mark.parametrize(
    "methods",
    [
        ["cli"],
        pytest.param(
            ["cli", "mcp"], marks=pytest.mark.nightly
        ),  # the patterns of both are searched for by the same code
    ],
)
def test_in_a_page_a_pattern_ends_and_the_next_test_runs(project, chromium, methods):
    (project.root / "site.py").write_text(SITE)
    rows = ", ".join(f"{method}: {{{METHODS[method]}}}" for method in methods)
    done = project.write(PAGES.replace("METHODS", rows)).compile().run("run")
    assert done.code == 1, done.err
    assert project.verdicts() == {
        f"{method}:{test}": verdict
        for method in methods
        for test, verdict in {"allow": "error", "file": "error", "page": "failed", "fine": "passed"}.items()
    }
    hangs = {"cli": "the page hangs; its browser was ended", "mcp": "the page hangs"}
    reasons = {method: {"allow": OVER, "file": OVER, "page": hangs[method], "fine": ""} for method in methods}
    assert project.reasons() == {
        f"{method}:{test}": reason for method, by_test in reasons.items() for test, reason in by_test.items()
    }
    errors = {event["body"]["task"]: event["body"]["error"] for event in project.events("attempt_finished")}
    for method in methods:
        places = [errors[f"{method}:{test}"]["at"] for test in ("allow", "file", "page")]
        assert places == ["specs/s.yaml:10:44", "specs/s.yaml:13:37", "specs/s.yaml:15:37"]
        assert "a+ instead of (a+)+" in errors[f"{method}:file"]["hint"]
