"""Finding a browser: the order of places, the proof by launching, the memory of it, and what is said when none starts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec
import psutil
import pytest
from playwright.sync_api import sync_playwright

from orchestra.engines import ENGINES
from orchestra.runtime.browsers import finder
from orchestra.runtime.browsers.finder import Browser, Missing, cache_folder, find, launch_options
from orchestra.runtime.browsers.pack import environment, unpack
from orchestra.runtime.browsers.places import PACKAGE, places, playwright_package
from orchestra.runtime.processes.process import alive
from tests.support.servers import until

REAL = dict(os.environ)


def program(path: Path, text: str = "#!/bin/sh\nexit 3\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def bare(home: Path, **more: str) -> dict[str, str]:
    """An environment in which nothing is found but what a test puts there."""
    return {"HOME": str(home), "PATH": str(home / "bin"), **more}


@pytest.fixture
def nothing_installed(monkeypatch):
    bare = {name: msgspec.structs.replace(kind, installed={}) for name, kind in ENGINES.items()}
    monkeypatch.setattr("orchestra.runtime.browsers.places.ENGINES", bare)


# ------------------------------------------------------------------------------------------------- the real browser


@pytest.mark.browser
def test_what_is_found_launches_with_its_options(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options(chromium, REAL))
        page = browser.new_page()
        page.set_content("<title>found</title>")
        assert page.title() == "found"
        assert browser.version == chromium.version
        browser.close()


@pytest.mark.browser
def test_the_second_find_launches_nothing(chromium, tmp_path, monkeypatch):
    env = {**REAL, "XDG_CACHE_HOME": str(tmp_path), "ORCHESTRA_BROWSER": chromium.executable}
    first = find("chromium", env)
    assert isinstance(first, Browser)
    monkeypatch.setattr(finder, "_prove", lambda *_, **__: pytest.fail("launched again"))
    assert find("chromium", env) == first
    memory = json.loads((tmp_path / "orchestra" / "browsers.json").read_text())
    assert [entry["version"] for entry in memory.values()] == [first.version]


@pytest.mark.browser
def test_a_program_that_exists_and_does_not_start_is_passed_over(chromium, tmp_path, nothing_installed):
    for name in ("chromium-headless-shell", "chromium"):
        program(tmp_path / "bin" / name)
    target = tmp_path / "bin" / "google-chrome"
    target.symlink_to(chromium.executable)
    env = {**REAL, **bare(tmp_path), "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", **dict(chromium.env)}
    found = find("chromium", env)
    assert isinstance(found, Browser), found
    assert found.origin == "google-chrome on PATH"


@pytest.mark.browser
def test_the_check_says_the_version_and_the_error(chromium):
    def check(options: dict) -> dict:
        done = subprocess.run(
            [sys.executable, "-m", "orchestra.runtime.browsers.check"],
            input=json.dumps({"engine": "chromium", "options": options}),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    assert check(launch_options(chromium, REAL)) == {"version": chromium.version}
    assert "/nonexistent" in check({"executable_path": "/nonexistent"})["error"]


# -------------------------------------------------------------------------------------------------- what is missing


def test_nothing_at_all_names_the_fixes(tmp_path, nothing_installed):
    found = find("chromium", bare(tmp_path))
    assert isinstance(found, Missing)
    assert found.reason == "no chromium on this machine"
    assert found.tried == ()
    assert "playwright install --with-deps chromium" in found.text()
    assert "ORCHESTRA_BROWSER=/path/to/a/browser" in found.text()


def test_what_did_not_start_is_told_with_its_reason(tmp_path, nothing_installed):
    broken = program(
        tmp_path / "bin" / "chromium",
        "#!/bin/sh\necho chromium: error while loading shared libraries: libnss3.so: cannot open >&2\nexit 127\n",
    )
    found = find("chromium", bare(tmp_path))
    assert isinstance(found, Missing)
    assert found.reason == "no chromium on this machine starts"
    assert len(found.tried) == 1
    assert found.tried[0].startswith(f"{broken} (chromium on PATH): ")
    assert "error while loading shared libraries: libnss3.so" in found.tried[0]
    assert not (tmp_path / ".cache" / "orchestra" / "browsers.json").exists()


def test_a_sandbox_that_the_machine_forbids_has_its_own_mend(tmp_path, nothing_installed):
    noise = "[77:77:1125/224308.450297:ERROR:content/browser/zygote_host.cc:130]"
    program(tmp_path / "bin" / "chromium", f"#!/bin/sh\necho '{noise} No usable sandbox! Install it.' >&2\nexit 1\n")
    found = find("chromium", bare(tmp_path))
    assert isinstance(found, Missing)
    assert found.sandboxed_out
    assert found.tried == (f"{tmp_path / 'bin' / 'chromium'} (chromium on PATH): No usable sandbox! Install it.",)
    assert found.fixes[0].startswith("ORCHESTRA_SANDBOX=off")
    assert "chromium-sandbox" in found.fixes[1]
    assert not find("chromium", bare(tmp_path / "empty")).sandboxed_out


def test_a_browser_that_the_user_names_has_no_stand_in(tmp_path):
    program(tmp_path / "bin" / "chromium")
    found = find("chromium", bare(tmp_path, ORCHESTRA_BROWSER="no-such-thing"))
    assert isinstance(found, Missing)
    assert found.reason == ('ORCHESTRA_BROWSER names "no-such-thing", which is neither a file nor a name on PATH')
    assert "leave ORCHESTRA_BROWSER unset" in found.text()


@pytest.mark.parametrize("engine", ["firefox", "webkit"])
def test_other_engines_are_missing_with_their_own_words(tmp_path, nothing_installed, engine):
    found = find(engine, bare(tmp_path))
    assert isinstance(found, Missing)
    assert found.reason == f"no {engine} on this machine"
    assert f"playwright install --with-deps {engine}" in found.text()


# ------------------------------------------------------------------------------------------------------- the places


def own_revision(name: str) -> str:
    table = json.loads((playwright_package() / "browsers.json").read_text())
    return next(browser["revision"] for browser in table["browsers"] if browser["name"] == name)


def test_the_order_of_places(tmp_path, nothing_installed):
    revision = own_revision("chromium")
    cache = tmp_path / ".cache"
    given = program(tmp_path / "given")
    shell = program(
        cache / f"ms-playwright/chromium_headless_shell-{revision}/chrome-headless-shell-linux64/chrome-headless-shell"
    )
    own = program(cache / f"ms-playwright/chromium-{revision}/chrome-linux64/chrome")
    old = program(cache / "ms-playwright/chromium-1000/chrome-linux/chrome")
    named_shell = program(tmp_path / "bin" / "chromium-headless-shell")
    named = program(tmp_path / "bin" / "chromium")
    puppeteer_9 = program(cache / "puppeteer/chrome/linux-99.0.1/chrome-linux64/chrome")
    puppeteer_10 = program(cache / "puppeteer/chrome/linux-100.0.1/chrome-linux64/chrome")
    package = tmp_path / "project" / PACKAGE
    program(package / "bin" / "chromium.br")
    (package / "package.json").write_text('{"version": "147.0.0"}')
    env = bare(tmp_path, CHROME_PATH=str(given))
    found = places("chromium", env, tmp_path / "project", tmp_path / "cache")
    assert [place.executable for place in found] == [
        given,
        shell,
        own,
        named_shell,
        named,
        old,
        puppeteer_10,
        puppeteer_9,
        tmp_path / "project/node_modules/.cache/orchestra/sparticuz-chromium-147.0.0/chromium",
    ]
    assert [place.headless_only for place in found] == [False, True, False, True, False, False, False, False, True]


@pytest.mark.parametrize(
    "text, name",
    [
        ('{"version": "147.0.0"}', "147.0.0"),
        ('{"version": "../../x"}', ".._.._x"),
        ('{"version": ["/"]}', "_____"),
        ("{}", "unknown"),
        ("[" * 100_000, "unknown"),
    ],
    ids=["version", "way out", "list", "none", "nested"],
)
@pytest.mark.parametrize("where", ["project", "cache"])
def test_a_package_is_unpacked_in_the_project_that_brought_it(tmp_path, nothing_installed, text, name, where):
    """Only what the set-up of this program put into the user's cache is unpacked there, for all projects."""
    package = tmp_path / where / PACKAGE
    program(package / "bin" / "chromium.br")
    (package / "package.json").write_text(text)
    (place,) = places("chromium", bare(tmp_path), tmp_path / "project", tmp_path / "cache")
    folder = tmp_path / {"project": "project/node_modules/.cache/orchestra", "cache": "cache"}[where]
    assert place.executable == folder / f"sparticuz-chromium-{name}" / "chromium"


@pytest.mark.parametrize("entry", ["project/.venv/bin", "project/node_modules/.bin", "link", ".", ""])
def test_a_program_of_the_project_stands_for_no_browser(tmp_path, nothing_installed, monkeypatch, entry):
    (tmp_path / "project/.git").mkdir(parents=True)
    (tmp_path / "link").symlink_to("project")
    monkeypatch.chdir(tmp_path / "project")
    folder = tmp_path / entry if entry not in {".", ""} else tmp_path / "project"
    program(folder / "chromium")
    path = str(folder) if entry not in {".", ""} else entry
    outside = program(tmp_path / "outside/chromium")
    env = {**bare(tmp_path), "PATH": f"{path}:{tmp_path / 'outside'}"}
    assert [place.executable for place in places("chromium", env, tmp_path / "project", None)] == [outside]
    (tmp_path / "project/app").mkdir()
    assert [place.executable for place in places("chromium", env, tmp_path / "project/app", None)] == [outside]


def test_one_program_by_two_names_is_one_place(tmp_path, nothing_installed):
    first = program(tmp_path / "bin" / "chromium")
    (tmp_path / "bin" / "google-chrome").symlink_to(first)
    assert [place.executable for place in places("chromium", bare(tmp_path), None, None)] == [first]


def test_a_stock_firefox_has_its_channel_and_playwrights_own_has_none(tmp_path, nothing_installed):
    own = program(tmp_path / f".cache/ms-playwright/firefox-{own_revision('firefox')}/firefox/firefox")
    stock = program(tmp_path / "bin" / "firefox-esr")
    found = places("firefox", bare(tmp_path), None, None)
    assert [(place.executable, place.channel) for place in found] == [(own, None), (stock, "moz-firefox")]
    named = places("firefox", bare(tmp_path, ORCHESTRA_FIREFOX=str(own)), None, None)
    assert [(place.executable, place.channel) for place in named] == [(own, None)]


@pytest.mark.parametrize("chosen", ["elsewhere", "0"])
def test_playwrights_variable_for_its_downloads_is_obeyed(tmp_path, chosen, nothing_installed):
    program(tmp_path / f"elsewhere/webkit-{own_revision('webkit')}/pw_run.sh")
    env = bare(tmp_path, PLAYWRIGHT_BROWSERS_PATH=chosen if chosen == "0" else str(tmp_path / chosen))
    assert len(places("webkit", env, None, None)) == (0 if chosen == "0" else 1)


def test_an_exchanged_program_has_another_fingerprint(tmp_path, nothing_installed):
    path = program(tmp_path / "bin" / "chromium")
    (place,) = places("chromium", bare(tmp_path), None, None)
    before = place.fingerprint()
    assert place.fingerprint() == before
    program(path, "#!/bin/sh\nexit 4 # longer\n")
    assert place.fingerprint() != before


# ----------------------------------------------------------------------------------------------- options and memory


def test_options_say_no_more_than_what_was_found():
    plain = Browser("chromium", "/x/chrome", None, ("--a",), (), "1", "test")
    assert launch_options(plain, {"A": "1"}) == {
        "headless": True,
        "args": ["--a"],
        "timeout": 60_000,
        "executable_path": "/x/chrome",
        "chromium_sandbox": True,
    }
    root = Browser("chromium", "/x/chrome", None, ("--no-sandbox",), (("B", "2"),), "1", "test")
    assert launch_options(root, {"A": "1"}, headless=False) == {
        "headless": False,
        "args": ["--no-sandbox"],
        "timeout": 60_000,
        "executable_path": "/x/chrome",
        "env": {"A": "1", "B": "2"},
        "chromium_sandbox": False,
    }
    firefox = Browser("firefox", "/x/firefox", "moz-firefox", (), (), "1", "test")
    assert launch_options(firefox, {})["channel"] == "moz-firefox"
    assert "chromium_sandbox" not in launch_options(firefox, {})


@pytest.mark.parametrize("uid, variable, sandboxed", [(0, "", False), (1000, "", True), (1000, "off", False)])
def test_the_sandbox_is_off_for_root_or_when_asked(monkeypatch, tmp_path, nothing_installed, uid, variable, sandboxed):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(finder, "_prove", lambda *_, **__: ("1.0", ""))
    program(tmp_path / "bin" / "chromium")
    found = find("chromium", bare(tmp_path, ORCHESTRA_SANDBOX=variable))
    assert isinstance(found, Browser)
    assert ("--no-sandbox" not in found.args) is sandboxed


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"KEY": 1}', '{"KEY": {"place": "x", "version": "1"}}'])
def test_a_damaged_memory_is_none(monkeypatch, tmp_path, nothing_installed, damage):
    calls = []
    monkeypatch.setattr(finder, "_prove", lambda *_, **__: calls.append(1) or ("1.0", ""))
    monkeypatch.setattr(finder, "_key", lambda *_: "KEY")
    program(tmp_path / "bin" / "chromium")
    memory = tmp_path / ".cache" / "orchestra" / "browsers.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(damage)
    assert isinstance(find("chromium", bare(tmp_path)), Browser)
    assert isinstance(find("chromium", bare(tmp_path)), Browser)
    assert len(calls) == 1


def test_without_a_home_nothing_is_remembered(monkeypatch, tmp_path, nothing_installed):
    calls = []
    monkeypatch.setattr(finder, "_prove", lambda *_, **__: calls.append(1) or ("1.0", ""))
    program(tmp_path / "bin" / "chromium")
    env = {"PATH": str(tmp_path / "bin")}
    assert cache_folder(env) is None
    assert find("chromium", env) == find("chromium", env)
    assert len(calls) == 2


def test_headed_leaves_out_what_has_no_window(monkeypatch, tmp_path, nothing_installed):
    monkeypatch.setattr(finder, "_prove", lambda *_, **__: ("1.0", ""))
    program(tmp_path / "bin" / "chrome-headless-shell")
    assert isinstance(find("chromium", bare(tmp_path)), Browser)
    assert isinstance(find("chromium", bare(tmp_path), headed=True), Missing)


def test_a_browser_that_hangs_is_ended(monkeypatch, tmp_path, nothing_installed):
    monkeypatch.setattr(finder, "PROOF_SECONDS", 1.0)
    pid = tmp_path / "pid"
    hung = f"#!/bin/sh\necho $$ >{pid}.part && /bin/mv {pid}.part {pid}\nexec /bin/sleep 600\n"
    program(tmp_path / "bin" / "chromium", hung)
    ended, running = finder._end, []

    def end_when_it_runs(top: int) -> None:
        until(pid.exists, "the browser")
        running.append(psutil.Process(int(pid.read_text())))
        ended(top)

    monkeypatch.setattr(finder, "_end", end_when_it_runs)
    found = find("chromium", {**REAL, **bare(tmp_path)})  # no other browser on PATH
    assert isinstance(found, Missing)
    assert found.tried[0].startswith(str(tmp_path / "bin" / "chromium"))
    assert found.tried[0].endswith("did not answer within 1 seconds")
    until(lambda: not alive(running[0]), "the end of the browser, which sleeps longer than this waits")


# ------------------------------------------------------------------------------------------------------ the package


def pack(folder: Path, files: dict[str, str]) -> Path:
    """A package of the shape of @sparticuz/chromium, made by the same Node that unpacks it."""
    (folder / "bin").mkdir(parents=True)
    (folder / "package.json").write_text('{"version": "1.2.3"}')
    contents = {"fonts.tar.br": "fonts/f.ttf", "swiftshader.tar.br": "libEGL.so", "al2023.tar.br": "lib/libnss3.so"}
    for name, member in contents.items():
        source = folder / "source"
        source.write_text(files.get(member, member))
        with tarfile.open(folder / "plain", "w") as archive:
            archive.add(source, member)
        deflate(folder / "plain", folder / "bin" / name)
    (folder / "plain").write_text(files.get("chromium", "#!/bin/sh\n"))
    deflate(folder / "plain", folder / "bin" / "chromium.br")
    return folder


def deflate(source: Path, target: Path) -> None:
    text = "const z=require('zlib'),f=require('fs');f.writeFileSync(process.argv[2],z.brotliCompressSync(f.readFileSync(process.argv[1])))"
    subprocess.run([playwright_package().parent / "node", "-e", text, source, target], check=True)


def test_the_package_is_unpacked_once_and_whole(tmp_path):
    package = pack(tmp_path / "package", {})
    target = tmp_path / "cache & <more>" / "unpacked"
    unpack(package, target, playwright_package().parent / "node")
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()) == [
        "chromium",
        "fonts.conf",
        "fonts/f.ttf",
        "lib/libnss3.so",
        "libEGL.so",
    ]
    assert os.access(target / "chromium", os.X_OK)
    assert "cache &amp; &lt;more&gt;/unpacked/fonts</dir>" in (target / "fonts.conf").read_text()
    shutil.rmtree(package)
    unpack(package, target, playwright_package().parent / "node")
    assert [path.name for path in target.parent.iterdir()] == ["unpacked"]


def test_a_damaged_package_leaves_nothing(tmp_path):
    package = pack(tmp_path / "package", {})
    (package / "bin" / "fonts.tar.br").write_text("no brotli")
    with pytest.raises(subprocess.CalledProcessError):
        unpack(package, tmp_path / "cache" / "unpacked", playwright_package().parent / "node")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_package_is_told(tmp_path, nothing_installed):
    pack(tmp_path / PACKAGE, {})
    (tmp_path / PACKAGE / "bin" / "fonts.tar.br").write_text("no brotli")
    found = find("chromium", bare(tmp_path), tmp_path)
    assert isinstance(found, Missing)
    assert "cannot be unpacked" in found.tried[0]


def test_the_unpacked_program_gets_its_libraries_first(tmp_path):
    assert environment(tmp_path, "") == (
        ("FONTCONFIG_FILE", str(tmp_path / "fonts.conf")),
        ("LD_LIBRARY_PATH", f"{tmp_path / 'lib'}:{tmp_path}"),
    )
    assert environment(tmp_path, "/opt/lib")[1][1].endswith(":/opt/lib")
