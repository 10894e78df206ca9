"""The one table of browser engines: how each is found on a machine, started and cleaned. To add one, write its row here.

Specs, schema, rules, the search for a browser, `orchestra doctor` and the drivers ask for the properties of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

Folder: TypeAlias = tuple[str, str, bool]
"""A folder of programs: its name, the pattern of a program in it, and whether that can only run headless."""


class EngineKind(msgspec.Struct, frozen=True):
    """A browser engine, as compiler and runtime need to know it.

    Attributes:
        name: as a spec writes it, and as Playwright names its type.
        variable: the environment variable of orchestra that names its program.
        variables: those of other tools, in the order in which they are tried.
        installed: the programs of branded installations, by `sys.platform`.
        programs: names on PATH, best first.
        downloads: folders of Playwright's cache, without the revision at the end.
        caches: folders of other tools' caches, relative to the home folder.
        patched: a part of the path of Playwright's own build, as a regular expression; empty where any build will do.
        channel: Playwright's channel for a build that it did not patch. Undocumented, best effort.
        packaged: the npm package `@sparticuz/chromium` has a build of it.
        packages: the package that brings it, by `sys.platform`.
        arguments: of its program.
        preferences: of its profile.
        sandbox: its sandbox can be switched off.
        trusts: it can be given the certificates of a `ca_file`, on Linux.
        devtools: it speaks the Chrome DevTools Protocol.
        permissions: what pages get without being asked.
        grantable: the permissions that a test can give its pages, as Playwright names them.
        mobile: it can show a page as a mobile browser does.
        styled_frames: Playwright puts a style into each frame of a page for a picture.
        required: a machine must have it: without it tests are blocked; those of another engine are skipped.
    """

    name: str
    variable: str
    variables: tuple[str, ...] = ()
    installed: Mapping[str, tuple[str, ...]] = {}
    programs: tuple[str, ...] = ()
    downloads: tuple[Folder, ...] = ()
    caches: tuple[Folder, ...] = ()
    patched: str = ""
    channel: str | None = None
    packaged: bool = False
    packages: Mapping[str, str] = {}
    arguments: tuple[str, ...] = ()
    preferences: Mapping[str, Any] = {}
    sandbox: bool = False
    trusts: bool = False
    devtools: bool = False
    permissions: tuple[str, ...] = ()
    grantable: tuple[str, ...] = ()
    mobile: bool = True
    styled_frames: bool = True
    required: bool = False


_ALL: tuple[EngineKind, ...] = (
    EngineKind(
        "chromium",
        "ORCHESTRA_BROWSER",
        (
            "PLAYWRIGHT_CHROMIUM_EXECUTABLE_PATH",
            "PUPPETEER_EXECUTABLE_PATH",
            "CHROME_PATH",
            "CHROME_BIN",
            "CHROMIUM_BIN",
        ),
        installed={
            "linux": ("/opt/google/chrome/chrome", "/opt/microsoft/msedge/msedge"),
            "darwin": (
                "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
                "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
                "/Applications/Chromium.app/Contents/MacOS/Chromium",
            ),
        },
        programs=(
            # First, as Playwright itself does where no window is wanted: a page costs a third of what it costs the whole
            # browser, which draws through a GPU process that a server has no GPU for.
            "chromium-headless-shell",
            "chromium",
            "chromium-browser",
            "google-chrome-stable",
            "google-chrome",
            "chrome",
            "microsoft-edge-stable",
            "microsoft-edge",
            "chrome-headless-shell",
            "headless-shell",
        ),
        downloads=(
            ("chromium_headless_shell", "*/*headless[-_]shell", True),
            ("chromium", "chrome-linux*/chrome", False),
            ("chromium", "chrome-mac*/*.app/Contents/MacOS/*", False),
        ),
        caches=(
            (".cache/puppeteer/chrome-headless-shell", "*/*/chrome-headless-shell", True),
            (".cache/puppeteer/chrome", "*/chrome-linux64/chrome", False),
            (".cache/puppeteer/chrome", "*/chrome-mac-*/*.app/Contents/MacOS/*", False),
            (".cache/selenium/chrome", "*/*/chrome", False),
        ),
        packaged=True,
        packages={"linux": "chromium", "darwin": "google-chrome"},
        # They limit its network traffic to the page.
        arguments=(
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-quic",
            "--disable-sync",
            "--no-first-run",
        ),
        sandbox=True,
        trusts=True,
        devtools=True,
        permissions=("clipboard-read", "clipboard-write"),
        grantable=(
            "accelerometer",
            "ambient-light-sensor",
            "background-sync",
            "camera",
            "clipboard-read",
            "clipboard-write",
            "geolocation",
            "gyroscope",
            "local-fonts",
            "local-network-access",
            "magnetometer",
            "microphone",
            "midi",
            "midi-sysex",
            "notifications",
            "payment-handler",
            "screen-wake-lock",
            "storage-access",
        ),
        styled_frames=False,
        required=True,
    ),
    EngineKind(
        "firefox",
        "ORCHESTRA_FIREFOX",
        ("PLAYWRIGHT_FIREFOX_EXECUTABLE_PATH", "FIREFOX_BIN"),
        installed={"darwin": ("/Applications/Firefox.app/Contents/MacOS/firefox",)},
        programs=("firefox-esr", "firefox"),
        downloads=(
            ("firefox", "firefox/firefox", False),
            ("firefox", "firefox/*.app/Contents/MacOS/firefox", False),
        ),
        patched=r"firefox-\d+",
        channel="moz-firefox",
        packages={"linux": "firefox-esr", "darwin": "firefox"},
        grantable=("geolocation", "notifications", "persistent-storage", "push", "screen-wake-lock"),
        mobile=False,
        # It stores no left pages: Playwright gets no event when one of them is shown again.
        preferences={"fission.bfcacheInParent": False, "browser.sessionhistory.max_total_viewers": 0},
    ),
    EngineKind(
        "webkit",
        "ORCHESTRA_WEBKIT",
        ("PLAYWRIGHT_WEBKIT_EXECUTABLE_PATH",),
        grantable=("camera", "clipboard-read", "geolocation", "microphone", "notifications", "screen-wake-lock"),
        downloads=(("webkit", "pw_run.sh", False),),
    ),
)

ENGINES: Final[Mapping[str, EngineKind]] = {kind.name: kind for kind in _ALL}
"""Each engine, by its name in a spec."""

DEFAULT_ENGINE: Final = _ALL[0].name
"""The browser of a test that names none."""

REQUIRED_ENGINE: Final = next(kind.name for kind in _ALL if kind.required)
"""The browser that a machine must have."""
