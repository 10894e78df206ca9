"""A record as somebody forges it: other events, and a chain and seal that hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from orchestra.ledger.chain import Tip, link
from tests.support.events import body as body_of


def forge(folder: Path, change: Callable[[str, dict], dict | None]) -> None:
    """Write the ledger of a run anew.

    Args:
        folder: the run's.
        change: gets type and body of each event, and gives the body that takes its place, or None to leave it out.
    """
    ledger = folder / "events.jsonl"
    tip, lines = Tip(), []
    for line in ledger.read_text().splitlines():
        event = json.loads(line)
        body = change(event["type"], event["body"])
        if body is None:
            continue
        if event["type"] == "seal":
            body |= {"events": tip.seq, "head": tip.hash}
        made, text = link(tip, event["time"], body_of(event["type"], body), None)
        tip = Tip(made.seq, made.hash, made.time)
        lines.append(text)
    ledger.write_bytes(b"".join(lines))
