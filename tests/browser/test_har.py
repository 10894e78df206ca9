"""The step `har` by both browser methods: replies are recorded, answered from the file, and marked."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest

from orchestra.runtime.driver.contract import StepError
from orchestra.runtime.driver.har import Answer, Har, Sent
from tests.support.both import failed, passed
from tests.support.requests import steps
from tests.support.site import page

PLAIN = page("<p>plain</p>")
FILE = "data/api.har"
ASK = """async () => {
  try {
    const reply = await fetch(PATH, BODY ? { method: 'POST', body: BODY } : {});
    return [reply.status, (await reply.json())[KEY] ?? null];
  } catch (error) { return error.name; }
}"""


def asked(wanted, path, key="asked", body=""):
    script = ASK.replace("PATH", json.dumps(path)).replace("BODY", json.dumps(body)).replace("KEY", json.dumps(key))
    return {"evaluate": {"script": script, "equals": wanted}}


def har(**more):
    return {"har": {"file": FILE, "url": "**/{job?*,echo,redirect,cookie,status/*}", **more}}


REQUESTS = [
    asked([200, None], "/cookie"),
    asked([200, "one"], "/echo", "body", "one"),
    asked([200, "/echo"], "/redirect", "path"),
    {"goto": "${s.url}/redirect"},
    {"expect": {"page": {"url": {"match": "/echo$"}}}},
    PLAIN,
]

COUNT = "async () => (await (await fetch('/job?77')).json()).asked"
COUNTED = {"evaluate": {"script": COUNT, "save": "count"}}
SAME = {"evaluate": {"script": f"async () => await ({COUNT})() === await ({COUNT})()", "equals": True}}
"""The server counts these requests, so the two come from the file."""


@pytest.mark.browser
def test_replies_are_recorded_and_come_from_the_file_from_then_on(both):
    for result in passed(both(PLAIN, har(update=True), COUNTED, *REQUESTS)):
        assert ("mocks" in result.facts, set(result.facts["recorded"])) == (False, {f"har {FILE}"})
    files = [path.read_text() for path in sorted(both.folder.glob("*/data/api.har"))]
    assert len(files) == 2
    assert all("Set-Cookie" not in text and "set-cookie" not in text for text in files)
    strict = [
        har(),
        SAME,
        *REQUESTS,
        asked("TypeError", "/status/200"),
        asked("TypeError", "/echo", "body", "two"),
    ]
    for result in passed(both(PLAIN, *strict)):
        assert result.facts["mocks"] == {f"har {FILE}": 7}
    loose = [{"mock": {"url": "**/job?78", "json": {"asked": 8}}}, har(not_found="network"), SAME]
    loose += [asked([200, 8], "/job?78"), asked([200, "asked for"], "/status/200", "reason")]
    for result in passed(both(PLAIN, *loose)):
        assert result.facts["mocks"] == {"**/job?78": 1, f"har {FILE}": 2}
    for other in both.folder.glob("*/data"):
        (other / "app.py").write_text("print()")
    unfit = {
        'there is no HAR file "none.har"': "none.har",
        '"." is a folder, not a HAR file': {"file": ".", "update": True},
        '"data/app.py" is no HAR file, so it is not written over': {"file": "data/app.py", "update": True},
    }
    came = both.cases(*([PLAIN, {"har": step}] for step in unfit.values()), opened=False)
    for message, (results, _) in zip(unfit, came, strict=True):
        for result in failed(results, "error", "setup", message):
            assert result.failure.message == message


@pytest.mark.browser
def test_a_file_that_cannot_be_written_is_an_error_of_its_test(both):
    step = {"har": {"file": "a.txt/api.har", "update": True}}
    for result in failed(both(PLAIN, step, COUNTED, last=[PLAIN], opened=False), "error", "setup"):
        assert result.failure.message.startswith('the HAR file "a.txt/api.har" cannot be written: ')
        assert result.failure.pointers == ("/tests/T1/steps/1",)


@pytest.mark.browser
def test_the_har_of_a_method_answers_from_the_first_step_of_each_test(both):
    def of_method(**more):
        (step,) = steps([har(**more)])
        return {"cli": (msgspec.structs.replace(step, at=("/methods/cli/har",)),)}

    for result in passed(both(PLAIN, COUNTED, substitutes_by=of_method(update=True))):
        assert set(result.facts["recorded"]) == {f"har {FILE}"}
        assert all(step.verb != "har" for step in result.steps)
    for result in passed(both(PLAIN, SAME, before=[PLAIN, COUNTED], substitutes_by=of_method())):
        assert result.facts["mocks"] == {f"har {FILE}": 3}
    missing = of_method(file="none.har")
    for result in failed(both(PLAIN, last=[PLAIN], substitutes_by=missing), "error", "setup"):
        assert result.failure.message == 'there is no HAR file "none.har"'
        assert (result.failure.section, result.failure.step) == ("before", None)
        assert result.failure.pointers == ("/methods/cli/har",)
        assert [step.section for step in result.steps] == ["finally"]
    mocks = of_method()["cli"] + tuple(steps([{"mock": {"url": "**/echo*", "json": {"mocked": "yes"}}}]))
    for result in passed(both(PLAIN, asked([200, "yes"], "/echo", "mocked"), substitutes_by={"cli": mocks})):
        assert result.facts["mocks"] == {f"har {FILE}": 0, "**/echo*": 1}


def entry(url, status=200, headers=(), method="GET", post="", **content):
    asked = {"method": method, "url": url, **({"postData": {"mimeType": "", "text": post}} if post else {})}
    shown = [{"name": name, "value": value} for name, value in headers]
    return {"request": asked, "response": {"status": status, "headers": shown, "content": content}}


def read(tmp_path, *entries):
    file = tmp_path / "a.har"
    file.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}))
    found = Har(file, "a.har", "**", update=False, strict=True)
    found.read()
    return found


def test_files_of_browsers_and_of_playwright_are_read(tmp_path):
    (tmp_path / "body.png").write_bytes(b"PNG")
    found = read(
        tmp_path,
        entry("http://a/", text="first", headers=[("X-By", "a"), ("Content-Encoding", "gzip")]),
        entry("http://a/", text="second"),
        entry("http://a/p", method="POST", post="1", text="one"),
        entry("http://a/p", method="POST", post="2", text="two"),
        entry("http://a/b", text=base64.b64encode(b"\xff").decode(), encoding="base64"),
        entry("http://a/f", _file="../body.png"),
        entry("http://a/r", 302, [("Location", "/p")], method="POST"),
        entry("http://a/kept", 307, [("location", "p")], method="POST"),
    )
    assert found.answer(Sent("GET", "http://a/#x", b"")) == Answer(200, {"x-by": "a"}, b"first")
    asked = [("POST", "p", b"2"), ("GET", "b", b""), ("GET", "f", b"")]
    assert [found.answer(Sent(method, f"http://a/{path}", body)).body for method, path, body in asked] == [
        b"two",
        b"\xff",
        b"PNG",
    ]
    assert found.answer(Sent("POST", "http://a/p", b"3")) is None
    nexts = {path: found.answer(Sent("POST", f"http://a/{path}", b"1")).next for path in ("r", "kept")}
    assert nexts == {"r": Sent("GET", "http://a/p", b""), "kept": Sent("POST", "http://a/p", b"1")}


@pytest.mark.parametrize("text", ["", "{}", '{"log": {"entries": [{}]}}', "PK\x03\x04", "[" * 100_000])
def test_what_is_no_har_file_is_refused(tmp_path, text):
    (tmp_path / "a.har").write_text(text)
    with pytest.raises(StepError, match=r'"a\.har" is no HAR file that can be read: '):
        Har(tmp_path / "a.har", "a.har", "**", update=False, strict=True).read()


def test_a_file_that_is_recorded_is_the_same_in_any_order_and_has_no_secret(tmp_path):
    texts = []
    for turn in (1, -1):
        written = Har(tmp_path / "new" / f"{turn}.har", "a.har", "**", update=True, strict=True)
        for path in ("a", "b")[::turn]:
            sent = Sent("POST", f"http://a/{path}?hunter2", b"hunter2")
            headers = {"content-type": "text/plain", "set-cookie": "a=hunter2", "x-by": "hunter2"}
            written.record(
                sent,
                Answer(200, headers, b"hunter2" if path == "a" else b"\xff"),
                lambda text: text.replace("hunter2", "***"),
            )
        written.write()
        texts.append((tmp_path / "new" / f"{turn}.har").read_text())
    assert texts[0] == texts[1]
    assert "hunter2" not in texts[0]
    found = Har(tmp_path / "new" / "1.har", "a.har", "**", update=False, strict=True)
    found.read()
    assert found.answer(Sent("POST", "http://a/b?***", b"***")).body == b"\xff"
    Har(tmp_path / "none.har", "a.har", "**", update=True, strict=True).write()
    assert not (tmp_path / "none.har").exists()
