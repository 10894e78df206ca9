"""A corpus of forms and places: a project whose product writes secrets everywhere, and a scanner of every byte of a run."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import random
import re
import shutil
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ahocorasick_rs import BytesAhoCorasick

from tests.support.mask_forms import BYTES, FORMS
from tests.support.paths import ROOT
from tests.support.project import SuiteProject

RAW = "Kq7vX2mZ/p<w'iT4\"h&Tr9bLs4w\u20ac\\Hw5dRj8n {fG3kYt6c}"
PEM = f"-----BEGIN KEY-----\n{base64.encodebytes(random.Random(3).randbytes(150)).decode()}-----END KEY-----"
LINES = [line for line in PEM.splitlines() if len(line) > 40]

TEXTS: dict[str, str] = {
    **{name: form(RAW) for name, form in FORMS.items()},
    "several lines": PEM,
    "several lines in json": json.dumps(PEM),
    "several lines, each with more": "".join(f"12:00:01 web | {line}\n" for line in PEM.splitlines()),
    "several lines in base64": base64.encodebytes(PEM.encode()).decode(),
}
NAMES = list(TEXTS)
NAME = "Zx8cV5bN-q2wE4rT k7jH3gF"
EACH, FEW = 8, 3
"""So many forms a page shows at once, and so many an answer has: a message of it has 2,000 letters."""

GROUPS = -(-len(TEXTS) // EACH)


def _middles(text: str, size: int, keep: int) -> Iterator[bytes]:
    """Parts of a text, without its ends."""
    for at in range(keep, len(text) - size - keep, size):
        yield text[at : at + size].encode()


def fragments() -> frozenset[bytes]:
    """What shows a part of a secret: no form may leave one of these."""
    runs = re.findall("[A-Za-z0-9]{6,}", RAW + NAME)
    found = {run.encode(encoding) for run in runs for encoding in ("utf-8", "utf-16-le", "utf-16-be")}
    found |= {case.encode() for run in runs for case in (run.lower(), run.upper())}
    for line in LINES:
        found |= set(_middles(line, 12, 0))
    for text in (RAW, *LINES):
        raw = text.encode()
        found |= set(_middles(raw.hex(), 12, 0)) | set(_middles(raw.hex().upper(), 12, 0))
        for shift in range(3):
            once = base64.b64encode(b"x" * shift + raw)
            found |= set(_middles(once.decode(), 10, 4))
            for more in range(3):
                found |= set(_middles(base64.b64encode(b"x" * more + once).decode(), 12, 8))
    return frozenset(found)


FRAGMENTS = sorted(fragments())
_ANY = BytesAhoCorasick(FRAGMENTS)
_BETWEEN = re.compile(rb"\x1b\[[0-9;]*m|\\+u001b\[[0-9;]*m|\r?\n *|\\+r|\\+n *")
_SECTION = re.compile(rb"QQ([a-z]+)f(\d\d)QQ((?:(?!QQ[a-z]+f\d\dQQ).)*?)QQeQQ", re.DOTALL)
"""A form in its place. One that was cut off does not reach into the next."""


def shown(data: bytes) -> bytes | None:
    """A fragment of a secret in bytes."""
    hits = _ANY.find_matches_as_indexes(data) or _ANY.find_matches_as_indexes(_BETWEEN.sub(b"", data))
    return FRAGMENTS[hits[0][0]] if hits else None


_PAGE = re.compile(rb'<script[^>]*id="data"[^>]*>([A-Za-z0-9+/=]+)<')
"""The data of `report.html`."""


def unpacked(data: bytes) -> Iterator[bytes]:
    """Bytes, and all that is packed in them."""
    yield data
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            for info in file.infolist():
                yield info.filename.encode()
                yield from unpacked(file.read(info))
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as file:
            for info in file:
                yield info.name.encode()
                yield from unpacked(file.extractfile(info).read() if info.isreg() else b"")
    elif (page := _PAGE.search(data)) is not None:
        yield from unpacked(zlib.decompress(base64.b64decode(page[1])))
    for magic, unpack in ((b"\x1f\x8b", gzip.decompress), (b"BZh9", bz2.decompress), (b"\xfd7z", lzma.decompress)):
        if data.startswith(magic):
            yield from unpacked(unpack(data))


class Scan:
    """All that a run left: what it says of each place and form, and where a secret is shown.

    Attributes:
        seen: the forms that are named, by place.
        open: those of them that show a secret.
        leaks: where a secret is shown, in words.
    """

    def __init__(self) -> None:
        self.seen: dict[str, set[int]] = {}
        self.open: dict[str, set[int]] = {}
        self.leaks: list[str] = []

    def take(self, where: str, data: bytes) -> None:
        """Read bytes, and what is packed in them."""
        for part in unpacked(data):
            for match in _SECTION.finditer(part):
                place, number = match[1].decode(), int(match[2])
                self.seen.setdefault(place, set()).add(number)
                if shown(match[3]):
                    self.open.setdefault(place, set()).add(number)
            if (found := shown(part)) is not None:
                at = max(part.find(found), 0)
                self.leaks.append(f"{where}: {found!r} in {part[max(0, at - 150) : at + 60]!r}")

    def folder(self, top: Path) -> None:
        """Read every file below a folder, its name too; pictures only for their bytes."""
        for path in sorted(top.rglob("*")):
            self.take(f"the name of {path.relative_to(top)}", path.name.encode())
            if path.is_file() and not path.is_symlink():
                self.take(str(path.relative_to(top)), path.read_bytes())

    def git(self, root: Path) -> None:
        """Read every object of a repository but what the work tree of the first commit has."""
        listed = subprocess.run(
            ["git", "rev-list", "--objects", "--all"], cwd=root, capture_output=True, check=True
        ).stdout
        for line in listed.splitlines():
            name = line.split()[0].decode()
            content = subprocess.run(["git", "cat-file", "-p", name], cwd=root, capture_output=True, check=True).stdout
            self.take(f"git object {line.decode()}", content)


def spec(*, secrets: bool) -> str:
    """The spec of the corpus; without `secrets` nothing is masked."""
    tests = []
    for number in range(GROUPS):
        command = (
            f'argv: [python, product.py, junit, "${{attempt.dir}}/j.xml", "{number}"], junit: "${{attempt.dir}}/j.xml"'
        )
        tests.append(
            f"  junit{number}: {{methods: [sh], group: a, command: {{{command}, attach: ['${{attempt.dir}}/j.xml']}}}}"
        )
        steps = f'goto: "${{web.url}}/page#text-{number}"'
        wait = "within_seconds: 0.05"
        tests.append(
            f"  text{number}:\n    methods: [cli, mcp]\n    steps:\n      - {steps}\n"
            f"      - expect: {{css: h1, {wait}, to: {{have_text: nothing}}}}"
        )
    tests += [
        f'  body{number}: {{methods: [cli], steps: [{{http: {{GET: "/body?{number}", base: web, match: {{$.a: 1}}}}}}]}}'
        for number in range(-(-len(TEXTS) // FEW))
    ]
    head = "secrets: [THE_VALUE, THE_LINES, THE_NAME]\n" if secrets else ""
    finds = ", ".join(f'{{http: {{GET: "/log?{number}", base: web}}}}' for number in range(GROUPS))
    return head.join(SPEC.replace("FINDS", finds).split("SECRETS\n")) + "\n".join(tests) + "\n"


SPEC = """orchestra: 1
suite: s
SECRETS
methods:
  sh: {driver: command, workers: 2}
  cli: {driver: playwright, workers: 1}
  mcp: {driver: mcp}
health:
  web:
    service: {run: [python, product.py, serve, "${port}"], port_range: 8700-8799, env: {A: "${env.THE_VALUE}", B: "${env.THE_LINES}", C: "${env.THE_NAME}"}}
    ready: {http: {path: /none, status: 404}}
  dies: {required: false, job: {run: [python, product.py, die]}}
  odd:
    required: false
    needs: [web]
    url: "${web.url}"
    ready: {http: {path: "/body?0", contains: nothing}, within_seconds: 1}
defaults:
  requires: [web]
  retries: {max: 0}
  evidence: always
groups: {a: {title: A}}
tests:
  prints: {methods: [sh], group: a, command: {argv: [python, product.py, print]}}
  files: {methods: [sh], group: a, command: {argv: [python, product.py, files, "${attempt.dir}"], attach: ["${attempt.dir}/made/**", "out/**"]}}
  dead: {methods: [sh], requires: [dies, odd], command: {argv: [python, product.py, print]}}
  found:
    methods: [cli]
    errors: {service_logs: fail, log_patterns: {web: ["ERROR"]}}
    steps: [FINDS]
  console:
    methods: [cli, mcp]
    record: [trace]
    steps:
      - goto: "${web.url}/page#console"
      - wait: {role: link, within_seconds: 10}
      - screenshot: "shot ${env.THE_NAME}"
      - download: {role: link, name: Get, as: "kept ${env.THE_NAME}"}
      - expect: {text: "QQneverQQ ${env.THE_VALUE}", within_seconds: 0.1, to: {be: visible}}
  dialog: {methods: [cli, mcp], steps: [{goto: "${web.url}/page#dialog-0"}, {expect: {css: h1, to: {be: hidden}}}]}
  script: {methods: [cli, mcp], steps: [{goto: "${web.url}/page#"}, {evaluate: {script: "() => { throw new Error(corpus.raw + '${env.THE_VALUE}'.length) }"}}]}
"""


def project(root: Path, *, secrets: bool) -> SuiteProject:
    """The project of the corpus, compiled, in a git repository with one commit."""
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.orchestra]\n")
    for file in (ROOT / "tests/data/corpus").iterdir():
        shutil.copy(file, root)
    texts = list(TEXTS.values())
    forms = [base64.b64encode(form(RAW)).decode() for form in BYTES.values()]
    (root / "corpus.json").write_text(
        json.dumps({"raw": RAW, "name": NAME, "texts": texts, "bytes": forms, "each": EACH, "few": FEW})
    )
    (root / ".gitignore").write_text("corpus.json\nout\n.doit*\n__pycache__\n")
    made = SuiteProject(root).write(spec(secrets=secrets)).compile()
    made.git("init")
    made.git("add", "-A")
    made.git("commit", "-m", "one")
    return made
