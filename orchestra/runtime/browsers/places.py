"""List the places of browsers on a machine, in the order in which to try them.

The order: what the environment names, Playwright's own downloads, the branded installations that Playwright calls
channels, names on PATH, the caches of other tools, and the npm package `@sparticuz/chromium`. A place that exists
proves nothing: `orchestra.runtime.browsers.finder` launches what is listed here before it believes it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from orchestra import checkout
from orchestra.engines import ENGINES, EngineKind

PACKAGE = "node_modules/@sparticuz/chromium"
_UNPACKED = "node_modules/.cache/orchestra"


@dataclass(frozen=True, slots=True)
class Place:
    """A program that may be a browser.

    Attributes:
        engine: one of `ENGINES`.
        origin: how it was found, for people.
        executable: the program; with `package`, where it will be after unpacking.
        channel: Playwright's channel, None if the executable is sufficient.
        named: the user named it with orchestra's own variable, so nothing else may stand in for it.
        headless_only: it cannot open a window.
        package: the folder of `@sparticuz/chromium` that must be unpacked first.
    """

    engine: str
    origin: str
    executable: Path
    channel: str | None = None
    named: bool = False
    headless_only: bool = False
    package: Path | None = None

    def fingerprint(self) -> str:
        """Return a text that changes when the program is exchanged: path, size and time of change."""
        known = self.package / "bin" / "chromium.br" if self.package else self.executable
        status = known.stat()
        return f"{self.engine}|{self.origin}|{known}|{status.st_size}|{status.st_mtime_ns}|{self.channel}"


def places(engine: str, env: Mapping[str, str], root: Path | None, cache: Path | None) -> list[Place]:
    """Return every place that exists, best first, each program once.

    Args:
        engine: one of `ENGINES`.
        env: the environment to read.
        root: the project root, whose `node_modules` is looked at; None looks at none.
        cache: this program's cache folder, where packages are unpacked; None leaves packages out.
    """
    seen: set[str] = set()
    found = []
    for place in _candidates(engine, env, root, cache):
        known = place.package or place.executable
        if place.named or (known.exists() and os.path.realpath(known) not in seen):
            seen.add(os.path.realpath(known))
            found.append(place)
    return found


def _candidates(engine: str, env: Mapping[str, str], root: Path | None, cache: Path | None) -> Iterator[Place]:
    path, folder = env.get("PATH", os.defpath), root or Path.cwd()
    kind = ENGINES[engine]
    own = env.get(kind.variable)
    if own:
        named = Path(own if "/" in own else checkout.program(own, path, folder) or own)
        yield Place(engine, f"${kind.variable}", named, _channel(kind, named), named=True)
        return
    for variable in kind.variables:
        if env.get(variable):
            given = Path(env[variable])
            yield Place(engine, f"${variable}", given, _channel(kind, given))
    yield from _playwright(kind, env, own=True)
    for installed in kind.installed.get(sys.platform, ()):
        yield Place(engine, "installed", Path(installed), kind.channel)
    for name in kind.programs:
        program = checkout.program(name, path, folder)
        if program:
            yield Place(engine, f"{name} on PATH", Path(program), kind.channel, headless_only="headless" in name)
    yield from _playwright(kind, env, own=False)
    yield from _other_caches(kind, env)
    if kind.packaged and cache is not None:
        yield from _packages(kind, root, cache)


def _channel(kind: EngineKind, program: Path) -> str | None:
    """Return the channel for a program by where it lies: Playwright's own build is patched and needs none."""
    patched = any(re.fullmatch(kind.patched, part) for part in program.parts)
    return None if patched else kind.channel


def _playwright(kind: EngineKind, env: Mapping[str, str], *, own: bool) -> Iterator[Place]:
    """Playwright's downloads: with `own` of the revision that the installed Playwright wants, else the others."""
    driver = playwright_package()
    if driver is None:
        return
    cache = _playwright_cache(env, driver)
    revisions = _revisions(driver)
    origin = "Playwright's own" if own else "Playwright's cache, of another version"
    for folder, pattern, headless_only in kind.downloads:
        wanted = revisions.get(folder.replace("_", "-"), set())
        for program in _newest_first(cache, f"{folder}-*/{pattern}"):
            revision = program.relative_to(cache).parts[0].rpartition("-")[2]
            if (revision in wanted) is own:
                yield Place(kind.name, origin, program, headless_only=headless_only)


def playwright_package() -> Path | None:
    """Return the folder of the driver inside the Playwright wheel, found without importing Playwright."""
    spec = find_spec("playwright")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "driver" / "package"


def _playwright_cache(env: Mapping[str, str], driver: Path) -> Path:
    chosen = env.get("PLAYWRIGHT_BROWSERS_PATH")
    if chosen == "0":
        return driver / ".local-browsers"
    if chosen:
        return Path(chosen)
    home = Path(env.get("HOME", "/nonexistent"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "ms-playwright"
    return Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "ms-playwright"


FILM_FIX = "`playwright install ffmpeg` installs the program that records it"


def film_program(env: Mapping[str, str]) -> Path | None:
    """Return the program with which Playwright makes videos, of the revision that it wants; None when it is not there."""
    driver = playwright_package()
    if driver is None:
        return None
    found = (
        program
        for revision in sorted(_revisions(driver).get("ffmpeg", ()))
        for program in (_playwright_cache(env, driver) / f"ffmpeg-{revision}").glob("ffmpeg-*")
    )
    return next(found, None)


def _revisions(driver: Path) -> dict[str, set[str]]:
    """Engine name to the revisions that this Playwright drives, from the wheel's own table."""
    table = json.loads((driver / "browsers.json").read_text(encoding="utf-8"))
    return {
        browser["name"]: {browser["revision"], *browser.get("revisionOverrides", {}).values()}
        for browser in table["browsers"]
    }


def _other_caches(kind: EngineKind, env: Mapping[str, str]) -> Iterator[Place]:
    home = Path(env.get("HOME", "/nonexistent"))
    for folder, pattern, headless_only in kind.caches:
        for program in _newest_first(home / folder, pattern):
            origin = f"~/{folder.rpartition('/')[0]}"
            yield Place(kind.name, origin, program, headless_only=headless_only)


def _packages(kind: EngineKind, root: Path | None, cache: Path) -> Iterator[Place]:
    """Yield the npm package, in the project or where the set-up of this program put it.

    That of a project is unpacked in the project: no other project shall run a browser that this one brought.
    """
    for base, place in ((root, root / _UNPACKED if root is not None else None), (cache, cache)):
        if base is None or place is None:
            continue
        package = base / PACKAGE
        if (package / "bin" / "chromium.br").is_file():
            unpacked = place / f"sparticuz-chromium-{_version(package)}"
            yield Place(
                kind.name, "npm @sparticuz/chromium", unpacked / "chromium", headless_only=True, package=package
            )


def _version(package: Path) -> str:
    """Return the declared version of an npm package, as a part of a file name."""
    try:
        return re.sub(r"[^\w.-]", "_", str(json.loads((package / "package.json").read_bytes())["version"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "unknown"


def _newest_first(folder: Path, pattern: str) -> list[Path]:
    """Return the matches sorted by the numbers in their paths, the greatest first."""
    return sorted(folder.glob(pattern), key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))], reverse=True)
