"""Record the video of a test on request: it begins with its page, and is saved or dropped like its other evidence.

Playwright records it with a program of its own, which not every machine has: without it the test still runs, and its
facts name the missing program.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from orchestra.runtime.attempt import EvidenceFile, Request, wants_film
from orchestra.runtime.browsers.places import FILM_FIX
from orchestra.runtime.driver.contract import Session

VIDEO = "video.webm"


def film_fault(message: str) -> str:
    """Return the reason why there is no video, from the error of Playwright."""
    if "ffmpeg" in message:
        return f"no video is recorded on this machine: {FILM_FIX}"
    lines = message.strip().splitlines()
    return f"no video is recorded: {lines[0] if lines else 'no reason was given'}"


class Film:
    """The video of one attempt.

    Attributes:
        fault: why there is none; empty when there is one or none was asked for.
    """

    def __init__(self, session: Session | None, request: Request) -> None:
        self._session = session if wants_film(request.test) else None
        self._file = Path(request.folder) / VIDEO
        self.fault = "" if self._session is None else self._session.film(self._file)
        if self.fault:
            self._session = None

    def stop(self, *, keep: bool) -> list[EvidenceFile]:
        """End it; a second call does nothing. The video, where it is to be kept and something of it was written."""
        session, self._session = self._session, None
        if session is None:
            return []
        session.film_end()
        with suppress(OSError):
            if keep and self._file.stat().st_size:
                return [EvidenceFile(VIDEO, "video")]
            self._file.unlink()
        return []
