"""The probe `line`: it sends a line to the port of a component, and looks for a pattern in the reply."""

import asyncio

from orchestra.probes.kind import Answer, Args, ProbeKind, Scene
from orchestra.steps.schemas import TEXT, Field


async def ask(args: Args, scene: Scene) -> Answer:
    host, port = scene.host or "127.0.0.1", scene.port
    if port is None:
        return Answer("it has no port to probe", "give its service a `port_range`", final=True)
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return Answer(f"no connection to {host}:{port}: {error.strerror}")
    try:
        writer.write(f"{args['send']}\r\n".encode())
        reply = (await reader.readline()).decode(errors="replace").strip()
    finally:
        writer.transport.abort()
    if await scene.search(args["match"], reply) is None:
        return Answer(f"answered {reply!r}, which does not match {args['match']!r}")
    return Answer(peer=(host, port))


PROBE = ProbeKind(
    "line",
    "a line that is sent, and the reply",
    {"send": "PING", "match": "PONG"},
    ask,
    fields=(
        Field("send", TEXT, "the line", "PING", required=True),
        Field("match", TEXT, "a regular expression to find in the reply", "PONG", required=True, holds="pattern"),
    ),
    timed=True,
)
