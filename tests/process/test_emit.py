"""The same bytes from another process."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT


def test_other_hash_seeds_give_the_same_bytes():
    program = (
        "import hashlib\nfrom tests.support import plans as plan_samples\nfrom orchestra.compiler.emit import files as emit\n"
        "made = emit.files([plan_samples.market(), plan_samples.small()])\n"
        "print(hashlib.sha256(b''.join(file.content for file in made)).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
