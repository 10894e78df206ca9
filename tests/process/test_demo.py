"""The sample application: its parsing and figures, its two servers as real processes, and its page in a real browser.

One file, because its parts share the servers and the browser.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from orchestra.demo import answer, faults, frontend, market, mutation
from orchestra.demo.desk import USERS, Desk, activity
from orchestra.demo.parse import Question, parse
from orchestra.demo.request import RequestError
from orchestra.runtime.browsers.finder import launch_options
from tests.support.pages import views_of
from tests.support.paths import ROOT
from tests.support.project import SuiteProject
from tests.support.servers import free_range

STATIC = ROOT / "orchestra" / "demo" / "static"
MARKET = market.embedded()
LONG_SYMBOLS = [symbol for symbol in MARKET if len(symbol) > 2]


# ------------------------------------------------------------------------------------------------------------- parsing
@pytest.mark.parametrize(
    "message, tickers",
    [
        ("what is nvda doing", ["NVDA"]),
        ("nVdA?", ["NVDA"]),
        ("compare Apple and msft", ["AAPL", "MSFT"]),
        ("$TSLA", ["TSLA"]),
        ("$ko and $Ba", ["KO", "BA"]),
        ("KO or BA", ["KO", "BA"]),
        ("ko, ba", []),
        ("Coca-Cola's day, and coca  cola again", ["KO"]),
        ("tell me about Exxon\nMobil, then XOM", ["XOM"]),
        ("S&P 500 against the nasdaq", ["SPY", "QQQ"]),
        ("WHAT IS NVDA DOING", ["NVDA"]),
        ("<b>NVDA</b> & <i>amd</i>", ["NVDA", "AMD"]),
        ("Applesauce and inteltown", []),
        ("msft.example and a-tsla", []),
        ("", []),
    ],
)
def test_tickers_are_found_in_the_order_of_the_text(message, tickers):
    assert list(parse(message, MARKET).tickers) == tickers


def test_unknown_tickers_are_told_from_words():
    assert parse("what about $zzzz and XYZQ or the CEO?", MARKET) == Question(unknown=("ZZZZ", "XYZQ"))
    assert parse("PLEASE TELL ME ALL", MARKET) == Question()


@pytest.mark.parametrize("message", ["Market status", "how is the MARKET?", "are the indexes up", "wall street today"])
def test_the_market_status_is_asked_in_several_ways(message):
    assert parse(message, MARKET) == Question(status=True)


@pytest.mark.parametrize("message", ["marketing", "supermarket", "market NVDA", "the market for $ZZZZ"])
def test_the_market_status_is_not_asked_in_passing(message):
    assert not parse(message, MARKET).status


@given(st.sampled_from(LONG_SYMBOLS), st.data())
def test_a_symbol_is_found_in_any_case_and_place(symbol, data):
    spelled = "".join(data.draw(st.sampled_from([letter, letter.lower()])) for letter in symbol)
    before, after = data.draw(st.tuples(*[st.text(" ,;:!?()\n\u2028«»", max_size=5)] * 2))
    assert parse(f"how is{before} {spelled} {after}doing", MARKET).tickers == (symbol,)


@given(st.text())
def test_any_text_can_be_asked(message):
    question = parse(message, MARKET)
    assert set(question.tickers) <= set(MARKET)
    assert len(set(question.tickers)) == len(question.tickers)
    assert not set(question.unknown) & set(MARKET)
    assert answer.answer(question, MARKET)["reply"]


def test_the_two_switches_of_the_parser_turn_off_one_thing_each():
    message = "nvda, AMD and Apple"
    assert parse(message, MARKET, any_case=False).tickers == ("AMD", "AAPL")
    assert parse(message, MARKET, names=False).tickers == ("NVDA", "AMD")


# ------------------------------------------------------------------------------------------------- market and answers
def test_the_market_can_be_served_and_survives_its_file():
    assert market.problems(MARKET) == []
    assert market.from_json(market.to_json(MARKET)) == MARKET
    assert len(MARKET) == 24


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"price": -1.0}, "a price is not above 0"),
        ({"low": 1e6}, "is outside low"),
        ({"history": [1.0]}, "the history does not hold 30 closes"),
        ({"ticker": "nvda"}, "is not the ticker"),
        ({"price": "high"}, "not a market data file"),
        ({"unheard_of": 1}, "not a market data file"),
    ],
)
def test_a_damaged_market_file_is_refused(change, problem):
    data = json.loads(market.to_json(MARKET))
    data["quotes"][0] |= change
    with pytest.raises(ValueError, match=re.escape(problem)):
        market.from_json(json.dumps(data))


def test_a_market_without_an_index_and_a_file_without_a_market_are_refused():
    assert market.problems({k: v for k, v in MARKET.items() if k != "DIA"}) == ["the index DIA is missing"]
    for text in ("", "[]", "{}", '{"quotes": [1]}', "null"):
        with pytest.raises(ValueError, match="not a market data file"):
            market.from_json(text)


@pytest.mark.parametrize(
    "message, kind, reply",
    [
        (
            "nvda",
            "quotes",
            "NVIDIA (NVDA) closed at $121.67, up $6.09 (+5.27%) on the day, on 277.6M shares: an average session.",
        ),
        (
            "KO",
            "quotes",
            "Coca-Cola (KO) closed at $69.18, down $0.58 (−0.83%) on the day, on 15.6M shares: an average session.",
        ),
        ("intel and AMD", "quotes", "INTC and AMD compared: AMD leads with +3.04%, INTC trails with +1.48%."),
        (
            "AMD, XOM or $ZZ",
            "quotes",
            "AMD and XOM compared: AMD leads with +3.04%, XOM trails with +2.00%. I do not know “ZZ”.",
        ),
        (
            "market status",
            "status",
            (
                "Markets closed on Friday, 14 March 2025. S&P 500 +2.07%, Nasdaq 100 +2.42%, Dow Jones +1.64%, "
                "Russell 2000 +2.53%. 17 of 20 stocks rose."
            ),
        ),
    ],
)
def test_replies(message, kind, reply):
    said = answer.answer(parse(message, MARKET), MARKET)
    assert (said["kind"], said["reply"]) == (kind, reply)
    assert said["tickers"] == [row["ticker"] for row in said["rows"]]


def test_what_is_not_understood_is_answered_politely():
    assert answer.answer(Question(unknown=("ZZ",)), MARKET)["reply"].startswith("Sorry, I do not know “ZZ”. Try “What")
    assert answer.answer(Question(), MARKET)["kind"] == "help"


def test_pivot_levels_by_hand():
    quote = MARKET["NVDA"]
    pivot = (quote.high + quote.low + quote.price) / 3
    facts = {fact["label"]: fact["value"] for fact in answer.analysis("levels", quote)["facts"]}
    assert facts["Pivot"] == f"${pivot:.2f}"
    assert facts["Resistance 1"] == f"${2 * pivot - quote.low:.2f}"
    assert facts["Support 2"] == f"${pivot - (quote.high - quote.low):.2f}"
    assert list(facts) == ["Resistance 2", "Resistance 1", "Pivot", "Support 1", "Support 2"]


@pytest.mark.parametrize("kind", answer.ANALYSES)
def test_every_ticker_has_every_analysis(kind):
    for quote in MARKET.values():
        said = answer.analysis(kind, quote)
        assert said["title"].startswith(quote.ticker)
        assert all(fact["label"] and fact["value"] for fact in said["facts"])


def test_mutations_are_documented_and_checked():
    assert list(mutation.MUTATIONS) == [
        *(f"b{number:03}" for number in range(1, 17)),
        *(f"c{number:03}" for number in range(1, 11)),
    ]
    table = re.findall(r"^    ([bc]\d{3})  (?:page   |backend|desk   )   (.+)$", mutation.__doc__, re.MULTILINE)
    assert dict(table) == mutation.MUTATIONS
    assert (mutation.chosen({}), mutation.chosen({"DEMO_MUTATION": " B007 "})) == ("", "b007")
    with pytest.raises(ValueError, match=r"'b017'; allowed: b001, b002"):
        mutation.chosen({"DEMO_MUTATION": "b017"})


def test_the_suites_have_a_test_for_each_mutation():
    specs = "".join((ROOT / f"specs/{suite}.yaml").read_text(encoding="utf-8") for suite in ("market", "desk"))
    ids = re.findall(r"^  ([BC]\d{3}):$", specs, re.MULTILINE)
    assert [name.lower() for name in ids] == list(mutation.MUTATIONS)


# ---------------------------------------------------------------------------------------------------------------- desk
@pytest.mark.parametrize(
    "ticker, quantity, status, words",
    [
        ("NVDA", "", 422, "Enter a quantity."),
        ("NVDA", "0", 422, "“0” is no whole number above 0."),
        ("NVDA", "٣", 422, "“٣” is no whole number above 0."),
        ("NVDA", "5001", 422, "At most 5,000 shares are allowed."),
        ("ZZ", "1", 404, "There is no ticker “ZZ”."),
    ],
)
def test_an_order_that_cannot_be_placed_is_refused(ticker, quantity, status, words):
    with pytest.raises(RequestError, match=re.escape(words)) as refused:
        Desk(MARKET).order({"ticker": ticker, "quantity": quantity})
    assert refused.value.status == status


def test_an_audit_is_the_work_of_an_admin_and_its_mail_comes_when_it_is_done():
    now = [10.0]
    desk = Desk(MARKET, clock=lambda: now[0])
    users = [desk.user(desk.sign_in({"user": user.name, "password": user.password})) for user in USERS.values()]
    assert desk.begin_audit(users[0]) == 1
    with pytest.raises(RequestError, match="Only an admin"):
        desk.begin_audit(users[1])
    for wrong in ({}, {"user": "ana", "password": "paper boat"}, {"user": ["ana"]}):
        with pytest.raises(RequestError, match="user or the password"):
            desk.sign_in(wrong)
    assert desk.mails(1) == []
    with pytest.raises(RequestError, match="has no result"):
        desk.result(1)
    now[0] += 0.5
    assert desk.mails(1) == [{"to": "ana@desk.example", "subject": "Audit 1 is done", "link": "/?audit=1"}]
    assert desk.result(1) == {"audit": 1, "result": "24 quotes, no fault"}
    assert (desk.mails(0), desk.mails(2)) == ([], [])
    assert desk.order({"ticker": "NVDA", "quantity": " 100"})["total"] == 12167.0
    assert [len(activity(MARKET, first)["entries"]) for first in (0, 40, 50, 60)] == [20, 20, 10, 0]


def test_the_desk_is_for_those_who_have_signed_in():
    with running("desk") as (_, url), httpx.Client(base_url=url) as client:
        assert client.get("/").headers["location"] == "/login"
        assert {client.get(f"/api/{path}").status_code for path in ("me", "activity", "outbox", "audits/1")} == {401}
        assert client.post("/api/session", json={"user": "ben", "password": "paper boat"}).status_code == 200
        assert client.get("/api/me").json() == {"user": "ben", "role": "reader"}
        assert client.get("/statement").status_code == 200
        page = client.get("/")
        assert "connect-src 'self';" in page.headers["content-security-policy"]
        assert client.get("/api/activity?from=²").json() == {"error": "'²' is no whole number"}
        assert client.request("DELETE", "/api/session").json() == {"signed_in": False}
        assert client.get("/api/me").status_code == 401
    assert failing("desk", "--port", "0", DEMO_MUTATION="c99")[0] == 2


# -------------------------------------------------------------------------------------------------------------- faults
def test_faults_are_read_from_the_environment():
    read = faults.from_environ(
        {"DEMO_FAIL": "health, ask:hang ,market:500@3,crash-after:7", "DEMO_DELAY_MS": "250", "DEMO_SLOW_MS": "2000"}
    )
    assert read.slow_seconds == 2.0
    assert read.routes == {
        "health": faults.Fault("503"),
        "ask": faults.Fault("hang"),
        "market": faults.Fault("500", 3),
    }
    assert (read.crash_after, read.delay_seconds, read.start) == (7, 0.25, "")
    assert faults.from_environ({"DEMO_FAIL": "start:hang"}).start == "hang"
    assert faults.from_environ({}) == faults.Faults()


@pytest.mark.parametrize("value", ["asks", "ask:200", "ask:", "crash-after:", "health:hang@", "start"])
def test_a_fault_that_does_not_exist_is_refused(value):
    with pytest.raises(ValueError, match=re.escape(repr(value))):
        faults.from_environ({"DEMO_FAIL": value})


@pytest.mark.parametrize("name", ["DEMO_DELAY_MS", "DEMO_SLOW_MS"])
@pytest.mark.parametrize("value", ["-1", "1.5", "soon", "²"])
def test_a_delay_that_is_no_number_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        faults.from_environ({name: value})


# ------------------------------------------------------------------------------------------------------------- servers
@contextmanager
def running(module, *arguments, port=0, **env):
    """A server of the application as a process of its own, and its address once it listens."""
    argv = [sys.executable, "-m", f"orchestra.demo.{module}", "--port", str(port), *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DEMO_")}
    with subprocess.Popen(argv, cwd=ROOT, env=clean | env, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("listening on http://127.0.0.1:"), line
            yield process, line.split()[-1]
        finally:
            process.terminate()
            process.wait(60)


def failing(module, *arguments, **env):
    """The exit code and the error output of a server that ends by itself."""
    argv = [sys.executable, "-m", f"orchestra.demo.{module}", *arguments]
    done = subprocess.run(argv, cwd=ROOT, env=os.environ | env, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def backend():
    with running("backend", MODEL="tested") as (_, url):
        yield url


@pytest.fixture(scope="module")
def site(backend):
    with running("frontend", "--api", backend) as (_, url):
        yield url


def test_health(backend):
    assert httpx.get(f"{backend}/health").json() == {
        "status": "ok",
        "mode": "live",
        "model": "tested",
        "data": 24,
        "session": "2025-03-14",
    }


def test_the_api_answers(backend):
    said = httpx.post(f"{backend}/api/ask", json={"message": "compare Apple and msft"}).json()
    assert (said["kind"], said["tickers"], said["mode"]) == ("quotes", ["AAPL", "MSFT"], "live")
    said = httpx.post(f"{backend}/api/analyze", json={"kind": "trend", "ticker": " nvda"}).json()
    assert (said["title"], said["tickers"], len(said["facts"])) == ("NVDA trend", ["NVDA"], 5)
    quotes = httpx.get(f"{backend}/api/market").json()["quotes"]
    assert [quote["ticker"] for quote in quotes] == list(MARKET)


@pytest.mark.parametrize(
    "path, content, status, words",
    [
        ("ask", b'{"message": ""}', 400, "the message is empty"),
        ("ask", b'{"message": 7}', 400, "the message is empty"),
        ("ask", b"[]", 400, "not a JSON object"),
        ("ask", b"{", 400, "not JSON"),
        ("ask", b"\xff", 400, "not JSON"),
        ("ask", b"[" * 60000, 400, "not JSON"),
        ("ask", json.dumps({"message": "x" * 4001}).encode(), 413, "at most 4000"),
        ("ask", b" " * 64001, 413, "longer than 64000 bytes"),
        ("analyze", b'{"kind": "guess", "ticker": "NVDA"}', 400, "'guess' does not exist; allowed: snapshot, levels"),
        ("analyze", b'{"kind": [], "ticker": "NVDA"}', 400, "does not exist"),
        ("analyze", b'{"kind": "trend", "ticker": "ZZ"}', 404, "'ZZ' is not in the market data"),
        ("analyze", b'{"kind": "trend"}', 404, "None is not in the market data"),
    ],
)
def test_a_wrong_request_is_refused_with_a_reason(backend, path, content, status, words):
    reply = httpx.post(f"{backend}/api/{path}", content=content)
    assert reply.status_code == status
    assert words in reply.json()["error"]


def test_an_outage_is_simulated_at_the_first_attempt_only(backend):
    first = httpx.post(f"{backend}/api/ask", json={"message": "Simulate outage", "attempt": 1})
    again = httpx.post(f"{backend}/api/ask", json={"message": "Simulate outage", "attempt": 2})
    assert (first.status_code, again.status_code, again.json()["reply"]) == (503, 200, "The market service is back.")


def test_one_answer_is_slow_on_purpose():
    with running("backend", DEMO_SLOW_MS="300") as (_, url), httpx.Client(base_url=url, timeout=60) as client:
        begun = time.monotonic()
        reply = client.post("/api/ask", json={"message": " Simulate delay "})
        assert time.monotonic() - begun >= 0.3
        assert (reply.status_code, reply.json()["reply"]) == (200, "That took a while.")


def test_pages_of_other_origins_may_call(backend):
    origin = {"origin": "http://127.0.0.1:3000"}
    asked = origin | {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    assert httpx.options(f"{backend}/api/ask", headers=asked).status_code == 200
    for message in ("NVDA", "simulate outage"):
        reply = httpx.post(f"{backend}/api/ask", headers=origin, json={"message": message})
        assert reply.headers["access-control-allow-origin"] == "*"


def test_faults_of_the_server():
    env = {"DEMO_FAIL": "market:500@1,analyze:hang,ask:close", "DEMO_DELAY_MS": "1"}
    with running("backend", **env) as (process, url), httpx.Client(base_url=url) as client:
        assert [client.get("/api/market").status_code for _ in range(3)] == [200, 500, 500]
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/api/ask", json={"message": "NVDA"})
        with pytest.raises(httpx.ReadTimeout):
            client.post("/api/analyze", json={}, timeout=httpx.Timeout(60, read=0.2))
        # a request that hangs does not keep the server from ending
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM


def test_the_server_crashes_after_its_share_of_requests():
    with running("backend", DEMO_FAIL="crash-after:2") as (process, url):
        assert httpx.get(f"{url}/health").status_code == 200
        assert httpx.get(f"{url}/api/market").status_code == 200
        httpx.get(f"{url}/api/market")
        assert process.wait(60) == faults.EXIT_CRASH


def test_faults_hold_for_one_process_when_asked(tmp_path):
    env = {"DEMO_FAIL": "health", "DEMO_FAIL_ONCE": str(tmp_path / "armed")}
    for status in (503, 200):
        with running("backend", **env) as (_, url):
            assert httpx.get(f"{url}/health").status_code == status


def test_the_stand_in_has_no_faults_and_says_what_it_is():
    with running("backend", "--cached", DEMO_FAIL="health,start:exit") as (_, url):
        assert httpx.get(f"{url}/health").json()["mode"] == "cached"
        assert httpx.post(f"{url}/api/ask", json={"message": "NVDA"}).json()["mode"] == "cached"


def test_a_server_that_cannot_start_says_why(tmp_path):
    wrong = tmp_path / "market.json"
    wrong.write_text("{}", encoding="utf-8")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, said = failing("backend", "--port", str(taken.getsockname()[1]))
    assert (code, "cannot listen on 127.0.0.1 port" in said) == (3, True)
    assert failing("backend", "--port", "0", DEMO_FAIL="start:exit")[0] == faults.EXIT_CRASH
    for arguments, env, words in [
        (["backend", "--port", "0"], {"DEMO_FAIL": "nothing"}, "DEMO_FAIL holds 'nothing'"),
        (["backend", "--port", "0", "--data", str(wrong)], {}, "not a market data file"),
        (["backend", "--port", "0", "--data", str(tmp_path / "none")], {}, "No such file"),
        (["backend", "--port", "65536"], {}, "'65536' is no port; allowed: 0 to 65535"),
        (["frontend", "--port", "0", "--api", "ftp://x"], {}, "'ftp://x' is no address of an API"),
        (["frontend", "--port", "0", "--api", "http://x"], {"DEMO_MUTATION": "b99"}, "DEMO_MUTATION is 'b99'"),
    ]:
        code, said = failing(*arguments, **env)
        assert (code, words in said) == (2, True), said


def test_a_port_is_free_again_after_the_end():
    with running("backend") as (_, url):
        port = int(url.rsplit(":", 1)[1])
    with running("backend", port=port) as (_, again):
        assert again == url


def test_seed_writes_the_same_file_twice_and_the_server_reads_it(tmp_path):
    output = tmp_path / "deep" / "market.json"
    bodies = []
    for _ in range(2):
        assert failing("seed", "--output", str(output)) == (0, "")
        bodies.append(output.read_bytes())
    assert bodies[0] == bodies[1]
    assert [path.name for path in output.parent.iterdir()] == ["market.json"]
    with running("backend", "--data", str(output)) as (_, url):
        assert httpx.get(f"{url}/health").json()["data"] == 24
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    code, said = failing("seed", "--output", str(blocked / "market.json"))
    assert (code, "cannot write" in said) == (1, True)


# ----------------------------------------------------------------------------------------------------------- front end
@pytest.mark.parametrize(
    "text, url",
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://api.example/v1/", "https://api.example/v1"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
    ],
)
def test_an_api_address_is_taken(text, url):
    assert frontend.api_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:8000",
        "ftp://x",
        "javascript:alert(1)",
        "http://",
        "http://user:secret@x",
        "http://x:99999",
        "http://x?y=1",
        "http://x#y",
        "http://[::1",
        "http://x; script-src *",
        "http://x,y",
        "http://x\r\nset-cookie: a=b",
        "http://ü",
    ],
)
def test_what_is_no_api_address_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="is no address of an API"):
        frontend.api_url(text)


def test_the_page_and_its_files_are_served(site, backend):
    page = httpx.get(site)
    assert "<h1" in page.text
    assert "Market Parser" in page.text
    assert f"connect-src 'self' {backend};" in page.headers["content-security-policy"]
    for file in sorted(STATIC.rglob("*.*")):
        reply = httpx.get(f"{site}/static/{file.relative_to(STATIC).as_posix()}")
        assert reply.content == file.read_bytes()
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert httpx.get(f"{site}/config.json").json() == {"api": backend, "mutation": ""}
    assert httpx.get(f"{site}/health").json() == {"status": "ok"}
    assert httpx.get(f"{site}/static/%2e%2e/frontend.py").status_code == 404


def test_the_page_loads_nothing_from_elsewhere():
    for file in STATIC.rglob("*.*"):
        found = set(re.findall(r"https?:[^\s\"')]+", file.read_text(encoding="utf-8")))
        assert found <= {"http://www.w3.org/2000/svg"}, file


# ------------------------------------------------------------------------------------------------------------- browser
@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options(chromium, os.environ))
        yield browser
        browser.close()


@pytest.fixture
def context(browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context
    context.close()


@pytest.fixture
def page(context, site) -> Page:
    return opened(context, site)


def opened(context, site):
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(site)
    page.wait_for_selector('html[data-ready="true"]')
    return page


def send(page, message):
    replies = page.get_by_test_id("reply").count()
    page.get_by_label("Message").fill(message)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_test_id("reply")).to_have_count(replies + 1, timeout=60_000)


def saved(page, name):
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes().decode()


@pytest.mark.browser
def test_exports_hold_the_conversation(page):
    question = 'NVDA, "please"\nand <AMD>'
    send(page, question)
    name, text = saved(page, "Export JSON")
    messages = json.loads(text)["messages"]
    assert name == "market-conversation.json"
    assert [entry["role"] for entry in messages] == ["user", "reply"]
    assert (messages[0]["text"], messages[1]["tickers"]) == (question, ["NVDA", "AMD"])

    name, text = saved(page, "Export CSV")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert name == "market-conversation.csv"
    assert [(row["entry"], row["role"], row["ticker"]) for row in rows] == [
        ("1", "user", ""),
        ("2", "reply", ""),
        ("2", "quote", "NVDA"),
        ("2", "quote", "AMD"),
    ]
    assert rows[0]["text"] == question
    assert text.count("\r\n") == 5

    name, text = saved(page, "Export Markdown")
    assert name == "market-conversation.md"
    assert '> NVDA, "please"\n> and \\<AMD\\>\n' in text
    assert "| AMD | Advanced Micro Devices | $100.97 | +3.04% | 27.5M |" in text

    page.get_by_role("button", name="Copy conversation").click()
    expect(page.get_by_test_id("toast")).to_have_text("Copied")
    page.get_by_label("Message").press("ControlOrMeta+V")
    expect(page.get_by_label("Message")).to_have_value(text)


@pytest.mark.browser
def test_an_export_is_imported_again(page, tmp_path):
    send(page, "compare Apple and msft")
    page.get_by_role("button", name="Key levels").click()
    expect(page.get_by_test_id("reply")).to_have_count(2)
    _, text = saved(page, "Export JSON")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Clear conversation").click()
    expect(page.get_by_test_id("reply")).to_have_count(2)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Clear conversation").click()
    expect(page.get_by_test_id("empty")).to_be_visible()
    expect(page.get_by_role("button", name="Export JSON")).to_be_disabled()

    file = tmp_path / "conversation.json"
    file.write_text(text, encoding="utf-8")
    page.get_by_label("Import conversation").set_input_files(file)
    expect(page.get_by_test_id("toast")).to_have_text("Imported 3 entries")
    assert saved(page, "Export JSON")[1] == text


@pytest.mark.browser
@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "This file is not JSON."),
        ("[]", "This file is not an exported conversation."),
        ('{"format": "market-conversation", "messages": [{"role": "user"}]}', "Entry 1 of this file"),
        (
            '{"format": "market-conversation", "messages": [{"role": "reply", "text": "", "rows": [{}], "facts": []}]}',
            "Entry 1 of this file",
        ),
    ],
)
def test_a_wrong_file_is_not_imported(page, tmp_path, text, words):
    file = tmp_path / "conversation.json"
    file.write_text(text, encoding="utf-8")
    page.get_by_label("Import conversation").set_input_files(file)
    expect(page.get_by_test_id("error-banner")).to_contain_text(words)
    expect(page.get_by_role("button", name="Retry")).to_be_hidden()


@pytest.mark.browser
def test_keys(page):
    box = page.get_by_label("Message")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    box.evaluate("box => box.blur()")
    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.keyboard.type("NVDA")
    page.keyboard.press("Shift+Enter")
    expect(box).to_have_value("NVDA\n")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("message")).to_have_text("NVDA")
    page.keyboard.press("ArrowUp")
    expect(box).to_have_value("NVDA")
    page.keyboard.press("Escape")
    expect(box).to_have_value("")


@pytest.mark.browser
def test_input_is_text(page):
    hostile = '<img src=x onerror="document.title=1"><b>NVDA</b> & ${1} {{1}} `x`\nsecond'
    send(page, hostile)
    assert page.get_by_test_id("message").evaluate("node => node.textContent") == hostile
    assert page.get_by_test_id("message").locator("*").count() == 0
    expect(page).to_have_title("Market Parser")


@pytest.mark.browser
def test_the_banner_comes_and_goes(page):
    page.get_by_label("Message").fill("simulate outage")
    page.get_by_role("button", name="Send").click()
    banner = page.get_by_test_id("error-banner")
    expect(banner).to_contain_text("The market service is not available right now.")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_test_id("reply")).to_contain_text("The market service is back.")
    expect(banner).to_be_hidden()
    assert page.get_by_test_id("message").count() == 1


@pytest.mark.browser
def test_analyses_are_busy_until_they_are_there(page):
    held = []
    page.route("**/api/analyze", lambda route: held.append(route))  # noqa: PLW0108 - playwright marks its handlers, and a built-in cannot be marked
    page.get_by_label("Ticker").select_option("TSLA")
    trend = page.get_by_role("button", name="Trend")
    trend.click()
    expect(trend).to_have_attribute("aria-busy", "true")
    for name in ("Snapshot", "Key levels", "Trend"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
    held[0].continue_()
    expect(page.get_by_test_id("reply")).to_contain_text("TSLA trend")
    expect(trend).to_be_enabled()
    assert trend.get_attribute("aria-busy") is None


@pytest.mark.browser
def test_a_page_without_its_server_says_so_and_recovers(context, site):
    context.route("**/api/market", lambda route: route.abort())
    page = opened(context, site)
    expect(page.get_by_test_id("error-banner")).to_contain_text("The market service cannot be reached.")
    expect(page.get_by_test_id("status")).to_have_attribute("data-state", "offline")
    context.unroute("**/api/market")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_test_id("status")).to_have_attribute("data-state", "live")
    expect(page.get_by_label("Ticker")).to_be_enabled()


@pytest.mark.browser
def test_the_theme_and_the_density_are_kept(page):
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Dark mode").click()
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Compact view").check()
    page.reload()
    expect(html).to_have_attribute("data-theme", "dark")
    expect(html).to_have_attribute("data-density", "compact")
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_label("Theme")).to_have_value("dark")
    page.get_by_label("Theme").select_option("system")
    page.emulate_media(color_scheme="light")
    expect(html).to_have_attribute("data-theme", "light")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Theme")).to_be_hidden()


ENGINES = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "firefox",
    "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/150.0 Safari/537.36": "chromium",
    "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36 Edg/150.0": "chromium",
    "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15": "webkit",
}


@pytest.mark.browser
def test_the_engine_is_told(page):
    program = "async agent => (await import('/static/js/engine.js')).engine(agent)"
    assert {agent: page.evaluate(program, agent) for agent in ENGINES} == ENGINES


WIDE, NARROW = ("wide", 1280, 800), ("narrow", 390, 844)


@pytest.mark.browser
@pytest.mark.parametrize(
    "scheme, shape, width, height",
    [
        ("light", *WIDE),
        ("dark", *NARROW),
        pytest.param("dark", *WIDE, marks=pytest.mark.nightly),  # each with each other
        pytest.param("light", *NARROW, marks=pytest.mark.nightly),
    ],
)
def test_screens(browser, site, tmp_path, scheme, shape, width, height):
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    try:
        page = opened(context, site)
        problems = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.screenshot(path=tmp_path / f"{shape}-{scheme}-empty.png")
        send(page, "compare Apple, msft and $TSLA")
        if shape == "narrow":
            expect(page.get_by_label("Ticker")).to_be_hidden()
            page.get_by_role("button", name="Menu").click()
            expect(page.get_by_label("Ticker")).to_be_visible()
            page.screenshot(path=tmp_path / f"{shape}-{scheme}-menu.png")
        page.get_by_role("button", name="Trend").click()
        expect(page.get_by_test_id("reply")).to_have_count(2)
        page.screenshot(path=tmp_path / f"{shape}-{scheme}-conversation.png")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("html").get_attribute("data-theme") == scheme
        assert problems == []
    finally:
        context.close()


# --------------------------------------------------------------------------------------------------------------- outages


@pytest.fixture
def outages(root, tmp_path) -> SuiteProject:
    """The suite that `make demo-faults` runs, in a copy: the ports and the files of the sample are its own there."""
    shutil.copytree(root / "specs", tmp_path / "specs")
    spec = tmp_path / "specs/faults.yaml"
    low, high = free_range(4)
    spec.write_text(spec.read_text().replace("8000-8003", f"{low}-{high}"))
    for other in tmp_path.glob("specs/*.yaml"):
        if other != spec:
            other.unlink()
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n")
    return SuiteProject(tmp_path).compile()


def test_outages_on_purpose_end_green_with_their_incidents_in_the_summary(root, outages):
    done = outages.run("run", PYTHONPATH=str(root))
    assert done.code == 0, done.err
    summary = (outages.root / ".orchestra/faults/runs/last/summary.md").read_text()
    assert [name for name in ("backend-1", "backend-2", "backend-3") if f"| {name} |" in summary.replace("&#45;", "-")] == [
        "backend-1", "backend-2", "backend-3",
    ]  # fmt: skip
    assert "recovered by restart, then run, then failover" in summary


@pytest.mark.browser
def test_a_gate_warns_of_the_slow_server_and_one_stops_the_run_at_its_first_outage(root, outages, browser):
    done = outages.run("run", "--profile", "budget", PYTHONPATH=str(root))
    assert done.code == 1, done.err
    told = outages.run("events", "--type", "gate").out
    assert re.search(r"outage_budget .*failed", told), told
    assert re.search(r"quick .*warned", told), told
    verdicts = outages.run("events", "--type", "verdict").out
    assert re.search(r"passed .*cli:F001", verdicts), verdicts
    for test in ("F003", "F004", "F005"):
        assert re.search(rf"blocked .*cli:{test}", verdicts), verdicts
    summary = (outages.root / ".orchestra/faults/runs/last/summary.md").read_text()
    assert "outages: 1; the rest is not run" in summary.replace("&#58;", ":")
    views = views_of(browser, outages.root / ".orchestra/faults/runs/last", "#/test/F003/cli")
    assert "outage_budget" in views["#/"].partition("Gates that did not pass")[2].partition("What to do next")[0]
    assert "backend-1" in views["#/timeline"]
    assert "Why it did not run" in views["#/test/F003/cli"]


@pytest.mark.nightly  # `make demo` runs the suite; its gate of the pace is looked at here
@pytest.mark.browser
def test_the_suite_is_green_and_a_gate_warns_of_the_slow_answer(root, browser, tmp_path):
    shutil.copytree(root / "specs", tmp_path / "specs")
    for other in ("self", "faults", "desk"):
        (tmp_path / f"specs/{other}.yaml").unlink()
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n")
    spec = tmp_path / "specs/market.yaml"
    pages = "network.requests > 0 && network.bytes > 0 && network.backend.requests > 0 && findings.page_errors + warned == 0"
    spec.write_text(spec.read_text().replace("  after:\n", f"  after:\n    pages: {{require: {pages}}}\n", 1))
    market = SuiteProject(tmp_path).compile()
    done = market.run("run", "--method", "cli", "B016", PYTHONPATH=str(root))
    assert done.code == 0, done.err
    events = map(json.loads, (tmp_path / ".orchestra/market/runs/last/events.jsonl").read_text().splitlines())
    [judged] = [event["body"] for event in events if event["type"] == "gate" and event["body"]["name"] == "demo_pace"]
    taken = judged["values"]["test.B016.seconds_max"]
    assert taken >= 2.0
    assert judged["result"] == "warned"
    assert judged["message"] == (f"B016 took {taken:.4g} s: one of its answers is slow on purpose")
    assert judged["message"] in done.err
    audited = market.run("audit", "--gates")
    assert audited.code == 0, audited.out
    assert "network.backend.requests" in audited.out
    views = views_of(browser, tmp_path / ".orchestra/market/runs/last", "#/test/B016/cli")
    assert "Gates that warned" in views["#/"]
    assert "cli:B016 attempt 1: passed" in views["#/timeline"]
    assert "expect" in views["#/test/B016/cli"]
