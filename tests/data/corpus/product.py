"""The product of the corpus: writes each form of its secrets to each place. `product.py MODE …`; see corpus.json."""

import base64
import bz2
import gzip
import http.server
import io
import json
import lzma
import os
import sys
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

HERE = Path(__file__).parent
CORPUS = json.loads((HERE / "corpus.json").read_text())
TEXTS = CORPUS["texts"]
RAW, NAME = CORPUS["raw"], CORPUS["name"]
EACH, FEW = CORPUS["each"], CORPUS["few"]


def section(place, number, form):
    return f"QQ{place}f{number:02d}QQ\n{form}\nQQeQQ\n"


def sections(place, numbers=None):
    return "".join(
        section(place, number, TEXTS[number]) for number in (range(len(TEXTS)) if numbers is None else numbers)
    )


def wide(place):
    forms = [base64.b64decode(form) for form in CORPUS["bytes"]]
    return b"".join(b"QQ%bf%02dQQ\n%b\nQQeQQ\n" % (place.encode(), 90 + at, form) for at, form in enumerate(forms))


def group(number, size=EACH):
    return range(number * size, min((number + 1) * size, len(TEXTS)))


def zipped(name, content):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return out.getvalue()


def tarred(name, content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        file.addfile(info, io.BytesIO(content))
    return out.getvalue()


def files(folder):
    """Files of many kinds, and archives in archives."""
    folder = Path(folder) / "made"
    folder.mkdir()
    text = sections
    (folder / "a.txt").write_text(text("txt"))
    (folder / "a.bin").write_bytes(b"\0\1\2" + text("bin").encode() + wide("bin"))
    (folder / "a.json").write_text(json.dumps([section("json", at, form) for at, form in enumerate(TEXTS)]))
    (folder / "a.zip").write_bytes(zipped("in.txt", text("zip").encode()))
    (folder / "a.tar").write_bytes(tarred("in.txt", text("tar").encode()))
    (folder / "a.gz").write_bytes(gzip.compress(text("gz").encode()))
    (folder / "a.bz2").write_bytes(bz2.compress(text("bz").encode()))
    (folder / "a.xz").write_bytes(lzma.compress(text("xz").encode()))
    (folder / "a.tar.gz").write_bytes(gzip.compress(tarred("in.txt", text("tgz").encode())))
    (folder / "b.zip").write_bytes(zipped("in.tgz", gzip.compress(tarred("in.txt", text("deep").encode()))))
    name = section("name", 0, NAME).replace("\n", " ")
    (folder / name).mkdir()
    (folder / name / f"{name}.txt").write_text("x")
    (folder / "n.zip").write_bytes(zipped(name, b"x"))
    (HERE / "out").mkdir()
    (HERE / "out/a.txt").write_text(text("else"))
    deep = text("below").encode()
    for _ in range(6):
        deep = gzip.compress(deep)
    (folder / "c.gz").write_bytes(deep)


def junit(file, number):
    suite = ET.Element("testsuite", name="forms")
    for at in group(number):
        case = ET.SubElement(suite, "testcase", classname="c", name=f"n{at}")
        ET.SubElement(case, "failure", message=section("msg", at, TEXTS[at]).replace("\n", "")).text = section(
            "junit", at, TEXTS[at]
        )
    Path(file).write_text(ET.tostring(suite, encoding="unicode"))
    sys.stdout.write(sections("tail", group(number)))


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        status, body = 200, ""
        if path == "/page":
            body = (HERE / "page.html").read_text().replace("__CORPUS__", json.dumps(CORPUS).replace("<", "\\u003c"))
        elif path == "/body":
            body = sections("body", group(int(query), FEW))
        elif path == "/log":
            for at in group(int(query)):
                say("ERROR " + section("find", at, TEXTS[at]).replace("\n", ""))
        else:
            status = 404
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        say(f"asked for {unquote(self.path)}")


def main(mode, *words):
    if mode == "print":
        for stream, place in ((sys.stdout, "out"), (sys.stderr, "err")):
            stream.write(sections(place))
            stream.flush()
            stream.buffer.write(wide(place))
            stream.flush()
    elif mode == "files":
        files(words[0])
    elif mode == "junit":
        junit(words[0], int(words[1]))
        sys.exit(1)
    elif mode == "die":
        sys.exit(sections("last", [0, 1, 2]))
    else:
        sys.stdout.write(sections("svc"))
        sys.stdout.flush()
        sys.stdout.buffer.write(wide("svc"))
        sys.stdout.flush()
        http.server.ThreadingHTTPServer(("127.0.0.1", int(words[0])), Handler).serve_forever()


if __name__ == "__main__":
    assert os.environ["THE_VALUE"] == RAW
    main(*sys.argv[1:])
