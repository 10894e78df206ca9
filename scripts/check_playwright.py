"""Run the conformance tests of the drivers against several versions of Playwright, each in an environment of its own.

    check_playwright.py            the lowest version that pyproject.toml allows, the locked one, and the newest there is
    check_playwright.py 1.63.0 …   these

Environments are in `.venv/playwright/VERSION`, next to that of the project, and are used again. The tests are those that hold
both drivers to the vocabulary of steps, to each other and to the browser. Exit 1 when one version fails them.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv" / "playwright"
TESTS = (
    "tests/browser/test_driver_playwright.py",
    "tests/browser/test_driver_mcp.py",
    "tests/browser/test_calls_mcp.py",
    "tests/browser/test_mcp_session.py",
    "tests/browser/test_methods_agree.py",
    "tests/browser/test_tool_answers.py",
    "tests/browser/test_expectations.py",
    "tests/browser/test_more_steps.py",
    "tests/browser/test_pages.py",
    "tests/browser/test_emulation.py",
    "tests/browser/test_look.py",
    "tests/browser/test_har.py",
    "tests/browser/test_mock.py",
    "tests/browser/test_clock.py",
    "tests/browser/test_record.py",
)


def versions() -> list[str]:
    """The lowest version of the range in pyproject.toml, the one of the lock, and the newest that pip knows."""
    allowed = re.search(r'"playwright>=([\d.]+)', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    locked = re.search(r"^playwright==([\d.]+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    if allowed is None or locked is None:
        raise SystemExit("check-playwright: pyproject.toml or requirements.txt has no range or version of playwright")
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "index", "versions", "playwright"], capture_output=True, text=True, check=False
    )
    newest = re.search(r"^playwright \(([\d.]+)\)", listed.stdout, re.MULTILINE)
    if newest is None:
        raise SystemExit(f"check-playwright: pip cannot name the newest version of playwright: {listed.stderr.strip()}")
    lowest = allowed[1] if allowed[1].count(".") == 2 else f"{allowed[1]}.0"
    return list(dict.fromkeys((lowest, locked[1], newest[1])))


def environment(version: str) -> Path:
    """The Python of an environment with the locked tools and one version of Playwright."""
    folder = HOME / version
    python = folder / "bin" / "python"
    made = folder / "made"
    if not made.is_file():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", str(ROOT / "requirements-dev.txt")], check=True)
        subprocess.run([*pip, "--no-deps", f"playwright=={version}"], check=True)
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], check=True)
        made.touch()
    return python


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="check_playwright.py", description="Run the conformance tests of the drivers."
    )
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="(default: the lowest, the locked, the newest)")
    parser.add_argument("--workers", default="2", help="processes of the tests (default: 2)")
    asked = parser.parse_args(arguments)
    failed = []
    for version in asked.versions or versions():
        sys.stdout.write(f"check-playwright: {version}\n")
        sys.stdout.flush()
        python = environment(version)
        done = subprocess.run([str(python), "-m", "pytest", "-q", "-n", asked.workers, *TESTS], cwd=ROOT, check=False)
        if done.returncode:
            failed.append(version)
    ended = f"failed with {' and '.join(failed)}" if failed else "all good"
    sys.stdout.write(f"check-playwright: {ended}\n")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
