"""A report that was changed is found by an audit, and a record that was written anew by its signature."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from orchestra.ledger.signing import fingerprint
from orchestra.report.forms import FORMS
from tests.support.forging import forge
from tests.support.project import ANY_LOAD, HEAD, SuiteProject, py

FILES = [form.file for form in FORMS.values()]
SHOWN = "import os; print(os.environ.get('ORCHESTRA_SIGN_KEY', 'no key'))"
SPEC = f"""{HEAD}baseline: {{{ANY_LOAD}}}
tests:
  T1: {py(SHOWN)}
  T2: {{requires: [api], command: {{argv: [python, -c, "pass"]}}}}
health:
  api:
    service: {{run: [python, -uc, "{SHOWN}; import time; time.sleep(60)"]}}
    ready: {{log: {{match: key}}}}
"""


def pem(key, password: bytes = b"") -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


def public_pem(key) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> SuiteProject:
    """A project with a run that was signed, and with both public keys."""
    project = SuiteProject(tmp_path_factory.mktemp("ran"))
    (project.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    for name, key in (("key", KEY), ("other", OTHER)):
        (project.root / f"{name}.pub.pem").write_text(public_pem(key))
    project.write(SPEC).compile()
    ended = project.run("run", ORCHESTRA_SIGN_KEY=pem(KEY))
    assert ended.code == 0, ended.err
    return project


@pytest.fixture
def project(ran, tmp_path) -> SuiteProject:
    return SuiteProject(shutil.copytree(ran.root, tmp_path / "project", symlinks=True))


def number_of_events(project: SuiteProject) -> int:
    return len(project.events())


def test_a_record_with_its_reports_is_whole(project):
    """The control of all that follows."""
    audited = project.run("audit", "--key", "key.pub.pem")
    assert (audited.code, audited.err) == (0, "")
    assert f"signed by {fingerprint(KEY.public_key())[:12]}" in audited.out
    [bound] = project.events("reports")
    assert [one["path"] for one in bound["body"]["files"]] == sorted(FILES)
    assert [event["type"] for event in project.events()][-3:] == ["seal", "reports", "seal"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["changed", "gone", "a link"])
def test_a_report_that_was_tampered_with_is_found(project, name, how):
    file = project.folder / name
    if how == "changed":
        file.write_text(file.read_text() + "\n")
    else:
        file.rename(project.root / "elsewhere")
    if how == "a link":
        file.symlink_to(project.root / "elsewhere")
    audited = project.run("audit")
    assert audited.code == 1
    assert f'the evidence "{name}" ' in audited.out


def test_reports_that_are_made_again_are_bound_again_and_once(project):
    before, files = number_of_events(project), {name: (project.folder / name).read_bytes() for name in FILES}
    (project.folder / "junit.xml").write_text("<testsuites/>")
    assert project.run("report").code == 0
    assert {name: (project.folder / name).read_bytes() for name in FILES} == files
    assert number_of_events(project) == before, "they are what is bound already"
    assert project.run("baseline", "accept").code == 0  # the end of the record, and so that of the report, moves
    for _ in range(2):
        assert project.run("report", ORCHESTRA_SIGN_KEY=pem(KEY)).code == 0
        assert project.run("audit", "--key", "key.pub.pem").code == 0
    assert number_of_events(project) == before + 4
    assert json.loads((project.folder / "state.json").read_text())["sealed"] is True
    assert json.loads((project.folder / "state.json").read_text())["seq"] == number_of_events(project)


def test_the_tested_product_does_not_get_the_key(project):
    for log in (project.folder / "output/passed.log", *project.folder.glob("services/*.log")):
        assert "no key" in log.read_text()
    record = "".join(path.read_text(errors="replace") for path in project.folder.rglob("*") if path.is_file())
    assert "PRIVATE KEY" not in record
    assert pem(KEY).splitlines()[1] not in record


ASKED = """orchestra: 1
suite: s
methods: {cli: {driver: command}}
health:
  tool: {ready: {run: {argv: [sh, seen.sh]}}}
  api: {service: {run: [sh, seen.sh, "60"]}, ready: {log: {match: up}}}
blocks:
  pw: {params: [file], command: {argv: [echo, "${file}"]}}
collect: {e2e: {run: [sh, seen.sh], of: pw.file}}
tests: {T1: {use: {pw: {file: up}}}}
"""


@pytest.mark.parametrize(
    "verb", ["validate --collect", "health", "up", "run", "doctor", "show T1 --run last --open log"]
)
def test_no_verb_passes_the_key_on(tmp_path, verb):
    """Each starts a program of the spec, of PATH, or both."""
    project = SuiteProject(tmp_path / "project").write(ASKED)
    (project.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    seen = f'#!/bin/sh\nenv >> "{tmp_path}/env"\necho up\n[ -z "$SLEEPS" ] || sleep $SLEEPS\n'
    (project.root / "seen.sh").write_text(seen.replace("$SLEEPS", "$1"))
    (tmp_path / "bin").mkdir()
    for name in ("git", "xdg-open", "open", "python"):
        (tmp_path / "bin" / name).write_text(seen)
        (tmp_path / "bin" / name).chmod(0o755)
    project.compile()
    if verb.startswith("show"):
        assert project.run("run").code == 0
    (tmp_path / "env").unlink(missing_ok=True)
    project.run(*verb.split(), ORCHESTRA_SIGN_KEY=pem(KEY), PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    project.run("down")
    for _ in range(1000):  # the opener is not waited for
        if (tmp_path / "env").exists():
            break
        os.sched_yield()
    inherited = (tmp_path / "env").read_text()
    assert "PATH=" in inherited, "the control: something was started"
    assert "ORCHESTRA_SIGN_KEY" not in inherited


def test_a_record_that_was_written_anew_has_no_signature(project):
    def unsigned(kind: str, body: dict) -> dict:
        return {name: value for name, value in body.items() if name != "signature"} if kind == "seal" else body

    forge(project.folder, unsigned)
    assert project.run("audit").code == 0, "chain, seals and digests hold"
    audited = project.run("audit", "--key", "key.pub.pem")
    assert (audited.code, "its seal is not signed" in audited.out) == (1, True)


def test_a_signature_is_of_this_record_alone(project):
    forge(project.folder, lambda _, body: body | ({"seconds": 0.5} if "exit_code" in body and "counts" in body else {}))
    audited = project.run("audit", "--key", "key.pub.pem")
    assert (audited.code, "the signature of its seal is not one by the key" in audited.out) == (1, True)


def test_a_record_that_another_has_signed_is_told(project):
    audited = project.run("audit", "--key", "other.pub.pem")
    assert (audited.code, "its seal is signed by the key" in audited.out) == (1, True)


def test_what_was_added_without_the_key_is_told(project):
    assert project.run("baseline", "reset", "--all").code == 0
    assert project.run("audit").code == 0
    assert project.run("audit", "--key", "key.pub.pem").code == 1
    assert project.run("audit", "--sign", "--key", "key.pub.pem", ORCHESTRA_SIGN_KEY=pem(KEY)).code == 0
    assert project.run("audit", "--key", "key.pub.pem").code == 0


def test_only_a_whole_record_is_signed(project):
    (project.folder / "junit.xml").unlink()
    before = number_of_events(project)
    assert project.run("audit", "--sign", ORCHESTRA_SIGN_KEY=pem(KEY)).code == 3
    assert number_of_events(project) == before
    assert project.run("audit", "--sign").code == 2


@pytest.fixture
def keys(tmp_path) -> dict[str, str]:
    (tmp_path / "key.pem").write_text(pem(KEY))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    return {
        "path": str(tmp_path / "key.pem"),
        "no file": str(tmp_path / "none.pem"),
        "no pem": str(tmp_path / "binary"),
        "cut": pem(KEY)[:-30],
        "password": pem(KEY, b"word"),
        "another kind": pem(generate_private_key(SECP256R1())),
        "public": public_pem(KEY),
    }


def test_the_key_may_be_a_path(project, keys):
    assert project.run("run", ORCHESTRA_SIGN_KEY=keys["path"]).code == 0
    assert project.run("audit", "--key", "key.pub.pem").code == 0


@pytest.mark.parametrize("kind", ["no file", "no pem", "cut", "password", "another kind", "public"])
def test_a_wrong_key_is_told_before_anything_runs(project, keys, kind):
    before = sorted(path.name for path in (project.root / ".orchestra/s/runs").iterdir())
    for ended in (project.run("run", ORCHESTRA_SIGN_KEY=keys[kind]), project.doit(ORCHESTRA_SIGN_KEY=keys[kind])):
        assert ended.code == 2, ended
        assert "error: ORCHESTRA_SIGN_KEY is " in ended.err
        assert "openssl genpkey -algorithm ed25519" in ended.err
        assert pem(KEY).splitlines()[1][:20] not in ended.err
    assert sorted(path.name for path in (project.root / ".orchestra/s/runs").iterdir()) == before


@pytest.mark.parametrize(
    "content", [b"\xff", b"", pem(KEY).encode(), public_pem(generate_private_key(SECP256R1())).encode()]
)
def test_a_wrong_public_key_is_told(project, tmp_path, content):
    (tmp_path / "wrong.pem").write_bytes(content)
    audited = project.run("audit", "--key", str(tmp_path / "wrong.pem"))
    assert (audited.code, "openssl pkey" in audited.err) == (2, True)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_the_keys_of_the_page_are_made_by_openssl(project, tmp_path):
    for words in (
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", "own.pem"],
        ["openssl", "pkey", "-in", "own.pem", "-pubout", "-out", "own.pub.pem"],
    ):
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, env=dict(os.environ))
    assert project.run("run", ORCHESTRA_SIGN_KEY=str(tmp_path / "own.pem")).code == 0
    assert project.run("audit", "--key", str(Path(tmp_path) / "own.pub.pem")).code == 0
