"""No form of a secret is in any place of a run: a scanner reads every byte, and finds all of them where nothing is masked."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import corpus
from tests.support.corpus import BYTES, NAMES, RAW, TEXTS, Scan, shown
from tests.support.project import SuiteProject

pytestmark = pytest.mark.browser

of_the_corpus = pytest.mark.nightly
"""By day test_run_secrets.py has a secret at each place of a page, test_mask_forms.py each form, test_mask_files.py each archive."""

ALL = frozenset(range(len(NAMES)))
WIDE = frozenset(range(90, 90 + len(BYTES)))
PLACES = {
    **dict.fromkeys(("out", "err", "svc", "bin"), ALL | WIDE),
    **dict.fromkeys(("txt", "json", "zip", "tar", "gz", "bz", "xz", "tgz", "deep", "else"), ALL),
    **dict.fromkeys(("junit", "msg", "tail"), ALL),
    **dict.fromkeys(("log", "obj", "thr", "url", "down", "h", "title", "body", "find"), ALL),
    "dia": frozenset(range(corpus.EACH)),
    "last": frozenset(range(3)),
    "name": frozenset({0}),
}
"""The forms that the product writes to each place."""

CUT = {
    "obj": {
        "base64 in lines of 76",
        "base64 in lines of 64, indented",
        "base64 in lines, in json",
        "hex in lines of 60",
        "several lines, each with more",
    }
}
"""Forms of which a place shows so little that nothing is left of the secret: the browser cuts texts in objects."""


VERBS = (
    *(
        "status",
        "status --json",
        "report",
        "report --commit",
        "events",
        "events --json",
        "show * --run last",
        "compare",
    ),
    *("history", "history --json", "history --failures", "audit", "health --json"),
)
"""What looks at a run, and at its services."""


@dataclass
class Kept:
    """What is left of a run of the corpus."""

    scan: Scan
    project: SuiteProject
    temporary: list[str]


def kept(folder: Path, *, secrets: bool) -> Kept:
    """Run the corpus, look at it with every verb, and read all that it left."""
    project = corpus.project(folder / "p", secrets=secrets)
    temporary = Path(tempfile.mkdtemp(dir="/tmp", prefix="o-"))  # sockets fit into short paths only
    env = {
        "THE_VALUE": corpus.RAW,
        "THE_LINES": corpus.PEM,
        "THE_NAME": corpus.NAME,
        "TMPDIR": str(temporary),
        "ORCHESTRA_NOTE": corpus.RAW,
    }
    scan = Scan()
    done = project.run("run", **env)
    assert done.code == 1, done.err
    scan.take("the console", (done.out + done.err).encode())
    for verb in VERBS:
        done = project.run(*verb.split(), **env)
        assert done.code in {0, 1, 3}, (verb, done.err)
        scan.take(f"orchestra {verb}", (done.out + done.err).encode())
    scan.folder(project.root / ".orchestra")
    left = [str(path) for path in temporary.rglob("*")]
    scan.folder(temporary)
    scan.git(project.root)
    shutil.rmtree(temporary)
    return Kept(scan, project, left)


@pytest.fixture(scope="module")
def control(chromium, tmp_path_factory) -> Kept:
    return kept(tmp_path_factory.mktemp("c"), secrets=False)


@pytest.fixture(scope="module")
def masked(chromium, tmp_path_factory) -> Kept:
    return kept(tmp_path_factory.mktemp("m"), secrets=True)


def missing(place: str, found: dict[str, set[int]]) -> set[str]:
    """The forms that were not found in a place."""
    numbers = PLACES[place] - found.get(place, set())
    return {NAMES[number] if number in ALL else "utf-16" for number in numbers}


def test_the_scanner_knows_each_form():
    texts = {
        **{name: text.encode() for name, text in TEXTS.items()},
        **{name: form(RAW) for name, form in BYTES.items()},
    }
    assert [name for name, text in texts.items() if shown(text) is None] == []
    assert shown(b"a page without any") is None


@of_the_corpus
def test_the_scanner_finds_each_form_where_nothing_is_masked(control):
    assert {place: lacks for place in PLACES if (lacks := missing(place, control.scan.open))} == CUT


@of_the_corpus
def test_each_form_was_there_and_is_masked(masked):
    """One test for all places: several would be divided between processes, and each makes its own run."""
    assert {place: lacks for place in PLACES if (lacks := missing(place, masked.scan.seen))} == {}
    assert {place: open_forms for place, open_forms in masked.scan.open.items() if open_forms} == {}


@of_the_corpus
def test_no_byte_of_a_run_shows_a_secret(masked):
    assert masked.scan.leaks == []
    assert masked.temporary == []


@of_the_corpus
def test_what_could_not_be_searched_is_named_and_the_record_holds(masked):
    [files] = [event["body"] for event in masked.project.events("attempt_finished") if event["body"]["test"] == "files"]
    assert [(file["path"], file["kind"]) for file in files["dropped"]] == [("made/c.gz", "attachment")]
    assert "more than 4 layers" in files["dropped"][0]["reason"]
    names = [file["path"] for file in files["evidence"]]
    assert [name for name in names if "__THE_NAME__" in name]
    assert masked.project.run("audit").code == 0
