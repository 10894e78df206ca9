"""The one table of the kinds of probe. To add a kind, write its question here and its row below."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from orchestra.names import ENV_NAME
from orchestra.probes.kind import Answer, Args, ProbeKind, Scene
from orchestra.probes.reply import impostor, misfit, short
from orchestra.steps.schemas import BOOLEAN, MAPPING, SECONDS, TEXT, TEXT_MAPPING, TEXTS, Field, Schema

_MEGABYTE = 1024 * 1024
_PORT: Schema = {"type": "integer", "minimum": 1}
_CODES: Schema = {"type": "array", "items": {"type": "integer"}, "minItems": 1}

# ---------------------------------------------------------------------------------------------------- http and tcp


def _http_url(args: Args, scene: Scene) -> str:
    return str(args["url"]) if "url" in args else scene.url.rstrip("/") + "/" + str(args.get("path", "/")).lstrip("/")


def _address(url: str) -> tuple[str, int] | None:
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None


async def _http(args: Args, scene: Scene) -> Answer:
    url, method = _http_url(args, scene), str(args.get("method", "GET"))
    if not scene.url and "url" not in args:
        return Answer(
            "it has no address to probe", "give it a `port_range`, a `url`, or a probe with a `url`", final=True
        )
    peer = _address(url)
    if peer is None:
        return Answer(f"{url!r} is not an address", "write http://host:port/path", final=True)
    reply = await scene.request(method, url, args.get("headers", {}), verify_tls=args.get("verify_tls"))
    if reply.fault:
        return Answer(reply.fault if reply.final else f"{method} {url}: {reply.fault}", reply.hint, final=reply.final)
    reason = misfit(args, reply.status, reply.body) or impostor(scene.identity, reply.headers, reply.body)
    return Answer(f"{method} {url} {reason}", peer=peer) if reason else Answer(peer=peer)


def _http_question(args: Args, scene: Scene) -> str:
    return f"{args.get('method', 'GET')} {_http_url(args, scene)}"


async def _tcp(args: Args, scene: Scene) -> Answer:
    host, port = str(args.get("host", scene.host or "127.0.0.1")), args.get("port", scene.port)
    if port is None:
        return Answer("it has no port to probe", "give the probe a `port`", final=True)
    return await scene.connect(host, int(port))


def _tcp_question(args: Args, scene: Scene) -> str:
    return f"a connection to {args.get('host', scene.host)}:{args.get('port', scene.port)}"


# ------------------------------------------------------------------------------------------- programs, files, variables


def _run_question(args: Args, _: Scene) -> str:
    return repr(" ".join(args["argv"]))


async def _run(args: Args, scene: Scene) -> Answer:
    ended, shown = await scene.run(list(args["argv"])), _run_question(args, scene)
    if ended.code not in args.get("exit_codes", [0]):
        last = short(ended.stderr.strip() or ended.stdout.strip())
        how = f"ended with exit code {ended.code}" if ended.code >= 0 else f"was ended by signal {-ended.code}"
        return Answer(f"{shown} {how}{f': {last}' if last else ''}")
    for name, text in (("stdout", ended.stdout), ("stderr", ended.stderr)):
        if name in args and await scene.search(args[name], text, lines=True) is None:
            return Answer(f"{shown} wrote {short(text)!r} to {name}, which does not match {args[name]!r}")
    return Answer()


async def _env(args: Args, scene: Scene) -> Answer:
    name = args["name"]
    value = scene.env.get(name)
    if not value:
        state = "is not set" if value is None else "is set, but empty"
        return Answer(f"the environment variable {name} {state}", f"export {name}=…", final=True)
    if "match" in args and await scene.search(args["match"], value) is None:
        pattern = args["match"]
        return Answer(f"{name} is set, but does not match {pattern!r}", "correct its value", final=True)
    return Answer()


async def _file(args: Args, scene: Scene) -> Answer:
    shown = args["path"]
    path = scene.root / shown
    try:
        status = path.stat()
        free = shutil.disk_usage(path).free // _MEGABYTE
    except OSError as error:
        return Answer(f"{shown!r} cannot be used: {error.strerror}", f"make {shown} or correct `path`")
    if free < args.get("free_megabytes", 0):
        wanted = args["free_megabytes"]
        return Answer(f"{shown!r} has {free} MB free, not {wanted}", "make room on its file system")
    age = time.time() - status.st_mtime
    if age > args.get("max_age_seconds", age):
        wanted = args["max_age_seconds"]
        return Answer(f"{shown!r} was changed {age:.0f} s ago; at most {wanted:g} s are allowed", "regenerate it")
    return Answer()


# ------------------------------------------------------------------------------------------------------- logs and ports


async def _log(args: Args, scene: Scene) -> Answer:
    groups = await scene.log(args["match"])
    return Answer(f"its output has no match for {args['match']!r}") if groups is None else Answer(names=groups)


async def _port(args: Args, scene: Scene) -> Answer:
    reason = scene.busy(int(args["free"]))
    return Answer(reason, "end that process, or use another port") if reason else Answer()


# ------------------------------------------------------------------------------------------------------------ the table

_RUN_DOC = "the program and its arguments, one item each; no shell splits or expands them"
_STATUS: Schema = {"anyOf": [{"type": "integer"}, {**_CODES}]}

_ALL: tuple[ProbeKind, ...] = (
    ProbeKind(
        "http",
        "a request and its expected response",
        {"path": "/health", "status": 200},
        _http,
        fields=(
            Field("path", TEXT, "the path, relative to the component's URL", "/health", default="/"),
            Field("url", TEXT, "a whole URL in place of `path`", "https://sandbox.example/ping"),
            Field("method", {**TEXT, "enum": ["GET", "HEAD", "POST"]}, "the method", "GET", default="GET"),
            Field("headers", TEXT_MAPPING, "request headers", {"Accept": "application/json"}),
            Field("status", _STATUS, "the status, or the statuses, that are healthy", 200, default=200),
            Field("contains", TEXT, "a part of the body", "Market Parser", holds="part"),
            Field(
                "json",
                {**MAPPING, "minProperties": 1},
                "keys of the JSON body (dots go deeper) and their values",
                {"status": "ok"},
            ),
            Field(
                "verify_tls", BOOLEAN, "check the certificate (default: unless `tls` has `ignore_https_errors`)", True
            ),
        ),
        question=_http_question,
        timed=True,
        at_most_one=("path", "url"),
        address="url",
    ),
    ProbeKind(
        "tcp",
        "a connection that must be accepted",
        {"port": 5432},
        _tcp,
        fields=(
            Field("host", TEXT, "the host (default: that of the component)", "127.0.0.1"),
            Field("port", _PORT, "the port (default: that of the component)", 5432, holds="port"),
        ),
        question=_tcp_question,
        timed=True,
        address="port",
    ),
    ProbeKind(
        "run",
        "a program with its expected exit code and output",
        {"argv": ["node", "--version"]},
        _run,
        fields=(
            Field("argv", TEXTS, _RUN_DOC, ["node", "--version"], required=True),
            Field("exit_codes", _CODES, "the exit codes that are healthy", [0], default=[0]),
            Field("stdout", TEXT, "a regular expression to find in its output", "^v22", holds="pattern"),
            Field("stderr", TEXT, "a regular expression to find in its error output", "ready", holds="pattern"),
        ),
        question=_run_question,
        timed=True,
    ),
    ProbeKind(
        "env",
        "an environment variable that must be set",
        {"name": "OPENAI_API_KEY"},
        _env,
        fields=(
            Field(
                "name",
                {**TEXT, "pattern": ENV_NAME},
                "the variable",
                "OPENAI_API_KEY",
                required=True,
                holds="variable",
            ),
            Field("match", TEXT, "a regular expression to find in its value", "^sk-", holds="pattern"),
        ),
    ),
    ProbeKind(
        "file",
        "a file or folder that must exist",
        {"path": "data/market.json"},
        _file,
        fields=(
            Field(
                "path", TEXT, "the path, relative to the project root", "data/market.json", required=True, holds="path"
            ),
            Field("free_megabytes", _PORT, "minimum free space on its file system", 500),
            Field("max_age_seconds", SECONDS, "maximum time since its last change", 86400),
        ),
    ),
    ProbeKind(
        "log",
        "a line in the output of the service",
        {"match": "listening"},
        _log,
        fields=(
            Field(
                "match",
                TEXT,
                "a regular expression to find in its output",
                "listening on .*:(?P<port>[0-9]+)",
                required=True,
                holds="pattern",
            ),
        ),
        reads_log=True,
    ),
    ProbeKind(
        "port",
        "a port that must be free",
        {"free": 9222},
        _port,
        fields=(Field("free", _PORT, "a port without a listener", 9222, required=True, holds="port"),),
    ),
)

PROBES: Final[Mapping[str, ProbeKind]] = {kind.name: kind for kind in _ALL}
"""Each kind of probe that orchestra brings, by its key in a spec."""


def probes_of(row: Mapping[str, Any], part: str, kinds: Mapping[str, ProbeKind]) -> list[tuple[ProbeKind, Args]]:
    """Return the probe of a part (`ready` or `live`) of a row of a spec: its kind and its keys; none without one."""
    asked = row.get(part, {})
    return [(kind, asked[name]) for name, kind in kinds.items() if name in asked]
