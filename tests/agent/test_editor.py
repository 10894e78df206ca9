"""An editor with the YAML language server completes, explains and judges a spec by its modeline."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

pytestmark = [pytest.mark.node, pytest.mark.xdist_group("node")]

MODELINE = "# yaml-language-server: $schema=../schemas/orchestra.schema.json\n"


class Editor:
    """As much of the Language Server Protocol as an editor needs, over pipes."""

    def __init__(self, server: subprocess.Popen[bytes], folder: Path) -> None:
        self._server, self._folder = server, folder
        self._seen: deque[dict[str, Any]] = deque()
        self._id = 0
        self.request("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}})
        self.notify("initialized", {})
        self.notify(
            "workspace/didChangeConfiguration",
            {"settings": {"yaml": {"validate": True, "completion": True, "hover": True}}},
        )

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._server.stdin
        self._server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._server.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        stream = self._server.stdout
        assert stream
        length = 0
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the server ended"
        message: dict[str, Any] = json.loads(stream.read(length))
        if "method" in message and "id" in message:  # it asks for its settings; none are changed
            items = message.get("params", {}).get("items", [])
            self._send({"id": message["id"], "result": [None for _ in items] or None})
        return message

    def request(self, method: str, params: Any) -> Any:
        self._id += 1
        self._send({"id": self._id, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._id and "method" not in message:
                return message.get("result")
            self._seen.append(message)

    def open(self, name: str, text: str) -> dict[str, str]:
        path = self._folder / "specs" / name
        path.write_text(text, encoding="utf-8")
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        return {"uri": path.as_uri()}

    def diagnostics(self, document: dict[str, str]) -> list[dict[str, Any]]:
        while True:
            message = self._seen.popleft() if self._seen else self._receive()
            if (
                message.get("method") == "textDocument/publishDiagnostics"
                and message["params"]["uri"] == document["uri"]
            ):
                found: list[dict[str, Any]] = message["params"]["diagnostics"]
                return found

    def labels(self, document: dict[str, str], line: int, character: int) -> list[str]:
        where = {"textDocument": document, "position": {"line": line, "character": character}}
        return [item["label"] for item in self.request("textDocument/completion", where)["items"]]

    def hover(self, document: dict[str, str], line: int, character: int) -> str:
        where = {"textDocument": document, "position": {"line": line, "character": character}}
        contents: str = self.request("textDocument/hover", where)["contents"]["value"]
        return contents


@pytest.fixture(scope="module")
def editor(node_tools, tmp_path_factory):
    folder = tmp_path_factory.mktemp("editor")
    (folder / "specs").mkdir()
    (folder / "schemas").mkdir()
    shutil.copy(ROOT / "schemas" / "orchestra.schema.json", folder / "schemas")
    with subprocess.Popen(
        node_tools.argv("yaml-language-server", "--stdio"),
        env=node_tools.env(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        yield Editor(server, folder)
        server.kill()


def spec(body: str) -> str:
    return MODELINE + "orchestra: 1\nsuite: a\n" + body


def test_a_right_spec_has_no_diagnostic(editor: Editor):
    text = (ROOT / "tests" / "data" / "schema" / "right.yaml").read_text(encoding="utf-8")
    document = editor.open("right.yaml", MODELINE + text.partition("\n")[2])
    assert editor.diagnostics(document) == []


@pytest.mark.parametrize(
    "body, line, start, end, word",
    [
        ("tests:\n  B001:\n    titel: x\n    steps: [reload]\n", 5, 4, 9, "titel"),
        ("tests:\n  B001:\n    steps:\n      - click: {role: button, nam: x}\n", 6, 30, 33, "nam"),
        ("tests: {}\ndefaults: {browser: chrom}\n", 4, 20, 25, "chromium"),
        ("tests: {}\nhealth: {web: {ready: {http: {path: 5}}}}\n", 4, 36, 37, "string"),
        ("tests:\n  B001:\n    steps:\n      - clik: {}\n", 6, 8, 12, "clik"),
        ("tests:\n  B001:\n    steps:\n      - goto: {ulr: x}\n", 6, 15, 18, "ulr"),
    ],
)
def test_a_mistake_is_marked_where_it_stands(editor: Editor, body: str, line: int, start: int, end: int, word: str):
    found = editor.diagnostics(editor.open(f"wrong-{word}.yaml", spec(body)))
    ranges = [(one["range"]["start"], one["range"]["end"]) for one in found]
    assert ({"line": line, "character": start}, {"line": line, "character": end}) in ranges, found
    assert any(word in one["message"] for one in found), found


@pytest.mark.parametrize(
    "body, line, character, wanted",
    [
        ("\n", 3, 0, {"tests", "health", "methods", "gates"}),
        ("tests:\n  B001:\n    \n", 5, 4, {"title", "steps", "needs", "finally"}),
        ("tests:\n  B001:\n    steps:\n      - \n", 6, 8, {"goto", "click", "expect", "back"}),
        ("tests:\n  B001:\n    steps:\n      - fill:\n          \n", 7, 10, {"label", "value", "role"}),
        ("tests:\n  B001:\n    browser: \n", 5, 13, {"chromium", "firefox", "webkit"}),
        ("health:\n  web:\n    ready:\n      \n", 6, 6, {"http", "tcp", "within_seconds"}),
    ],
)
def test_keys_and_values_are_completed(editor: Editor, body: str, line: int, character: int, wanted: set[str]):
    document = editor.open(f"complete-{line}-{character}.yaml", spec(body))
    assert wanted <= set(editor.labels(document, line, character))


def test_a_key_explains_itself(editor: Editor):
    document = editor.open("hover.yaml", spec("tests:\n  B001:\n    skip: not now\n    steps: [reload]\n"))
    text = editor.hover(document, 5, 6)
    assert "the reason not to run it, shown in every report" in text
