"""Every tool call of `orchestra.steps.verbs` against the real Playwright MCP server, beside the same step in Playwright itself."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import Error, Page, expect, sync_playwright

from orchestra.runtime.browsers.finder import Browser, launch_options
from orchestra.steps.conditions import conditions
from orchestra.steps.step import Step
from orchestra.steps.target import Target, js_locator
from orchestra.steps.tool_call import ToolCall
from orchestra.steps.verbs.files import chooser_calls
from orchestra.steps.vocabulary import VERBS, mcp_calls, playwright_text
from orchestra.steps.wait_script import observable
from tests.support.nights import at_night

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><meta charset="utf-8"><title>Market
   Parser é</title>
<style>.off { display: none } .ghost { visibility: hidden } .flat { display: contents } .none { height: 0; overflow: hidden }</style>
<h1>Market <b>Parser</b></h1>
<label for="message">Message</label><input id="message" placeholder="Ask" title="The message" value="old">
<label><input type="checkbox" id="compact"> Compact view</label>
<div role="checkbox" aria-checked="true" tabindex="0" data-testid="aria-box">ARIA box</div>
<button onclick="log('click ' + event.detail + event.button + (event.shiftKey ? 'S' : ''))"
  onauxclick="log('aux ' + event.button)" ondblclick="log('double')" onmouseover="log('over')">Send</button>
<button class="primary  big" disabled>It's "quoted" \\ é😀</button>
<fieldset disabled><button>Inside</button></fieldset>
<div aria-disabled="true"><button>Below</button></div>
<select aria-label="Ticker"><option value="N">NVDA</option><option value="A">AMD</option></select>
<select aria-label="Many" multiple><option>one</option><option>two</option><option>three</option></select>
<input type="file" id="file" class="off" multiple><label for="file">Import</label>
<a href="/file.txt" download="file.txt">Export</a>
<p data-testid="reply" aria-busy="false">Hello   <i>NVDA</i>\u200b \n now<script>1</script><span class="off"> hidden</span></p>
<p data-testid="hid" class="off">secret</p><p data-testid="ghost" class="ghost">ghost</p>
<p data-testid="flat" class="flat">flat</p><p data-testid="empty" class="flat"><span class="off">x</span></p>
<div data-testid="none" class="none"></div>
<ul><li>Buy milk <input type="checkbox" aria-label="Toggle"></li><li>Buy eggs <input type="checkbox" aria-label="Toggle"></li></ul>
<img alt="A chart" width="4" height="4" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">
<div id="host"></div><iframe name="inner" srcdoc="<button onclick=&quot;parent.log('framed')&quot;>Framed</button>"></iframe>
<input type="submit" value="Submit me" onclick="log('submit')">
<button onclick="log('answer ' + prompt('which?', 'x'))">Ask</button>
<script>
const logs = []; var log = (text) => logs.push(text);
document.getElementById('host').attachShadow({ mode: 'open' }).innerHTML = '<p data-testid="shady">In the shadow</p>';
document.getElementById('message').onkeydown = (event) => log('key ' + event.key);
const later = (html, after) => setTimeout(() => document.body.insertAdjacentHTML('beforeend', html), after);
</script>"""


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        download = self.path == "/file.txt"
        body = b"NVDA,1\n" if download else PAGE.encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain" if download else "text/html; charset=utf-8")
        if download:
            self.send_header("content-disposition", 'attachment; filename="file.txt"')
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server:
    """The MCP server over one bound browser; its client lives in one task of a loop in a thread of its own."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        self._endpoint, self._folder = endpoint, folder
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._live()))
        self._client: Any = None

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(60)
        self._loop.close()

    async def _live(self) -> None:
        self._done = asyncio.Event()
        node, program = compute_driver_executable()
        arguments = [program, "mcp", "--endpoint", self._endpoint, "--timeout-settle", "0", "--timeout-action", "5000"]
        arguments += [
            "--snapshot-mode",
            "none",
            "--codegen",
            "none",
            "--caps",
            "testing,storage,network",
            "--no-webmcp",
        ]
        arguments += ["--output-dir", str(self._folder), "--file-paths", "absolute"]
        server = StdioServerParameters(command=node, args=arguments, env=dict(os.environ), cwd=str(self._folder))
        async with Client(stdio_client(server)) as self._client:
            self._ready.set()
            await self._done.wait()

    def call(self, call: ToolCall) -> tuple[bool, str]:
        """Whether the call went well, and its text."""
        sent = self._client.call_tool(call.tool, call.arguments)
        result = asyncio.run_coroutine_threadsafe(sent, self._loop).result(60)
        return not result.is_error, "".join(part.text for part in result.content if part.type == "text")

    def tools(self) -> set[str]:
        return {
            tool.name
            for tool in asyncio.run_coroutine_threadsafe(self._client.list_tools(), self._loop).result(60).tools
        }


@dataclass
class Both:
    server: Server
    page: Page
    url: str
    folder: Path

    def open(self) -> None:
        """The test page, fresh, in both."""
        assert self.server.call(ToolCall("browser_navigate", {"url": self.url}))[0]
        self.page.goto(self.url)

    def script(self, source: str) -> None:
        """Run JavaScript in both pages."""
        assert self.server.call(ToolCall("browser_evaluate", {"function": source}))[0]
        self.page.evaluate(source)

    def logs(self) -> tuple[list[str], list[str]]:
        """What the page of Playwright and that of the server logged."""
        ok, text = self.server.call(ToolCall("browser_evaluate", {"function": "() => logs"}))
        assert ok, text
        return self.page.evaluate("() => logs"), result(text)

    def by_playwright(self, step: Step) -> bool:
        try:
            exec(playwright_text(step), {"page": self.page, "expect": expect, "re": re, "saved": {}})
        except (AssertionError, Error):
            return False
        return True

    def by_server(self, step: Step, seconds: float = 5.0) -> tuple[bool, list[ToolCall]]:
        """A client as small as can be: asks again until the deadline, takes an absent element for a wait."""
        calls = mcp_calls(step, 1.0, f"{self.folder}/")
        deadline = time.monotonic() + step.args.get("within_seconds", seconds)
        return all(self._until(call, deadline) for call in calls), list(calls)

    def _until(self, call: ToolCall, deadline: float) -> bool:
        while True:
            went_well, text = self.server.call(call)
            absent = "does not match any elements" in text
            if went_well and call.kind == "act":
                return True
            answer = result(text) if went_well else {}
            if answer.get("ok") or (absent and call.absent_ok):
                return True
            if (
                time.monotonic() > deadline
                or (not went_well and not absent)
                or answer.get("reason") in ("unless", "strict")
            ):
                return False


def result(text: str) -> Any:
    return json.loads(text.partition("### Result\n")[2].partition("\n### ")[0])


@pytest.fixture(scope="module")
def both(chromium: Browser, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("mcp")
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        # Two browsers: the server takes the first page of the one that it is bound to.
        own, bound = (playwright.chromium.launch(**launch_options(chromium, os.environ)) for _ in range(2))
        with Server(bound.bind("orchestra-test")["endpoint"], folder) as server:
            yield Both(server, own.new_page(), f"http://127.0.0.1:{site.server_port}/", folder)
        own.close()
        bound.close()
    site.shutdown()
    site.server_close()


SEND = Target("role", "button", name="Send")
REPLY = Target("testid", "reply")
MESSAGE = Target("label", "Message")


def test_every_tool_exists(both: Both):
    steps = [
        Step("goto", args={"url": "x"}),
        Step("click", target=SEND, args={"count": 3}),
        Step("fill", target=MESSAGE, args={"value": "x"}),
        Step("press", target=MESSAGE, args={"key": "a"}),
        Step("select", target=MESSAGE, args={"value": ["x"]}),
        Step("check", target=SEND),
        Step("hover", target=SEND),
        Step("upload", target=SEND, args={"files": ["x"]}),
        Step("upload", target=SEND, args={"files": ["x"], "drop": True}),
        Step("drag", target=SEND, args={"onto": {"css": "p"}}),
        Step("close_page"),
        Step("screenshot", args={"as": "x"}),
        Step("dialog", args={"accept": True}),
        Step("viewport", args={"width": 1, "height": 1}),
        Step("back"),
        Step("click", target=SEND),
    ]
    used = {call.tool for step in steps for call in mcp_calls(step, 1.0)}
    used |= {call.tool for call in chooser_calls(Step("upload", target=SEND, args={"files": ["x"]}))}
    assert used <= both.server.tools()
    assert used == {tool for verb in VERBS.values() for tool in verb.mcp}


@pytest.mark.parametrize(
    "step, logged, tools",
    [
        (
            Step("click", target=SEND, args={"count": 1, "button": "left", "modifiers": []}),
            ["over", "click 10"],
            ["browser_click"],
        ),
        (Step("click", target=SEND, args={"count": 2}), ["over", "click 10", "click 20", "double"], ["browser_click"]),
        (
            Step("click", target=SEND, args={"count": 3}),
            ["over", "click 10", "click 20", "double", "click 30"],
            ["browser_run_code_unsafe"],
        ),
        (Step("click", target=SEND, args={"button": "middle"}), ["over", "aux 1"], ["browser_click"]),
        (Step("click", target=SEND, args={"modifiers": ["Shift"]}), ["over", "click 10S"], ["browser_click"]),
        (Step("hover", target=SEND), ["over"], ["browser_hover"]),
        (
            Step("press", target=MESSAGE, args={"key": "Enter"}),
            ["key Enter"],
            ["browser_evaluate", "browser_press_key"],
        ),
        (Step("click", target=Target("role", "button", name="Framed", frame="iframe")), ["framed"], ["browser_click"]),
        (Step("click", target=Target("text", "Submit me")), ["submit"], ["browser_click"]),
    ],
)
def test_what_acts_acts_alike(both: Both, step: Step, logged: list[str], tools: list[str]):
    both.open()
    assert both.by_playwright(step)
    went_well, calls = both.by_server(step)
    assert went_well
    assert [call.tool for call in calls] == tools
    assert both.logs() == (logged, logged)


@pytest.mark.parametrize(
    "step, source, shown, tools",
    [
        (
            Step("fill", target=MESSAGE, args={"value": 'it\'s "x" \\ é😀'}),
            "() => message.value",
            'it\'s "x" \\ é😀',
            ["browser_type"],
        ),
        (Step("check", target=Target("label", "Compact view")), "() => compact.checked", True, ["browser_fill_form"]),
        (
            Step("check", target=Target("label", "Toggle", within=Target("role", "listitem", has_text="eggs"))),
            "() => [...document.querySelectorAll('li input')].map((box) => box.checked)",
            [False, True],
            ["browser_fill_form"],
        ),
        (
            Step("select", target=Target("label", "Ticker"), args={"value": ["AMD"]}),
            "() => document.querySelector('select').value",
            "A",
            ["browser_select_option"],
        ),
        (
            Step("select", target=Target("label", "Ticker"), args={"value": "A"}),
            "() => document.querySelector('select').value",
            "A",
            ["browser_select_option"],
        ),
        (
            Step("select", target=Target("label", "Many"), args={"value": ["one", "three"]}),
            "() => [...document.querySelectorAll('select')[1].selectedOptions].map((one) => one.text)",
            ["one", "three"],
            ["browser_select_option"],
        ),
        (Step("viewport", args={"width": 391, "height": 500}), "() => innerWidth", 391, ["browser_resize"]),
        (
            Step("press", target=None, args={"key": "Tab"}),
            "() => document.activeElement.id",
            "message",
            ["browser_press_key"],
        ),
    ],
)
def test_what_changes_the_page_changes_it_alike(both: Both, step: Step, source: str, shown: Any, tools: list[str]):
    both.open()
    assert both.by_playwright(step)
    went_well, calls = both.by_server(step)
    assert went_well
    assert [call.tool for call in calls] == tools
    assert both.page.evaluate(source) == shown
    assert result(both.server.call(ToolCall("browser_evaluate", {"function": source}))[1]) == shown


def test_uncheck(both: Both):
    both.open()
    both.script("() => { compact.checked = true; }")
    step = Step("uncheck", target=Target("label", "Compact view"))
    assert both.by_playwright(step)
    assert both.by_server(step)[0]
    assert both.page.evaluate("() => compact.checked") is False
    assert result(both.server.call(ToolCall("browser_evaluate", {"function": "() => compact.checked"}))[1]) is False


@pytest.mark.parametrize("target", [Target("label", "Import"), Target("css", "#file")])
def test_upload_to_a_hidden_input(both: Both, target: Target):
    one, two = both.folder / "a é.txt", both.folder / "b.txt"
    one.write_text("1")
    two.write_text("2")
    both.open()
    step = Step("upload", target=target, args={"files": [str(one), str(two)]})
    assert both.by_playwright(step)
    went_well, calls = both.by_server(step)
    assert went_well
    assert [call.tool for call in calls] == ["browser_evaluate", "browser_run_code_unsafe"]
    names = "() => [...file.files].map((one) => one.name)"
    assert both.page.evaluate(names) == ["a é.txt", "b.txt"]
    assert result(both.server.call(ToolCall("browser_evaluate", {"function": names}))[1]) == ["a é.txt", "b.txt"]


def test_download_and_screenshots(both: Both):
    both.open()
    step = Step(
        "download", target=Target("role", "link", name="Export"), args={"as": "kept 1.txt", "within_seconds": 10}
    )
    assert both.by_playwright(step)
    assert both.by_server(step)[0]
    assert (both.folder / "kept-1.txt").read_bytes() == b"NVDA,1\n"
    for step, name in [
        (Step("screenshot", args={"as": "start page"}), "start-page.png"),
        (Step("screenshot", args={"as": "whole", "full_page": True}), "whole.png"),
        (Step("screenshot", target=REPLY, args={"as": "reply"}), "reply.png"),
    ]:
        went_well, (call,) = both.by_server(step)
        assert went_well
        assert call.tool == "browser_take_screenshot"
        assert (both.folder / name).read_bytes().startswith(b"\x89PNG")


def test_dialog_answered_after_the_step_that_opens_it(both: Both):
    both.open()
    dialog = Step("dialog", args={"accept": True, "text": "NVDA"})
    ask = Step("click", target=Target("role", "button", name="Ask"))
    assert both.by_playwright(dialog)
    assert both.by_playwright(ask)
    assert both.by_server(ask)[0]
    assert both.by_server(dialog)[0]
    assert both.logs() == (["answer NVDA"], ["answer NVDA"])


def test_reload_and_back(both: Both):
    both.open()
    both.script("() => { window.mark = 1; }")
    for step, tool in [
        (Step("reload"), "browser_run_code_unsafe"),
        (Step("goto", args={"url": both.url + "?2"}), "browser_navigate"),
        (Step("back"), "browser_navigate_back"),
    ]:
        assert both.by_playwright(step)
        went_well, (call,) = both.by_server(step)
        assert went_well
        assert call.tool == tool
    assert both.page.evaluate("() => [location.search, typeof mark]") == ["", "undefined"]
    text = both.server.call(ToolCall("browser_evaluate", {"function": "() => [location.search, typeof mark]"}))[1]
    assert result(text) == ["", "undefined"]


CONDITIONS: list[tuple[Target, dict[str, Any]]] = [
    (REPLY, {"have_text": "Hello NVDA now hidden"}),
    (REPLY, {"have_text": "Hello NVDA"}),
    (REPLY, {"contain": "hello"}),
    (REPLY, {"contain": "  NVDA\n now "}),
    (REPLY, {"match": "^Hello   NVDA"}),
    (REPLY, {"match": r"NVDA\s+now$"}),
    (REPLY, {"have_attribute": {"aria-busy": "false", "data-testid": "reply"}}),
    (REPLY, {"have_attribute": {"aria-busy": "true"}}),
    (REPLY, {"have_attribute": {"missing": ""}}),
    (Target("css", "button", nth=1), {"have_class": "big"}),
    (Target("css", "button", nth=1), {"have_class": "big primary"}),
    (Target("css", "button", nth=1), {"have_class": "small"}),
    (MESSAGE, {"have_value": "old"}),
    (MESSAGE, {"have_value": "ol"}),
    (Target("css", "label[for=message]"), {"have_value": "old"}),
    (REPLY, {"have_value": "old"}),
    (Target("css", "button"), {"have_count": 6}),
    (Target("css", "button"), {"have_count": 1}),
    (Target("testid", "absent"), {"have_count": 0}),
    (Target("css", "button"), {"be": "visible"}),
    (Target("css", "button"), {"be": "hidden"}),
    *[
        (Target("testid", name), {"be": state})
        for name in ("reply", "hid", "ghost", "flat", "empty", "none", "shady", "absent")
        for state in ("visible", "hidden")
    ],
    *[
        (target, {"be": state})
        for target in (
            SEND,
            Target("role", "button", name="quoted"),
            Target("text", "Inside"),
            Target("text", "Below"),
            MESSAGE,
            Target("label", "Compact view"),
            Target("testid", "aria-box"),
            REPLY,
            Target("testid", "absent"),
        )
        for state in ("enabled", "disabled", "checked", "focused")
    ],
    (Target("testid", "absent"), {"have_text": ""}),
    (Target("role", "heading", name="market parser"), {"have_text": "Market Parser"}),
    (Target("role", "heading", name="market parser", exact=True), {"be": "visible"}),
    (Target("role", "heading", name_match="^Market +P", level=1), {"be": "visible"}),
    (Target("role", "heading", name_match="^market", level=2), {"be": "visible"}),
    (Target("role", "checkbox", checked=False), {"be": "visible"}),
    (Target("text", "Market Parser"), {"be": "visible"}),
    (Target("text", "Parser", exact=True), {"be": "visible"}),
    (Target("placeholder", "Ask"), {"be": "enabled"}),
    (Target("title", "the message"), {"be": "visible"}),
    (Target("alt", "A chart", exact=True), {"be": "visible"}),
    (Target("role", "button", name='It\'s "quoted" \\ é😀'), {"be": "visible"}),
    (Target("role", "button", name="Framed", frame="iframe[name='inner']"), {"have_text": "Framed"}),
    (Target("testid", "shady"), {"contain": "shadow"}),
    (Target("css", "li", nth=-1), {"contain": "eggs"}),
    (Target("css", "li", has_text="milk"), {"contain": "milk"}),
]  # fmt: skip


# At night the negation of each, too: by day test_driver_mcp.py has it where it holds, with the same words of both methods.
@pytest.mark.parametrize("negated", [pytest.param(False, id="is"), at_night(True, id="is not")])
def test_expectations_agree(both: Both, negated):
    both.open()
    both.script("() => message.focus()")
    wrong = []
    for target, to in CONDITIONS:
        step = Step("expect", target=target, args={"to": {"not": to} if negated else to, "within_seconds": 0.05})
        ours, calls = both.by_server(step)
        theirs = both.by_playwright(step)
        tools = {call.tool for call in calls}
        if ours != theirs or not tools <= {"browser_evaluate", "browser_run_code_unsafe"}:
            wrong.append((js_locator(target), to, ours, theirs))
    assert wrong == []


@pytest.mark.parametrize(
    "page",
    [
        {"title": {"have_text": "Market Parser é"}},
        {"title": {"have_text": "Market"}},
        {"title": {"contain": "arket"}},
        {"title": {"not": {"contain": "(x"}}},
        {"title": {"match": "^Market"}},
        {"url": {"match": r"^http://127\.0\.0\.1:\d+/$"}},
        {"url": {"contain": "127.0.0.1"}},
        {"url": {"contain": "127x0"}},
        {"url": {"have_text": "nowhere"}, "title": {"contain": "Market"}},
    ],
)
def test_expectations_on_the_page_agree(both: Both, page: dict[str, Any]):
    both.open()
    step = Step("expect", args={"page": page, "within_seconds": 0.05})
    ours, calls = both.by_server(step)
    assert {call.tool for call in calls} == {"browser_evaluate"}
    assert len(calls) == sum(len(list(conditions(wanted))) for wanted in page.values())
    assert ours == both.by_playwright(step)


NEW = Target("testid", "new")
OOPS = Target("testid", "oops")
WAITS: list[tuple[str, Step, bool]] = [
    ("later('<p data-testid=new>here</p>', 60)", Step("wait", target=NEW, args={"within_seconds": 5}), True),
    ("later('<p data-testid=new>here now</p>', 60)", Step("wait", target=Target("text", "HERE"), args={"within_seconds": 5}), True),
    ("later('<p>here now</p>', 1)", Step("wait", target=Target("text", "here", exact=True), args={"within_seconds": 0.5}), False),
    ("later('<p class=x>here now</p>', 60)", Step("wait", target=Target("css", "p.x"), args={"within_seconds": 5}), True),
    ("later('<button>Go</button>', 60)", Step("wait", target=Target("role", "button", name="Go"), args={"within_seconds": 5}), True),
    ("later('<label>Late<input></label>', 60)", Step("wait", target=Target("label", "Late"), args={"within_seconds": 5}), True),
    ("setTimeout(() => document.querySelector('[data-testid=hid]').classList.remove('off'), 60)", Step("wait", target=Target("testid", "hid"), args={"within_seconds": 5}), True),
    ("setTimeout(() => document.styleSheets[0].deleteRule(0), 60)", Step("wait", target=Target("testid", "hid"), args={"within_seconds": 5}), True),
    ("setTimeout(() => host.shadowRoot.querySelector('p').innerHTML = 'changed', 60)", Step("wait", target=Target("text", "changed"), args={"within_seconds": 5}), True),
    ("setTimeout(() => document.querySelector('[data-testid=reply]').remove(), 60)", Step("wait", target=REPLY, args={"be": "hidden", "within_seconds": 5}), True),
    ("setTimeout(() => document.querySelector('h1').remove(), 60)", Step("wait", target=Target("role", "heading"), args={"be": "hidden", "within_seconds": 5}), True),
    ("1", Step("wait", target=NEW, args={"within_seconds": 0.2}), False),
    ("1", Step("wait", target=NEW, args={"be": "hidden", "within_seconds": 5}), True),
    ("1", Step("wait", target=REPLY, args={"be": "hidden", "within_seconds": 0.2}), False),
    ("1", Step("wait", target=Target("css", "li"), args={"within_seconds": 5}), False),
    ("1", Step("wait", target=Target("role", "listitem"), args={"within_seconds": 5}), False),
    ("1", Step("wait", target=Target("css", "li", nth=-1), args={"within_seconds": 5}), True),
    ("1", Step("wait", target=Target("css", "li:has-text('milk')"), args={"within_seconds": 5}), True),
    ("later('<p data-testid=oops>no</p>', 60)", Step("wait", target=NEW, args={"within_seconds": 20, "unless": {"testid": "oops"}}), False),
    ("later('<p data-testid=oops>no</p>', 60)", Step("wait", target=NEW, args={"within_seconds": 20, "unless": {"text": "NO", "within": {"css": "body"}}}), False),
    ("later('<p role=alert>no</p>', 60)", Step("wait", target=Target("role", "button", name="Go"), args={"within_seconds": 20, "unless": {"role": "alert"}}), False),
    ("later('<p data-testid=new>yes</p>', 60)", Step("wait", target=NEW, args={"within_seconds": 20, "unless": {"testid": "oops"}}), True),
    ("later('<p data-testid=new>yes</p>', 60)", Step("wait", target=NEW, args={"within_seconds": 20, "unless": {"role": "alert"}}), True),
]  # fmt: skip


def test_waits_agree(both: Both):
    """One test for all, each on a page of its own: the change on it tells which failed."""
    for change, step, verdict in WAITS:
        both.open()
        a_wait_agrees(both, change, step, verdict=verdict)


def a_wait_agrees(both: Both, change: str, step: Step, *, verdict: bool) -> None:
    both.server.call(ToolCall("browser_evaluate", {"function": f"() => {{ {change}; }}"}))
    ours, (call,) = both.by_server(step)
    assert ours == verdict, change
    both.page.evaluate(f"() => {{ {change}; }}")
    assert both.by_playwright(step) == verdict, change
    assert step.target is not None
    in_page = observable(step.target) and all(word not in str(step.args) for word in ("role", "within'"))
    assert call.tool == ("browser_evaluate" if in_page else "browser_run_code_unsafe"), change


HOSTILE = ["'", '"', "\\", "`${x}`", "a\nb", "\u2028", "\u2029", "é😀", "\\'", "');alert(1)//", "</script>", "\t", "{ name: 'x' }", "/x/i", "\x7f"]  # fmt: skip


def test_hostile_text_in_a_target_stays_text(both: Both):
    both.open()
    for text in HOSTILE:
        in_a_target(both, text)


def in_a_target(both: Both, text: str) -> None:
    both.script(f"() => {{ document.querySelector('h1').setAttribute('data-testid', {json.dumps(text)}); }}")
    for to in ({"be": "visible"}, {"have_count": 1}):
        step = Step("expect", target=Target("testid", text), args={"to": to, "within_seconds": 5})
        assert both.by_playwright(step)
        assert both.by_server(step)[0], js_locator(Target("testid", text))
    wait = Step("wait", target=Target("testid", text), args={"within_seconds": 5})
    assert both.by_server(wait)[0]
    absent = Step(
        "expect", target=Target("role", "button", name=text + "!"), args={"to": {"be": "hidden"}, "within_seconds": 5}
    )
    assert both.by_server(absent)[0]


@pytest.mark.parametrize("text", [*HOSTILE[:3], *map(at_night, HOSTILE[3:])])
def test_hostile_text_in_a_condition_stays_text(both: Both, text: str):
    both.open()
    both.script(f"() => {{ document.querySelector('h1').textContent = {json.dumps('<' + text + '>')}; }}")
    for to in ({"contain": "<" + text + ">"}, {"match": re.escape(text)}):
        step = Step("expect", target=Target("role", "heading"), args={"to": to, "within_seconds": 10})
        assert both.by_playwright(step)
        assert both.by_server(step)[0]
