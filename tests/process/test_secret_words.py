"""A secret that is an ordinary word leaves the record whole: it is masked in free text, never in keys, ids and digests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest

from orchestra.ledger.event import CATALOGUE
from orchestra.ledger.free_text import masked
from orchestra.ledger.parts import OURS, Id
from tests.support import events as made

SPEC = """orchestra: 1
suite: s
secrets: [DB_PASSWORD]
methods: {cli: {driver: command, workers: 1}}
health:
  db:
    service: {run: [python, serve.py, "${port}"], port_range: 8800-8899}
    ready: {http: {path: /}}
defaults: {requires: [db], retries: {max: 0}}
groups: {first: {title: First}, last: {title: Last, after: [first]}}
tests:
  B001: {group: first, command: {argv: [python, test.py, "0"]}}
  test: {group: last, command: {argv: [python, test.py, "3", "${attempt.dir}/j.xml"], junit: "${attempt.dir}/j.xml"}}
"""

SERVE = """import http.server, os, sys
print("test passed cli B001 1 * =", os.environ["DB_PASSWORD"], flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""

TEST = """import os, sys
word = os.environ["DB_PASSWORD"]
print(f"signed in with [{word}]")
if sys.argv[1] == "3":
    text = f'<testsuite tests="1"><testcase name="test"><failure message="wrong [{word}]"/></testcase></testsuite>'
    open(sys.argv[2], "w").write(text)
sys.exit(int(sys.argv[1]))
"""

MORE = ("B001", "test", "cli", "1", "*")
WORDS = ("passed", "", *(pytest.param(word, marks=pytest.mark.nightly) for word in MORE))


def shape(value):
    """The keys of a value and the kinds of what they hold; what the machine measured is not there each time."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items() if key not in {"resources", "disturbed"}}
    return [shape(item) for item in value] if isinstance(value, list) else type(value).__name__


@pytest.mark.parametrize("word", WORDS)
def test_a_record_is_whole_whatever_word_the_secret_is(project, word):
    (project.root / "serve.py").write_text(SERVE)
    (project.root / "test.py").write_text(TEST)
    project.write(SPEC).compile()
    done = project.run("run", DB_PASSWORD=word)
    assert done.code == 1, done.err
    assert project.verdicts() == {"cli:B001": "passed", "cli:test": "failed"}
    assert ("DB_PASSWORD is shorter than 8 characters" in done.err) == bool(word)
    notes = [event for event in project.events("note") if event["body"]["kind"] == "secret"]
    assert len(notes) == bool(word)
    [failed] = [event["body"] for event in project.events("attempt_finished") if event["body"]["error"]]
    assert failed["error"]["message"].endswith("wrong [***DB_PASSWORD***]" if word else "wrong []")
    log = (project.folder / "output/passed.log").read_text().partition("\n")[2]
    assert log == ("signed in with [***DB_PASSWORD***]\n" if word else "signed in with []\n")
    for words, code in (
        (["audit"], 0),
        (["report"], 0),
        (["status"], 0),
        (["history"], 0),
        (["run", "--resume"], 1),
        (["audit"], 0),
        (["rollback", "first"], 0),
        (["run", "--resume"], 1),
        (["audit"], 0),
    ):
        done = project.run(*words, DB_PASSWORD=word)
        assert done.code == code, (words, done.out, done.err)


def test_the_doctor_names_a_weak_secret_and_never_its_value(project):
    project.write(SPEC).compile()
    told = project.run("doctor", DB_PASSWORD="hunter2").out
    [line] = [line for line in told.splitlines() if "secret DB_PASSWORD" in line]
    assert "warning" in line
    assert "shorter than 8 characters, or an ordinary word or number" in line
    assert "hunter2" not in told


def test_the_events_of_a_run_are_those_of_one_without_the_secret(project):
    """All but the free text of each event is the same, whatever the secret is."""
    (project.root / "serve.py").write_text(SERVE)
    (project.root / "test.py").write_text(TEST)
    project.write(SPEC).compile()
    runs = []
    for word in ("x-very-long-secret", "passed"):
        assert project.run("run", DB_PASSWORD=word).code == 1
        events = [event for event in project.events() if event["type"] not in {"note", "resource"}]
        events[0]["body"].pop("expected", None)  # the first run knows no durations
        runs.append(events)
    assert [shape(event) for event in runs[0]] == [shape(event) for event in runs[1]]
    state = json.loads((project.folder / "state.json").read_text())
    assert sorted(state["completed"]) == ["cli:B001", "cli:test"]


FREE_TEXT = {
    "run_started": "argv provenance.environment.values provenance.git.branch provenance.git.dirty=key provenance.job"
    " provenance.user selected_by.by selected_by.why",
    "run_resumed": "argv provenance.environment.values provenance.git.branch provenance.git.dirty=key provenance.job"
    " provenance.user",
    "attempt_started": "holds",
    "attempt_finished": "cases.attachments cases.cause cases.excused cases.message cases.more cases.name died.reason disturbed dropped.reason error.expected error.found error.hint error.log error.message facts findings.text findings.where"
    " network.hosts=key",
    "verdict": "excused reason",
    "repeat": "disturbed dropped.reason",
    "comparison": "reason",
    "service_event": "reason url",
    "gate": "message",
    "session": "died.reason reason title url",
    "resource": "reason",
    "incident": "reason",
    "node": "message",
    "note": "data message",
    "rolled_back": "reason restored.reason",
    "baseline": "reason",
    "attested": "note",
}
"""The fields of each event in which a secret is masked; `=key` where it is the keys."""


def sample(hint):
    """A value of a type, every string of which is `word`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "word"
    if origin is tuple:
        return (sample(arguments[0]),)
    if origin is Mapping:
        return {sample(arguments[0]): sample(arguments[1])}
    if origin is not None:  # annotated, or one of several types
        return sample(arguments[0])
    if hint in {str, Any}:
        return "word"
    if issubclass(hint, msgspec.Struct):
        return hint(**{name: sample(part) for name, part in get_type_hints(hint, include_extras=True).items()})
    return {int: 1, float: 2.0, bool: True}[hint]


def changed(before, after, path=""):
    """The paths at which two values differ."""
    if isinstance(before, dict):
        if list(before) != list(after):
            yield f"{path}=key"
            before = dict(zip(after, before.values(), strict=True))
        for key, item in before.items():
            yield from changed(item, after[key], path if key in {"word", "***"} else f"{path}.{key}".strip("."))
    elif isinstance(before, (list, tuple)):
        for one, other in zip(before, after, strict=True):
            yield from changed(one, other, path)
    elif before != after:
        yield path


@pytest.mark.parametrize("kind", CATALOGUE)
def test_the_catalogue_says_which_fields_are_free_text(kind):
    body = sample(CATALOGUE[kind].body)
    clean = masked(body, lambda text: text.replace("word", "***"))
    differing = changed(msgspec.to_builtins(body), msgspec.to_builtins(clean))
    assert set(differing) == set(FREE_TEXT.get(kind, "").split())


def test_two_keys_that_are_the_same_once_masked_are_both_kept():
    hosts = {"a.x": {"requests": 1, "failed": 0}, "b.x": {"requests": 2, "failed": 0}}
    network = {"requests": 3, "failed": 0, "hosts": hosts}
    ended = {"attempt": 1, "outcome": "passed", "seconds": 1.0, "error": None, "steps": [], "evidence": []}
    body = made.body(
        "attempt_finished", {"task": "a", "test": "a", "method": "a", "retry": False, **ended, "network": network}
    )
    clean = masked(body, lambda text: text.replace("a.", "*.").replace("b.", "*."))
    assert {name: host.requests for name, host in clean.network.hosts.items()} == {"*.x": 1, "*.x (2)": 2}


def test_the_marker_is_a_property_of_the_annotation_in_a_struct_too():
    record = msgspec.defstruct("Record", [("id", Id), ("text", str)])
    assert OURS in get_type_hints(record, include_extras=True)["id"].__metadata__
    assert msgspec.json.decode(b'{"id": "a", "text": "b"}', type=record).id == "a"
