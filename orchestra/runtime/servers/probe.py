"""Probes: one question to a component, answered within its own time.

`orchestra.probes.table` has the questions; here is the scene in which they are asked, with its tools, and the limit of
their time. A probe never raises for its result: its `Answer` has an empty reason if the component is healthy, else the
observation and a hint. All resources of a probe are released when it has answered or was cancelled.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestra import plugins
from orchestra.errors import OrchestraError
from orchestra.names import expand
from orchestra.plan import NO_TLS, Probe, Tls
from orchestra.probes.kind import Answer, Ended, ProbeKind, Reply
from orchestra.probes.table import PROBES
from orchestra.runtime import certificates, terminal
from orchestra.runtime.body import Body, BodyError
from orchestra.runtime.bounded import patterns
from orchestra.runtime.bounded.patterns import PatternError
from orchestra.runtime.certificates import CertificateError
from orchestra.runtime.http_library import library
from orchestra.runtime.processes.ends import end, exit_of
from orchestra.runtime.processes.orphan import strays
from orchestra.runtime.processes.pipe import Pipe
from orchestra.runtime.processes.process import spawn
from orchestra.runtime.proxies import HINT as PROXY_HINT
from orchestra.runtime.proxies import is_direct
from orchestra.runtime.servers import identity
from orchestra.runtime.servers.port import busy

BODY_LIMIT = 1024 * 1024
"""Of an answer so many bytes are read, decoded; of the output of a program, each of its two."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scene:
    """The resources of a probe, and its tools (`orchestra.probes.kind.Scene`).

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
        prober: has the HTTP clients.
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
    prober: Prober | None = None

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], *, verify_tls: bool | None = None
    ) -> Reply:
        """Send a request; the body is read up to `BODY_LIMIT`. `verify_tls` overrides `tls` of the spec."""
        if self.prober is None:
            raise RuntimeError("a scene sends requests only within a probe")
        parts, httpx = urlsplit(url), library()
        try:
            verify = not self.prober.tls.ignore_https_errors if verify_tls is None else verify_tls
            client = self.prober.client(
                verify=parts.scheme == "https" and verify, direct=is_direct(parts.hostname or "", self.env)
            )
        except CertificateError as error:  # the file may come later
            return Reply(fault=error.message, hint=error.hint)
        except ValueError as error:
            fault = f"a proxy of the environment cannot be used: {error}"
            return Reply(fault=fault, hint=PROXY_HINT, final=True)
        try:
            async with client.stream(method, url, headers=dict(headers)) as reply:
                read = Body(reply.headers.get("content-encoding", ""), BODY_LIMIT)
                async for block in reply.aiter_raw():
                    read.feed(block)
                    if read.over:
                        break
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Reply(fault=_cause(error), hint=_fix(error))
        except BodyError as error:
            return Reply(fault=f"its answer cannot be decoded: {error}")
        return Reply(reply.status_code, reply.headers, bytes(read.data))

    async def connect(self, host: str, port: int) -> Answer:
        """Open a connection and close it again."""
        host = identity.reachable(host)
        try:
            writer = (await asyncio.open_connection(host, port))[1]
        except OSError as error:
            return Answer(f"no connection to {host}:{port}: {_cause(error)}")
        writer.transport.abort()
        return Answer(peer=(host, port))

    async def run(self, argv: list[str]) -> Ended:
        """Run a program in the project root; its processes are ended with it."""
        loop = asyncio.get_running_loop()
        kept = {"stdout": bytearray(), "stderr": bytearray()}

        def keeper(name: str) -> Callable[[bytes], None]:
            return lambda block: kept[name].extend(block[: BODY_LIMIT - len(kept[name])])

        with Pipe(loop, keeper("stdout")) as out, Pipe(loop, keeper("stderr")) as err:
            process = spawn(
                argv, cwd=self.root, env=self.env, stdout=out.write_end, stderr=err.write_end, mark=self.mark
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
        texts = {name: terminal.whole(block.decode(errors="replace")) for name, block in kept.items()}
        return Ended(code, **texts)

    async def search(self, pattern: str, text: str, *, lines: bool = False) -> Mapping[str, str] | None:
        """As `patterns.groups`, while the loop of all components goes on."""
        return await asyncio.to_thread(patterns.groups, pattern, text, lines=lines)

    async def log(self, pattern: str) -> Mapping[str, str] | None:
        """Return the named groups of a pattern in the output of the service, None without a match."""
        return None if self.said is None else await self.said(pattern)

    def busy(self, port: int) -> str:
        """Return who holds a port of this machine; empty if it is free."""
        return busy("127.0.0.1", port)


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
    """Asks. Its HTTP clients are made once and reused; each probe opens its own connection, as a user would.

    Args:
        root: the project root; no plug-in is loaded from there.
        tls: how certificates are checked.
    """

    def __init__(self, root: Path, tls: Tls = NO_TLS) -> None:
        self._root = root
        self.tls = tls
        self._clients: dict[tuple[bool, bool], Any] = {}
        self._kinds: dict[str, ProbeKind] = {}

    async def ask(self, probe: Probe, scene: Scene) -> Answer:
        """One question, answered within the probe's time."""
        try:
            args = filled(probe.args, scene.lookup)
            kind = self.kind_of(probe)
            if kind.address == "url" and not self._clients:
                await asyncio.to_thread(library)  # not within the probe's time
            return await self._answer(kind, probe, args, replace(scene, prober=self))
        except OrchestraError as error:
            return Answer(error.message, error.hint, final=True)
        except PatternError as error:
            where = scene.place(error.pattern)
            reason = f"cannot be asked: {error.message}{f' ({where})' if where else ''}"
            return Answer(reason, error.hint, final=True)

    def kind_of(self, probe: Probe) -> ProbeKind:
        """Return the kind of a probe; that of a plug-in is loaded once, when a matrix is made.

        Raises:
            PluginError: it cannot be loaded.
        """
        if not probe.plugin:
            return PROBES[probe.kind]
        known = self._kinds.get(probe.kind)
        if known is None:
            known = plugins.load("probe", probe.kind, probe.plugin, ProbeKind, self._root)
            self._kinds[probe.kind] = known
        return known

    async def _answer(self, kind: ProbeKind, probe: Probe, args: Mapping[str, Any], scene: Scene) -> Answer:
        try:
            async with asyncio.timeout(probe.timeout_seconds):
                answer: object = await kind.ask(args, scene)
        except TimeoutError:
            asked = kind.in_words(args, scene)
            return Answer(f"{asked} gave no answer within {probe.timeout_seconds:g} s", timed_out=True)
        except (OrchestraError, PatternError):
            raise
        except Exception as error:
            if not probe.plugin:
                raise
            _log.exception("the probe %s of %s", probe.kind, probe.plugin)
            fault = f"{type(error).__name__}: {error}"
            return Answer(f"cannot be asked: the probe {probe.kind} of {probe.plugin} failed: {fault}", plugins.REPORT)
        if not isinstance(answer, Answer):
            fault = f"it gave {type(answer).__name__}, not an Answer"
            return Answer(f"cannot be asked: the probe {probe.kind} of {probe.plugin} failed: {fault}", plugins.REPORT)
        return answer

    async def close(self) -> None:
        """Let go of the clients."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    def client(self, *, verify: bool, direct: bool) -> Any:
        """Return the client for addresses with or without a certificate to check, and with or without a proxy.

        Raises:
            ValueError: the environment names a proxy that is none.
            CertificateError: the certificates of the suite cannot be read.
        """
        if (verify, direct) not in self._clients:
            httpx = library()
            # Without one to check, the certificates of the whole world are not read.
            context = httpx.create_ssl_context() if verify else None
            if context is not None and self.tls.ca_file:
                certificates.add(context, self._root, self.tls.ca_file)
            self._clients[verify, direct] = httpx.AsyncClient(
                verify=False if context is None else context,
                trust_env=not direct,
                timeout=None,  # `ask` bounds the whole, not each read
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        return self._clients[verify, direct]


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


def _fix(error: BaseException) -> str:
    if any(isinstance(below, ssl.SSLCertVerificationError) for below in _chain(error)):
        return "name the certificate of its issuer as `ca_file` of `tls`, or write `verify_tls: false`"
    return ""
