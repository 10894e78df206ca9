"""Claude Code against a stub of the Messages API on the loopback interface: no model, no network."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from tests.conftest import NodeTools

S = TypeVar("S", bound="Stub")
STREAM = ("--output-format", "stream-json", "--verbose")


@dataclass
class Stub:
    """The model: it runs each line once with the tool Bash, then ends its turn.

    Attributes:
        lines: the commands to run.
        prompts: the messages of the first request.
        address: of the API.
        asked: the number of lines so far.
    """

    lines: list[str]
    prompts: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""
    asked: int = 0

    def block(self, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the content block and its delta that answer a request."""
        self.prompts = self.prompts or request["messages"]
        if self.lines and any(tool["name"] == "Bash" for tool in request.get("tools", [])):
            command = self.lines.pop(0)
            return self.call("Bash", {"command": command, "description": "a line of the command"})
        return {"type": "text", "text": ""}, {"type": "text_delta", "text": "done"}

    def call(self, name: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the content block of a call of a tool, and its delta."""
        self.asked += 1
        block = {"type": "tool_use", "id": f"toolu_{self.asked}", "name": name, "input": {}}
        return block, {"type": "input_json_delta", "partial_json": json.dumps(arguments)}

    def prompt_of(self, name: str) -> str:
        """Return the text of the latest command `name` in the first request."""
        texts = [
            part["text"]
            for message in self.prompts
            for part in message["content"]
            if message["role"] == "user" and part["type"] == "text"
        ]
        start = [index for index, text in enumerate(texts) if f"<command-name>/{name}</command-name>" in text][-1]
        return texts[start + 1]


@dataclass(frozen=True)
class Says:
    """The end of a turn, with its words; a script is sent what the client answers if it does not let the turn end."""

    text: str


@dataclass(frozen=True)
class Call:
    """A call of a tool other than Bash."""

    tool: str
    arguments: dict[str, Any]


Script: TypeAlias = Generator["str | Says | Call", str, None]


@dataclass
class Agent(Stub):
    """The model: it reads the text of a slash command, and runs the lines that a script takes out of it.

    Attributes:
        name: of the slash command.
        script: from the text of the command: it yields lines, calls of tools, or `Says`, and is sent the results.
        calls: each line or name of a tool with its result.
    """

    name: str = ""
    script: Callable[[str], Script] | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)
    _steps: Script | None = None
    _move: str | Says | Call = ""

    def block(self, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        self.prompts = self.prompts or request["messages"]
        if any(tool["name"] == "Bash" for tool in request.get("tools", [])):
            with contextlib.suppress(StopIteration):
                self._move = self._next(request)
                if isinstance(self._move, Says):
                    return {"type": "text", "text": ""}, {"type": "text_delta", "text": self._move.text}
                if isinstance(self._move, Call):
                    return self.call(self._move.tool, self._move.arguments)
                self.lines = [self._move]
        return super().block(request)

    def _next(self, request: dict[str, Any]) -> str | Says | Call:
        if self._steps is None:
            assert self.script is not None
            self._steps = self.script(self.prompt_of(self.name) if self.name else "")
            return next(self._steps)
        if isinstance(self._move, Says):
            return self._steps.send(json.dumps(request["messages"][-1]["content"]))
        result = result_of(request)
        self.calls.append((self._move if isinstance(self._move, str) else self._move.tool, result))
        return self._steps.send(result)


@dataclass
class Turns(Stub):
    """The model of a conversation of several turns, each with an agent of its own.

    Attributes:
        agent: of the turn that goes on.
    """

    agent: Stub = field(default_factory=lambda: Stub([]))

    def block(self, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agent.asked = max(self.agent.asked, self.asked)
        answer = self.agent.block(request)
        self.asked = self.agent.asked
        return answer


def lines_of(text: str) -> list[str]:
    """Return the lines that the text of a command shows to be typed."""
    return [
        line for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for line in block.splitlines()
    ]


def result_of(request: dict[str, Any]) -> str:
    """Return the text of the latest result of a tool."""
    parts = [part for message in request["messages"] for part in message["content"] if isinstance(part, dict)]
    content = [part["content"] for part in parts if part.get("type") == "tool_result"][-1]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _stream(request: dict[str, Any], stub: Stub) -> bytes:
    block, delta = stub.block(request)
    message = {
        "id": "msg",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    reason = "tool_use" if block["type"] == "tool_use" else "end_turn"
    events: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"message": message}),
        ("content_block_start", {"index": 0, "content_block": block}),
        ("content_block_delta", {"index": 0, "delta": delta}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 1}}),
        ("message_stop", {}),
    ]
    return "".join(f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n" for name, data in events).encode()


@contextlib.contextmanager
def stub_of(*lines: str) -> Iterator[Stub]:
    """Serve the Messages API by a stub that runs the lines."""
    with served(Stub(list(lines))) as stub:
        yield stub


@contextlib.contextmanager
def served(stub: S) -> Iterator[S]:
    """Serve the Messages API by a stub."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Print nothing."""

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = _stream(request, stub)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    stub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def trust(folder: Path) -> None:
    """Make a project one that the user of the client has accepted."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    accepted = {"projects": {str(folder): {"hasTrustDialogAccepted": True}}, "hasCompletedOnboarding": True}
    (home / ".claude.json").write_text(json.dumps(accepted), encoding="utf-8")


def settings_of(
    tools: NodeTools, folder: Path, stub: Stub, programs: Sequence[str], env: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a client in a project, whose model is a stub."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    own = tools.env(home)
    return {
        **own,
        "PATH": os.pathsep.join([*programs, own["PATH"]]),
        "ANTHROPIC_BASE_URL": stub.address,
        "ANTHROPIC_API_KEY": "no key",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        **env,
    }


def ask(
    tools: NodeTools,
    folder: Path,
    stub: Stub,
    prompt: str,
    *programs: str,
    options: Sequence[str] = (),
    env: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Return the events of `claude -p PROMPT` in a project: the first is `init`, the last `result`.

    Args:
        tools: with the client.
        folder: the project.
        stub: the model.
        prompt: of the user.
        programs: folders that are on PATH besides those of the system.
        options: more words of the command line.
        env: more variables.
    """
    done = subprocess.run(
        tools.argv("claude", "-p", prompt, *STREAM, *options),
        env=settings_of(tools, folder, stub, programs, env),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@dataclass
class Conversation:
    """One client that is sent a prompt after the other."""

    client: subprocess.Popen[str]
    turns: Turns

    def ask(self, prompt: str, agent: Stub) -> dict[str, Any]:
        """Send a prompt that an agent answers, and return the event of its result."""
        assert self.client.stdin is not None
        assert self.client.stdout is not None
        self.turns.agent = agent
        message = {"type": "user", "message": {"role": "user", "content": prompt}}
        self.client.stdin.write(f"{json.dumps(message)}\n")
        self.client.stdin.flush()
        for line in self.client.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["type"] == "result":
                return event
        raise AssertionError(f"the client ended: {self.client.wait()}")


@contextlib.contextmanager
def conversation(
    tools: NodeTools, folder: Path, *programs: str, env: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Conversation]:
    """Start a client in a project that takes prompts one after the other, and end it with its input."""
    with (
        served(Turns([])) as turns,
        subprocess.Popen(
            tools.argv("claude", "-p", "--input-format", "stream-json", *STREAM),
            env=settings_of(tools, folder, turns, programs, env),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as client,
    ):
        yield Conversation(client, turns)
