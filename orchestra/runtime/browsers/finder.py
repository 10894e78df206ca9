"""Find a browser on this machine that really launches.

`find` tries the places of `orchestra.runtime.browsers.places` in their order and returns the first that opens
about:blank. The check costs about a second, so its result is cached in the user's cache folder under a digest of every
place that was seen: while no program is added, removed or changed, the next call costs milliseconds. `launch_options`
returns the options of a launch; drivers and the check itself use them, so the checked browser is the one that runs.

Variables read: ORCHESTRA_BROWSER, ORCHESTRA_FIREFOX, ORCHESTRA_WEBKIT (a path or a name on PATH; if set, no other
browser replaces it) and ORCHESTRA_SANDBOX (`off` disables Chromium's sandbox; by default only root runs without it).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import psutil

from orchestra import checkout
from orchestra.engines import ENGINES
from orchestra.runtime import interpreter, scratch
from orchestra.runtime.browsers.pack import environment, unpack
from orchestra.runtime.browsers.places import Place, places, playwright_package

LAUNCH_SECONDS = 60.0
"""The limit of a browser start. Generous, because a loaded machine does not mean a broken browser."""
PROOF_SECONDS = LAUNCH_SECONDS + 30.0
"""Of the whole proof, in which Playwright has its own limit."""


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that was launched once to prove that it works.

    Attributes:
        engine: chromium, firefox or webkit.
        executable: the program; None leaves the choice to Playwright.
        channel: Playwright's channel, None if the executable is sufficient.
        args: command-line arguments.
        env: variables that it needs on top of the environment.
        version: as the browser reports it.
        origin: how it was found, for people.
    """

    engine: str
    executable: str | None
    channel: str | None
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    version: str
    origin: str


@dataclass(frozen=True, slots=True)
class Missing:
    """No browser of this engine works here.

    Attributes:
        engine: chromium, firefox or webkit.
        reason: one sentence.
        tried: each program that failed to launch, with its error.
        fixes: what the user can do, best first.
    """

    engine: str
    reason: str
    tried: tuple[str, ...]
    fixes: tuple[str, ...]

    @property
    def sandboxed_out(self) -> bool:
        """Return True if a browser was found but the system forbids its sandbox, so that another one does not help."""
        return any(_NO_SANDBOX in line for line in self.tried)

    def text(self) -> str:
        """Return the reason, what was tried and the fixes, over several lines."""
        tried = [f"  tried {line}" for line in self.tried]
        return "\n".join([self.reason, *tried, "any of these fixes it:", *(f"  - {fix}" for fix in self.fixes)])


def find(engine: str, env: Mapping[str, str], root: Path | None = None, *, headed: bool = False) -> Browser | Missing:
    """Return the first browser that opens about:blank.

    Args:
        engine: chromium, firefox or webkit.
        env: the environment, read for names, PATH, HOME and the cache folder.
        root: the project root, whose `node_modules` is looked at; None looks at none.
        headed: with a window; what cannot open one is left out, and no earlier proof counts: displays come and go.
    """
    cache = cache_folder(env)
    seen = [place for place in places(engine, env, root, cache) if not (headed and place.headless_only)]
    for place in seen:
        if place.named and not place.executable.is_file():
            reason = (
                f'{ENGINES[engine].variable} names "{place.executable}", which is neither a file nor a name on PATH'
            )
            return Missing(engine, reason, (), _fixes(engine, named=True))
    key = _key(seen, env)
    kept = None if headed else _recall(cache, key)
    if kept is not None and kept[0] < len(seen):
        return _browser(seen[kept[0]], env, kept[1])
    tried, given = [], checkout.environment(scratch.environment(env)[0], root or Path.cwd())
    for index, place in enumerate(seen):
        version, error = _prove(place, given, headed=headed)
        if version:
            if not headed:
                _remember(cache, key, index, version)
            return _browser(place, env, version)
        tried.append(f"{place.executable} ({place.origin}): {error}")
    named = any(place.named for place in seen)
    reason = f"no {engine} on this machine" + (" starts" if tried else "")
    sandbox = _SANDBOX_FIXES if any(_NO_SANDBOX in line for line in tried) else ()
    return Missing(engine, reason, tuple(tried), (*sandbox, *_fixes(engine, named=named)))


def launch_options(browser: Browser, env: Mapping[str, str], *, headless: bool = True) -> dict[str, Any]:
    """Return the arguments for Playwright's `launch`, of its Python library; `env` is the environment to build on."""
    options: dict[str, Any] = {"headless": headless, "args": list(browser.args), "timeout": LAUNCH_SECONDS * 1000}
    if browser.executable:
        options["executable_path"] = browser.executable
    if browser.channel:
        options["channel"] = browser.channel
    if browser.env:
        options["env"] = {**env, **dict(browser.env)}
    kind = ENGINES[browser.engine]
    if kind.sandbox:
        options[f"{kind.name}_sandbox"] = _NO_SANDBOX_ARGUMENT not in browser.args
    if kind.preferences:
        options[f"{kind.name}_user_prefs"] = dict(kind.preferences)
    return options


def cache_folder(env: Mapping[str, str]) -> Path | None:
    """Return the folder of this program in the user's cache, None if there is no home folder."""
    if env.get("XDG_CACHE_HOME"):
        return Path(env["XDG_CACHE_HOME"]) / "orchestra"
    if not env.get("HOME") or not Path(env["HOME"]).is_dir():
        return None
    return Path(env["HOME"]) / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "orchestra"


def _browser(place: Place, env: Mapping[str, str], version: str) -> Browser:
    extra = environment(place.executable.parent, env.get("LD_LIBRARY_PATH", "")) if place.package else ()
    kind = ENGINES[place.engine]
    args = (*kind.arguments, _NO_SANDBOX_ARGUMENT) if kind.sandbox and _without_sandbox(env) else kind.arguments
    return Browser(place.engine, str(place.executable), place.channel, args, extra, version, place.origin)


def _without_sandbox(env: Mapping[str, str]) -> bool:
    return os.geteuid() == 0 or env.get("ORCHESTRA_SANDBOX") == "off"


def _prove(place: Place, env: Mapping[str, str], *, headed: bool) -> tuple[str, str]:
    """Return the version of a browser that launches and an empty text, or an empty text and the reason."""
    if place.package:
        driver = playwright_package()
        if driver is None:
            return "", "the Playwright package is not installed"
        try:
            unpack(place.package, place.executable.parent, driver.parent / "node")
        except (OSError, subprocess.CalledProcessError, tarfile.TarError) as error:
            return "", f"cannot be unpacked: {error}"
    options = launch_options(_browser(place, env, ""), env, headless=not headed)
    answer = ask({"engine": place.engine, "options": options}, env)
    if answer is None:
        return "", f"did not answer within {PROOF_SECONDS:.0f} seconds"
    return answer.get("version", ""), _telling_line(answer.get("error", ""))


def ask(request: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, str] | None:
    """Return the answer of `orchestra.runtime.browsers.check` in a process of its own; None if there is none in time.

    Args:
        request: what it reads.
        env: of the process.
    """
    process = subprocess.Popen(
        interpreter.own("orchestra.runtime.browsers.check"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(env),
        start_new_session=True,
    )
    try:
        out, err = process.communicate(json.dumps(request), timeout=PROOF_SECONDS)
    except subprocess.TimeoutExpired:
        _end(process.pid)
        process.communicate()
        return None
    answer: dict[str, str] = {"error": _telling_line(err)} if process.returncode else json.loads(out)
    return answer


def _end(pid: int) -> None:
    """End a proof and the browser that it started: Playwright gives a browser a session of its own."""
    with suppress(psutil.Error):
        top = psutil.Process(pid)
        for one in [*top.children(recursive=True), top]:
            with suppress(psutil.Error):
                one.kill()


_NO_SANDBOX_ARGUMENT = "--no-sandbox"
_NO_SANDBOX = "No usable sandbox"
"""The error of every Chromium build on a machine where users cannot create namespaces, as in many containers."""

_SANDBOX_FIXES = (
    "ORCHESTRA_SANDBOX=off if the machine forbids Chromium's sandbox and you trust the pages",
    "apt-get install -y chromium-sandbox   (Debian, as root)",
)

_TELLING = (
    "error while loading shared libraries",
    "Missing X server",
    _NO_SANDBOX,
    "FATAL",
    "cannot open",
    "spawn ",
    "requires the",
)


def _telling_line(text: str) -> str:
    """Return the line of a long launch error that has the reason; the first if none is recognised."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for word in _TELLING for line in lines if word in line]
    line = (telling or lines or ["no reason given"])[0]
    return line[max(line.find(_NO_SANDBOX), 0) :][:300]  # without process ids and places in Chromium's source


def _key(seen: list[Place], env: Mapping[str, str]) -> str:
    """Change when any program that could be chosen comes, goes or changes, or Playwright does."""
    parts = [place.fingerprint() for place in seen]
    parts += [version_of("playwright"), str(_without_sandbox(env)), env.get("LD_LIBRARY_PATH", "")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _recall(cache: Path | None, key: str) -> tuple[int, str] | None:
    """Which place was proven under this key and its version. A damaged cache is no cache."""
    if cache is None:
        return None
    with suppress(OSError, ValueError, KeyError, TypeError):
        entry = json.loads((cache / "browsers.json").read_text(encoding="utf-8"))[key]
        return int(entry["place"]), str(entry["version"])
    return None


def _remember(cache: Path | None, key: str, index: int, version: str) -> None:
    """Keep a proof. A cache that cannot be written costs time and nothing else."""
    if cache is None:
        return
    known: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        read = json.loads((cache / "browsers.json").read_text(encoding="utf-8"))
        known = dict(list(read.items())[-20:]) if isinstance(read, dict) else {}
    known[key] = {"place": index, "version": version}
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=cache, delete=False) as scratch:
            json.dump(known, scratch, indent=1)
        Path(scratch.name).replace(cache / "browsers.json")


def _fixes(engine: str, *, named: bool) -> tuple[str, ...]:
    kind = ENGINES[engine]
    variable = kind.variable
    own = f"{variable}=/path/to/a/browser" + (f", or leave {variable} unset to search for one" if named else "")
    package = kind.packages.get(sys.platform)
    install = {"linux": f"apt-get install -y {package}   (Debian, as root)", "darwin": f"brew install --cask {package}"}
    fixes = [own]
    if package and sys.platform in install:
        fixes.append(install[sys.platform])
    fixes.append(f"{sys.executable} -m playwright install --with-deps {engine}")
    if kind.packaged:
        fixes.append("npm install @sparticuz/chromium   (Linux on x86-64; carries its own libraries)")
    return tuple(fixes)


__all__ = ["Browser", "Missing", "cache_folder", "find", "launch_options"]
