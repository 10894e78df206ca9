"""A session to begin with, for drivers of plug-ins: it has no pictures, no videos, and no events of a page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from orchestra.runtime.attempt import EvidenceFile
from orchestra.runtime.driver.contract import Carrier, Effort, Job, Seen


class PlainSession:
    """The page of one test; a driver overrides `do`, and each further method for which it has more to give."""

    def bound(self, seconds: float) -> None:
        """Do nothing: the worker is ended if a step does not return."""

    def rest(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def do(self, job: Job) -> Effort:
        """Carry out a step on a page; see `contract.Session`."""
        raise NotImplementedError

    def keep_evidence(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Write no evidence."""
        del folder, name
        return []

    def picture(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Write no picture."""
        del folder, name
        return []

    def step_picture(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Write no picture of a step."""
        del folder, name
        return []

    def seen(self) -> Seen:
        """Return that nothing happened beyond the steps."""
        return Seen({}, (), {})

    def film(self, file: Path) -> str:
        """Return why there is no video."""
        del file
        return "the driver records no video"

    def film_end(self) -> None:
        """Do nothing."""

    def cookies(self) -> list[dict[str, Any]]:
        """Return that the page has no cookies."""
        return []

    def storage(self) -> dict[str, Any]:
        """Return that the page has no cookies and no storage."""
        return {"cookies": [], "origins": []}

    def facts(self) -> dict[str, Any]:
        """Return no figures."""
        return {}

    def carrier(self) -> Carrier:
        """Return that nothing outlives the test."""
        return Carrier({})

    def close(self) -> None:
        """Do nothing."""
