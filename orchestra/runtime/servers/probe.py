"""Probes: one question to a component, answered within its own time.

A probe never raises for its result: its `Answer` has an empty reason if the component is healthy, else the observation
and a hint. All resources of a probe are released when it has answered or was cancelled. Longer than other modules
because it is one kind of probe after the other.
"""

from __future__ import annotations

import asyncio
import errno
import shutil
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from orchestra.errors import OrchestraError, UsageError
from orchestra.names import expand
from orchestra.plan import Probe
from orchestra.runtime import certificates, terminal
from orchestra.runtime.body import Body, BodyError
from orchestra.runtime.bounded import patterns
from orchestra.runtime.bounded.patterns import PatternError
from orchestra.runtime.processes.ends import end, exit_of
from orchestra.runtime.processes.orphan import strays
from orchestra.runtime.processes.pipe import Pipe
from orchestra.runtime.processes.process import spawn
from orchestra.runtime.proxies import HINT as PROXY_HINT
from orchestra.runtime.proxies import is_direct
from orchestra.runtime.reply import impostor, misfit, short
from orchestra.runtime.servers import identity
from orchestra.runtime.servers.port import busy

BODY_LIMIT = 1024 * 1024
"""Of an answer so many bytes are read, decoded; of the output of a program, each of its two."""

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a probe.

    Attributes:
        reason: why the component is not fit; empty when it is.
        hint: the fix.
        final: to ask again cannot change it.
        names: what the answer binds, from named groups of a log probe.
        peer: host and port that answered, if any.
        timed_out: the probe's time was over before there was an answer.
    """

    reason: str = ""
    hint: str = ""
    final: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    peer: tuple[str, int] | None = None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """The resources of a probe.

    Attributes:
        root: the project root.
        env: the environment of the run.
        lookup: gives the value of a late name; raises OrchestraError when it has none.
        mark: carried by what a `run` probe starts.
        host: the component's own host, empty when it has none.
        port: its own port.
        url: its own address.
        said: the named groups of a pattern in the service's output, None without a match.
        identity: what a reply must bear, `{header: …, json: …}`.
        place: where a pattern of the component is in the spec, for people; empty when that is not known.
    """

    root: Path
    env: Mapping[str, str]
    lookup: Callable[[str], str]
    mark: str
    host: str = ""
    port: int | None = None
    url: str = ""
    said: Callable[[str], Awaitable[Mapping[str, str] | None]] | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    place: Callable[[str], str] = lambda _: ""


def filled(value: Any, lookup: Callable[[str], str]) -> Any:
    """Return a value of the plan with its late names replaced."""
    if isinstance(value, str):
        return expand(value, lookup)
    if isinstance(value, list):
        return [filled(one, lookup) for one in value]
    if isinstance(value, dict):
        return {key: filled(one, lookup) for key, one in value.items()}
    return value


class Prober:
    """Asks. Its HTTP clients are made once and reused; each probe opens its own connection, as a user would."""

    def __init__(self) -> None:
        self._clients: dict[tuple[bool, bool, str], Any] = {}

    async def ask(self, probe: Probe, scene: Scene) -> Answer:
        """One question, answered within the probe's time."""
        try:
            args = filled(probe.args, scene.lookup)
            if probe.kind == "http" and not self._clients:
                await asyncio.to_thread(_library)  # not within the probe's time
            try:
                async with asyncio.timeout(probe.timeout_seconds):
                    return await _KINDS[probe.kind](self, args, scene)
            except TimeoutError:
                asked = _question(probe.kind, args, scene)
                return Answer(f"{asked} gave no answer within {probe.timeout_seconds:g} s", timed_out=True)
        except OrchestraError as error:
            return Answer(error.message, error.hint, final=True)
        except PatternError as error:
            where = scene.place(error.pattern)
            reason = f"cannot be asked: {error.message}{f' ({where})' if where else ''}"
            return Answer(reason, error.hint, final=True)

    async def close(self) -> None:
        """Let go of the clients."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    def client(self, root: Path, ca_file: str = "", *, verify: bool, direct: bool) -> Any:
        """Return the client for addresses with or without a certificate to check, and with or without a proxy.

        Args:
            root: the project root.
            ca_file: the certificates to trust as well, relative to it; empty for none.
            verify: check certificates.
            direct: use no proxy.

        Raises:
            ValueError: the environment names a proxy that is none.
            CertificateError: the certificates cannot be read.
        """
        key = (verify, direct, ca_file)
        if key not in self._clients:
            httpx = _library()
            # Without one to check, the certificates of the whole world are not read.
            context = httpx.create_ssl_context() if verify else None
            if context is not None and ca_file:
                certificates.add(context, root, ca_file)
            self._clients[key] = httpx.AsyncClient(
                verify=False if context is None else context,
                trust_env=not direct,
                timeout=None,  # `ask` bounds the whole, not each read
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        return self._clients[key]


def _library() -> Any:
    """Import the HTTP library: 120 to 400 ms, only in runs with an http probe, in parallel with the start of their
    services.
    """
    import httpx  # noqa: PLC0415 - see the docstring

    return httpx


def _question(kind: str, args: Mapping[str, Any], scene: Scene) -> str:
    """Return the probe in words, for a message."""
    match kind:
        case "http":
            return f"{args.get('method', 'GET')} {_http_url(args, scene)}"
        case "tcp":
            return f"a connection to {args.get('host', scene.host)}:{args.get('port', scene.port)}"
        case "run":
            return repr(" ".join(args["argv"]))
        case _:
            return f"the {kind} probe"


# ------------------------------------------------------------------------------------------------------------------ http


def _http_url(args: Mapping[str, Any], scene: Scene) -> str:
    return str(args["url"]) if "url" in args else scene.url.rstrip("/") + "/" + str(args.get("path", "/")).lstrip("/")


def _address(url: str) -> tuple[str, int] | None:
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came of."""
    below: BaseException | None = error
    while below is not None:
        yield below
        below = below.__cause__ or below.__context__


def _cause(error: BaseException) -> str:
    """Return the reason why a request failed, by the system's own error if there is one below."""
    for below in _chain(error):
        if isinstance(below, OSError) and below.errno == errno.ECONNREFUSED:
            return "nothing listens there"
        if isinstance(below, OSError) and below.errno in {errno.ECONNRESET, errno.EPIPE}:
            return "the connection was reset"
        if isinstance(below, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {below.verify_message}"
    return str(error) or type(error).__name__


def _mend(error: BaseException) -> str:
    if any(isinstance(below, ssl.SSLCertVerificationError) for below in _chain(error)):
        return "name the certificate of its issuer as `ca_file` of `tls`, or write `verify_tls: false`"
    return ""


async def _http(prober: Prober, args: Mapping[str, Any], scene: Scene) -> Answer:
    url, method = _http_url(args, scene), str(args.get("method", "GET"))
    if not scene.url and "url" not in args:
        return Answer(
            "it has no address to probe", "give it a `port_range`, a `url`, or a probe with a `url`", final=True
        )
    peer = _address(url)
    if peer is None:
        return Answer(f"{url!r} is not an address", "write http://host:port/path", final=True)
    verify, direct = url.startswith("https:") and args.get("verify_tls", True), is_direct(peer[0], scene.env)
    try:
        client = prober.client(scene.root, str(args.get("ca_file", "")), verify=bool(verify), direct=direct)
    except UsageError as error:
        return Answer(error.message, error.hint)
    except ValueError as error:
        return Answer(f"a proxy of the environment cannot be used: {error}", PROXY_HINT, final=True)
    try:
        async with client.stream(method, url, headers=args.get("headers")) as reply:
            read = Body(reply.headers.get("content-encoding", ""), BODY_LIMIT)
            async for block in reply.aiter_raw():
                read.feed(block)
                if read.over:
                    break
    except (_library().HTTPError, _library().InvalidURL, OSError, ValueError) as error:
        return Answer(f"{method} {url}: {_cause(error)}", _mend(error))
    except BodyError as error:
        return Answer(f"{method} {url}: its answer cannot be decoded: {error}")
    body = bytes(read.data)
    reason = misfit(args, reply.status_code, body) or impostor(scene.identity, reply.headers, body)
    return Answer(f"{method} {url} {reason}", peer=peer) if reason else Answer(peer=peer)


# ---------------------------------------------------------------------------------------------------------- the others


async def _tcp(_: Prober, args: Mapping[str, Any], scene: Scene) -> Answer:
    host, port = str(args.get("host", scene.host or "127.0.0.1")), args.get("port", scene.port)
    if port is None:
        return Answer("it has no port to probe", "give the probe a `port`", final=True)
    host = identity.reachable(host)
    try:
        writer = (await asyncio.open_connection(host, int(port)))[1]
    except OSError as error:
        return Answer(f"no connection to {host}:{port}: {_cause(error)}")
    writer.transport.abort()
    return Answer(peer=(host, int(port)))


async def _run(_: Prober, args: Mapping[str, Any], scene: Scene) -> Answer:
    loop = asyncio.get_running_loop()
    kept = {"stdout": bytearray(), "stderr": bytearray()}

    def keeper(name: str) -> Callable[[bytes], None]:
        return lambda block: kept[name].extend(block[: BODY_LIMIT - len(kept[name])])

    with Pipe(loop, keeper("stdout")) as out, Pipe(loop, keeper("stderr")) as err:
        process = spawn(
            args["argv"], cwd=scene.root, env=scene.env, stdout=out.write_end, stderr=err.write_end, mark=scene.mark
        )
        out.started()
        err.started()
        try:
            code = await exit_of(process)
        finally:
            if process.popen.poll() is None or strays(process.pid, process.mark):
                await end(process, grace_seconds=0.0)
        out.drain()
        err.drain()
    shown = repr(" ".join(args["argv"]))
    texts = {name: terminal.whole(block.decode(errors="replace")) for name, block in kept.items()}
    if code not in args.get("exit_codes", [0]):
        last = short(texts["stderr"].strip() or texts["stdout"].strip())
        ended = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
        return Answer(f"{shown} {ended}{f': {last}' if last else ''}")
    for name, text in texts.items():
        if name in args and await _found(args[name], text, lines=True) is None:
            return Answer(f"{shown} wrote {short(text)!r} to {name}, which does not match {args[name]!r}")
    return Answer()


async def _found(pattern: str, text: str, *, lines: bool = False) -> Mapping[str, str] | None:
    """As `patterns.groups`, while the loop of all components goes on."""
    return await asyncio.to_thread(patterns.groups, pattern, text, lines=lines)


async def _env(_: Prober, args: Mapping[str, Any], scene: Scene) -> Answer:
    name = args["name"]
    value = scene.env.get(name)
    if not value:
        state = "is not set" if value is None else "is set, but empty"
        return Answer(f"the environment variable {name} {state}", f"export {name}=…", final=True)
    if "match" in args and await _found(args["match"], value) is None:
        pattern = args["match"]
        return Answer(f"{name} is set, but does not match {pattern!r}", "correct its value", final=True)
    return Answer()


async def _file(_: Prober, args: Mapping[str, Any], scene: Scene) -> Answer:
    shown = args["path"]
    path = scene.root / shown
    try:
        found = path.stat()
        free = shutil.disk_usage(path).free // _MEGABYTE
    except OSError as error:
        return Answer(f"{shown!r} cannot be used: {error.strerror}", f"make {shown} or correct `path`")
    if free < args.get("free_megabytes", 0):
        wanted = args["free_megabytes"]
        return Answer(f"{shown!r} has {free} MB free, not {wanted}", "make room on its file system")
    age = time.time() - found.st_mtime
    if age > args.get("max_age_seconds", age):
        wanted = args["max_age_seconds"]
        return Answer(f"{shown!r} was changed {age:.0f} s ago; at most {wanted:g} s are allowed", "regenerate it")
    return Answer()


async def _log(_: Prober, args: Mapping[str, Any], scene: Scene) -> Answer:
    groups = None if scene.said is None else await scene.said(args["match"])
    if groups is None:
        return Answer(f"its output has no match for {args['match']!r}")
    return Answer(names=groups)


async def _port(_: Prober, args: Mapping[str, Any], __: Scene) -> Answer:
    reason = busy("127.0.0.1", int(args["free"]))
    return Answer(reason, "end that process, or use another port") if reason else Answer()


_Kind: TypeAlias = Callable[[Prober, Mapping[str, Any], Scene], Awaitable[Answer]]
_KINDS: Mapping[str, _Kind] = {
    "http": _http,
    "tcp": _tcp,
    "run": _run,
    "env": _env,
    "file": _file,
    "log": _log,
    "port": _port,
}
