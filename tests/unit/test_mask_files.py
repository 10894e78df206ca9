"""Files that programs wrote are cleaned where they lie: their contents, what is packed in them, their names."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from orchestra.runtime.mask import Masks
from orchestra.runtime.mask import archive as limits

SECRET = "s3cr3t-t0ken/of&mine"
MASKS = Masks(["TOKEN"], {"TOKEN": SECRET})
CONTENT = f"line\nthe token is {SECRET}\n".encode()


def zipped(content: bytes, name: str = "in.txt") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("other.txt", b"nothing here")
        file.writestr(name, content)
    return out.getvalue()


def tarred(content: bytes, name: str = "in.txt", link: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as file:
        info = tarfile.TarInfo(name)
        info.size, info.pax_headers = len(content), {"comment": content.decode(errors="replace")[:100]}
        file.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo("link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            file.addfile(info)
    return out.getvalue()


def gzipped(content: bytes, name: str = "") -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(name, "wb", fileobj=out) as file:
        file.write(content)
    return out.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "zip": zipped,
    "tar": tarred,
    "gz": gzipped,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def contents(data: bytes) -> Iterator[bytes]:
    """All that can be unpacked from bytes, at any depth, and the bytes themselves."""
    yield data
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            for info in file.infolist():
                yield info.filename.encode() + file.comment
                yield from contents(file.read(info))
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as file:
            for info in file:
                yield f"{info.name} {info.linkname} {info.pax_headers}".encode()
                yield from contents(file.extractfile(info).read() if info.isreg() else b"")
    else:
        for magic, unpack in ((b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress), (b"\xfd7z", lzma.decompress)):
            if data.startswith(magic):
                yield from contents(unpack(data))


@pytest.mark.parametrize("inner", [None, *PACKINGS])
@pytest.mark.parametrize("outer", PACKINGS)
def test_a_secret_is_taken_out_of_what_is_packed(tmp_path, outer, inner):
    content = CONTENT if inner is None else PACKINGS[inner](CONTENT)
    packed = PACKINGS[outer](content)
    assert any(SECRET.encode() in part for part in contents(packed))
    (tmp_path / "file").write_bytes(packed)
    assert MASKS.clean(tmp_path) == ({}, ())
    parts = list(contents((tmp_path / "file").read_bytes()))
    assert not [part for part in parts if SECRET.encode() in part]
    assert CONTENT.replace(SECRET.encode(), b"***TOKEN***") in parts
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_names_comments_and_links_in_archives_are_cleaned(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(b"x", f"dir/{SECRET.replace('/', '_')} {SECRET}.txt"))
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as file:
        file.comment = SECRET.encode()
    (tmp_path / "b.tar").write_bytes(tarred(b"x", f"{SECRET}.txt", f"/home/{SECRET}"))
    (tmp_path / "c.gz").write_bytes(gzipped(b"x", "token s3cr3t-t0ken%2Fof%26mine"))
    MASKS.clean(tmp_path)
    parts = [part for file in tmp_path.iterdir() for part in contents(file.read_bytes())]
    assert not [part for part in parts if SECRET.encode() in part or b"%2Fof%26" in part]
    assert [part for part in parts if b"__TOKEN__.txt /home" not in part and b"__TOKEN__.txt" in part]


def test_what_holds_no_secret_is_left_as_it_is(tmp_path):
    made = {}
    for name, pack in PACKINGS.items():
        made[name] = pack(pack(b"nothing " * 1000))
        (tmp_path / name).write_bytes(made[name])
    inodes = {file.name: file.stat().st_ino for file in tmp_path.iterdir()}
    MASKS.clean(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == made
    assert {file.name: file.stat().st_ino for file in tmp_path.iterdir()} == inodes


def deep(layers: int) -> bytes:
    data = CONTENT
    for _ in range(layers):
        data = gzipped(data)
    return data


def encrypted(data: bytes) -> bytes:
    """A zip whose members say that they are encrypted."""
    return data.replace(b"PK\x03\x04\x14\0\0\0", b"PK\x03\x04\x14\0\1\0").replace(
        b"\x14\x03\x14\0\0\0", b"\x14\x03\x14\0\1\0"
    )


UNSEARCHED = {
    "deep": (deep(limits.DEPTH + 1), "it has more than 4 layers of packing"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + b"x" * 60, "it is packed (7z), and cannot be searched"),
    "zstd": (b"\x28\xb5\x2f\xfd" + b"x" * 60, "it is packed (zstd), and cannot be searched"),
    "lzma": (lzma.compress(CONTENT, lzma.FORMAT_ALONE), "it is packed (lzma), and cannot be searched"),
    **{
        f"zlib {level}": (zlib.compress(CONTENT * 40, level), "it is packed (zlib), and cannot be searched")
        for level in (1, 2, 6, 9)
    },
    "half a gzip": (gzipped(CONTENT * 50)[:-20], "it could not be unpacked to be searched for secrets"),
    "half a zip": (zipped(CONTENT)[:-30], "it could not be unpacked to be searched for secrets"),
    "encrypted": (encrypted(zipped(b"x")), "it is encrypted"),
    "appended": (b"#!/bin/sh\nexec unzip $0\n" + zipped(CONTENT), "a secret is in an archive at its end"),
}


@pytest.mark.parametrize("kind", UNSEARCHED)
def test_a_file_that_cannot_be_searched_is_not_kept(tmp_path, kind):
    data, reason = UNSEARCHED[kind]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").write_bytes(data)
    (tmp_path / "zz.txt").write_bytes(CONTENT)
    [gone] = MASKS.clean(tmp_path).removed
    assert (gone.path, gone.size) == ("sub/file", len(data))
    assert reason in gone.reason
    assert not list((tmp_path / "sub").iterdir())
    assert (tmp_path / "zz.txt").read_bytes() == CONTENT.replace(SECRET.encode(), b"***TOKEN***")


@pytest.mark.parametrize("head", ["x^", "x\x01"])
def test_a_text_that_begins_as_a_zlib_stream_is_kept(tmp_path, head):
    (tmp_path / "file").write_bytes(head.encode() + CONTENT)
    assert MASKS.clean(tmp_path).removed == ()
    assert (tmp_path / "file").read_bytes() == head.encode() + CONTENT.replace(SECRET.encode(), b"***TOKEN***")


def zip_of(**fields: bytes) -> bytes:
    info = zipfile.ZipInfo("in.txt")
    for name, value in fields.items():
        setattr(info, name, value)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(info, b"x")
    return out.getvalue()


def tar_of(form: int = tarfile.GNU_FORMAT, **fields: object) -> bytes:
    info = tarfile.TarInfo("in.txt")
    info.size = 1
    for name, value in fields.items():
        setattr(info, name, value)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as file:
        file.addfile(info, io.BytesIO(b"x"))
    return out.getvalue()


HEX = SECRET.encode()
TAR = tar_of()
GZIP_HEAD = b"\x1f\x8b\x08\x04" + bytes(6) + len(HEX).to_bytes(2, "little") + HEX
BESIDES = {
    "comment of a member.zip": zip_of(comment=HEX),
    "extra field.zip": zip_of(extra=b"\x99\x99" + len(HEX).to_bytes(2, "little") + HEX),
    "extra field.gz": GZIP_HEAD + gzip.compress(b"x")[10:],
    "name of the second member.gz": gzip.compress(b"x") + gzipped(b"x", SECRET.replace("/", "")),
    "after the end.bz2": bz2.compress(b"x") + HEX,
    "after the end.xz": lzma.compress(b"x") + HEX,
    "after the end.tar": TAR + HEX,
    "after a member.tar": TAR[:513] + HEX + TAR[513 + len(HEX) :],
    "owner.tar": tar_of(uname=SECRET),
    "group.tar": tar_of(gname=SECRET),
    "key of a pax header.tar": tar_of(tarfile.PAX_FORMAT, pax_headers={f"x.{SECRET}": "1"}),
    "owner.tar.gz": gzip.compress(tar_of(uname=SECRET)),
}


@pytest.mark.parametrize("name", BESIDES)
def test_a_secret_is_taken_out_of_the_rest_of_a_packing(tmp_path, name):
    values = {"TOKEN": SECRET, "NAME": SECRET.replace("/", "")}
    (tmp_path / name).write_bytes(BESIDES[name])
    assert Masks(list(values), values).clean(tmp_path).removed == ()
    left = list(contents((tmp_path / name).read_bytes()))
    assert not [data for data in left if any(value.encode() in data for value in values.values())]
    assert left[-1].strip(b"x") == b""


def test_a_packing_without_a_secret_stays_as_it_is(tmp_path):
    """The control."""
    data = {
        "a.zip": zip_of(comment=b"nothing"),
        "a.tar": tar_of(uname="user") + b"more",
        "a.bz2": bz2.compress(b"x") + b"y",
    }
    for name, content in data.items():
        (tmp_path / name).write_bytes(content)
    assert MASKS.clean(tmp_path).removed == ()
    assert {name: (tmp_path / name).read_bytes() for name in data} == data


def test_what_lies_as_deep_as_is_searched_is_cleaned(tmp_path):
    (tmp_path / "file.gz").write_bytes(deep(limits.DEPTH))
    assert MASKS.clean(tmp_path).removed == ()
    assert list(contents((tmp_path / "file.gz").read_bytes()))[-1].endswith(b"the token is ***TOKEN***\n")


def test_what_unpacks_to_too_much_or_to_too_many_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "UNPACKED_BYTES", 1 << 20)
    monkeypatch.setattr(limits, "MEMBERS", 3)
    (tmp_path / "bomb.gz").write_bytes(gzipped(bytes(2 << 20)))
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as file:
        for number in range(4):
            file.writestr(str(number), b"x")
    reasons = {one.path: one.reason for one in MASKS.clean(tmp_path).removed}
    assert "it unpacks to more than 1 MB" in reasons["bomb.gz"]
    assert "it holds more than 3 files" in reasons["many.zip"]


def test_a_text_that_looks_like_an_archive_is_cleaned_as_a_text(tmp_path):
    (tmp_path / "a.log").write_bytes(b"BZh9 " + CONTENT)
    (tmp_path / "b.log").write_bytes(CONTENT + b"PK\x05\x06" + bytes(18))
    assert MASKS.clean(tmp_path).removed == ()
    assert SECRET.encode() not in (tmp_path / "a.log").read_bytes() + (tmp_path / "b.log").read_bytes()


def test_names_of_files_and_folders_are_cleaned_and_ours_stay(tmp_path):
    name = SECRET.replace("/", "_")
    masks = Masks(["TOKEN", "WORD"], {"TOKEN": name, "WORD": "output"})
    for path in (f"{name}/a {name}.txt", "output.log", "x/output.txt", "__TOKEN__"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("x")
    (tmp_path / "link").symlink_to(f"/tmp/{name}")
    (tmp_path / "fifo").touch()
    (tmp_path / "fifo").unlink()
    os.mkfifo(tmp_path / "fifo")
    done = masks.clean(tmp_path, {"output.log": False})
    assert done.renamed == {f"{name}/a {name}.txt": "2-__TOKEN__/a __TOKEN__.txt", "x/output.txt": "x/__WORD__.txt"}
    assert [(one.path, one.reason) for one in done.removed] == [("link", "it is a link to a path that holds a secret")]
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir())
    assert left == ["2-__TOKEN__/a __TOKEN__.txt", "__TOKEN__", "fifo", "output.log", "x/__WORD__.txt"]


def test_a_file_that_a_link_leads_to_is_not_touched(tmp_path):
    folder, outside = tmp_path / "run", tmp_path / "outside.txt"
    folder.mkdir()
    outside.write_bytes(CONTENT)
    (folder / "link").symlink_to(outside)
    os.link(outside, folder / "hard")
    MASKS.clean(folder)
    assert outside.read_bytes() == CONTENT
    assert b"***TOKEN***" in (folder / "hard").read_bytes()


WEAK = Masks(["WORD", "DIGIT"], {"WORD": "test", "DIGIT": "1"})
JUNIT = """<?xml version="1.0"?>
<testsuites tests="1"><!-- a test --><testsuite name="a test" tests="1">
<testcase classname='test' name="1"><failure message="no &quot;test&quot;" type="test"><![CDATA[<test>]]>a < test</failure>
</testcase></testsuite></testsuites>
""".replace("a < test", "a &lt; test")


def test_an_ordinary_word_does_not_destroy_a_report(tmp_path):
    (tmp_path / "j.xml").write_text(JUNIT)
    data = {"test": {"tests": ["a test", 'the "test": 1'], "testing": True}, "1": 1}
    (tmp_path / "r.json").write_text(json.dumps(data, indent=1))
    (tmp_path / "log.txt").write_text("test=1 <test/>")
    WEAK.clean(tmp_path)
    case = ET.parse(tmp_path / "j.xml").getroot().find("testsuite/testcase")
    assert case.attrib == {"classname": "***WORD***", "name": "1"}
    assert case.find("failure").attrib == {"message": 'no "***WORD***"', "type": "***WORD***"}
    assert case.find("failure").text == "<***WORD***>a < ***WORD***"
    found = json.loads((tmp_path / "r.json").read_text())
    assert found == {"test": {"tests": ["a ***WORD***", 'the "***WORD***": 1'], "testing": True}, "1": 1}
    assert (tmp_path / "log.txt").read_text() == "***WORD***=1 <***WORD***/>"


def test_a_strong_secret_is_taken_out_of_keys_and_tags_too(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({SECRET: {SECRET: 1}}))
    (tmp_path / "r.xml").write_text("<a s3cr3t-t0ken%2Fof%26mine='x'/>")
    MASKS.clean(tmp_path)
    assert json.loads((tmp_path / "r.json").read_text()) == {"***TOKEN***": {"***TOKEN***": 1}}
    assert (tmp_path / "r.xml").read_text() == "<a ***TOKEN***='x'/>"


def test_a_file_in_which_places_count_has_its_size_still(tmp_path):
    with sqlite3.connect(tmp_path / "db.sqlite") as db:
        db.execute("create table t (a text, b text)")
        db.executemany("insert into t values (?, ?)", [(f"row {number}", SECRET) for number in range(500)])
    db.close()
    size = (tmp_path / "db.sqlite").stat().st_size
    MASKS.clean(tmp_path)
    assert (tmp_path / "db.sqlite").stat().st_size == size
    db = sqlite3.connect(tmp_path / "db.sqlite")
    assert set(db.execute("select b from t")) == {("***TOKEN***" + "*" * (len(SECRET) - 11),)}
    assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
    db.close()


def test_a_picture_is_searched_for_strong_secrets(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"tEXt test " + CONTENT)
    Masks(["TOKEN", "WORD"], {"TOKEN": SECRET, "WORD": "test"}).clean(tmp_path)
    assert b"tEXt test" in (tmp_path / "a.png").read_bytes()
    assert SECRET.encode() not in (tmp_path / "a.png").read_bytes()


def test_a_large_file_is_cleaned_in_pieces(tmp_path):
    path = Path(tmp_path / "large.bin")
    block = b"x" * ((1 << 20) - 5)
    path.write_bytes(block + SECRET.encode() + block + SECRET.encode() + block)
    MASKS.clean(tmp_path)
    assert path.read_bytes() == (block + b"***TOKEN***" + block + b"***TOKEN***" + block)
