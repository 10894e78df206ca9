"""Requests from the runner, values saved and looked up, files judged: all without a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import UsageError
from orchestra.runtime.attempt import needs_browser
from orchestra.runtime.driver import http as driver_http
from orchestra.runtime.driver.content import Looked, judge_csv, judge_file, judge_text, same
from orchestra.runtime.driver.contract import Deadline, Job, StepError
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.sections import carry_out
from orchestra.runtime.files import inside
from orchestra.runtime.scope import Scope
from orchestra.steps.target import Target
from tests.support.requests import request, steps
from tests.support.site import site, unused_address


@pytest.fixture(scope="module")
def url():
    with site() as address:
        yield address


@pytest.fixture(scope="module")
def http():
    client = Http()
    yield client
    client.close()


@pytest.fixture
def run(tmp_path, url, http):
    """Carry out steps without a browser; `s` is the site."""

    def one(*said, **options):
        asked = request(tmp_path, said, names={"s.url": url, "down.url": unused_address()}, **options)
        assert not needs_browser(asked.test)
        return carry_out(asked, None, http)

    return one


def passed(result):
    assert result.outcome == "passed", result.failure
    return result


def failure(result, outcome, fault):
    assert (result.outcome, result.failure and result.failure.kind) == (outcome, fault), result
    return result.failure


# ---------------------------------------------------------------------------------------------------------------- http


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_each_method_arrives_as_itself(run, method):
    passed(run({"http": {method: "/echo/x", "base": "s", "match": {"$.method": method, "$.path": "/echo/x"}}}))


def test_head_has_no_body(run):
    passed(run({"http": {"HEAD": "/data.json", "base": "s", "status": 200}}))


def test_the_body_is_json_form_or_text(run):
    passed(
        run(
            {"http": {"POST": "/echo", "base": "s", "json": {"a": [1, None]}, "match": {"$.type": "application/json"}}},
            {"http": {"POST": "/echo", "base": "s", "json": {"a": 1}, "match": {"$.body": '{"a":1}'}}},
            {"http": {"POST": "/echo", "base": "s", "form": {"a": "1 2"}, "match": {"$.body": "a=1+2"}}},
            {"http": {"POST": "/echo", "base": "s", "body": "plain é", "match": {"$.body": "plain é"}}},
            {"http": {"GET": "/echo", "base": "s", "headers": {"Accept": "text/x"}, "match": {"$.accept": "text/x"}}},
        )
    )


def test_a_whole_address_needs_no_base(run, url):
    passed(run({"http": {"GET": f"{url}/echo", "match": {"$.path": "/echo"}}}))
    passed(run({"http": {"GET": "${s.url}/echo", "base": "unknown", "match": {"$.path": "/echo"}}}))


def test_status_is_below_400_unless_said(run):
    passed(run({"http": {"GET": "/redirect", "base": "s"}}, {"http": {"GET": "/status/201", "base": "s"}}))
    passed(run({"http": {"GET": "/status/404", "base": "s", "status": [400, 404]}}))
    told = failure(run({"http": {"GET": "/status/404", "base": "s"}}), "failed", "assertion")
    assert told.message.endswith("/status/404 was answered with status 404")
    assert (told.expected, told.found) == ("a status below 400", '404: {"reason": "asked for"}')
    told = failure(run({"http": {"GET": "/status/200", "base": "s", "status": [201, 204]}}), "failed", "assertion")
    assert told.expected == "201 or 204"


def test_a_failure_names_step_verb_and_place(run):
    told = failure(run({"set": {"a": 1}}, {"http": {"GET": "/status/500", "base": "s"}}), "failed", "assertion")
    assert (told.section, told.step, told.pointers) == ("steps", 1, ("/tests/T1/steps/1",))


def test_what_is_saved_keeps_its_kind(run):
    passed(
        run(
            {
                "http": {
                    "GET": "/data.json",
                    "base": "s",
                    "save": {"price": "$.messages[1].price", "all": "$.messages[*].role"},
                }
            },
            {
                "http": {
                    "POST": "/echo",
                    "base": "s",
                    "json": {"p": "${saved.price}"},
                    "match": {"$.body": '{"p":121.67}'},
                }
            },
            {"http": {"POST": "/echo", "base": "s", "body": "at ${saved.price}", "match": {"$.body": "at 121.67"}}},
            {"http": {"GET": "/data.json", "base": "s", "match": {"$.messages[*].role": "${saved.all}"}}},
            {"set": {"where": "$.messages[1].price", "text": "$${kept}"}},
            {"http": {"GET": "/data.json", "base": "s", "match": {"${saved.where}": 121.67}}},
            {"http": {"POST": "/echo", "base": "s", "body": "${saved.text}", "match": {"$.body": "$${kept}"}}},
        )
    )


@pytest.mark.parametrize(
    "match, expected, found",
    [
        ({"$.done": 1}, "1", "true"),
        ({"$.format": "other"}, '"other"', '"note"'),
        ({"$.messages[1].price": "121.67"}, '"121.67"', "121.67"),
        ({"$.messages[*].role": ["user"]}, '["user"]', '["user", "reply"]'),
    ],
)
def test_another_value_is_told_with_both(run, match, expected, found):
    told = failure(run({"http": {"GET": "/data.json", "base": "s", "match": match}}), "failed", "assertion")
    assert (told.expected, told.found) == (expected, found)


JOBS = {"GET": "/job?3", "base": "s"}


def test_a_request_is_sent_again_until_the_reply_is_so(run):
    until = {"status": 200, "match": {"$.state": "done"}, "every_seconds": 0.01}
    read = {**JOBS, "until": until, "match": {"$.asked": 3}, "save": {"asked": "$.asked"}}
    passed(run({"http": read}, {"http": {"GET": "/echo?${saved.asked}", "base": "s", "match": {"$.path": "/echo?3"}}}))
    over = {**JOBS, "GET": "/job?9999", "until": {**until, "within_seconds": 2}}
    told = failure(run({"http": over}), "failed", "assertion")
    assert told.message.endswith(" has another value at $.state, asked for 2 s")
    nobody = {"GET": "/x", "base": "down", "until": {"status": 200, "every_seconds": 0.05, "within_seconds": 0.2}}
    assert failure(run({"http": nobody}), "failed", "connection").message.endswith(", asked for 0.2 s")


def test_the_limit_of_until_counts_for_the_reply_too(run):
    until = {"status": 200, "within_seconds": 0.3}
    told = failure(run({"http": {"GET": "/silent", "base": "s", "until": until}}), "failed", "connection")
    assert "no whole reply within 0.3 s" in told.message
    assert told.message.endswith(", asked for 0.3 s")


def test_nothing_at_a_path_and_no_json(run):
    told = failure(run({"http": {"GET": "/data.json", "base": "s", "match": {"$.no": 1}}}), "failed", "assertion")
    assert "has nothing at $.no" in told.message
    told = failure(run({"http": {"GET": "/note.txt", "base": "s", "save": {"a": "$"}}}), "failed", "assertion")
    assert "is not JSON" in told.message
    assert told.found.startswith("# Note")


def test_a_path_that_cannot_be_read_is_the_specs_fault(run):
    told = failure(run({"http": {"GET": "/data.json", "base": "s", "match": {"$.[": 1}}}), "error", "setup")
    assert '"$.[" is not a JSONPath' in told.message


def test_nobody_listens(run):
    told = failure(run({"http": {"GET": "/", "base": "down"}}), "failed", "connection")
    assert "nothing answers" in told.message
    assert "orchestra health" in told.hint


@pytest.mark.parametrize("path", ["/silent", "/dribble"])
def test_a_reply_that_never_ends_is_cut_off_at_its_limit(run, path):
    told = failure(run({"http": {"GET": path, "base": "s", "within_seconds": 0.3}}), "failed", "connection")
    assert told.message.endswith(f"{path}: no whole reply within 0.3 s")


def test_a_part_of_a_reply_is_none_whoever_sees_that_the_time_is_over(url):
    with httpx.Client(trust_env=False) as client, pytest.raises((TimeoutError, httpx.TimeoutException)):
        driver_http._fetch(client, f"{url}/dribble", {"method": "GET"}, 0.3, 1.0)


def test_the_time_of_the_test_bounds_the_request(run):
    told = failure(run({"http": {"GET": "/silent", "base": "s"}}, timeout_seconds=0.4), "timeout", "timeout")
    assert re.match(
        r"the test's 0\.4 s were over in step 1 \(http\): GET .*no whole reply within 0\.\d+ s", told.message
    )


def test_an_address_that_is_none(run):
    failure(run({"http": {"GET": "/relative"}}), "error", "setup")
    failure(run({"http": {"GET": "gopher://x"}}), "error", "setup")
    told = failure(run({"http": {"GET": "/", "base": "backend"}}), "error", "setup")
    assert 'the component "backend" has no URL here' in told.message


def test_cookies_live_to_the_end_of_the_test(run):
    passed(
        run(
            {"http": {"GET": "/cookie", "base": "s"}},
            {"http": {"GET": "/echo", "base": "s", "match": {"$.cookie": "taste=sweet"}}},
        )
    )
    passed(run({"http": {"GET": "/echo", "base": "s", "match": {"$.cookie": None}}}))


# ------------------------------------------------------------------------------------------------------------ sections


def test_finally_runs_after_a_failure_and_the_first_failure_counts(run):
    result = run(
        {"http": {"GET": "/status/500", "base": "s"}},
        {"set": {"never": 1}},
        last=[{"http": {"GET": "/status/501", "base": "s"}}, {"set": {"never": 1}}],
    )
    assert failure(result, "failed", "assertion").section == "steps"
    assert "status 500" in result.failure.message
    assert "status 501" in result.facts["finally_failed"]
    assert [(step.section, step.index, step.outcome) for step in result.steps] == [
        ("steps", 0, "failed"),
        ("finally", 0, "failed"),
    ]


def test_finally_alone_fails_the_test(run):
    result = run({"set": {"a": 1}}, last=[{"http": {"GET": "/status/501", "base": "s"}}])
    told = failure(result, "failed", "assertion")
    assert (told.section, told.step, told.pointers) == ("finally", 0, ("/tests/T1/finally/0",))


def test_before_fails_and_the_steps_are_left_out(run):
    result = run({"set": {"a": 1}}, before=[{"http": {"GET": "/status/500", "base": "s"}}], last=[{"set": {"b": 1}}])
    assert [(step.section, step.outcome) for step in result.steps] == [("before", "failed"), ("finally", "passed")]


def test_before_saves_for_steps_and_finally(run):
    reads = {"http": {"GET": "/echo/${saved.a}", "base": "s", "match": {"$.path": "/echo/7"}}}
    passed(run(reads, before=[{"set": {"a": 7}}], last=[reads]))


def test_finally_has_a_time_of_its_own(run):
    hangs = {"http": {"GET": "/silent", "base": "s"}}
    result = run(hangs, timeout_seconds=0.3, last=[{"set": {"a": 1}}, hangs])
    assert [(step.section, step.outcome) for step in result.steps] == [
        ("steps", "timeout"),
        ("finally", "passed"),
        ("finally", "timeout"),
    ]
    assert "in step 2 of finally" in result.facts["finally_failed"]


def test_a_name_without_a_value_is_the_specs_fault(run):
    told = failure(run({"set": {"token": 1}}, {"set": {"b": "${saved.tokn}"}}), "error", "setup")
    assert told.message == 'no earlier step has saved ${saved.tokn} (did you mean "token"?)'
    told = failure(run({"set": {"b": "${env.ORCHESTRA_NOT_SET}"}}), "error", "setup")
    assert "environment variable ORCHESTRA_NOT_SET is not set" in told.message
    told = failure(run({"set": {"b": "${s.ulr}"}}), "error", "setup")
    assert told.message == '${s.ulr} has no value here (did you mean "s.url"?)'


def test_a_step_that_needs_a_browser_says_so_when_there_is_none(tmp_path, http):
    told = failure(carry_out(request(tmp_path, ["reload"]), None, http), "error", "setup")
    assert "needs a browser" in told.message


def test_no_browser_library_is_imported_for_requests():
    code = "import sys; import orchestra.runtime.worker; print(sorted(m for m in sys.modules if m.split('.')[0] in ('playwright', 'mcp')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --------------------------------------------------------------------------------------------------------------- scope

NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda of: st.lists(of) | st.dictionaries(st.text(), of),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, JSON, min_size=1))
def test_what_was_saved_comes_back_whole_or_as_text(values):
    scope = Scope({})
    for name, value in values.items():
        scope.save(name, value)
    for name, value in values.items():
        assert same(scope.fill(f"${{saved.{name}}}"), value)
        text = scope.fill(f"<${{saved.{name}}}>")[1:-1]
        assert text == value if isinstance(value, str) else same(json.loads(text), value)


def test_names_are_replaced_in_all_parts_of_a_target():
    scope = Scope({"a.b": "x"})
    target = Target(
        "role", "${a.b}", name="n ${a.b}", has_text="$${a}", within=Target("css", "#${a.b}", frame="${a.b}")
    )
    assert scope.target(target) == Target(
        "role", "x", name="n x", has_text="${a}", within=Target("css", "#x", frame="x")
    )


def test_a_path_stays_inside(tmp_path):
    assert inside("a/../b", tmp_path) == tmp_path.resolve() / "b"
    assert inside(str(tmp_path / "x" / "y"), tmp_path / "root", tmp_path / "x") == (tmp_path / "x" / "y").resolve()
    with pytest.raises(UsageError, match=r'"\.\./b" leaves the project root'):
        inside("../b", tmp_path)
    (tmp_path / "root").mkdir()
    (tmp_path / "root/out").symlink_to(tmp_path)
    with pytest.raises(UsageError, match=r'"out/b" leaves the project root, to /'):
        inside("out/b", tmp_path / "root")


# ------------------------------------------------------------------------------------------------------------- content


def test_same_knows_the_kinds_of_json():
    assert same({"a": [1, 2.0]}, {"a": [1.0, 2]})
    assert not same(True, 1)
    assert not same(0, False)
    assert not same([1], [1, 1])
    assert not same({"a": None}, {})


@pytest.mark.parametrize(
    "wanted, message",
    [
        ({"csv": {"header": ["role"]}}, "has other columns"),
        ({"csv": {"rows": 3}}, "has another number of rows"),
        ({"csv": {"min_rows": 3}}, "has too few rows"),
        ({"csv": {"contains": {"role": "user", "text": "no"}}}, "has no such row"),
        ({"text": {"contain": "AMD"}}, "does not contain the text"),
        ({"text": {"match": "^AMD"}}, "does not match"),
        ({"text": {"equal": "role"}}, "is another text"),
        ({"json": {"$": 1}}, "is not JSON"),
    ],
)
def test_a_file_that_is_not_as_wanted(wanted, message):
    with pytest.raises(StepError, match=message) as told:
        judge_file(b'\xef\xbb\xbfrole,text\r\nuser,"a, b"\r\nreply,c\r\n', wanted, "the file")
    assert told.value.kind == "assertion"


def test_a_file_as_wanted():
    data = b'\xef\xbb\xbfrole,text\r\nuser,"a, b"\r\nreply,c\r\n'
    csv = {"header": ["role", "text"], "rows": 2, "min_rows": 1, "contains": {"role": "user", "text": "a, b"}}
    judge_file(
        data,
        {"csv": csv, "text": {"contain": "reply", "match": r"\Arole", "equal": data.decode("utf-8-sig")}},
        "the file",
    )
    judge_file(b'{"a": [1]}', {"json": {"$.a": [1], "$.a[*]": 1}}, "the file")
    judge_csv("", {"rows": 0}, "the file")


def test_a_file_that_is_no_text():
    with pytest.raises(StepError, match="is not UTF-8"):
        judge_file(b"\xff\xfe\xff", {"text": {"contain": "a"}}, "the file")
    with pytest.raises(StepError, match="is not JSON"):
        judge_file(b"\xff\xfe\xff", {"json": {"$": 1}}, "the file")
    with pytest.raises(StepError, match="cannot be read: missing") as told:
        judge_text("a", {"match": "("}, "the file")
    assert told.value.kind == "setup"


@given(st.text())
def test_any_text_is_json_or_told_as_none(text):
    try:
        json.loads(text)
    except ValueError:
        with pytest.raises(StepError):
            Looked(text.encode(), ["$"], "it")
    else:
        Looked(text.encode(), ["$"], "it")


def test_several_matches_are_a_list():
    looked = Looked(b'{"a": [1, 2]}', ["$.a[*]", "$.a[0]"], "it")
    assert looked.value("$.a[*]") == [1, 2]
    assert looked.value("$.a[0]") == 1


@pytest.mark.parametrize(
    "data, path, message",
    [
        (
            b"[" * 60 + b"1" + (b"]" + b", 2" * 100) * 59 + b"]",
            "$..[?@..[?@..[?@..[?@ == 9]]]]",
            "did not end within 1",
        ),
        (json.dumps(["a" * 60 + "!"]).encode(), "$[?match(@, '(a|aa)+')]", "did not end within 1 s of processor time"),
        (b"[" + b"[]," * 200_000 + b"1]", "$.*", "leads to more than 100000 values"),
        (b"[" * 100_000, "$", "is not JSON: maximum recursion depth"),
        (b"[" * 900 + b"1" + b"]" * 900, "$..a", "is not a JSONPath: recursion limit exceeded"),
        (b"[1]", "$[", "is not a JSONPath: "),
    ],
)
def test_a_path_costs_its_limit(data, path, message):
    with pytest.raises(StepError, match=f"the file.* {message}") as told:
        judge_file(data, {"json": {path: 1}}, "the file")
    assert told.value.kind == ("assertion" if "not JSON:" in message else "setup")
    judge_file(b"[1]", {"json": {"$[0]": 1}}, "the file")


def test_csv_is_read_line_by_line():
    with pytest.raises(StepError, match="is not CSV: field larger than field limit"):
        judge_csv("a\n" + "b" * 200_000, {"rows": 1}, "the file")
    judge_csv("a\n" + "b\n" * 300_000, {"rows": 300_000, "contains": {"a": "b"}}, "the file")


def test_a_form_with_files_is_sent_in_parts(tmp_path, url, http):
    (tmp_path / "photo.png").write_bytes(b"PNG \xc3\xa4")
    parts = {"title": "A photo", "photo": {"file": "photo.png"}, "raw": {"file": "photo.png", "type": "text/plain"}}
    (step,) = steps(
        [{"http": {"POST": f"{url}/echo", "multipart": parts, "save": {"body": "$.body", "type": "$.type"}}}]
    )
    job = Job(step, tmp_path, tmp_path, Scope({}), Deadline(time.monotonic() + 30), 30.0)
    http.do(job)
    assert job.scope.saved["type"].startswith("multipart/form-data; boundary=")
    boundary = job.scope.saved["type"].partition("=")[2]
    *parts, end = job.scope.saved["body"].split(f"--{boundary}")[1:]
    assert end == "--\r\n"
    assert [part.removeprefix("\r\n") for part in parts] == [
        'Content-Disposition: form-data; name="title"\r\n\r\nA photo\r\n',
        'Content-Disposition: form-data; name="photo"; filename="photo.png"\r\nContent-Type: image/png\r\n\r\nPNG ä\r\n',
        'Content-Disposition: form-data; name="raw"; filename="photo.png"\r\nContent-Type: text/plain\r\n\r\nPNG ä\r\n',
    ]


def test_a_file_of_a_form_that_cannot_be_sent_is_named(run):
    gone = run({"http": {"POST": "${s.url}/echo", "multipart": {"a": {"file": "gone.txt"}}}})
    failure(gone, "error", "setup")
    assert gone.failure.message == 'the file "gone.txt" cannot be read: No such file or directory'
    failure(run({"http": {"POST": "${s.url}/echo", "multipart": {"a": {"file": "../x"}}}}), "error", "setup")


def test_headers_and_cookies_of_a_reply_can_be_saved_and_cookies_left_out(run):
    passed(
        run(
            {"http": {"GET": "${s.url}/redirect", "status": 302, "save_headers": {"next": "Location"}}},
            {"http": {"GET": "${s.url}${saved.next}", "match": {"$.path": "/echo", "$.cookie": None}}},
            {"http": {"GET": "${s.url}/cookie", "save_cookies": {"t": "taste"}}},
            {
                "http": {
                    "GET": "${s.url}/echo?${saved.t}",
                    "match": {"$.path": "/echo?sweet", "$.cookie": "taste=sweet"},
                }
            },
            {"http": {"GET": "${s.url}/echo", "cookies": "none", "match": {"$.cookie": None}}},
            {
                "http": {
                    "GET": "${s.url}/echo",
                    "cookies": "none",
                    "headers": {"Cookie": "a=b"},
                    "match": {"$.cookie": "a=b"},
                }
            },
            {"http": {"GET": "${s.url}/echo", "match": {"$.cookie": "taste=sweet"}}},
        )
    )
    for key, kind, names in (("save_headers", "header", "content-length"), ("save_cookies", "cookie", "taste")):
        none = run({"http": {"GET": "${s.url}/cookie", key: {"x": "nope"}}})
        failure(none, "failed", "assertion")
        assert none.failure.message.endswith(f'/cookie has no {kind} "nope"')
        assert names in none.failure.found
    none = run({"http": {"GET": "${s.url}/echo", "cookies": "from_page"}})
    failure(none, "error", "setup")
    assert none.failure.message == "there is no page whose cookies could be sent"


ORDER = {"properties": {"items": {"items": {"properties": {"price": {"type": "number"}}}}}, "required": ["id"]}


def test_a_reply_is_held_against_its_schema(run):
    passed(run({"http": {"GET": "/html?[1]", "base": "s", "schema": {"type": "array"}}}))
    reply = quote(json.dumps({"items": [{"price": 1}, {"price": "12"}]}))
    wrong = failure(run({"http": {"GET": f"/html?{reply}", "base": "s", "schema": ORDER}}), "failed", "assertion")
    assert wrong.message.endswith(' is not as its schema: "id" is a required property (and 1 more)')
    assert wrong.expected == '"": {"required": ["id"]}\n"/items/1/price": {"type": "number"}'
    assert wrong.found == '"": {"items": [{"price": 1}, {"price": "12"}]}\n"/items/1/price": "12"'
    reply = quote(json.dumps({"id": 1, "items": [{"price": "12"}]}))
    wrong = failure(run({"http": {"GET": f"/html?{reply}", "base": "s", "schema": ORDER}}), "failed", "assertion")
    assert wrong.message.endswith(' is not as its schema at "/items/0/price": it is not of type "number"')
    no_json = failure(run({"http": {"GET": "/html?x", "base": "s", "schema": ORDER}}), "failed", "assertion")
    assert "is not JSON" in no_json.message
    late = {"type": "${saved.type}"}
    odd = run({"set": {"type": "nmber"}}, {"http": {"GET": "/html?1", "base": "s", "schema": late}})
    assert '"nmber" is no type of JSON Schema' in failure(odd, "error", "setup").message


def test_graphql_is_a_post_whose_errors_fail(run):
    query, errors = "query A($reply: R) { a }", [{"message": "no such ticker", "path": ["a"]}]

    def asked(reply, **more):
        variables = {"reply": reply, "n": 1}
        ask = {"query": query, "variables": variables, "operation": "A", **more.pop("graphql", {})}
        return run({"http": {"POST": "/graphql", "base": "s", "graphql": ask, **more}})

    body = {"operationName": "A", "query": query, "variables": {"n": 1, "reply": {"data": {"a": 1}}}}
    sent = {"method": "POST", "type": "application/json", "body": body}
    passed(asked({"data": {"a": 1}}, match={"$.data.a": 1, **{f"$.extensions.{key}": sent[key] for key in sent}}))
    passed(asked({"data": {}, "errors": None}))
    passed(asked({"data": {}, "errors": []}))
    wrong = failure(asked({"data": None, "errors": errors}), "failed", "assertion")
    assert wrong.message.endswith("/graphql has errors of GraphQL: no such ticker")
    assert failure(asked({"errors": "odd"}), "failed", "assertion").message.endswith("GraphQL: odd")
    assert failure(asked([1]), "failed", "assertion").message.endswith("/graphql is not one of GraphQL")
    passed(asked({"errors": errors}, graphql={"errors": "allowed"}, match={"$.errors[0].path[0]": "a"}))
