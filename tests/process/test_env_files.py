"""Variables of `.env` files in real runs: who gets them, and where their values never are."""

from __future__ import annotations

from tests.support.project import HEAD, py

VALUE, REAL = "file-secret-4711", "real-secret-4712"
SPEC = f"""{HEAD}
secrets: [TOKEN]
env_files: [.env, {{path: .env.local, required: false, public: [OPEN]}}]
collect: {{listed: {{run: [sh, -c, 'echo "$TOKEN" a.py'], of: block.file}}}}
blocks: {{block: {{params: [file], command: {{argv: [echo, "${{file}}"]}}}}}}
tests:
  own: {py("import os; print('own', os.environ['TOKEN'], '${env.TOKEN}')")}
  real: {py("import os; print('real', os.environ['REAL'])")}
  open: {py("import os; print('open', os.environ['OPEN'])")}
  wrapped: {{use: {{block: {{file: a.py}}}}}}
"""


def test_values_of_a_file_are_in_the_environment_and_masked_in_all_that_is_kept(project):
    (project.root / ".env").write_text(f"TOKEN={VALUE}\nREAL=other-value-4713\nOPEN=of-no-interest\n", encoding="utf-8")
    (project.root / ".env.local").write_text("OPEN=shown-value-4714\n", encoding="utf-8")
    project.write(SPEC).compile()
    done = project.run("run", REAL=REAL)
    assert done.code == 0, done.err
    logs = (project.folder / "output/passed.log").read_text()
    assert all(line in logs for line in ("own ***TOKEN*** ***TOKEN***", "real ***REAL***", "open shown-value-4714")), (
        logs
    )
    files = [file for file in project.root.rglob("*") if file.is_file() and not file.name.startswith(".env")]
    held = [file for file in files for value in (VALUE, REAL) if value.encode() in file.read_bytes()]
    assert held == []
    assert project.run("validate", "--collect").code == 0
    assert "secret TOKEN" in (doctor := project.run("doctor").out)
    assert "env file" in doctor


def test_a_missing_file_and_a_bad_line_are_letters_with_their_place(project):
    project.write(SPEC).compile()
    missing = project.run("run")
    place = 'specs/s.yaml:6:13: there is no file ".env" [env-file]'
    assert (missing.code, place in missing.err, project.run("validate").code) == (2, True, 0), missing.err
    (project.root / ".env").write_text("A=1\nB: 2\n", encoding="utf-8")
    bad = project.run("run")
    assert (bad.code, ".env:2:1: the line is no variable [env-file]" in bad.err) == (2, True), bad.err
    assert ".env:2:1" in project.run("doctor").out
    assert ".env:2:1" in project.run("validate", "--collect").out
    assert project.run("down").code == 0
