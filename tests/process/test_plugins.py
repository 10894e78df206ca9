"""A plug-in, from the key in the spec to the report: it is built, installed, and used by processes as a user's would be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import DATA
from tests.support.project import Ended, SuiteProject, ended, environment
from tests.support.servers import free_range

SAMPLE = DATA / "plug-in"

SPEC = """\
orchestra: 1
suite: s
plugins: [orchestra-sample]
methods: {{text: {{driver: text}}}}
health:
  web:
    service: {{run: [python, -P, -m, http.server, --bind, 127.0.0.1, "${{port}}"], port_range: {low}-{high}}}
    ready: {{line: {{send: "GET / HTTP/1.0\\r\\n", match: "HTTP.* 200"}}, within_seconds: 60}}
tests:
  A: {{title: good, steps: [{{goto: "${{web.url}}/page.html"}}, {{expect: {{text: Hello, to: {{be: visible}}}}}}, {{words: Hello}}]}}
  B: {{title: bad, steps: [{{goto: "${{web.url}}/page.html"}}, {{expect: {{text: Bye, to: {{be: visible}}}}}}]}}
"""


def install(source: Path, target: Path) -> Path:
    """Install a package as pip does, from its folder into a folder of packages."""
    copy = target.with_name(f"{target.name}-source")
    shutil.copytree(source, copy)
    words = [
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--target",
        str(target),
        str(copy),
    ]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True, text=True)
    return target


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Path:
    return install(SAMPLE, tmp_path_factory.mktemp("plug-in") / "packages")


@pytest.fixture
def packages(installed, tmp_path_factory) -> Path:
    """A copy of the installed sample, which a test may change; it is not in the project."""
    return Path(shutil.copytree(installed, tmp_path_factory.mktemp("environment") / "packages"))


@pytest.fixture
def sample(project) -> SuiteProject:
    low, high = free_range(2)
    (project.root / "page.html").write_text("<h1>Hello</h1>")
    return project.write(SPEC.format(low=low, high=high))


def call(project: SuiteProject, packages: Path | None, *words: str) -> Ended:
    """`orchestra …` in a process of its own, with the packages on its path."""
    return ended(["orchestra", *words], project.root, environment(), [packages] if packages else [])


def compiled(project: SuiteProject, packages: Path) -> SuiteProject:
    done = call(project, packages, "compile")
    assert done.code == 0, done.err
    return project


def plan(project: SuiteProject) -> dict:
    return json.loads((project.root / ".orchestra/s/plan.json").read_bytes())


def test_a_plug_in_works_from_the_spec_to_the_report(sample, packages):
    compiled(sample, packages)
    kept = plan(sample)
    assert kept["plugins"] == [
        {"name": "orchestra-sample", "version": "1.0", "probes": ["line"], "drivers": ["text"], "formats": ["tap"]}
    ]
    assert kept["components"][0]["ready"]["probe"]["plugin"] == "orchestra-sample"
    assert kept["methods"][0]["plugin"] == "orchestra-sample"
    done = call(sample, packages, "run")
    assert done.code == 1, done.err
    folder = sample.root / ".orchestra/s/runs/last"
    assert "report.tap" in done.err
    assert (
        folder / "report.tap"
    ).read_text() == "TAP version 13\n1..2\nok 1 - text:A passed\nnot ok 2 - text:B failed\n"
    assert "the page has no text 'Bye'" in (folder / "summary.md").read_text()
    assert call(sample, packages, "report", "--format", "tap").out == (folder / "report.tap").read_text()
    audit = call(sample, packages, "audit")
    assert audit.code == 0, audit.out
    (folder / "report.tap").write_text("TAP version 13\n1..0\n")
    assert call(sample, packages, "audit").code == 1  # the report is bound to the record
    assert call(sample, packages, "compile", "--check").code == 0


def test_a_driver_brings_a_step_of_its_own(sample, packages):
    spec = sample.root / "specs/s.yaml"
    text = spec.read_text()
    own = "{expect: {text: Bye, to: {be: visible}}}"
    changes = {
        "{words: {wrd: Hello}}": 'unknown key "wrd" (did you mean "word"?)',
        "{words: {word: Hello, at_least: 0}}": '"at_least" is 0; it must be at least 1',
        "{wrds: Hello}": 'unknown key "wrds" (did you mean "words"?)',
    }
    for step, problem in changes.items():
        spec.write_text(text.replace(own, step))
        done = call(sample, packages, "validate")
        assert (done.code, problem in done.out) == (2, True), done.out
    spec.write_text(text.replace(own, "{words: {word: Hello, at_least: 2}}"))
    compiled(sample, packages)
    (test,) = (one for one in plan(sample)["tests"] if one["id"] == "A")
    assert test["steps"][-1]["args"] == {"word": "Hello", "at_least": 1}
    shown = call(sample, packages, "show", "B")
    assert "assert page.words.count('Hello') >= 2" in shown.out, shown.out
    assert call(sample, packages, "run").code == 1
    summary = (sample.root / ".orchestra/s/runs/last/summary.md").read_text()
    assert "the page has the word 'Hello' 1 times" in summary
    spec.write_text(text.replace("{text: {driver: text}}", "{text: {driver: text}, cli: {driver: playwright}}"))
    done = call(sample, packages, "validate")
    assert done.code == 2
    message = 'the step "words" is of the driver "text" of orchestra-sample, and the method "cli", by which "A" runs, has the driver'
    assert f'{message} "playwright" [driver-lacks-step]' in done.out
    assert 'name in the methods of "A" only those with the driver text' in done.out


def test_a_plug_in_that_is_not_installed_is_an_error_at_its_place(sample, packages):
    for words in (("validate",), ("compile",)):
        done = call(sample, None, *words)
        assert done.code == 2
        assert 'specs/s.yaml:3:11: the plug-in "orchestra-sample" is not installed [plug-in]' in done.err + done.out
        assert "pip install orchestra-sample" in done.err + done.out
    compiled(sample, packages)
    done = call(sample, None, "run")
    assert (done.code, "pip install orchestra-sample==1.0" in done.err) == (3, True), done.err


def test_a_kind_of_a_package_that_the_spec_does_not_name_is_unknown(sample, packages):
    spec = sample.root / "specs/s.yaml"
    spec.write_text(spec.read_text().replace("plugins: [orchestra-sample]\n", ""))
    done = call(sample, packages, "validate")
    assert done.code == 2
    assert 'specs/s.yaml:3:26: "driver" is "text"' in done.out
    assert 'specs/s.yaml:7:13: unknown key "line"' in done.out
    assert done.out.count("write `plugins: [orchestra-sample]`") == 2


def test_a_plug_in_is_checked_like_a_kind_of_ours(sample, packages):
    spec = sample.root / "specs/s.yaml"
    text = spec.read_text()
    changes = {
        'match: "HTTP.* 200"': ('match: "("', '"(" is not valid in Python', "[pattern-syntax]"),
        'send: "GET / HTTP/1.0\\r\\n", ': ("", '"line" lacks the key "send"'),
        "{expect": ("{click: {text: Hello}}, {expect", 'has no step "click"; it has "expect", "goto" [driver-lacks-step]'),
        "send:": ("timeout_seconds: 90, send:", 'a probe of "web" may take 90 seconds', "[probe-time]"),
        "send: ": ("sent: 1, send: ", 'unknown key "sent" (did you mean "send"?)'),
    }  # fmt: skip
    for old, (new, *said) in changes.items():
        assert old in text
        spec.write_text(text.replace(old, new, 1))
        done = call(sample, packages, "validate")
        assert done.code == 2
        for words in said:
            assert words in done.out


@pytest.mark.parametrize(
    "file, code, said",
    [
        ("line.py", "raise RuntimeError('no licence')", 'specs/s.yaml:3:11: the plug-in "orchestra-sample" 1.0 (probe "line", orchestra_sample.line:PROBE) cannot be loaded: RuntimeError: no licence [plug-in]'),
        ("line.py", "raise SystemExit(5)", "cannot be loaded: SystemExit: 5 [plug-in]"),
        ("line.py", "import not_there", "cannot be loaded: ModuleNotFoundError: No module named 'not_there' [plug-in]"),
        ("text.py", "DRIVER = 1", 'is not a orchestra.drivers.DriverKind of the name "text" [plug-in]'),
        ("text.py", "", "cannot be loaded: AttributeError"),
    ],
)  # fmt: skip
def test_a_plug_in_that_cannot_be_loaded_is_named(sample, packages, file, code, said):
    (packages / "orchestra_sample" / file).write_text(code)
    done = call(sample, packages, "validate")
    assert done.code == 2, done.err
    assert said in done.err + done.out


def test_a_format_that_cannot_be_loaded_ends_the_run_before_it_begins(sample, packages):
    compiled(sample, packages)
    (packages / "orchestra_sample/tap.py").write_text("raise RuntimeError('no licence')")
    done = call(sample, packages, "run")
    assert done.code == 3
    assert 'the plug-in "orchestra-sample" 1.0 (format "tap", orchestra_sample.tap:FORM) cannot be loaded' in done.err
    assert "passed" not in done.err


def test_what_fails_while_a_suite_runs_is_named_and_costs_nothing_else(sample, packages):
    compiled(sample, packages)
    tap = packages / "orchestra_sample/tap.py"
    tap.write_text(tap.read_text().replace("    lines = ", "    lines = 1 / 0\n    lines = ", 1))
    done = call(sample, packages, "run")
    assert done.code == 1
    said = 'the format "tap" of the plug-in "orchestra-sample" failed: ZeroDivisionError: division by zero'
    assert said in done.err
    assert (sample.root / ".orchestra/s/runs/last/summary.md").is_file()
    told = call(sample, packages, "report")
    assert (told.code, said in told.err) == (3, True)
    assert call(sample, packages, "audit").code == 0
    line = packages / "orchestra_sample/line.py"
    line.write_text(line.read_text().replace("    host, port =", "    1 / 0\n    host, port =", 1))
    spec = sample.root / "specs/s.yaml"
    spec.write_text(spec.read_text().replace("within_seconds: 60", "within_seconds: 5"))
    done = call(compiled(sample, packages), packages, "run")
    assert done.code == 3
    assert "the probe line of orchestra-sample failed: ZeroDivisionError: division by zero" in done.err


def test_a_driver_that_cannot_be_imported_by_a_worker_fails_its_tests_by_name(sample, packages):
    compiled(sample, packages)
    (packages / "orchestra_sample/session.py").write_text("raise RuntimeError('no licence')")
    done = call(sample, packages, "run")
    assert done.code == 1
    assert 'the driver "text" of the plug-in "orchestra-sample" cannot be loaded: RuntimeError: no licence' in done.err


def test_the_version_of_a_plug_in_is_a_part_of_the_plan(sample, packages):
    compiled(sample, packages)
    first = (sample.root / ".orchestra/s/plan.json").read_bytes()
    assert call(sample, packages, "compile").code == 0
    assert (sample.root / ".orchestra/s/plan.json").read_bytes() == first
    info = next(packages.glob("*.dist-info"))
    (info / "METADATA").write_text((info / "METADATA").read_text().replace("Version: 1.0", "Version: 1.1"))
    info.rename(info.with_name(info.name.replace("1.0", "1.1")))
    done = call(sample, packages, "run")
    assert done.code == 3
    assert "is installed in version 1.1; the plan was compiled with 1.0" in done.err
    assert call(sample, packages, "compile", "--check").code == 1  # no stamp vouches for an installed package
    compiled(sample, packages)
    assert call(sample, packages, "run").code == 1


def test_a_package_of_the_project_is_never_loaded(sample, packages):
    trace = "open('loaded', 'w').close()\n"
    for file in packages.glob("orchestra_sample/*.py"):
        file.write_text(trace + file.read_text())
    inside = sample.root / "packages"
    packages.rename(inside)
    for path in (inside, sample.root):
        for place in (inside, sample.root):
            if place == sample.root:
                shutil.copytree(inside, sample.root, dirs_exist_ok=True)
            for words in (("validate",), ("compile",), ("doctor",)):
                done = call(sample, path, *words)
                assert "plug-in orchestra-sample" not in done.out
                assert words == ("doctor",) or 'the plug-in "orchestra-sample" is not installed' in done.err + done.out
    assert not (sample.root / "loaded").exists()


def test_a_package_that_is_installed_from_the_project_is_refused(sample, packages):
    """As `pip install -e` does: its metadata is in the environment, its modules are in the project."""
    (packages / "orchestra_sample/line.py").write_text("open('loaded', 'w').close()\n")
    shutil.move(packages / "orchestra_sample", sample.root / "orchestra_sample")
    path = f"{packages}{os.pathsep}{sample.root}"
    done = sample.process("validate", PYTHONPATH=path)
    assert done.code == 2
    assert "cannot be loaded: ModuleNotFoundError" in done.err + done.out
    finder = packages / "sitecustomize.py"  # the finder of an editable install, which needs no path
    finder.write_text(
        "import sys\nfrom importlib.machinery import PathFinder\nclass Finder:\n"
        f"    @staticmethod\n    def find_spec(name, path=None, target=None):\n        return PathFinder.find_spec(name, [{str(sample.root)!r}]) if name == 'orchestra_sample' else None\n"
        "sys.meta_path.append(Finder)\n"
    )
    done = sample.process("validate", PYTHONPATH=str(packages))
    assert done.code == 2
    assert "is in the project, whose code is never loaded" in done.err + done.out
    assert "not `pip install -e FOLDER`" in done.err + done.out
    assert not (sample.root / "loaded").exists()


def test_doctor_lists_the_plug_ins_with_their_versions(sample, packages):
    compiled(sample, packages)
    (packages / "orchestra_sample/line.py").write_text("raise SystemExit(5)")  # it loads nothing
    done = call(sample, packages, "doctor")
    assert "plug-in orchestra-sample" in done.out
    assert "1.0 (driver text, format tap, probe line)" in done.out


def test_two_packages_do_not_bring_the_same_name(sample, packages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    copy = folder / "other"
    shutil.copytree(SAMPLE, copy)
    (copy / "orchestra_sample").rename(copy / "orchestra_other")
    config = (copy / "pyproject.toml").read_text()
    (copy / "pyproject.toml").write_text(config.replace("orchestra-sample", "orchestra-other").replace("orchestra_sample", "orchestra_other"))  # fmt: skip
    for file in copy.glob("orchestra_other/*.py"):
        file.write_text(file.read_text().replace("orchestra_sample", "orchestra_other"))
    other = install(copy, folder / "others")
    spec = sample.root / "specs/s.yaml"
    spec.write_text(spec.read_text().replace("[orchestra-sample]", "[orchestra-sample, orchestra-other]"))
    done = sample.process("validate", PYTHONPATH=f"{packages}{os.pathsep}{other}")
    assert done.code == 2
    assert (
        's.yaml:3:29: the plug-in "orchestra-other" 1.0 brings a probe "line", as does orchestra-sample'
        in done.out + done.err
    )


def test_a_package_that_brings_nothing_or_is_not_used_is_refused(sample, packages):
    spec = sample.root / "specs/s.yaml"
    text = spec.read_text()
    spec.write_text(text.replace("[orchestra-sample]", "[orchestra-sample, click]"))
    done = call(sample, packages, "validate")
    assert 's.yaml:3:29: the package "click"' in done.out + done.err
    assert "is no plug-in: it has no entry point" in done.out + done.err
    info = next(packages.glob("*.dist-info")) / "entry_points.txt"
    info.write_text("[orchestra.probes]\nline = orchestra_sample.line:PROBE\n")
    spec.write_text(
        "orchestra: 1\nsuite: s\nplugins: [orchestra-sample]\nmethods: {cli: {driver: http}}\n"
        "tests: {A: {steps: [{set: {x: one}}]}}\n"
    )
    done = call(sample, packages, "validate")
    assert done.code == 2
    assert (
        's.yaml:3:11: the plug-in "orchestra-sample" is not used: it brings probe line [plug-in]' in done.out + done.err
    )
