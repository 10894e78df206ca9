"""The command line as a user meets it: real files, every message to the character, real processes where they matter."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import click
import psutil
import pytest

from orchestra import cli
from tests.support import forks
from tests.support.golden import check
from tests.support.limits import bound_by_modes, limited
from tests.support.paths import DATA, ROOT
from tests.support.project import Ended, call, needs_process

ERR = DATA / "err" / "cli"
GOLDEN = DATA / "cli"

GOOD = """\
orchestra: 1
suite: shop
title: The shop
methods: {cli: {driver: command, command: test_shop}}
tests:
  B001: {title: First, command: {argv: [python, -c, "print(1)"]}}
  B002: {title: Second, needs: [B001], command: {argv: [python, -c, "print(2)"]}}
"""


class Ran:
    """What a command line did: its exit code, stdout and stderr with the project's path as ROOT."""

    def __init__(self, done, root):
        if not isinstance(done, Ended):
            done = Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
        self.code = done.code
        self.out = done.out.replace(str(root), "ROOT")
        self.err = done.err.replace(str(root), "ROOT")

    def transcript(self):
        return f"exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


@pytest.fixture
def root(tmp_path):
    """A project without a spec."""
    folder = (tmp_path / "project").resolve()
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n")
    return folder


@pytest.fixture
def write(root):
    def write(text=GOOD, path="specs/shop.yaml"):
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    return write


def environment(**more):
    kept = {key: value for key, value in os.environ.items() if key not in {"CI", "GITHUB_ACTIONS", "COLUMNS"}}
    return {**kept, "COLUMNS": "100", **more}


@pytest.fixture
def orchestra(root):
    """Runs `orchestra ARGUMENTS` in the project: in a process of its own where it starts some, or has limits of its own."""

    def run(*arguments, cwd=None, env=None, **options):
        if not options and not needs_process(arguments) and "PYTHONPATH" not in (env or {}):
            return Ran(call(arguments, cwd or root, environment(**(env or {}))), root)
        whole = environment(**(env or {}))
        if not options and forks.suits(whole):
            code, out, err = forks.run(["orchestra", *arguments], cwd or root, whole)
            return Ran(Ended(code, out.decode(), err.decode()), root)
        done = subprocess.run(
            [sys.executable, "-m", "orchestra", *arguments],
            cwd=cwd or root,
            env=whole,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            **options,
        )
        return Ran(done, root)

    return run


def files(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


# ---------------------------------------------------------------------------------------------------------- bad input
def bad(name, *arguments, spec=None, **files_):
    return pytest.param(arguments, spec, files_, name, id=name)


BAD = [
    bad("unknown-verb", "compil"),
    bad("unknown-option", "compile", "--chek"),
    bad("unknown-option-far", "validate", "--zzz"),
    bad("wrong-choice", "validate", "--format", "xml"),
    bad("missing-argument", "show"),
    bad("missing-value", "show", "B001", "--suite"),
    bad("folder-missing", "-C", "gone", "validate"),
    bad("no-spec", "validate"),
    bad("no-spec-compile", "compile"),
    bad("missing-spec", "compile", "specs/gone.yaml"),
    bad("folder-as-spec", "compile", "specs", spec=GOOD),
    bad("outside", "validate", "../other.yaml", spec=GOOD),
    bad("wrong-yaml", "compile", spec=GOOD.replace("title: The shop", "title: [The shop")),
    bad(
        "wrong-schema",
        "compile",
        spec=GOOD.replace("needs: [B001]", "nedes: [B001]").replace("orchestra: 1", "orchestra: 2"),
    ),
    bad("wrong-rule", "compile", spec=GOOD.replace("[B001]", "[B01]")),
    bad("wrong-rule-check", "compile", "--check", spec=GOOD.replace("[B001]", "[B01]")),
    bad("not-utf8", "validate", spec=b"orchestra: 1\nsuite: \xff\n"),
    bad("empty", "validate", spec=""),
    bad("steering", "validate", spec=GOOD.replace("[B001]", '["\\e[31mB001\\u202e"]')),
    bad("foreign-output", "compile", spec=GOOD, dodo="print('mine')\n"),
    bad("no-plan", "show", "B001", spec=GOOD),
    bad("no-plan-of-suite", "plan", "--suite", "shop"),
    bad("no-such-suite", "compile", "--suite", "shpo", spec=GOOD),
    bad("files-and-suite", "validate", "specs/shop.yaml", "--suite", "shop", spec=GOOD),
    bad("wrong-settings", "validate", spec=GOOD, pyproject="[tool.orchestra]\nspec = ['a']\n"),
    bad(
        "hundred",
        "validate",
        spec=GOOD + "".join(f"  C{n:03}: {{needs: [X{n}], command: {{argv: [x]}}}}\n" for n in range(100)),
    ),
    bad("init-name", "init", "--suite", "My Shop"),
    bad("init-outside", "init", "/somewhere/else.yaml"),
]
NAMES = {"dodo": "dodo.py", "pyproject": "pyproject.toml"}


@pytest.mark.parametrize("arguments, spec, others, name", BAD)
def test_bad_input(orchestra, root, arguments, spec, others, name):
    if spec is not None:
        (root / "specs").mkdir()
        (root / "specs" / "shop.yaml").write_bytes(spec if isinstance(spec, bytes) else spec.encode())
    for key, text in others.items():
        (root / NAMES[key]).write_text(text)
    before = files(root)
    ran = orchestra(*arguments)
    check(ERR / f"{name}.out", ran.transcript())
    assert ran.code == 2
    assert "Traceback" not in ran.err
    assert files(root) == before, "nothing was written"


def test_without_a_verb_there_is_help(orchestra):
    ran = orchestra()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Usage: orchestra [OPTIONS] VERB [ARGUMENTS]...\n")


def test_a_folder_where_an_output_goes(orchestra, root, write):
    write()
    (root / "dodo.py").mkdir()
    ran = orchestra("compile")
    check(ERR / "foreign-folder.out", ran.transcript())
    assert list(files(root)) == ["pyproject.toml", "specs/shop.yaml"]


def test_unknown_test_and_suite_of_a_plan(orchestra, write):
    write()
    assert orchestra("compile").code == 0
    for name, arguments in {
        "unknown-test": ("show", "B01"),
        "unknown-suite": ("plan", "--suite", "shpo"),
        "unknown-method": ("show", "B001", "--method", "mpc"),
        "unknown-profile": ("plan", "--profile", "staging"),
    }.items():
        ran = orchestra(*arguments)
        check(ERR / f"{name}.out", ran.transcript())
        assert ran.code == 2


def test_several_suites_must_be_named(orchestra, write):
    write()
    write(GOOD.replace("shop", "other"), "specs/other.yaml")
    assert orchestra("compile").code == 0
    ran = orchestra("plan")
    check(ERR / "which-suite.out", ran.transcript())
    assert orchestra("plan", "--suite", "other").out.startswith("test")


def test_an_unreadable_spec(orchestra, root, write):
    write().chmod(0o000)
    ran = orchestra("compile", **bound_by_modes())
    check(ERR / "unreadable.out", ran.transcript())


def test_a_spec_changed_after_it_was_compiled(orchestra, root, write):
    spec = write()
    orchestra("compile")
    spec.write_text(GOOD + "# more\n")
    assert orchestra("show", "B001").code == 0
    spec.write_text(GOOD.replace("First", "Other"))
    ran = orchestra("show", "B001")
    check(ERR / "stale-plan.out", ran.transcript())
    assert ran.code == 2
    spec.unlink()
    assert orchestra("show", "B001").code == 2


def test_a_plan_edited_by_hand(orchestra, root, write):
    write()
    orchestra("compile")
    plan = root / ".orchestra" / "shop" / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b"print(2)", b"print(3)"))
    ran = orchestra("show", "B002")
    check(ERR / "damaged-plan.out", ran.transcript())


def test_a_read_only_folder(orchestra, root, write):
    write()
    before = files(root)
    root.chmod(0o555)
    try:
        ran = orchestra("compile", **bound_by_modes())
    finally:
        root.chmod(0o755)
    check(ERR / "read-only.out", ran.transcript())
    assert ran.code == 3
    assert files(root) == before


def test_a_full_disk_leaves_nothing_half_written(orchestra, root, write):
    write()
    orchestra("compile")
    write(GOOD + "".join(f"  C{n:03}: {{title: {'long ' * 20}, command: {{argv: [x]}}}}\n" for n in range(40)))
    before = files(root)
    ran = orchestra("compile", **limited(3000))
    check(ERR / "disk-full.out", ran.transcript())
    assert ran.code == 3
    assert files(root) == before, "all is as it was, and no temporary file is left"
    assert orchestra("compile").code == 0


@pytest.fixture
def small_disk(root):
    """The project on a file system of 256 KB, where the machine lets us mount one."""
    argv = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "none", str(root)]
    if (
        os.geteuid() != 0
        or shutil.which("mount") is None
        or subprocess.run(argv, capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting a small file system is not allowed here; the limit of file sizes stands in for it")
    yield root
    subprocess.run(["umount", str(root)], check=True)


def test_a_disk_without_room(orchestra, small_disk, write):
    (small_disk / "pyproject.toml").write_text("[tool.orchestra]\n")
    write()
    assert orchestra("compile").code == 0
    write(GOOD.replace("Second", "Another"))
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as stream:
        assert stream.write(b"x" * 1_000_000) < 1_000_000, "it is full now"
    os.truncate(filler, filler.stat().st_size - 8192)
    before = files(small_disk)
    ran = orchestra("compile", env={"PYTHONDONTWRITEBYTECODE": "1"})
    check(ERR / "no-room.out", ran.transcript())
    assert ran.code == 3
    assert files(small_disk) == before
    filler.unlink()
    assert orchestra("compile").code == 0


def test_a_full_disk_for_the_starter(orchestra, root):
    ran = orchestra("init", **limited(10))
    check(ERR / "disk-full-init.out", ran.transcript())
    assert ran.code == 3
    assert list(files(root)) == ["pyproject.toml"]


def test_a_folder_that_is_gone(orchestra, root, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); from orchestra.cli import run; sys.exit(run(['validate']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=gone, env=environment(), capture_output=True, check=False)
    check(ERR / "no-folder.out", Ran(done, root).transcript())


# ------------------------------------------------------------------------------------------------------------- verbs
def test_validate_formats(orchestra, write):
    write(GOOD.replace("[B001]", "[B01]").replace("title: First", 'title: 5, group: "a:b,c%"'))
    for form in ("text", "json", "github"):
        ran = orchestra("validate", "--format", form)
        check(GOLDEN / f"validate-{form}.out", ran.transcript())
        assert ran.code == 2
    assert {row["rule"] for row in json.loads(orchestra("validate", "--format", "json").out)}


def edited(text: str, edits: list[dict]) -> str:
    """The text of a spec with the edits of its problems."""
    rows = text.splitlines()
    for one in sorted(edits, key=lambda one: -one["column"]):
        line, start, end = rows[one["line"] - 1], one["column"] - 1, one["end_column"] - 1
        assert line[start:end] == one["old"]
        rows[one["line"] - 1] = line[:start] + one["new"] + line[end:]
    return "\n".join(rows) + "\n"


def test_the_edits_of_validate_fix_a_spec(orchestra, write, root):
    text = (
        "orchestra: 1\nsuite: shop\nvars: {name: x}\nmethods: {cli: {driver: comand}}\n"
        'blocks: {ask: {params: [what], steps: [set: {a: "${what}"}]}}\n'
        'tests:\n  B001: {titel: "${vars.nam}", command: {argv: ["true"]}}\n'
        "  B002: {nedds: [B001], after: [B01], steps: [use: {ask: {wha: 1}}]}\n"
    )
    rules = set()
    for _ in range(5):  # a later stage begins when the one before is right
        write(text)
        problems = json.loads(orchestra("validate", "--format", "json").out)
        rules |= {problem["rule"] for problem in problems if "edit" in problem}
        text = edited(text, [problem["edit"] for problem in problems if "edit" in problem])
    assert "driver: command" in text
    assert "needs: [B001], after: [B001]" in text
    assert '{title: "${vars.name}"' in text
    assert rules >= {"schema-unknown-key", "schema-value", "unknown-test", "unknown-name", "unknown-parameter"}, (
        problems
    )


MISSPELLED = """\
orchestra: 1
suite: shop
health: {frontend: {url: "https://a.example", title: F}}
title: A
profiles: {staging: {titel: B, health: {frontnd: {title: null}}}}
gates:
  after:
    one: {require: "faild <= 5 && cpu_percent < 90", message: "{faild} failed"}
    two: {require: 'health.frontnd == "healthy" && failed <= 5'}
methods: {cli: {driver: playwright}}
tests:
  B001: {steps: [{set: {session: a}}, {click: {role: buton}}, {press: "${saved.sesion}"}]}
"""
MISSPELLED_RULES = {"gate-condition", "gate-message", "profile-section", "profile-null", "unsaved-name", "unknown-role"}


def test_the_edits_of_validate_leave_no_problem(orchestra, write):
    text, rules = MISSPELLED, set[str]()
    for _ in range(4):  # a right name lets a rule see the next problem
        write(text)
        problems = json.loads(orchestra("validate", "--format", "json").out)
        assert all("edit" in problem for problem in problems), problems
        rules |= {problem["rule"] for problem in problems}
        text = edited(text, [problem["edit"] for problem in problems])
    assert (problems, rules) == ([], MISSPELLED_RULES)
    assert "cpu_percent < 90.0" in text


MISTYPED = """\
orchestra: 1
suite: shop
title: 5
health:
  api: {service: {run: python -m "a server", port_range: 8003-8000}, ready: {http: {path: /}}}
methods: {cli: {driver: http, parallel: "no"}}
defaults: {retries: 2, timeout_seconds: 30s}
gates: {after: {one: {require: "failed <= 5.0"}}}
tests:
  B001: {needs: 'B002', timeout_seconds: "9", steps: [{http: {GET: /, base: api, match: {'items[0].id': 1}}}]}
  B002: {title: true, steps: [http: {GET: /, base: api}], requires: [api]}
"""
FITTED = """\
orchestra: 1
suite: shop
title: "5"
health:
  api: {service: {run: ["python", "-m", "a server"], port_range: 8000-8003}, ready: {http: {path: /}}}
methods: {cli: {driver: http, parallel: false}}
defaults: {retries: {max: 2}, timeout_seconds: 30}
gates: {after: {one: {require: "failed <= 5"}}}
tests:
  B001: {needs: ["B002"], timeout_seconds: 9, steps: [{http: {GET: /, base: api, match: {'$.items[0].id': 1}}}]}
  B002: {title: "true", steps: [http: {GET: /, base: api}], requires: [api]}
"""


def test_the_edits_of_values_of_a_wrong_type(orchestra, write):
    text = MISTYPED
    for _ in range(3):  # the schema comes before the rules
        write(text)
        problems = json.loads(orchestra("validate", "--format", "json").out)
        text = edited(text, [problem["edit"] for problem in problems if "edit" in problem])
    assert text == FITTED, problems


def test_the_edits_of_which_one_fixes_a_problem(orchestra, write, root):
    write("orchestra: 1\nsuite: shop\ninclude: [specs/more.yaml]\nbaseline: {window: 4}\nresources: {printer: 1}\n")
    (root / "specs/more.yaml").write_text("tests: {B: {resources: {printer: 2}, command: {argv: [x]}}}\n")
    problems = json.loads(orchestra("validate", "specs/shop.yaml", "--format", "json").out)
    edits = {problem["rule"]: problem.get("edits") for problem in problems}
    window = {"line": 4, "column": 20, "end_column": 21, "old": "4", "new": "5"}
    assert edits["baseline-window"] == [window], "the other value is a default"
    held = {"line": 1, "column": 34, "end_column": 35, "old": "2", "new": "1"}
    declared = {"file": "specs/shop.yaml", "line": 5, "column": 22, "end_column": 23, "old": "1", "new": "2"}
    assert edits["resource-amount"] == [held, declared]


@pytest.mark.parametrize("title", ["0x10", "5.00", "1_0", '!!int "5"'])
def test_a_value_that_is_written_otherwise_has_no_edit(orchestra, write, title):
    """Its text at this place is not the one that the edit would replace."""
    write(
        f"orchestra: 1\nsuite: shop\nmethods: {{cli: {{driver: command}}}}\ntests: {{B: {{title: {title}, use: 5}}}}\n"
    )
    problems = json.loads(orchestra("validate", "--format", "json").out)
    assert problems
    assert not [problem for problem in problems if "edit" in problem and problem["edit"]["old"] != "5"], problems


def test_validate_a_good_spec(orchestra, write):
    write()
    for form in ("text", "json", "github"):
        ran = orchestra("validate", "--format", form)
        assert ran.code == 0
        assert ran.out == ("[]\n" if form == "json" else "")
        assert ran.err == "no problem: 1 suite, 2 tests\n"
    assert (
        orchestra("validate", "specs/shop.yaml", "./specs/../specs/shop.yaml").err == "no problem: 1 suite, 2 tests\n"
    )
    assert orchestra("validate", "--suite", "shop").code == 0


def test_paths_are_relative_to_where_one_stands(orchestra, root, write):
    write()
    assert orchestra("validate", "shop.yaml", cwd=root / "specs").code == 0
    assert orchestra("-C", "specs", "validate", "shop.yaml").code == 0
    assert orchestra("-C", str(root), "validate", cwd=root.parent).code == 0
    (root.parent / "link").symlink_to(root)
    assert orchestra("validate", str(root.parent / "link" / "specs" / "shop.yaml")).code == 0


def test_a_spec_outside_of_the_globs_is_compiled_when_it_is_named(orchestra, root, write):
    write(path="e2e/shop.yaml")
    assert orchestra("compile", "e2e/shop.yaml").code == 0
    assert (root / "dodo.py").is_file()


def test_compile_check_and_diff(orchestra, root, write):
    spec = write()
    ran = orchestra("compile", "--check", "--diff")
    assert ran.code == 1
    assert "+++ b/dodo.py" in ran.out
    assert not (root / "dodo.py").exists()
    ran = orchestra("compile")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.endswith("compiled: 1 suite, 2 tests\n")
    assert orchestra("compile").err == "up to date: 1 suite, 2 tests\n"

    before = files(root)
    spec.write_text(GOOD.replace("Second", "Another"))
    ran = orchestra("compile", "--check", "--diff")
    assert ran.code == 1
    assert re.findall(r"^[-+][^-+].*(?:Second|Another).*$", ran.out, re.MULTILINE)[:2] == [
        "-| `B002` | Second | needs `B001` |",
        "+| `B002` | Another | needs `B001` |",
    ]
    stale = ["stale: the spec compiles to something else"]
    *lines, last = ran.err.splitlines()
    assert [line.partition(": ")[2:] for line in lines] == [tuple(stale)] * len(lines)
    assert last == "the outputs differ from their specs: run `orchestra compile` and commit the result"
    spec.write_text(GOOD)
    assert files(root) == before
    assert orchestra("compile", "--check", "--full").code == 0


def test_an_unchanged_check_is_answered_by_the_stamp(orchestra, root, write):
    spec = write()
    orchestra("compile")
    quick = "up to date: nothing has changed since the last check\n"
    slow = "up to date: 1 suite, 2 tests\n"
    assert orchestra("compile", "--check").err == quick
    assert orchestra("compile", "--check", "--diff").err == quick
    assert orchestra("compile", "--check", cwd=root / "specs").err == quick
    assert orchestra("compile", "--check", "--full").err == slow
    assert orchestra("compile", "--check", env={"CI": "true"}).err == slow
    assert orchestra("compile", "--check", "specs/shop.yaml").err == slow

    for path, change in {
        "dodo.py": lambda data: data + b"# by hand\n",
        "specs/shop.yaml": lambda data: data.replace(b"First", b"Other"),
        "pyproject.toml": lambda data: data + b"suite = 'shop'\n",
    }.items():
        kept = (root / path).read_bytes()
        (root / path).write_bytes(change(kept))
        assert orchestra("compile", "--check").err != quick, path
        (root / path).write_bytes(kept)
    extra = write(GOOD.replace("shop", "extra"), "specs/extra.yaml")
    assert orchestra("compile", "--check").code == 1
    extra.unlink()
    spec.rename(root / "specs" / "renamed.yaml")
    assert orchestra("compile", "--check").code == 1
    (root / "specs" / "renamed.yaml").unlink()
    assert orchestra("compile", "--check").code == 2
    (root / "pyproject.toml").write_text("[tool.orchestra]\nspecs = 1\n")
    assert orchestra("compile", "--check").code == 2


def test_the_quick_answer_loads_no_compiler(root, write, orchestra):
    write()
    orchestra("compile")
    code = "import sys; from orchestra.cli import run; code = run(['compile', '--check']); print(code, *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment(), capture_output=True, text=True, check=True
    )
    code, *loaded = done.stdout.split()
    assert code == "0"
    assert not {"click", "jinja2", "msgspec", "ruamel", "orchestra.compiler.build"} & set(loaded)


def test_a_compile_without_options_loads_no_click_and_does_the_same(root, write, orchestra):
    write()
    with_options = orchestra("compile", "--full")
    made = files(root)
    for path in (root / "dodo.py", root / "docs" / "shop.md"):
        path.unlink()
    code = "import sys; from orchestra.cli import run; code = run(['compile']); print(code, *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment(), capture_output=True, text=True, check=True
    )
    code, *loaded = done.stdout.split()
    assert code == "0"
    assert not {"click", "pydantic", "jsonschema", "rich"} & set(loaded)
    assert done.stderr.splitlines() == ["docs/shop.md: written", "dodo.py: written", with_options.err.splitlines()[-1]]
    assert {path: text for path, text in files(root).items() if not path.endswith("stamp.json")} == made


def test_one_of_several_suites(orchestra, root, write):
    spec = write()
    write(GOOD.replace("shop", "other"), "specs/other.yaml")
    assert orchestra("compile").code == 0
    whole = files(root)
    assert orchestra("compile", "specs/shop.yaml").err == "up to date: 1 suite, 2 tests\n"
    spec.write_text(GOOD.replace("Second", "Another"))
    (root / "specs" / "other.yaml").write_text("wrong: [")
    assert orchestra("compile", "--suite", "shop").code == 0
    spec.write_text(GOOD)
    (root / "specs" / "other.yaml").write_text(GOOD.replace("shop", "other"))
    assert orchestra("compile", "specs/shop.yaml").code == 0
    changed = {path for path, data in files(root).items() if whole.get(path) != data}
    assert changed <= {".orchestra/stamp.json"}, "the other suite stays in dodo.py as it was"
    shutil.rmtree(root / ".orchestra" / "other")
    assert orchestra("compile", "specs/shop.yaml").code == 0
    assert "'other'" not in (root / "dodo.py").read_text()


def test_schema(orchestra):
    ran = orchestra("schema")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (ROOT / "schemas" / "orchestra.schema.json").read_text(encoding="utf-8")


def test_init_validates_compiles_and_refuses_a_second_time(orchestra, root):
    ran = orchestra("init")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == (
        "wrote specs/suite.yaml\nwrote specs/orchestra.schema.json, for your editor\n"
        "wrote .gitattributes, for merges of generated files\nnext: orchestra compile, then doit\n"
    )
    assert orchestra("validate").err == "no problem: 1 suite, 2 tests\n"
    assert orchestra("compile").code == 0
    before = files(root)
    again = orchestra("init")
    check(ERR / "init-again.out", again.transcript())
    assert again.code == 2
    assert files(root) == before
    assert orchestra("init", "--suite", "checkout").code == 0
    assert orchestra("init", "e2e/Über Nr. 1.yaml").err.endswith(
        "next: orchestra compile e2e/Über Nr. 1.yaml, then doit\n"
    )
    assert "suite: ber_nr_1\n" in (root / "e2e" / "Über Nr. 1.yaml").read_text()
    assert orchestra("init", "specs/2024.yaml").code == 0
    assert orchestra("compile").err.endswith("compiled: 3 suites, 6 tests\n")


def test_every_line_of_the_starter_that_is_commented_out_is_right(orchestra, write):
    text = (ROOT / "templates" / "starter.yaml").read_text()
    on = (
        re.sub(r"^# (health:|  web:|    service:|    ready:)", r"\1", text, flags=re.MULTILINE)
        .replace("#   web:", "  web:")
        .replace("#     service:", "    service:")
        .replace("#     ready:", "    ready:")
    )
    on = re.sub(r"^  # (  ?)(title|steps|front_page|  - )", r"  \1\2", on, flags=re.MULTILINE)
    on = (
        on.replace("  # front_page:", "  front_page:")
        .replace("  #   title:", "    title:")
        .replace("  #   steps:", "    steps:")
    )
    on = on.replace("  #     - ", "      - ").replace("driver: command", "driver: playwright")
    write(on, "specs/suite.yaml")
    ran = orchestra("validate")
    assert ran.out == ""
    assert ran.err == "no problem: 1 suite, 3 tests\n"


SHOWN = """\
orchestra: 1
suite: shown
title: Shown
methods: {cli: {driver: playwright, command: test_shown}, mcp: {driver: mcp}}
secrets: [API_KEY]
health:
  data: {title: Data, job: {run: [python, -m, seed]}}
  back:
    needs: [data]
    service: {run: [python, -m, back, --port, "${port}"], port_range: 8000-8003, env: {KEY: "${env.API_KEY}"}}
    ready: {http: {path: /health}, within_seconds: 9}
    live: {tcp: {}, every_seconds: 2}
    recover: [restart, {run: [fix]}, failover]
    failover: {run: [python, -m, back, "${port}", --cached]}
  one: {service: {run: [one], port: 9000}}
  mail: {url: "https://mail.example", required: false}
  shell: {service: {run: ["serve | tee log"], shell: true}, ready: {log: {match: up}}}
resources: {writes: 2}
groups: {basics: {title: Basic functions, before: [{goto: "https://shop.example/"}], finally: [reload]}}
blocks:
  ask: {params: [message], steps: [{fill: {label: Message, value: "${message}"}}, {press: Enter}]}
  pw: {params: [file], command: {argv: [npx, playwright, test, "${file}"], env: {A: "b\\nc"}, cwd: web, exit_codes: [0, 5], junit: "${attempt.dir}/j.xml", attach: ["${attempt.dir}/*"]}}
tests:
  B001: {title: "First \\e[31m\\nline", command: {argv: ["echo $HOME"], shell: true}}
  B000: {title: Zero, steps: [{http: {GET: "https://shop.example/"}}]}
  B002:
    title: Second
    group: basics
    needs: [B000]
    after: [B000, B003]
    requires: [back, one, mail, shell]
    resources: {writes: 1}
    tags: [smoke, slow]
    matrix: {browser: [chromium], size: [5]}
    retries: {max: 2}
    inputs: ["src/**"]
    skip: not yet
    steps: [{use: {ask: {message: "n ${matrix.size}"}}, }, {http: {GET: "https://shop.example/"}}, {set: {a: 1}}]
  B003: {title: Third, methods: [cli], use: {pw: {file: a.spec.ts}}}
  B004: {title: Fourth, needs: ["B002[chromium,5]"], steps: [{goto: "https://shop.example/"}]}
"""


def test_show_and_plan(orchestra, root, write):
    write(SHOWN, "specs/shown.yaml")
    assert orchestra("compile").code == 0
    for name, arguments in {
        "show-command": ("show", "B001"),
        "show-block-command": ("show", "B003"),
        "show-cli": ("show", "B002"),
        "show-mcp": ("show", "B002", "--method", "mcp"),
        "show-two": ("show", "B004", "B001"),
        "plan-text": ("plan",),
        "plan-mermaid": ("plan", "--format", "mermaid"),
    }.items():
        ran = orchestra(*arguments)
        check(GOLDEN / f"{name}.out", ran.transcript())
        assert ran.code == 0
        assert "\x1b" not in ran.out
    ran = orchestra("plan", "--format", "json")
    assert ran.out.encode() == (root / ".orchestra" / "shown" / "plan.json").read_bytes()


def test_show_shortens_scripts_and_names_what_the_method_adds(orchestra, write):
    methods = 'methods: {mcp: {driver: mcp, mock: [{url: "**/api/rate", json: {rate: 1}}]}}'
    steps = "[{goto: https://shop.example/}, {expect: {css: h1, to: {have_text: Hello}}}]"
    write(f"orchestra: 1\nsuite: shop\n{methods}\ntests:\n  B001: {{steps: {steps}}}\n")
    assert orchestra("compile").code == 0
    short, whole = orchestra("show", "B001").out, orchestra("show", "B001", "--scripts").out
    assert "of the method:\n     1  mock       specs/shop.yaml:" in short
    [line] = [line for line in short.splitlines() if "browser_evaluate" in line]
    assert "const wanted = 'Hello';" in line
    assert line.endswith(' characters: --scripts)"}')
    assert len(line) < 250 < len(whole.partition("browser_evaluate")[2])
    for more in (("--run", "last"), ("--failed",), ("--why",), ("--open",)):
        refused = orchestra("show", "B001", "--scripts", *more)
        assert (refused.code, "--scripts is about tests as they will run" in refused.err) == (2, True)


def test_show_a_profile_where_the_profile_is_written(orchestra, write):
    write(GOOD + "profiles: {other: {tests: {B001: {title: Changed}}}}\n")
    assert orchestra("compile").code == 0
    assert "specs/shop.yaml:8:" in orchestra("show", "B001", "--profile", "other").out
    assert "Changed" in orchestra("show", "B001", "--profile", "other").out


# ------------------------------------------------------------------------------------------------------------ collect
COLLECT = """\
orchestra: 1
suite: wrapped
vars: {here: listing}
secrets: [SHOP_TOKEN]
methods: {cli: {driver: command}}
blocks: {pw: {params: [file], command: {argv: [cat, "${file}"]}}, other: {params: [file], command: {argv: [cat, "${file}"]}}}
collect:
  e2e: {run: [python, "${vars.here}.py"], of: pw.file}
tests:
  T1: {use: {pw: {file: e2e/one.spec.ts}}}
  T2: {use: {pw: {file: e2e/tow.spec.ts}}}
  T3: {matrix: {file: [one.spec.ts, on.spec.ts]}, use: {pw: {file: "e2e/${matrix.file}"}}}
  T4: {use: {other: {file: anything}}}
  T5: {command: {argv: [x]}}
"""


def test_collect_finds_what_the_runner_does_not_know(orchestra, root, write):
    write(COLLECT)
    (root / "listing.py").write_text('print(\'{"file": "e2e/one.spec.ts"}, ./e2e/two.spec.ts\')')
    assert orchestra("validate").code == 0
    ran = orchestra("validate", "--collect")
    check(GOLDEN / "collect-missing.out", ran.transcript())
    assert ran.code == 2
    (root / "listing.py").write_text("print('e2e/one.spec.ts e2e/tow.spec.ts\\ne2e/on.spec.ts')")
    assert orchestra("validate", "--collect").code == 0


@pytest.mark.parametrize(
    "name, code",
    {
        "collect-exit": "import os, sys; print('cannot read', os.environ['SHOP_TOKEN']); print('line two'); sys.exit(4)",
        "collect-signal": "import os; os.kill(os.getpid(), 9)",
    }.items(),
)
def test_collect_commands_that_fail(orchestra, root, write, name, code):
    write(COLLECT)
    (root / "listing.py").write_text(code)
    ran = orchestra("validate", "--collect", env={"SHOP_TOKEN": "sesame-open"})
    check(GOLDEN / f"{name}.out", ran.transcript())
    assert ran.code == 2
    assert "sesame-open" not in ran.out + ran.err


def test_collect_with_a_program_that_is_not_there(orchestra, root, write):
    write(COLLECT.replace("run: [python,", "run: [no-such-program,"))
    ran = orchestra("validate", "--collect", env={"PATH": "/usr/bin:/bin"})
    own = str(Path(sys.executable).parent)  # where `python` of a spec is found at last
    check(GOLDEN / "collect-program.out", ran.transcript().replace(own, "OWN"))


def test_collect_is_bounded(root, write):
    from orchestra.compiler.build import build
    from orchestra.verbs import collect

    write(COLLECT)
    (root / "listing.py").write_text("import time; time.sleep(600)")
    [problem] = collect.check(root, build(root, ["specs/shop.yaml"]).specs, dict(os.environ), bound_seconds=0.5)
    assert problem.rule == "collect-failed"
    assert problem.message == 'the command of collect "e2e" did not end within 0.5 seconds'
    assert problem.hint == ""


def test_without_collect_there_is_nothing_to_run(orchestra, write):
    write()
    assert orchestra("validate", "--collect").err == "no problem: 1 suite, 2 tests\n"


# --------------------------------------------------------------------------------------- help, completion, ends, bugs
@pytest.mark.parametrize("verb", cli.VERBS)
def test_each_verb_has_help_with_examples(orchestra, verb):
    ran = orchestra(verb, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: orchestra {verb}")
    assert re.search(rf"Examples?:\n +orchestra {verb}", ran.out)


def test_the_help_of_run_fits_a_screen_and_has_each_option(orchestra):
    """Options that belong together share a row."""
    lines = orchestra("run", "--help", env={"COLUMNS": "80"}).out.splitlines()
    assert len(lines) <= 52
    assert max(map(len, lines)) <= 80
    shown = [param for param in cli.load_verb("run").params if isinstance(param, click.Option) and not param.hidden]
    words = re.findall(r"(?<!\S)--?[a-z][a-z-]*", "\n".join(lines).partition("Example")[0])
    for option in shown:
        assert set(option.opts) & set(words), option.name


def test_the_examples_of_help_run(orchestra, root):
    """Each verb's own examples, on this repository's suite: without the note behind two spaces, to no file."""
    shutil.copytree(ROOT / "specs", root / "specs")
    (root / "specs" / "self.yaml").unlink()
    (root / "pyproject.toml").write_text('[tool.orchestra]\nsuite = "market"\n')
    (root / "release.pub.pem").write_text("the key of an example\n")
    orchestra("compile")
    lines = [
        line
        for verb in cli.VERBS
        for line in re.findall(r"^ {4}(orchestra .+)$", orchestra(verb, "--help").out, re.MULTILINE)
    ]
    assert len(lines) >= len(cli.VERBS)
    for line in lines:
        words = shlex.split(re.split(r"  | > ", line.removeprefix("orchestra "))[0])
        if words[0] == "run" and not {"--list", "--burn-in"} & set(words):
            words.append("--dry-run")
        if words[0] in {"health", "up", "down", "open", "mcp", "record", "worker"} or {
            "--detach",
            "--follow",
            "--all-suites",
            "--open",
            "--watch",
        } & set(words):
            continue  # they serve, wait, or start what has no end here: tests/process/test_up.py and its like
        ran = orchestra(*words)
        if {"--since", "--why", "--burn-in"} & set(words):
            assert (ran.code, "the project is not in a work tree of git" in ran.err) == (2, True), ran.transcript()
            continue  # tests/process/test_run_part.py asks git
        if words[0] == "merge":
            assert (ran.code, "is no folder of a run" in ran.err) == (2, True), f"{line}\n{ran.transcript()}"
            continue  # there is no record of a shard
        if words[:2] == ["show", "1a2b"]:
            assert (ran.code, 'no test, group, tag or glob "1a2b"' in ran.err) == (2, True), ran.transcript()
            continue  # there is no run yet
        if words[0] in {"compare", "history", "baseline"} and words[-1] not in {"--all", "--prune", "--failures"}:
            assert ran.code == 2, f"{line}\n{ran.transcript()}"
            assert re.search(r"no (finished |passing )?run|no baseline", ran.err), ran.transcript()
            continue  # there is no run yet
        if words[0] in {"wait", "stop", "status", "events", "report", "attest", "audit", "claim", "rollback"} or {
            "last",
            "--failed",
            "--last-failed",
        } & set(words):
            assert (ran.code, "no run of suite" in ran.err) == (2, True), f"{line}\n{ran.transcript()}"
            continue  # docs/cli.md shows them on a run
        assert ran.code in ({0, 3} if words[0] in {"doctor", "health"} else {0}), f"{line}\n{ran.transcript()}"


def test_help_names_every_verb_and_exit_code(orchestra):
    ran = orchestra("--help")
    assert ran.code == 0
    assert orchestra("-h").out == ran.out
    for verb, (_, line) in cli.VERBS.items():
        assert re.search(rf"^  {verb} +{re.escape(line)}$", ran.out, re.MULTILINE)
    assert "Exit codes:" in ran.out


def test_version(orchestra):
    assert re.fullmatch(r"orchestra \d+\.\d+\.\d+\S*\n", orchestra("--version").out)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(orchestra, shell):
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("this machine has no bash, whose version the script asks for")
    ran = orchestra(env={"_ORCHESTRA_COMPLETE": f"{shell}_source"})
    assert ran.code == 0
    assert "_ORCHESTRA_COMPLETE=" + shell + "_complete" in ran.out


@pytest.mark.parametrize(
    "words, found",
    [
        ("orchestra va", ["plain,validate"]),
        ("orchestra plan --suite sh", ["plain,shop"]),
        ("orchestra compile --che", ["plain,--check"]),
        ("orchestra validate --format j", ["plain,json"]),
        ("orchestra nothing x", []),
    ],
)
def test_completion(orchestra, write, words, found):
    write()
    orchestra("compile")
    env = {"_ORCHESTRA_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    ran = orchestra(env=env)
    assert ran.out.split() == found


def typed_in_bash(keys, cwd):
    """What an interactive bash shows when these keys are typed at its prompt, to its end."""
    terminal, inside = pty.openpty()
    more = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PS1": "READY> ", "TERM": "dumb"}
    bash = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-i"],
        cwd=cwd,
        env=environment(**more, HISTFILE="/dev/null"),
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    shown = b""
    lines = keys.encode().splitlines(keepends=True)
    with suppress(OSError):  # how Linux says that the other side is closed
        while chunk := os.read(terminal, 4096):
            shown += chunk
            if lines and shown.endswith(b"READY> "):  # it reads, so nothing is typed ahead
                os.write(terminal, lines.pop(0))
    os.close(terminal)
    assert bash.wait() == 0
    return shown.decode()


@pytest.mark.skipif(shutil.which("bash") is None, reason="this machine has no bash")
def test_tab_completes_in_bash(orchestra, root, write):
    write()
    orchestra("compile")
    line = next(line for line in CLI_PAGE.read_text(encoding="utf-8").splitlines() if "bash_source" in line)
    shown = typed_in_bash(f"{line.partition('#')[0]}\norchestra sho\t --suite sh\t B002\nexit 0\n", root)
    assert "B002  Second" in shown, shown
    assert "error" not in shown


def test_completion_of_suites_is_silent_where_the_settings_are_wrong(orchestra, root):
    (root / "pyproject.toml").write_text("[tool.orchestra]\nsuite = 1\n")
    env = {"_ORCHESTRA_COMPLETE": "bash_complete", "COMP_WORDS": "orchestra plan --suite s", "COMP_CWORD": "3"}
    ran = orchestra(env=env)
    assert (ran.out.strip(), ran.err) == ("", "")


def read_a_line_and_go(root, *arguments):
    """What becomes of a command when the reader of its stdout leaves after one line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestra", *arguments],
        cwd=root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    return process.wait(), err


def test_a_reader_who_leaves_is_no_mistake(root, write, orchestra):
    assert read_a_line_and_go(root, "schema") == (0, "")
    write(GOOD + "".join(f"  C{n:04}: {{title: {'long ' * 30}, command: {{argv: [x]}}}}\n" for n in range(800)))
    code, err = read_a_line_and_go(root, "compile", "--check", "--diff")
    assert code == 1, "the verdict is the same without a reader"
    assert err.endswith("commit the result\n")
    orchestra("compile")
    assert read_a_line_and_go(root, "run", "--list") == (0, "")


def test_ctrl_c_ends_what_runs_and_says_so(root, write):
    write(COLLECT)
    (root / "listing.py").write_text(
        "import os, pathlib, time\n"
        "pathlib.Path('pid.new').write_text(str(os.getpid()))\nos.rename('pid.new', 'pid')\ntime.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestra", "validate", "--collect"],
        cwd=root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A shell ignores SIGINT for what it starts in the background, and these tests may be such a thing.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs here
    )
    while not (root / "pid").exists():
        assert process.poll() is None
        time.sleep(0.02)
    listing = psutil.Process(int((root / "pid").read_text()))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == b""
    assert err.decode().strip() == "interrupted"
    assert not listing.is_running() or listing.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def broken(tmp_path):
    """A copy of the program that lacks a template, which is a defect of the installation and so of ours."""
    copy = tmp_path / "broken"
    for name in ("orchestra", "schemas", "templates"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "demo"))
    (copy / "templates" / "dodo.py.j2").unlink()
    return copy


def test_a_bug_leaves_a_file_to_attach(orchestra, root, write, broken, tmp_path):
    write()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ran = orchestra("compile", env={"PYTHONPATH": str(broken), "TMPDIR": str(scratch)})
    assert ran.code == 70
    assert ran.out == ""
    [report] = scratch.iterdir()
    told, hint = ran.err.splitlines()
    assert told.startswith("error: this is a bug of orchestra: ")
    assert "dodo.py.j2" in told
    assert hint == f"hint: please report it and attach {report}"
    text = report.read_text()
    assert text.startswith("orchestra ")
    assert "verb: compile\n" in text
    assert "Traceback (most recent call last):" in text
    assert list(files(root)) == ["pyproject.toml", "specs/shop.yaml"]


def test_a_bug_shows_no_secret(orchestra, write, broken, tmp_path):
    write(
        'orchestra: 1\nsuite: shop\nsecrets: [TOKEN]\nhealth: {web: {service: {run: [sleep, "9"]}}}\ntests: {T: {command: {argv: ["true"]}}}\n'
    )
    verb = broken / "orchestra/verbs/health.py"
    (line,) = {line for line in verb.read_text().splitlines(keepends=True) if "masks = Masks(" in line}
    verb.write_text(
        verb.read_text().replace(line, f"{line}    raise ValueError('it is ' + inherits.environment['TOKEN'])\n")
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env = {"TMPDIR": str(scratch), "TOKEN": "xyzzy-plugh-0451"}
    assert orchestra("compile", env=env).code == 0
    shutil.copy(ROOT / "templates/dodo.py.j2", broken / "templates")
    ran = orchestra("up", env={**env, "PYTHONPATH": str(broken)})
    assert ran.code == 70, ran
    [report] = scratch.iterdir()
    assert "it is ***TOKEN***" in ran.err
    assert "it is ***TOKEN***" in report.read_text()
    assert "xyzzy" not in ran.out + ran.err + report.read_text()


def test_a_bug_on_a_full_disk_is_shown(orchestra, write, broken):
    write()
    ran = orchestra("compile", env={"PYTHONPATH": str(broken)}, **limited(0))
    assert ran.code == 70
    assert "Traceback (most recent call last):" in ran.err
    assert ran.err.endswith("hint: please report it with the lines above\n")


# --------------------------------------------------------------------------------------------------------------- docs
CLI_PAGE = ROOT / "docs" / "cli.md"


def options_of(help_text):
    return set(
        re.findall(
            r"(?<![\w-])--[a-z][a-z-]+|(?<![\w-])-[A-Z](?![\w-])",
            re.split(r"^[A-Z][a-z ]+:$", help_text, maxsplit=1, flags=re.MULTILINE)[-1].partition("Example")[0],
        )
    )


def test_the_page_names_every_verb_and_option(orchestra):
    page = CLI_PAGE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `orchestra (\w+)`$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(cli.VERBS), "one section a verb, in the order of --help"
    for verb, text in sections.items():
        for option in options_of(orchestra(verb, "--help").out) - {"--help"}:
            assert f"`{option}" in text, f"{option} of {verb}"
        assert "```console\n" in text, f"{verb} has an example"
    for code in ("0", "1", "2", "3", "70", "124", "130", "143"):
        assert f"| {code} |" in page
    for option in options_of(orchestra("--help").out):
        assert f"`{option}" in page
