"""report.html, as a test reads it: its data, and its text without what is compressed."""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

_DATA = re.compile(r'(<script type="application/octet-stream" id="data">)([^<]*)(</script>)')
_OWN = re.compile(r"(<style>|<script>)(.*?)(</style>|</script>)", re.DOTALL)
_DIGEST = re.compile(r"sha256-[\w+/=&#;]+")


def data_of(text: str) -> dict[str, Any]:
    """Return the data of a page."""
    found = _DATA.search(text)
    assert found is not None
    data: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(found[2])))
    return data


def legible(text: str) -> str:
    """Return the frame of a page, and its data as indented JSON. What compresses it may differ between machines."""
    frame = _OWN.sub(r"\1…\3", _DIGEST.sub("sha256-…", _DATA.sub(r"\1…\3", text)))
    return f"{frame}\n{json.dumps(data_of(text), indent=1, ensure_ascii=False)}\n"
