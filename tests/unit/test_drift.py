"""What stands on the disk: each state and its message, all or nothing, orphans, links, the stamp."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from orchestra import outputs, resources
from orchestra.compiler.emit import files as emit
from orchestra.compiler.emit import marker
from orchestra.compiler.outputs import drift, stamp
from orchestra.compiler.outputs.writing import Change, write_all
from orchestra.errors import ForeignFileError, MachineError, UsageError
from orchestra.plan import Method, Outputs
from orchestra.yamltext.digest import digest_files
from tests.support import plans as plan_samples

SPEC = "specs/shop.yaml"


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / SPEC).write_text("suite: shop\n")
    return tmp_path


def compiled(project: Path, **changes) -> tuple[emit.File, ...]:
    fields = {"source_digest": digest_files(project, [SPEC]), **changes}
    return emit.files([plan_samples.small(**fields)])


def state(root: Path) -> dict[str, bytes]:
    """Every file below a folder except the stamp, and every link and empty folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = bytes(path.readlink())
        elif path.is_file() and name != stamp.PATH:
            found[name] = path.read_bytes()
        elif path.is_dir() and not any(path.iterdir()):
            found[name + "/"] = b""
    return found


def to_crlf(root: Path) -> None:
    for path in root.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


OUTPUTS = (
    ".claude/commands/test_shop.md",
    ".orchestra/.gitattributes",
    ".orchestra/.gitignore",
    ".orchestra/outputs.txt",
    ".orchestra/shop/plan.json",
    "docs/shop.md",
    "dodo.py",
)


# -------------------------------------------------------------------------------------------------------------- writing
def test_the_first_compile_writes_everything(project):
    report = drift.apply(project, compiled(project))
    assert report.lines == tuple(f"{path}: written" for path in OUTPUTS)
    assert not report.drifted
    for file in compiled(project):
        assert (project / file.path).read_bytes() == file.content


def test_a_second_compile_touches_nothing(project):
    drift.apply(project, compiled(project))

    def touched():
        return {path: ((project / path).stat().st_ino, (project / path).stat().st_mtime_ns) for path in OUTPUTS}

    before = touched()
    assert drift.apply(project, compiled(project)) == drift.Report((), (), "", drifted=False)
    assert touched() == before


def test_only_what_changed_is_written(project):
    drift.apply(project, compiled(project))
    before = {path: (project / path).stat().st_ino for path in OUTPUTS}
    (project / SPEC).write_text("suite: shop # changed\n")
    report = drift.apply(project, compiled(project))
    assert report.lines == (".orchestra/outputs.txt: updated",)
    changed = [path for path in OUTPUTS if (project / path).stat().st_ino != before[path]]
    assert changed == [".orchestra/outputs.txt"]


def test_crlf_is_no_drift_and_is_left_as_it_is(project):
    drift.apply(project, compiled(project))
    to_crlf(project)
    before = state(project)
    assert drift.apply(project, compiled(project), check=True).lines == ()
    assert drift.apply(project, compiled(project)).lines == ()
    assert state(project) == before


def test_the_mode_of_a_file_is_kept_and_a_new_one_follows_the_umask(project):
    drift.apply(project, compiled(project))
    umask = os.umask(0)
    os.umask(umask)
    assert (project / "dodo.py").stat().st_mode & 0o777 == 0o666 & ~umask
    (project / "dodo.py").chmod(0o750)
    drift.apply(project, compiled(project, title="Another"))
    assert (project / "dodo.py").stat().st_mode & 0o777 == 0o750


def test_nothing_is_left_beside_the_outputs(project):
    drift.apply(project, compiled(project))
    drift.apply(project, compiled(project, title="Another"))
    assert {path for path in state(project) if path != SPEC} == set(OUTPUTS)


# ---------------------------------------------------------------------------------------------------------------- check
def test_check_writes_nothing(project):
    before = state(project)
    report = drift.apply(project, compiled(project), check=True)
    assert report.drifted
    assert report.lines[-1] == "dodo.py: missing: it was never compiled, or was deleted"
    assert state(project) == before


MARK = f"<!-- {marker.WORDS} -->\n"


def test_each_state_has_its_message(project):
    drift.apply(project, compiled(project))
    (project / "docs/shop.md").unlink()
    command = project / ".claude/commands/test_shop.md"
    command.write_text(command.read_text() + "And one thing more.\n")
    gone = project / ".orchestra/gone/plan.json"
    gone.parent.mkdir()
    shutil.copy(project / ".orchestra/shop/plan.json", gone)
    (project / "docs/kept.md").write_text(MARK + "edited\n")
    (project / "docs/back.md").write_text(MARK)
    index = project / ".orchestra/outputs.txt"
    known = {"docs/kept.md": MARK, "docs/plain.md": ""}
    index.write_text(
        index.read_text() + "".join(f"{outputs.digest(text.encode())} - {path}\n" for path, text in known.items())
    )
    files = compiled(project, tests=())

    def lines(**how):
        return drift.apply(project, files, **how).lines

    stale = "stale: the spec compiles to something else"
    unknown = "no spec produces it; delete it, or remove its line `generated by orchestra` to adopt it"
    yours = "delete it, or remove its mark to adopt it"
    assert lines(check=True) == (
        ".claude/commands/test_shop.md: edited by hand: make the edit in the spec, `orchestra compile` overwrites it here",
        ".orchestra/gone/plan.json: orphaned: no spec produces it any more, `orchestra compile` removes it",
        f".orchestra/outputs.txt: {stale}",
        f".orchestra/shop/plan.json: {stale}",
        f"docs/back.md: orphaned: {unknown}",
        f"docs/kept.md: orphaned and edited by hand: no spec produces it any more; {yours}",
        "docs/shop.md: missing: it was never compiled, or was deleted",
        f"dodo.py: {stale}",
    )
    left = (
        f"docs/back.md: left alone: {unknown}",
        f"docs/kept.md: left alone: no spec produces it any more, but it was edited by hand; {yours}",
    )
    assert lines() == (
        ".claude/commands/test_shop.md: overwrote an edit by hand",
        ".orchestra/gone/plan.json: removed: no spec produces it any more",
        ".orchestra/outputs.txt: updated",
        ".orchestra/shop/plan.json: updated",
        *left,
        "docs/shop.md: written",
        "dodo.py: updated",
    )
    assert not gone.parent.exists()
    assert (project / "docs/kept.md").exists()
    for name in ("kept", "back"):
        assert len(lines(check=True)) == 2 - (name == "back")
        (project / f"docs/{name}.md").write_text("mine, without the mark\n")
    assert lines(check=True) == ()


def test_what_git_merged_and_what_it_could_not_merge(project):
    drift.apply(project, compiled(project))
    index, plan = project / ".orchestra/outputs.txt", project / ".orchestra/shop/plan.json"
    other = index.read_text().replace(outputs.digest(plan.read_bytes()), "sha256:" + "1" * 64)
    index.write_text(index.read_text() + "".join(line for line in other.splitlines(True) if "sha256:1111" in line))
    plan.write_text(plan.read_text().replace("Shop", "Shop, merged"))
    conflict = "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> theirs\n"
    doit = project / "dodo.py"
    doit.write_text(doit.read_text() + conflict.format("# a", "# b"))
    assert (
        drift.apply(project, compiled(project), check=True)
        .lines[-1]
        .startswith("dodo.py: with the conflict markers of a merge")
    )
    lines = drift.apply(project, compiled(project)).lines
    assert lines[-1] == "dodo.py: overwrote the conflict markers of a merge"
    assert f"{plan.relative_to(project)}: updated after a merge" in lines
    assert drift.apply(project, compiled(project), check=True).lines == ()


def to_format_1(project: Path) -> None:
    """Let every output be as version 0.1.0 wrote it: with its version and the digest of its other lines."""
    for path in OUTPUTS:
        file = project / path
        if path.endswith(".gitattributes"):
            file.unlink()
            continue
        lines = file.read_bytes().splitlines(keepends=True)
        [number] = [number for number, line in enumerate(lines[:4]) if b"orchestra" in line and b"format" in line]
        digest = f"sha256:{hashlib.sha256(b''.join(lines[:number] + lines[number + 1 :])).hexdigest()}"
        old = f"generated by orchestra 0.1.0 {digest}"
        lines[number] = lines[number].replace(marker.WORDS.encode(), old.encode())
        lines[number] = lines[number].replace(
            b'"format":2', f'"body":"{digest}","compiler":"0.1.0","format":1'.encode()
        )
        file.write_bytes(b"".join(lines))
    index = project / ".orchestra/outputs.txt"
    index.write_text(
        "# generated by orchestra 0.1.0 sha256:" + "0" * 64 + "\n" + "".join(f"{path}\n" for path in OUTPUTS)
    )


def test_outputs_of_format_1_are_known_as_ours_and_written_in_the_new_one(project):
    drift.apply(project, compiled(project))
    to_format_1(project)
    (project / "docs/shop.md").write_text((project / "docs/shop.md").read_text() + "edited\n")
    lines = dict(line.split(": ", 1) for line in drift.apply(project, compiled(project), check=True).lines)
    note = " (of format 1, now 2: see docs/upgrade.md)"
    assert lines["dodo.py"] == f"stale: the spec compiles to something else{note}"
    assert lines["docs/shop.md"].startswith("edited by hand")
    assert lines[".orchestra/.gitattributes"].startswith("missing")
    other = emit.files([plan_samples.small("other", sources=(SPEC,))])
    done = dict(line.split(": ", 1) for line in drift.apply(project, other).lines)
    assert done[".orchestra/shop/plan.json"] == f"removed: no spec produces it any more{note}"
    assert done["docs/shop.md"].startswith("left alone")


def test_the_diff_shows_old_new_and_gone(project):
    drift.apply(project, compiled(project))
    (project / "docs/shop.md").unlink()
    (project / ".orchestra/.gitignore").write_bytes((project / ".orchestra/.gitignore").read_bytes().rstrip(b"\n"))
    files = compiled(project, methods=(Method("cli", "Playwright", "playwright"),))
    text = drift.apply(project, files, check=True, diff=True).diff
    assert "--- a/.claude/commands/test_shop.md\n+++ /dev/null\n" in text
    assert "--- /dev/null\n+++ b/docs/shop.md\n" in text
    assert "-!/*/baseline.json\n\\ No newline at end of file\n+!/*/baseline.json\n" in text
    assert drift.apply(project, files, check=True).diff == ""


def test_the_diff_says_nothing_of_what_is_left(project):
    drift.apply(project, compiled(project))
    command = project / ".claude/commands/test_shop.md"
    command.write_text(command.read_text() + "mine\n")
    files = compiled(project, methods=(Method("cli", "Playwright", "playwright"),))
    assert "test_shop.md: left alone" in drift.apply(project, files, diff=True).lines[0]
    assert command.exists()


# -------------------------------------------------------------------------------------------------------------- foreign
def test_files_of_others_are_never_overwritten(project):
    (project / "dodo.py").write_text("def task_mine(): ...\n")
    (project / "docs/shop.md").mkdir(parents=True)
    (project / ".claude/commands").mkdir(parents=True)
    (project / ".claude/commands/test_shop.md").write_text("")
    before = state(project)
    for check in (False, True):
        with pytest.raises(ForeignFileError) as caught:
            drift.apply(project, compiled(project), check=check)
        assert caught.value.message == (
            '".claude/commands/test_shop.md", "docs/shop.md" (a folder), "dodo.py": orchestra did not write these, '
            "and does not overwrite it; nothing was written"
        )
        assert caught.value.hint == "move them away, or name other paths under `compile` in the spec"
    assert state(project) == before


def test_one_foreign_file_is_spoken_of_as_one(project):
    (project / "dodo.py").write_text("x = 1\n")
    with pytest.raises(ForeignFileError, match="did not write this, and does not overwrite it"):
        drift.apply(project, compiled(project))


# -------------------------------------------------------------------------------------------------------------- orphans
def test_what_no_spec_produces_any_more_goes_with_its_folder(project):
    drift.apply(project, compiled(project))
    other = emit.files([plan_samples.small("other", sources=(SPEC,))])
    report = drift.apply(project, other)
    assert ".orchestra/shop/plan.json: removed: no spec produces it any more" in report.lines
    assert not (project / ".orchestra/shop").exists()
    assert {path for path in state(project) if path != SPEC} == {file.path for file in other}


def test_a_folder_that_holds_more_stays(project):
    drift.apply(project, compiled(project))
    (project / ".orchestra/shop/baseline.json").write_text("{}")
    drift.apply(project, emit.files([plan_samples.small("other", sources=(SPEC,))]))
    assert [path.name for path in (project / ".orchestra/shop").iterdir()] == ["baseline.json"]


def test_a_file_that_speaks_of_orchestra_without_its_mark_is_no_orphan(project):
    drift.apply(project, compiled(project))
    note = project / ".claude/commands/note.md"
    note.write_text("how we use orchestra\n")
    assert not [line for line in drift.apply(project, compiled(project)).lines if "note.md" in line]
    assert note.read_text() == "how we use orchestra\n"


def test_a_list_of_outputs_that_was_tampered_with_does_no_harm(project, tmp_path_factory):
    drift.apply(project, compiled(project))
    outside = tmp_path_factory.mktemp("outside")
    ours = f"# {marker.WORDS}\n".encode()
    (outside / "file.md").write_bytes(ours)
    (project / "link").symlink_to(outside)
    (project / "file.md").write_bytes(ours)
    (project / "alias.md").symlink_to("file.md")
    (project / "mine.md").write_text("mine\n")
    index = project / ".orchestra/outputs.txt"
    tampered = [
        "<<<<<<< HEAD", "", ".", "docs", "nothing.md", "mine.md", "alias.md", "link/file.md",
        f"../{outside.name}/file.md", f"{outside}/file.md", "\udcff".encode(errors="surrogateescape").decode(errors="replace"),
    ]  # fmt: skip
    index.write_text(index.read_text() + "\n".join(tampered) + "\n")
    report = drift.apply(project, compiled(project))
    assert report.lines == (".orchestra/outputs.txt: updated",)
    assert (outside / "file.md").exists()
    assert (project / "file.md").exists()
    assert (project / "mine.md").exists()


def test_a_part_of_the_specs_leaves_the_rest_alone(project):
    drift.apply(project, compiled(project))
    other = emit.files([plan_samples.small("other", outputs=Outputs(doit="other.py"), sources=(SPEC,))])
    report = drift.apply(project, other, partial=True)
    assert [found.path for found in report.found] == [
        ".claude/commands/test_other.md",
        ".orchestra/other/plan.json",
        ".orchestra/outputs.txt",
        "other.py",
    ]
    assert (project / "docs/shop.md").exists()
    listed = set(outputs.parse((project / outputs.PATH).read_bytes()))
    assert listed == {*OUTPUTS, ".claude/commands/test_other.md", ".orchestra/other/plan.json", "other.py"} - {
        outputs.PATH
    }
    gone = [line for line in drift.apply(project, compiled(project)).lines if "removed: no spec produces it" in line]
    assert [line.partition(":")[0] for line in gone] == [
        ".claude/commands/test_other.md",
        ".orchestra/other/plan.json",
        "other.py",
    ]


def test_a_part_of_the_specs_writes_the_first_list_of_outputs(project):
    drift.apply(project, compiled(project), partial=True)
    assert (project / ".orchestra/outputs.txt").exists()


def test_an_edit_by_hand_stays_where_it_must(project):
    drift.apply(project, compiled(project))
    table = project / "docs/shop.md"
    table.write_text(table.read_text() + "a line\n")
    with pytest.raises(UsageError) as caught:
        drift.apply(project, compiled(project), over_edits=False)
    assert caught.value.message == "docs/shop.md: edited by hand"
    assert table.read_text().endswith("a line\n")


def test_a_file_that_cannot_be_read_is_no_orphan(project, monkeypatch):
    def refuses(path):
        if Path(path).name == "old.md":
            raise PermissionError(13, "Permission denied", str(path))
        return open_read(path)

    open_read = drift.nofollow.open_read
    drift.apply(project, compiled(project))
    (project / "docs/old.md").write_bytes((project / "docs/shop.md").read_bytes())
    assert [found.path for found in drift.apply(project, compiled(project), check=True).found] == ["docs/old.md"]
    monkeypatch.setattr(drift.nofollow, "open_read", refuses)
    assert drift.apply(project, compiled(project), check=True).found == ()


# ---------------------------------------------------------------------------------------------------------------- links
def test_no_output_leads_out_of_the_root(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (project / "docs").symlink_to(outside)
    with pytest.raises(UsageError) as caught:
        drift.apply(project, compiled(project))
    assert caught.value.message == (f'the output "docs/shop.md" is outside the project root, at {outside}/shop.md')
    assert list(outside.iterdir()) == []
    assert not (project / "dodo.py").exists()


def test_no_link_below_the_folder_of_records_is_followed(project):
    (project / "kept").mkdir()
    (project / ".orchestra").mkdir()
    (project / ".orchestra/shop").symlink_to(project / "kept")
    with pytest.raises(UsageError, match=r"reached through a link, to .*/kept/plan.json"):
        drift.apply(project, compiled(project))
    assert list((project / "kept").iterdir()) == []


def test_a_link_inside_of_the_root_is_followed_and_kept(project):
    (project / "tasks").mkdir()
    (project / "dodo.py").symlink_to("tasks/real.py")
    drift.apply(project, compiled(project))
    drift.apply(project, compiled(project, title="Another"))
    assert (project / "dodo.py").is_symlink()
    assert b"Another" in (project / "tasks/real.py").read_bytes()
    assert drift.apply(project, compiled(project, title="Another"), check=True).lines == ()


def test_the_root_itself_may_be_a_link(project, tmp_path_factory):
    alias = tmp_path_factory.mktemp("alias") / "root"
    alias.symlink_to(project)
    drift.apply(alias, compiled(project))
    assert drift.apply(project, compiled(project), check=True).lines == ()


# ----------------------------------------------------------------------------------------------------- all or nothing
def test_a_full_disk_changes_nothing(project):
    """A limit on the size of files stands in for the disk: the system refuses the write in the same place."""
    drift.apply(project, compiled(project))
    tests = tuple(msgspec.structs.replace(plan_samples.small().tests[0], id=f"T{number}") for number in range(200))
    files = compiled(project, title="Another", tests=tests)
    before = state(project)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        with pytest.raises(MachineError) as caught:
            drift.apply(project, files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.message == '"docs/shop.md" cannot be written: File too large; nothing was changed'
    assert caught.value.hint == "make room on the disk, or make the folder writable, and compile again"
    assert state(project) == before
    assert drift.apply(project, files).found != ()


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_disk_that_refuses_only_when_it_is_to_keep_what_was_written_changes_nothing(project, monkeypatch, turn):
    drift.apply(project, compiled(project))
    files = compiled(project, title="Another")
    before = state(project)
    turns = iter(range(1, 1000))
    sync = os.fsync

    def refused(handle):
        if next(turns) == turn:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refused)
        with pytest.raises(MachineError, match="cannot be written: No space left on device; nothing was changed"):
            drift.apply(project, files)
    assert state(project) == before
    assert drift.apply(project, files).found != ()


@pytest.fixture
def nobody():
    """A folder of the super-user, and the rights of somebody else while the test runs."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    os.seteuid(os.getuid())
    folder.chmod(0o755)
    shutil.rmtree(folder)


def give_up_rights(folder: Path) -> None:
    if os.getuid() == 0:
        os.seteuid(65534)
    else:
        folder.chmod(0o555)


def test_a_read_only_folder_changes_nothing(nobody):
    files = emit.files([plan_samples.small()])
    give_up_rights(nobody)
    with pytest.raises(MachineError) as caught:
        drift.apply(nobody, files)
    assert caught.value.message == (
        '".claude/commands/test_shop.md" cannot be written: Permission denied; nothing was changed'
    )
    assert state(nobody) == {}


def test_an_output_that_cannot_be_read(nobody):
    (nobody / "dodo.py").write_text("x")
    (nobody / "dodo.py").chmod(0o000)
    files = emit.files([plan_samples.small()])
    give_up_rights(nobody)
    with pytest.raises(MachineError, match=r'"dodo\.py" cannot be read: Permission denied'):
        drift.apply(nobody, files)


def test_a_file_where_a_folder_should_be(project):
    (project / ".orchestra").write_text("")
    before = state(project)
    with pytest.raises(MachineError, match=r'"\.orchestra/\.gitattributes" cannot be written: .*; nothing was changed'):
        drift.apply(project, compiled(project))
    assert state(project) == before


def test_a_move_that_fails_takes_the_others_back(tmp_path):
    for name in ("changed", "removed"):
        (tmp_path / name).write_bytes(b"old")
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked/x").write_bytes(b"")
    changes = [
        Change("fresh/new", tmp_path / "fresh/folder/new", None, b"new"),
        Change("changed", tmp_path / "changed", b"old", b"new"),
        Change("removed", tmp_path / "removed", b"old", None),
        Change("blocked", tmp_path / "blocked", None, b"new"),
    ]
    before = state(tmp_path)
    with pytest.raises(MachineError) as caught:
        write_all(changes)
    assert caught.value.message == '"blocked" cannot be written: Is a directory; nothing was changed'
    assert state(tmp_path) == before
    write_all(changes[:3])
    assert state(tmp_path) == {"blocked/x": b"", "changed": b"new", "fresh/folder/new": b"new"}


def test_an_interrupt_takes_the_moves_back(tmp_path, monkeypatch):
    targets = [tmp_path / name for name in ("a", "b")]
    for target in targets:
        target.write_bytes(b"old")
    replace = Path.replace

    def interrupted(self, target):
        if Path(target) == targets[1] and self.suffix == ".new":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_all([Change(target.name, target, b"old", b"new") for target in targets])
    assert state(tmp_path) == {"a": b"old", "b": b"old"}


def test_what_cannot_be_taken_back_is_named_and_kept(tmp_path, monkeypatch):
    names = ("fresh", "changed", "blocked")
    targets = {name: tmp_path / name for name in names}
    targets["changed"].write_bytes(b"old")
    targets["blocked"].mkdir()
    replace, unlink = Path.replace, Path.unlink

    def stuck(self, target):
        if self.suffix == ".old":
            raise PermissionError(13, "Permission denied")
        return replace(self, target)

    def clinging(self, **how):
        if self == targets["fresh"]:
            raise PermissionError(13, "Permission denied")
        unlink(self, **how)

    monkeypatch.setattr(Path, "replace", stuck)
    monkeypatch.setattr(Path, "unlink", clinging)
    with pytest.raises(MachineError) as caught:
        write_all([Change(name, targets[name], b"old" if name == "changed" else None, b"new") for name in names])
    former = tmp_path / f".changed.{os.getpid()}.old"
    assert caught.value.message == (
        '"blocked" cannot be written: Is a directory; these could not be restored: '
        f'"changed" (its former content is in {former}), "fresh"'
    )
    assert former.read_bytes() == b"old"


def test_no_change_is_no_work():
    write_all([])


# ---------------------------------------------------------------------------------------------------------------- stamp
def test_the_stamp_answers_while_nothing_changes(project):
    assert not stamp.unchanged(project, [SPEC])
    drift.apply(project, compiled(project))
    assert stamp.unchanged(project, [SPEC])
    (project / stamp.PATH).unlink()
    drift.apply(project, compiled(project), check=True)
    assert stamp.unchanged(project, [SPEC])


def test_the_stamp_vouches_for_what_it_has_seen_while_nothing_changes(project):
    assert not stamp.vouches(project, [SPEC])
    drift.apply(project, compiled(project))
    assert stamp.vouches(project, [SPEC, *OUTPUTS])
    assert not stamp.vouches(project, [SPEC, "specs/other.yaml"])
    (project / SPEC).write_text("suite: other\n")
    assert not stamp.vouches(project, [SPEC])


def test_a_user_without_a_key_has_no_stamp(project, monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", "")
    drift.apply(project, compiled(project))
    assert not (project / stamp.PATH).exists()


@pytest.mark.parametrize("path", [*OUTPUTS, SPEC, "pyproject.toml"])
def test_any_change_of_a_file_makes_the_stamp_void(project, path):
    drift.apply(project, compiled(project))
    content = (project / path).read_bytes() if (project / path).exists() else b""
    (project / path).write_bytes(content + b"\n")
    assert not stamp.unchanged(project, [SPEC])
    if content:
        (project / path).write_bytes(content)
        assert stamp.unchanged(project, [SPEC])
        (project / path).unlink()
        assert not stamp.unchanged(project, [SPEC])


def test_a_new_or_missing_spec_makes_the_stamp_void(project):
    drift.apply(project, compiled(project))
    assert not stamp.unchanged(project, [SPEC, "specs/new.yaml"])
    assert not stamp.unchanged(project, [])


def test_another_compiler_makes_the_stamp_void(project, tmp_path, monkeypatch):
    drift.apply(project, compiled(project))
    package = tmp_path / "copy" / "orchestra"
    (package / "__pycache__").mkdir(parents=True)
    (package / "part").mkdir()
    (package / "part/code.py").write_text("1")
    monkeypatch.setattr(stamp, "_PACKAGE", str(package))
    assert not stamp.unchanged(project, [SPEC])
    drift.apply(project, compiled(project))
    assert stamp.unchanged(project, [SPEC])
    (package / "__pycache__/code.pyc").write_text("1")
    assert stamp.unchanged(project, [SPEC])
    (package / "part/code.py").write_text("12")
    assert not stamp.unchanged(project, [SPEC])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": []}', "\x00", '{"files": {}, "specs": 1}'])
def test_a_damaged_stamp_is_none(project, content):
    drift.apply(project, compiled(project))
    (project / stamp.PATH).write_text(content)
    assert not stamp.unchanged(project, [SPEC])


@pytest.mark.parametrize("how", [{"full": True}, {"partial": True}])
def test_no_stamp_where_none_may_be_trusted(project, how):
    drift.apply(project, compiled(project), **how)
    assert not (project / stamp.PATH).exists()


def test_no_stamp_of_drift(project):
    drift.apply(project, compiled(project), check=True)
    assert not (project / stamp.PATH).exists()


def test_no_stamp_when_the_spec_changed_meanwhile(project):
    files = compiled(project)
    (project / SPEC).write_text("suite: shop # saved while it was compiled\n")
    drift.apply(project, files)
    assert not (project / stamp.PATH).exists()
    (project / SPEC).unlink()
    drift.apply(project, files)
    assert not (project / stamp.PATH).exists()


def test_a_disk_that_refuses_the_stamp_is_no_error(project):
    (project / stamp.PATH).mkdir(parents=True)
    drift.apply(project, compiled(project))
    assert not stamp.unchanged(project, [SPEC])
    assert list((project / ".orchestra").glob("stamp.json.*")) == []


def test_every_file_that_decides_the_outputs_is_in_the_fingerprint_of_the_compiler():
    modules = [
        Path(module.__file__)
        for name, module in sys.modules.items()
        if name.startswith("orchestra.") and module.__file__
    ]
    assert any("steps" in file.parts for file in modules)
    for path in (*modules, resources.folder("templates"), resources.folder("schemas")):
        assert any(path.is_relative_to(folder) for folder in stamp.folders()), path
    before = stamp.compiler()
    assert before == stamp.compiler()


def test_the_fingerprint_of_the_compiler_changes_with_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(stamp, "folders", lambda: (str(tmp_path),))
    file = tmp_path / "template.j2"
    file.write_text("one")
    before = stamp.compiler()
    file.write_text("another")
    assert stamp.compiler() != before
