"""Bodies of requests as JSON, and the refusal of one that cannot be answered."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse

MAX_BODY: Final = 64_000


class RequestError(Exception):
    """A request that cannot be answered: the status and the words for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


async def json_body(request: Request) -> dict[str, Any]:
    """Return the object in the body of a request.

    Raises:
        RequestError: the body is too long, no JSON, or no object.
    """
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            raise RequestError(413, f"the request is longer than {MAX_BODY} bytes")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "the request is not JSON") from error
    if not isinstance(body, dict):
        raise RequestError(400, "the request is not a JSON object")
    return body


async def refused(_: Request, error: Exception) -> JSONResponse:
    """Return the reply to a request that cannot be answered, and to one at which the server fails."""
    known = error if isinstance(error, RequestError) else RequestError(500, "the server failed")
    return JSONResponse({"error": known.message}, known.status)
