"""The tests that `--since` leaves out: nothing that they rest on has changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.plan import Command, Component, Login, Method, Plan, Pool, Service, Tls
from orchestra.plan import Test as Case
from orchestra.runtime.build import Builds
from orchestra.runtime.since import Revision, reasons
from orchestra.steps.step import Step

RUN = Command(("python", "check.py"))
PATHS = ("a/x.py", "a/y.txt", "b/x.py", "b/c/x.py", "x.py")
LINKS = ("link", "b/link")
TARGETS = ("a", "b", "b/c", "link", "../a", "nowhere")
GLOBS = (
    "a/*",
    "**",
    "**/*.py",
    "link/*.py",
    "*/x.py",
    "b/**",
    "*/link/*",
    "x.py",
    "b/link/x.py",
    "*/*/*.py",
    "link/**",
)


def seen(root: Path) -> dict[str, str]:
    """The files of a folder as git sees them: a link is its text."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*files, *folders):
            path = Path(folder, name)
            if path.is_symlink() or path.is_file():
                text = f"link {path.readlink()}" if path.is_symlink() else path.read_text()
                found[path.relative_to(root).as_posix()] = text
    return found


def write(root: Path, files: dict[str, str], links: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for path, target in links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)


def revision(before: dict[str, str], after: dict[str, str], plan: Plan) -> Revision:
    changed = {path for path, text in before.items() if after.get(path) != text}
    links = {path for path, text in before.items() if text.startswith("link ")}
    return Revision("main", "0" * 40, frozenset(before), changed, links, plan=plan)


TREES = st.tuples(
    st.dictionaries(st.sampled_from(PATHS), st.sampled_from("12")),
    st.dictionaries(st.sampled_from(LINKS), st.sampled_from(TARGETS)),
)


@given(TREES, TREES, st.lists(st.sampled_from(GLOBS), min_size=1, max_size=2), st.booleans())
def test_what_is_left_out_has_the_same_inputs(before, after, patterns, service):
    inputs = tuple(patterns)
    rows = (Component("web", "", service=Service(("serve",), inputs=inputs)),) if service else ()
    case = Case("T", "", ("cli",), command=RUN, inputs=("absent",) if service else inputs, requires=("web",) * service)
    plan = Plan("s", "", (case,), (Method("cli", "", "command"),), components=rows)
    with tempfile.TemporaryDirectory() as folder:
        root, trees, digests = Path(folder, "tree"), [], []
        for files, links in (before, after):
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            write(root, files, links)
            trees.append(seen(root))
            digests.append(Builds(root, plan).inputs_digest(case))
        left_out = "cli:T" not in reasons(root, plan, revision(*trees, plan))
        assert digests[0] == digests[1] or not left_out
        assert trees[0] != trees[1] or left_out or any("link" in path for path in trees[0]) or service


STEPS = (Step("upload", args={"files": ["a/x.py"]}),)
WEB = Component("web", "Pages", service=Service(("serve",), inputs=("web/*",)))
THEN = Plan(
    "s",
    "",
    (
        Case("T1", "", ("cli", "mcp"), steps=STEPS, requires=("web",)),
        Case("T2", "", ("cli",), steps=(Step("goto", args={"url": "/"}),), needs=("T1",)),
        Case("T3", "", ("mcp",), command=RUN, inputs=("x.py",)),
    ),
    (Method("cli", "", "playwright"), Method("mcp", "", "mcp")),
    components=(WEB, Component("db", "", service=Service(("db",), inputs=("db/*",)))),
)


def changed(**parts: object) -> Plan:
    return msgspec.structs.replace(THEN, **parts)


def case(number: int, **parts: object) -> Plan:
    tests = list(THEN.tests)
    tests[number] = msgspec.structs.replace(tests[number], **parts)
    return changed(tests=tuple(tests))


@pytest.mark.parametrize(
    "now, paths, why",
    [
        (THEN, (), {}),
        (THEN, ("docs/page.md", "db/rows.sql"), {}),
        (changed(title="Another", gates=(), sources=("specs/other.yaml",)), (), {}),
        (THEN, ("x.py",), {"mcp:T3": "x.py changed"}),
        (
            THEN,
            ("web/gone.js",),
            {
                "cli:T1": '"web": web/gone.js changed',
                "mcp:T1": '"web": web/gone.js changed',
                "cli:T2": 'it needs cli:T1: "web": web/gone.js changed',
            },
        ),
        (THEN, ("a/x.py",), {"cli:T1": "a/x.py changed", "mcp:T1": "a/x.py changed"}),
        (case(2, command=Command(("python", "other.py"))), (), {"mcp:T3": "its command changed"}),
        (case(2, finally_=STEPS, timeout_seconds=3.0), (), {"mcp:T3": "its timeout_seconds, finally changed"}),
        (case(2, id="T9"), (), {"mcp:T9": "it is new"}),
        (case(2, inputs=()), (), {"mcp:T3": "its inputs changed"}),
        (changed(tls=Tls(ignore_https_errors=True)), (), {"mcp:T3": "tls of the spec changed"}),
        (
            changed(methods=(THEN.methods[0], Method("mcp", "", "mcp", reset="none"))),
            (),
            {"mcp:T1": "the method mcp changed", "mcp:T3": "the method mcp changed"},
        ),
        (
            changed(components=(msgspec.structs.replace(WEB, url="http://x"), THEN.components[1])),
            (),
            {"mcp:T1": '"web" changed in the spec'},
        ),
    ],
)
def test_the_reason_is_named(tmp_path, now, paths, why):
    files = {"a/x.py": "1", "x.py": "1", "web/page.js": "1", "db/rows.sql": "1"}
    write(tmp_path, files, {})
    since = Revision("main", "0" * 40, frozenset(files), frozenset(paths), plan=THEN)
    found = reasons(tmp_path, now, since)
    assert {task: found.get(task) for task in why} == why
    if len(why) != 1 and not why:
        assert found == {}


def test_what_is_not_known_is_selected(tmp_path):
    write(tmp_path, {"x.py": "1"}, {})
    plan = case(2, inputs=())
    files = frozenset({"x.py", "web/page.js"})
    unknown = reasons(tmp_path, plan, Revision("main", "0" * 40, files, (), plan=plan))
    assert unknown["mcp:T3"] == "it runs a program and declares no inputs"
    bare = changed(components=(msgspec.structs.replace(WEB, service=Service(("serve",))), THEN.components[1]))
    unknown = reasons(tmp_path, bare, Revision("main", "0" * 40, files, (), plan=bare))
    assert unknown["cli:T1"] == 'no file of "web" is known; its `inputs` would name them'
    hidden = reasons(tmp_path, THEN, Revision("main", "0" * 40, files, (), unwatched={"x.py"}, plan=THEN))
    assert hidden["mcp:T3"] == "git is asked not to look for changes of x.py"
    new = reasons(tmp_path, THEN, Revision("main", "0" * 40, (), (), plan=THEN))
    assert new["mcp:T3"] == "x.py is not in main"
    none = reasons(tmp_path, THEN, Revision("main", "0" * 40, files, ()))
    assert set(none.values()) == {"main has no compiled plan that can be read"}


def test_files_that_steps_send_or_compare_with_select_their_tests(tmp_path):
    mock = Step("mock", args={"url": "**", "file": "a/x.json"})
    look = Step("expect", args={"look": "start"})
    of_cli = {"cli": (Step("har", args={"file": "a/y.har"}), Step("mock", args={"url": "**", "file": "a/z.json"}))}
    tests = (
        Case("T1", "", ("cli",), steps=(mock,)),
        Case("T2", "", ("cli",), finally_=(look,)),
        Case("T3", "", ("cli",), substitutes_by=of_cli),
    )
    then = changed(tests=tests, components=())
    pictures = f"specs/looks/{then.suite}/T2/start-chromium-linux.png"
    write(tmp_path, {"a/x.json": "1", "a/y.har": "3", "a/z.json": "4", pictures: "2"}, {})
    for path, task in (("a/x.json", "cli:T1"), (pictures, "cli:T2"), ("a/y.har", "cli:T3"), ("a/z.json", "cli:T3")):
        since = Revision("main", "0" * 40, {"a/x.json", "a/y.har", "a/z.json", pictures}, (path,), plan=then)
        assert reasons(tmp_path, then, since) == {task: f"{path} changed"}


def test_a_pool_selects_the_tests_that_take_an_entry_of_it(tmp_path):
    tests = (Case("T1", "", ("cli",), takes={"user": "users"}), Case("T2", "", ("cli",)))
    then, now = (
        changed(tests=tests, pools=(Pool("users", ({"name": name},)), Pool("cards", ())), components=())
        for name in ("ana", "ben")
    )
    assert then.pools_of(tests[0]) == (Pool("users", ({"name": "ana"},)),)
    clean = Revision("main", "0" * 40, set(), (), plan=then)
    assert reasons(tmp_path, then, clean) == {}
    assert reasons(tmp_path, now, clean) == {"cli:T1": "a pool that it takes an entry of changed"}


def test_a_login_selects_the_tests_that_begin_with_it(tmp_path):
    parts = {"f": {"file": "a/x.py"}, "text": "b"}
    login = Login("admin", steps=(Step("http", args={"method": "POST", "url": "/", "multipart": parts}),))
    tests = (Case("T1", "", ("cli",), login="admin"), Case("T2", "", ("cli",)))
    then = changed(tests=tests, logins=(login,), components=())
    write(tmp_path, {"a/x.py": "1"}, {})
    clean, sent = (Revision("main", "0" * 40, {"a/x.py"}, paths, plan=then) for paths in ((), ("a/x.py",)))
    assert reasons(tmp_path, then, clean) == {}
    assert reasons(tmp_path, then, sent) == {"cli:T1": "a/x.py changed"}
    now = changed(tests=tests, logins=(msgspec.structs.replace(login, valid_seconds=1.0),), components=())
    assert reasons(tmp_path, now, clean) == {"cli:T1": 'the login "admin" changed'}
