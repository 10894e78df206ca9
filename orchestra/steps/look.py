"""Where the expected pictures of `expect: {look: …}` are: a file for each name, browser and platform, in a folder of the test."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from orchestra.steps.step import Step

FOLDER = "specs/looks"
"""Relative to the project root."""

_LONGEST = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def safe_name(text: str) -> str:
    """Return a text as a part of a path: one that is none is made one, with a digest, so that no two texts share it."""
    cleaned = _UNSAFE.sub("-", text).strip("-.")[:_LONGEST]
    if text and cleaned == text:
        return text
    return f"{cleaned or 'look'}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"


def folder_of(suite: str, test: str) -> str:
    """Return the folder of the pictures of a test, relative to the project root."""
    return f"{FOLDER}/{safe_name(suite)}/{safe_name(test)}"


def picture_of(name: str, browser: str, platform: str) -> str:
    """Return the file of a picture in that folder: a browser draws a page on each platform in its own way."""
    return f"{safe_name(name)}-{browser}-{platform}.png"


def looks(steps: Iterable[Step]) -> list[str]:
    """Return the names of the pictures that steps compare with."""
    return [str(step.args["look"]) for step in steps if step.verb == "expect" and "look" in step.args]
